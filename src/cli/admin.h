/* What the commands that ask a running process share: --admin and --token-file, the call, how its failure is
 * told. */
#ifndef SK_CLI_ADMIN_H
#define SK_CLI_ADMIN_H

#include "base/buf.h"

struct argp;

struct cli_admin {
    const char *address;    /* NULL: FLEET_ADMIN_DEFAULT */
    const char *token_file; /* NULL: no token */
};

/* --admin and --token-file, to be a command's child parser; its input is a struct cli_admin. */
extern const struct argp cli_admin_argp;

/* One call (fleet_admin_call) for the command NAME. CLI_FINE with status and content, whatever the status is;
 * otherwise it has told on stderr what failed and what to do: CLI_FAILED, or CLI_USAGE for an address or a
 * token file that is none. */
int cli_admin_call(const struct cli_admin *admin, const char *name, sk_str method, sk_str target, sk_str body,
                   uint16_t *out_status, struct sk_buf *out_body);

#endif
