#include "cli/control_ask.h"

#include <argp.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/command.h"
#include "fleet/admin_client.h"
#include "fleet/identity.h"
#include "io/file.h"

enum { TOKEN_FILE_BYTES = 4096 };

static const struct argp_option options[] = {
    {"control", 'C', "ADDRESS", 0,
     "Control: https://HOST[:PORT] or unix:PATH (default " CLI_CONTROL_DEFAULT ")", 90},
    {"token-file", 'T', "FILE", 0, "Its first line is the token, which https:// needs", 90},
    {0},
};

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct cli_control *control = state->input;
    switch (key) {
    case 'C': control->address = value; return 0;
    case 'T': control->token_file = value; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cli_control_argp = {.options = options, .parser = on_argument};

static sk_err read_token(const char *file, struct sk_buf *buf, sk_str *out_token) {
    sk_err err = io_file_load(file, TOKEN_FILE_BYTES, buf);
    sk_str line = sk_buf_str(buf);
    if (err) return err;
    *out_token = sk_str_trim(sk_str_slice(line, 0, sk_str_find_byte(line, '\n')));
    return SK_OK;
}

/* The token says by which root control is known. */
static sk_err context_of(sk_str token, SSL_CTX **out_context) {
    struct fleet_token parsed;
    sk_err err = fleet_token_parse(token, &parsed);
    return err ? err : fleet_stranger_context(parsed.root, out_context);
}

static const char *advice(sk_err err) {
    switch (err) {
    case SK_ERR_NOT_FOUND:
    case SK_ERR_REFUSED: return ": does control run there? (--control https://HOST:PORT or unix:PATH)";
    case SK_ERR_DENIED: return ": run this as the user of control, or as root, or ask https:// with a token";
    case SK_ERR_TLS_CERTIFICATE: return ": this is not the control that the token is of";
    case SK_ERR_INVALID: return ": expected https://HOST[:PORT] or unix:PATH";
    default: return "";
    }
}

static int failed(const char *name, const char *what, sk_err err) {
    fprintf(stderr, "skerry %s: %s: %s%s\n", name, what, sk_err_text(err), advice(err));
    return err == SK_ERR_INVALID || err == SK_ERR_MALFORMED ? CLI_USAGE : CLI_FAILED;
}

static int judge(const char *name, uint16_t status, const struct sk_buf *answer) {
    if (status == 200) return CLI_FINE;
    sk_str text = sk_buf_str(answer);
    fprintf(stderr, "skerry %s: %.*s%s", name, SK_STR_ARGS(text),
            text.len && text.data[text.len - 1] == '\n' ? "" : "\n");
    return status == 400 || status == 413 ? CLI_USAGE : CLI_FAILED;
}

int cli_control_ask(const struct cli_control *control, const char *name, const char *method, sk_str target,
                    sk_str type, sk_str body, struct sk_buf *out_body) {
    struct sk_buf token;
    uint16_t status = 0;
    struct fleet_ask ask = {.address =
                                sk_str_from_c(control->address ? control->address : CLI_CONTROL_DEFAULT),
                            .method = sk_str_from_c(method),
                            .target = target,
                            .body = body,
                            .type = type,
                            .cancel_fd = -1};
    bool secure = sk_str_starts_with(ask.address, SK_STR("https://"));
    sk_err err = SK_OK;
    signal(SIGPIPE, SIG_IGN);
    sk_buf_init(&token, 0);
    sk_buf_init(out_body, 16 << 20);
    if (control->token_file && (err = read_token(control->token_file, &token, &ask.token)) != SK_OK) {
        sk_buf_free(&token);
        return failed(name, control->token_file, err);
    }
    if (secure && !ask.token.len) {
        sk_buf_free(&token);
        fprintf(stderr, "skerry %s: https:// needs a token: --token-file FILE\n", name);
        return CLI_USAGE;
    }
    if (secure) err = context_of(ask.token, &ask.tls);
    int code = err ? failed(name, "the token", err) : CLI_FINE;
    if (!err && (err = fleet_ask(&ask, &status, out_body)) != SK_OK)
        code = failed(name, ask.address.data, err);
    if (!err) code = judge(name, status, out_body);
    if (code != CLI_FINE) sk_buf_free(out_body);
    SSL_CTX_free(ask.tls);
    sk_buf_free(&token);
    return code;
}

int cli_control_print(const struct cli_control *control, const char *name, const char *method, sk_str target,
                      sk_str type, sk_str body) {
    struct sk_buf answer;
    int code = cli_control_ask(control, name, method, target, type, body, &answer);
    return code == CLI_FINE ? cli_print(&answer, SK_OK) : code;
}
