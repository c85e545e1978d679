/* Arguments that several commands take, for their argp parsers. */
#ifndef SK_CLI_ARGUMENTS_H
#define SK_CLI_ARGUMENTS_H

#include <argp.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "config/load.h"

#define CLI_LIST_MAX 64

/* VALUE behind the *COUNT values that LIST (CLI_LIST_MAX places) has; argp's error when it is full. */
void cli_add(struct argp_state *state, const char **list, size_t *count, const char *flag, const char *value);
/* The number that --threads was given; argp's error when it is none. */
uint32_t cli_threads(struct argp_state *state, const char *value);
/* The path of this program, resolved now: an upgrade runs what lies there then. FALLBACK where it cannot be told. */
const char *cli_own_path(const char *fallback);
/* PROGRAM and the arguments, NULL-terminated: argp changes the order of what it is given. Lives as long as the process. NULL:
 * out of memory. */
const char *const *cli_keep_arguments(const char *program, int argc, char **argv);
/* Says on stderr what kept COMMAND ("skerry edge") from its configuration: every problem, or else ERR. Frees
 * PROBLEMS. Returns the exit code. */
int cli_tell_problems(const char *command, struct config_problems *problems, sk_err err);

#endif
