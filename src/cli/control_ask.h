/* How commands reach control: arguments that all of them take, and one call. */
#ifndef SK_CLI_CONTROL_ASK_H
#define SK_CLI_CONTROL_ASK_H

#include "base/buf.h"

#define CLI_CONTROL_DEFAULT "unix:/run/skerry/control.sock"

struct cli_control {
    const char *address, *token_file;
};

/* An argp child: --control ADDRESS, --token-file FILE; its input is the struct cli_control. */
extern const struct argp cli_control_argp;

/* As fleet_ask; the answer's content in OUT_BODY (initialised here, freed by the caller on CLI_FINE). What goes wrong,
 * a refusal too, is told on stderr as "skerry NAME: ...". Returns an exit code. */
int cli_control_ask(const struct cli_control *control, const char *name, const char *method, sk_str target,
                    sk_str type, sk_str body, struct sk_buf *out_body);
/* Prints the answer as it came. */
int cli_control_print(const struct cli_control *control, const char *name, const char *method, sk_str target,
                      sk_str type, sk_str body);

#endif
