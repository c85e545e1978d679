/* skerry route */
#include "route/route.h"

#include <stdlib.h>

#include "cli/arguments.h"
#include "cli/command.h"

struct route_arguments {
    struct config_route_arguments config;
    const char *file;
    const char *listen[CLI_LIST_MAX], *zones[CLI_LIST_MAX];
};

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "Configuration (YAML); read again at SIGHUP", 1},
    {"listen", 'l', "ADDRESS", 0, "Answer here; may be repeated (default 127.0.0.1:5300)", 2},
    {"zone", 'z', "NAME=FILE", 0, "Answer for this zone; may be repeated", 2},
    {"threads", 't', "N", 0, "Threads that answer (default: one for each core)", 2},
    {"admin", 'a', "ADDRESS", 0, "Health and metrics: unix:PATH (default: none)", 2},
    {0},
};

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct route_arguments *arguments = state->input;
    struct config_route_arguments *config = &arguments->config;
    switch (key) {
    case 'c': arguments->file = value; return 0;
    case 'l': cli_add(state, arguments->listen, &config->listen_count, "--listen", value); return 0;
    case 'z': cli_add(state, arguments->zones, &config->zone_count, "--zone", value); return 0;
    case 't': config->threads = cli_threads(state, value); return 0;
    case 'a': config->admin = value; return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected \"%s\"", value); return 0;
    case ARGP_KEY_END:
        if (!arguments->file && !config->zone_count)
            argp_error(state, "which zone? Give -c FILE or --zone NAME=FILE (example: skerry route --zone "
                              "example.com=example.com.zone)");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* The configuration of file and arguments, or NULL with every problem told on stderr. */
static struct config_route *load(const struct route_arguments *arguments, int *out_code) {
    struct config_problems problems;
    struct config_route *config = NULL;
    config_problems_init(&problems);
    sk_err err = arguments->file ? config_route_load_file(arguments->file, &config, &problems)
                                 : config_route_empty(&config);
    if (!err) {
        err = config_route_apply_arguments(config, &arguments->config, &problems);
        if (err) config_route_free(config);
    }
    *out_code = cli_tell_problems("skerry route", &problems, err);
    return err ? NULL : config;
}

int cli_route(int argc, char **argv) {
    static const struct argp argp = {
        .options = options,
        .parser = on_argument,
        .doc =
            "An authoritative name server that sends each client to its best site.\v"
            "Examples:\n"
            "  skerry route --listen 127.0.0.1:5300 --zone example.com=example.com.zone\n"
            "  skerry route -c /etc/skerry/route.yaml\n\n"
            "What the command line says wins over the file. SIGHUP reads the file and all zones again; what "
            "is wrong is told, and the old data stays in force. SIGUSR2 starts the program that lies at this one's "
            "path now, hands it the sockets and ends when it answers: no query is lost. SIGTERM and SIGINT stop.\n\n"
            "Exit codes: 0 stopped by a signal, 1 failed at run time, 2 bad usage, configuration or zone.",
    };
    static struct route_arguments arguments; /* reloads lay it over the file */
    static struct route_start start;
    int code;
    start = (struct route_start){.program = cli_own_path("skerry"), .arguments = &arguments.config};
    start.argv = cli_keep_arguments("skerry", argc, argv);
    if (!start.argv) return CLI_FAILED;
    arguments.config.listen = arguments.listen;
    arguments.config.zones = arguments.zones;
    cli_parse(&argp, "route", argc, argv, &arguments);
    struct config_route *config = load(&arguments, &code);
    if (!config) return code;
    return route_main(config, &start);
}
