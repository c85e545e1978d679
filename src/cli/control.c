/* skerry control: the role itself, and commands to one that runs. */
#include "control/control.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/control_ask.h"
#include "control/api.h"

/* Word, METHOD, target, help. Options that a command takes are parameters of its endpoint. */
#define VERB_TABLE(X)                                                                                        \
    X("invite", "POST", "/invitations", "a token with which one machine may join: --role edge --pop NAME")   \
    X("nodes", "GET", "/nodes", "all nodes and how they are")                                                \
    X("expel", "POST", "/expel", "a node's certificates are of no use from now on: --node ID")               \
    X("rollout", "GET", "/rollout", "where the newest configuration is")                                     \
    X("token", "POST", "/tokens", "a token to ask control with: --name NAME --rights read,apply")            \
    X("tokens", "GET", "/tokens", "all tokens, without their secrets")                                       \
    X("revoke", "POST", "/tokens/revoke", "takes a token back: --id ID")                                     \
    X("audit", "GET", "/audit", "what was asked, by whom; `audit verify`: whether that is whole")            \
    X("roots", "GET", "/roots", "the roots that nodes trust, PEM")                                           \
    X("rotate-root", "POST", "/roots/rotate", "begins to change the root")                                   \
    X("openapi", "GET", "/openapi.json", "the API's description")

struct verb {
    const char *word, *method, *target;
};
static const struct verb verbs[] = {
#define X(word, method, target, help) {word, method, target},
    VERB_TABLE(X)
#undef X
};

struct control_arguments {
    struct cli_control control;
    const char *file, *words[2];
    size_t word_count;
    struct sk_buf query;
};

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "Run control, with this configuration (YAML)", 1},
    {"role", 'r', "ROLE", 0, "invite: edge or route", 2},
    {"pop", 'p', "NAME", 0, "invite: where the node will stand", 2},
    {"node", 'n', "ID", 0, "expel: spiffe://FLEET/POP/ROLE/NAME", 2},
    {"name", 'N', "NAME", 0, "token: whose it is", 2},
    {"rights", 'R', "LIST", 0, "token: of read,apply,purge,nodes,tokens,audit,certificates", 2},
    {"site", 's', "NAME", 0, "token: it may purge and give certificates for this site only", 2},
    {"life", 'l', "SECONDS", 0, "token: how long it holds (default 30 days)", 2},
    {"id", 'i', "ID", 0, "revoke: of the token", 2},
    {0},
};

static void add(struct argp_state *state, struct control_arguments *arguments, const char *name,
                const char *value) {
    struct sk_buf *query = &arguments->query;
    sk_err err = sk_buf_append(query, sk_buf_len(query) ? SK_STR("&") : SK_STR("?"));
    if (!err) err = cli_add_parameter(query, name, value);
    if (err) argp_failure(state, CLI_FAILED, 0, "%s", sk_err_text(err));
}

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct control_arguments *arguments = state->input;
    switch (key) {
    case 'c': arguments->file = value; return 0;
    case 'r': add(state, arguments, "role", value); return 0;
    case 'p': add(state, arguments, "pop", value); return 0;
    case 'n': add(state, arguments, "node", value); return 0;
    case 'N': add(state, arguments, "name", value); return 0;
    case 'R': add(state, arguments, "rights", value); return 0;
    case 's': add(state, arguments, "site", value); return 0;
    case 'l': add(state, arguments, "life_s", value); return 0;
    case 'i': add(state, arguments, "id", value); return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &arguments->control; return 0;
    case ARGP_KEY_ARG:
        cli_add_word(state, arguments->words, SK_COUNT(arguments->words), &arguments->word_count, value);
        return 0;
    case ARGP_KEY_END:
        if (!arguments->file == !arguments->word_count)
            argp_error(state,
                       "what? Give -c FILE to run control, or a command to one that runs (example: skerry "
                       "control invite --role edge --pop fra)");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int run(const char *file) {
    struct config_problems problems;
    struct config_control *config = NULL;
    config_problems_init(&problems);
    sk_err err = config_control_load_file(file, &config, &problems);
    int code = cli_tell_problems("skerry control", &problems, err);
    return err ? code : control_main(config);
}

static int ask(struct control_arguments *arguments) {
    const char *word = arguments->words[0];
    char target[4096], name[64];
    sk_str query = sk_buf_str(&arguments->query);
    bool verify =
        !strcmp(word, "audit") && arguments->word_count == 2 && !strcmp(arguments->words[1], "verify");
    for (size_t i = 0; i < SK_COUNT(verbs); i++) {
        if (strcmp(word, verbs[i].word) != 0 || (arguments->word_count == 2 && !verify)) continue;
        int len = snprintf(target, sizeof target, "%s%s%.*s", verbs[i].target, verify ? "/verify" : "",
                           SK_STR_ARGS(query));
        if (len >= (int)sizeof target) return CLI_USAGE;
        snprintf(name, sizeof name, "control %s", word);
        return cli_control_print(&arguments->control, name, verbs[i].method, sk_str_make(target, (size_t)len),
                                 (sk_str){0}, (sk_str){0});
    }
    return cli_unknown("command of control", arguments->words[arguments->word_count - 1], NULL);
}

int cli_control(int argc, char **argv) {
    static const struct argp_child children[] = {{&cli_control_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = on_argument,
        .args_doc = "[COMMAND]",
        .children = children,
        .doc =
            "What a fleet of edges agrees on: who belongs to it, and which configuration is in force. With -c FILE it "
            "runs; else it is asked.\v"
            "Commands:\n"
#define X(word, method, target, help) "  " word ": " help "\n"
        VERB_TABLE(X)
#undef X
            "\nExamples:\n"
            "  skerry control -c /etc/skerry/control.yaml\n"
            "  skerry control invite --role edge --pop fra\n"
            "  skerry control token --name ops --rights read,apply\n"
            "  skerry control nodes --control https://10.0.0.2:7443 --token-file ops.token\n\n"
            "Exit codes: 0 done, or stopped by a signal; 1 failed at run time; 2 bad usage, configuration or "
            "request.",
    };
    struct control_arguments arguments = {0};
    sk_buf_init(&arguments.query, 4096);
    cli_parse(&argp, "control", argc, argv, &arguments);
    int code = arguments.file ? run(arguments.file) : ask(&arguments);
    sk_buf_free(&arguments.query);
    return code;
}
