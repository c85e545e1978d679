/* skerry join */
#include <argp.h>
#include <signal.h>
#include <stdio.h>

#include "cli/command.h"
#include "fleet/enrol.h"

struct join_arguments {
    const char *url, *token, *state, *name;
};

static const struct argp_option options[] = {
    {"state", 's', "DIR", 0,
     "Folder for the node's key, certificate and configuration (its file's `fleet.state`)", 1},
    {"name", 'n', "NAME", 0, "The node's name (default: the host's)", 1},
    {0},
};

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct join_arguments *arguments = state->input;
    switch (key) {
    case 's': arguments->state = value; return 0;
    case 'n': arguments->name = value; return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 1) argp_error(state, "unexpected \"%s\"", value);
        *(state->arg_num ? &arguments->token : &arguments->url) = value;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->token || !arguments->state)
            argp_error(state,
                       "expected URL TOKEN --state DIR (example: skerry join https://10.0.0.2:7443 skj1... "
                       "--state /var/lib/skerry/node)");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int cli_join(int argc, char **argv) {
    static const struct argp argp = {
        .options = options,
        .parser = on_argument,
        .args_doc = "URL TOKEN",
        .doc =
            "Makes this machine a node of a fleet: makes a key, shows the invitation to control, and keeps the "
            "certificate that it gets. Whether that is the right control is known from the invitation.\v"
            "Example:\n"
            "  skerry join https://10.0.0.2:7443 skj1.... --state /var/lib/skerry/node\n"
            "and then, in the edge's file:\n"
            "  fleet: {state: /var/lib/skerry/node}\n"
            "`skerry edge --join URL TOKEN` does both, and starts the edge.\n\n"
            "Exit codes: 0 joined, 1 refused or failed, 2 bad usage.",
    };
    struct join_arguments arguments = {0};
    struct fleet_id id;
    char why[FLEET_ENROL_WHY_BYTES], text[FLEET_ID_TEXT_BYTES];
    cli_parse(&argp, "join", argc, argv, &arguments);
    signal(SIGPIPE, SIG_IGN);
    struct fleet_enrolment enrolment = {.url = sk_str_from_c(arguments.url),
                                        .token = sk_str_from_c(arguments.token),
                                        .name = sk_str_from_c(arguments.name),
                                        .folder = sk_str_from_c(arguments.state)};
    sk_err err = fleet_enrol(&enrolment, &id, why);
    if (err) {
        fprintf(stderr, "skerry join: %s\n", why);
        return err == SK_ERR_INVALID ? CLI_USAGE : CLI_FAILED;
    }
    printf("joined as %s\n", fleet_id_format(&id, text).data);
    return CLI_FINE;
}
