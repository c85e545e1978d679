#include "cli/admin.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "fleet/admin_client.h"

#define TOKEN_FILE_BYTES 512

static const struct argp_option options[] = {
    {"admin", 'a', "ADDRESS", 0,
     "The running process: unix:PATH or IP:PORT (default " FLEET_ADMIN_DEFAULT ")", 90},
    {"token-file", 'T', "FILE", 0, "Its first line is the admin token, which TCP needs", 90},
    {0},
};

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct cli_admin *admin = state->input;
    switch (key) {
    case 'a': admin->address = value; return 0;
    case 'T': admin->token_file = value; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cli_admin_argp = {.options = options, .parser = on_argument};

/* The first line of the token's file, in TEXT. */
static bool read_token(const char *name, const char *file, char text[TOKEN_FILE_BYTES], sk_str *out_token) {
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, TOKEN_FILE_BYTES) : -1;
    int failed = errno;
    if (fd >= 0) close(fd);
    sk_str line = sk_str_make(text, n > 0 ? (size_t)n : 0);
    line = sk_str_trim(sk_str_slice(line, 0, sk_str_find_byte(line, '\n')));
    *out_token = line;
    if (n < 0)
        fprintf(stderr, "skerry %s: --token-file %s: %s\n", name, file, strerrordesc_np(failed));
    else if (!line.len)
        fprintf(stderr, "skerry %s: --token-file %s: its first line is empty\n", name, file);
    return line.len > 0;
}

/* What a person can do about it. */
static const char *advice(sk_err err) {
    switch (err) {
    case SK_ERR_NOT_FOUND:
    case SK_ERR_REFUSED:
        return ": does the process run, and is this the `admin` of its configuration? (--admin unix:PATH)";
    case SK_ERR_DENIED: return ": run this as the user of the process, or as root";
    case SK_ERR_INVALID:
        return ": expected unix:PATH or IP:PORT (example: --admin unix:/run/skerry/admin.sock)";
    case SK_ERR_MALFORMED: return ": is that an admin address?";
    default: return "";
    }
}

int cli_admin_call(const struct cli_admin *admin, const char *name, sk_str method, sk_str target, sk_str body,
                   uint16_t *out_status, struct sk_buf *out_body) {
    const char *address = admin->address ? admin->address : FLEET_ADMIN_DEFAULT;
    char text[TOKEN_FILE_BYTES];
    sk_str token = {0};
    if (admin->token_file && !read_token(name, admin->token_file, text, &token)) return CLI_USAGE;
    sk_err err = fleet_admin_call(sk_str_from_c(address), token, method, target, body, out_status, out_body);
    if (!err) return CLI_FINE;
    fprintf(stderr, "skerry %s: %s: %s%s\n", name, address, sk_err_text(err), advice(err));
    return err == SK_ERR_INVALID ? CLI_USAGE : CLI_FAILED;
}
