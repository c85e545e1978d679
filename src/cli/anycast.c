/* skerry anycast */
#include "route/anycast.h"

#include <argp.h>
#include <stdlib.h>

#include "cli/command.h"

static const struct argp_option options[] = {
    {"file", 'f', "FILE", 0, "The file that BIRD includes in a static protocol", 1},
    {"prefix", 'p', "PREFIX", 0, "Announce this while healthy; may be repeated, all of one family", 1},
    {"edge", 'e', "ADDRESS", 0, "The edge to look at (default 127.0.0.1:8080)", 2},
    {"path", 'P', "PATH", 0, "What to ask it for (default /.well-known/skerry/health)", 2},
    {"host", 'H', "HOST", 0, "Host field of the question (default: the address)", 2},
    {"command", 'c', "COMMAND", 0, "Run after each change (default: birdc configure); empty: nothing", 2},
    {"interval", 'i', "MS", 0, "Time between two checks (default 1000)", 3},
    {"timeout", 't', "MS", 0, "How long an answer may take (default 1000)", 3},
    {"down-after", 'd', "N", 0, "Bad results in a row until withdrawn (default 2); 503 counts at once", 3},
    {"up-after", 'u', "N", 0,
     "Good results in a row until announced (default 3), twice as many for each further fall in ten minutes",
     3},
    {0},
};

/* From 1 to MOST. */
static long number(struct argp_state *state, const char *flag, const char *value, long most) {
    char *end;
    long read = strtol(value, &end, 10);
    if (*end || end == value || read < 1 || read > most)
        argp_error(state, "%s: found \"%s\", expected a number from 1 to %ld", flag, value, most);
    return read;
}

static void add_prefix(struct argp_state *state, const char *value) {
    struct anycast_options *anycast = state->input;
    if (anycast->prefix_count == ANYCAST_PREFIXES_MAX)
        argp_error(state, "more than %d prefixes", ANYCAST_PREFIXES_MAX);
    else if (io_prefix_parse(sk_str_from_c(value), &anycast->prefixes[anycast->prefix_count++]))
        argp_error(state, "--prefix: found \"%s\", expected a prefix (example: 192.0.2.1/32)", value);
}

static void at_end(struct argp_state *state) {
    const struct anycast_options *anycast = state->input;
    if (!anycast->file || !anycast->prefix_count)
        argp_error(state, "which file and prefix? (example: skerry anycast --file "
                          "/var/lib/skerry/anycast.conf --prefix 192.0.2.1/32)");
    if (!anycast_one_family(anycast))
        argp_error(state, "IPv4 and IPv6 prefixes need a process and a file each, as BIRD's static "
                          "protocols have one family");
}

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct anycast_options *anycast = state->input;
    switch (key) {
    case 'f': anycast->file = value; return 0;
    case 'p': add_prefix(state, value); return 0;
    case 'e':
        if (io_addr_parse(sk_str_from_c(value), &anycast->edge))
            argp_error(state, "--edge: found \"%s\", expected an address (example: 127.0.0.1:80)", value);
        return 0;
    case 'P':
        if (value[0] != '/') argp_error(state, "--path: found \"%s\", expected a path", value);
        anycast->path = sk_str_from_c(value);
        return 0;
    case 'H': anycast->host = sk_str_from_c(value); return 0;
    case 'c': anycast->command = value[0] ? value : NULL; return 0;
    case 'i': anycast->interval_ms = number(state, "--interval", value, 3600000); return 0;
    case 't': anycast->timeout_ms = number(state, "--timeout", value, 60000); return 0;
    case 'd': anycast->rules.down_after = (uint32_t)number(state, "--down-after", value, 100); return 0;
    case 'u': anycast->rules.up_after = (uint32_t)number(state, "--up-after", value, 100); return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected \"%s\"", value); return 0;
    case ARGP_KEY_END: at_end(state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int cli_anycast(int argc, char **argv) {
    static const struct argp argp = {
        .options = options,
        .parser = on_argument,
        .doc =
            "Keeps a file that BIRD includes true: routes for the prefixes while the edge is healthy, none "
            "otherwise. Clients then come by anycast only while somebody serves them.\v"
            "In bird.conf (an include is a line of its own):\n"
            "  protocol static anycast {\n"
            "    ipv4;\n"
            "    include \"/var/lib/skerry/anycast.conf\";\n"
            "  }\n\n"
            "Example:\n"
            "  skerry anycast --file /var/lib/skerry/anycast.conf --prefix 192.0.2.1/32 --edge 127.0.0.1:80\n\n"
            "It begins withdrawn, and withdraws at SIGTERM and SIGINT.\n\n"
            "Exit codes: 0 stopped by a signal, 1 the file cannot be written, 2 bad usage.",
    };
    struct anycast_options anycast = {.command = "birdc configure",
                                      .path = SK_STR("/.well-known/skerry/health"),
                                      .interval_ms = 1000,
                                      .timeout_ms = 1000,
                                      .rules = {.down_after = 2, .up_after = 3}};
    if (io_addr_parse(SK_STR("127.0.0.1:8080"), &anycast.edge)) return CLI_FAILED;
    cli_parse(&argp, "anycast", argc, argv, &anycast);
    return anycast_run(&anycast);
}
