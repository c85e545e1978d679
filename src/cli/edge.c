/* skerry edge */
#include "edge/edge.h"

#include <stdlib.h>
#include <unistd.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/edge_join.h"
#include "config/load.h"
#include "edge/fleet_config.h"

struct edge_arguments {
    struct config_arguments config;
    const char *file;
    struct cli_joining joining;
    const char *listen[CLI_LIST_MAX], *origins[CLI_LIST_MAX], *certs[CLI_LIST_MAX], *keys[CLI_LIST_MAX];
};

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "Configuration (YAML); read again at SIGHUP", 1},
    {"listen", 'l', "ADDRESS", 0,
     "Accept clients here; may be repeated (default 127.0.0.1:8080); https:// before it: by TLS", 2},
    {"cert", 'C', "FILE", 0, "Certificate (PEM) for the https:// addresses; may be repeated", 2},
    {"key", 'K', "FILE", 0, "Its private key (PEM); as many as certificates", 2},
    {"origin", 'o', "URL", 0, "Ask this origin; may be repeated. Without a file only", 2},
    {"memory", 'm', "SIZE", 0, "Memory of the cache (default: a quarter of the machine's, at most 16GiB)", 2},
    {"threads", 't', "N", 0, "Threads that serve (default: one for each core)", 2},
    {"admin", 'a', "ADDRESS", 0, "Health, metrics and reload: unix:PATH (default: none)", 2},
    {"access-log", 'A', "FILE", 0, "A line for each request; - is stdout (default: none)", 2},
    {"join", 'j', "URL", 0,
     "Belong to the fleet of this control; TOKEN is the invitation, for the first time", 3},
    {"state", 's', "DIR", 0,
     "With --join: folder of the node's identity, and of its own file edge.yaml unless "
     "-c names one (default " CLI_EDGE_STATE ")",
     3},
    {"name", 'n', "NAME", 0, "With --join: the node's name (default: the host's)", 3},
    {0},
};

static void check_joining(struct argp_state *state, const struct edge_arguments *arguments) {
    const struct cli_joining *joining = &arguments->joining;
    if (!joining->url && joining->token) argp_error(state, "unexpected \"%s\"", joining->token);
    if (!joining->url && (joining->state || joining->name))
        argp_error(state, "--state and --name belong to --join URL TOKEN");
    if (joining->state && arguments->file)
        argp_error(state, "found --state beside -c: the file's fleet.state says where");
    if (joining->url && arguments->config.origin_count)
        argp_error(state, "found --origin beside --join: sites come from the fleet");
}

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct edge_arguments *arguments = state->input;
    struct config_arguments *config = &arguments->config;
    switch (key) {
    case 'c': arguments->file = value; return 0;
    case 'l': cli_add(state, arguments->listen, &config->listen_count, "--listen", value); return 0;
    case 'C': cli_add(state, arguments->certs, &config->cert_count, "--cert", value); return 0;
    case 'K': cli_add(state, arguments->keys, &config->key_count, "--key", value); return 0;
    case 'o': cli_add(state, arguments->origins, &config->origin_count, "--origin", value); return 0;
    case 'm': config->memory = value; return 0;
    case 't': config->threads = cli_threads(state, value); return 0;
    case 'a': config->admin = value; return 0;
    case 'A': config->access_log = value; return 0;
    case 'j': arguments->joining.url = value; return 0;
    case 's': arguments->joining.state = value; return 0;
    case 'n': arguments->joining.name = value; return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num) argp_error(state, "unexpected \"%s\"", value);
        arguments->joining.token = value;
        return 0;
    case ARGP_KEY_END:
        check_joining(state, arguments);
        if (!arguments->file && !config->origin_count && !arguments->joining.url)
            argp_error(state, "where from? Give -c FILE or --origin URL (example: skerry edge --origin "
                              "http://127.0.0.1:9000)");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* The configuration of file and arguments, or NULL with every problem told on stderr. */
static struct config *load(const struct edge_arguments *arguments, uint64_t *out_number, int *out_code) {
    struct config_problems problems;
    struct config *config = NULL;
    config_problems_init(&problems);
    sk_err err = arguments->file
                     ? edge_fleet_config_load(arguments->file, (sk_str){0}, &config, &problems, out_number)
                     : config_from_arguments(&arguments->config, &config, &problems);
    if (!err && arguments->file) {
        err = config_apply_arguments(config, &arguments->config, &problems);
        if (err) config_unref(config);
    }
    *out_code = cli_tell_problems("skerry edge", &problems, err);
    return err ? NULL : config;
}

int cli_edge(int argc, char **argv) {
    static const struct argp argp = {
        .options = options,
        .parser = on_argument,
        .args_doc = "[TOKEN]",
        .doc =
            "A caching reverse proxy: answers clients from memory, and asks the origins for what it does not "
            "have.\v"
            "Examples:\n"
            "  skerry edge --listen 127.0.0.1:8080 --origin http://127.0.0.1:9000\n"
            "  skerry edge --listen https://127.0.0.1:8443 --cert www.pem --key www.key --origin "
            "http://127.0.0.1:9000\n"
            "  skerry edge -c /etc/skerry/edge.yaml\n"
            "  skerry edge -c edge.yaml --listen :8081 --access-log -\n"
            "  skerry edge --join https://10.0.0.2:7443 skj1.... --listen :80\n\n"
            "With --join this machine becomes a node of a fleet before it serves, and serves what its control has "
            "for it. Once that is done it starts from what is on disk, and the token is not looked at again.\n\n"
            "What the command line says wins over the file. All keys of the file: skerry help configuration. "
            "Signals: skerry help signals.\n\n"
            "Exit codes: 0 stopped by a signal, 1 failed at run time, 2 bad usage or configuration.",
    };
    static struct edge_arguments arguments; /* reloads lay it over the file */
    static struct edge_start start;
    int code;
    start = (struct edge_start){.program = cli_own_path("skerry"), .arguments = &arguments.config};
    start.argv = cli_keep_arguments("skerry", argc, argv);
    if (!start.argv) return CLI_FAILED;
    arguments.config.listen = arguments.listen;
    arguments.config.origins = arguments.origins;
    arguments.config.certs = arguments.certs;
    arguments.config.keys = arguments.keys;
    cli_parse(&argp, "edge", argc, argv, &arguments);
    if (arguments.joining.url) {
        arguments.joining.file = arguments.file;
        code = cli_edge_join(&arguments.joining);
        if (code != CLI_FINE) return code;
        arguments.file = arguments.joining.file;
    }
    struct config *config = load(&arguments, &start.fleet_number, &code);
    if (!config) return code;
    return edge_main(config, &start);
}
