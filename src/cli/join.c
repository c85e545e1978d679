/* skerry join */
#include <argp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/command.h"
#include "fleet/admin_client.h"
#include "fleet/identity.h"
#include "fleet/messages.h"
#include "io/file.h"

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

static int failed(const char *what, sk_err err) {
    fprintf(stderr, "skerry join: %s: %s\n", what, sk_err_text(err));
    return CLI_FAILED;
}

struct joining {
    const struct join_arguments *arguments;
    struct fleet_token token;
    EVP_PKEY *key;
    SSL_CTX *tls;
    struct sk_buf request, body, answer, node;
    struct sk_arena arena;
};

static int ask(struct joining *joining) {
    uint16_t status = 0;
    struct fleet_ask ask = {.address = sk_str_from_c(joining->arguments->url),
                            .tls = joining->tls,
                            .method = SK_STR("POST"),
                            .target = SK_STR("/join"),
                            .body = sk_buf_str(&joining->body),
                            .cancel_fd = -1};
    sk_err err = fleet_ask(&ask, &status, &joining->answer);
    if (err == SK_ERR_TLS_CERTIFICATE)
        fprintf(stderr, "skerry join: %s is not the control that the token is of: nothing was sent\n",
                joining->arguments->url);
    else if (err)
        return failed(joining->arguments->url, err);
    if (!err && status == 200) return CLI_FINE;
    if (!err) fprintf(stderr, "skerry join: refused: %.*s", SK_STR_ARGS(sk_buf_str(&joining->answer)));
    return CLI_FAILED;
}

static sk_err prepare(struct joining *joining) {
    char host[FLEET_WORD_BYTES] = "";
    const struct join_arguments *arguments = joining->arguments;
    struct fleet_join join = {.token = sk_str_from_c(arguments->token),
                              .name = sk_str_from_c(arguments->name)};
    if (!arguments->name) {
        gethostname(host, sizeof host - 1);
        for (char *c = host; *c; c++) *c = sk_ascii_lower_byte(*c);
        join.name = sk_str_from_c(host);
    }
    sk_err err = fleet_folder(sk_str_from_c(arguments->state));
    if (!err) err = fleet_key_request(&joining->key, &joining->request);
    join.request = sk_buf_str(&joining->request);
    if (!err) err = fleet_join_write(&join, &joining->body);
    return err ? err : fleet_stranger_context(joining->token.root, &joining->tls);
}

static sk_err write_state(struct joining *joining, struct fleet_joined *out_joined) {
    char path[FLEET_PATH_BYTES], text[300];
    sk_str folder = sk_str_from_c(joining->arguments->state);
    int len = snprintf(text, sizeof text, "%s\n", joining->arguments->url);
    sk_err err = fleet_joined_parse(sk_buf_str(&joining->answer), &joining->arena, out_joined);
    if (!err) err = fleet_node_pem(joining->key, out_joined->certificate, &joining->node);
    if (!err) err = fleet_path(folder, FLEET_FILE_CONTROL, path);
    if (!err && len >= (int)sizeof text) err = SK_ERR_TOO_LARGE;
    if (!err) err = io_file_replace(path, text, (size_t)len, 0600);
    if (!err) err = fleet_bus_key_save(folder, out_joined->bus_key);
    return err ? err : fleet_identity_save(folder, sk_buf_str(&joining->node), out_joined->roots);
}

static int join(struct joining *joining) {
    struct fleet_joined joined;
    sk_err err = prepare(joining);
    if (err)
        return failed(
            err == SK_ERR_DENIED ? "the state's folder must be ours alone (mode 0700)" : "not begun", err);
    int code = ask(joining);
    if (code != CLI_FINE) return code;
    err = write_state(joining, &joined);
    if (err) return failed("what control sent cannot be used", err);
    printf("joined as %.*s\n", SK_STR_ARGS(joined.id));
    return CLI_FINE;
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
            "  fleet: {state: /var/lib/skerry/node}\n\n"
            "Exit codes: 0 joined, 1 refused or failed, 2 bad usage.",
    };
    struct join_arguments arguments = {0};
    struct joining joining = {.arguments = &arguments};
    cli_parse(&argp, "join", argc, argv, &arguments);
    signal(SIGPIPE, SIG_IGN);
    if (fleet_token_parse(sk_str_from_c(arguments.token), &joining.token) ||
        joining.token.kind != FLEET_TOKEN_JOIN) {
        fprintf(stderr, "skerry join: this is no invitation: it begins with skj1.\n");
        return CLI_USAGE;
    }
    struct sk_buf *const bufs[] = {&joining.request, &joining.body, &joining.answer, &joining.node};
    for (size_t i = 0; i < SK_COUNT(bufs); i++) sk_buf_init(bufs[i], FLEET_MESSAGE_MAX);
    sk_arena_init(&joining.arena, 4096, 0);
    int code = join(&joining);
    EVP_PKEY_free(joining.key);
    SSL_CTX_free(joining.tls);
    sk_arena_free(&joining.arena);
    for (size_t i = 0; i < SK_COUNT(bufs); i++) sk_buf_free(bufs[i]);
    return code;
}
