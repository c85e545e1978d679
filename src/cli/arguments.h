/* Arguments that several commands take: their argp parsers, and how they are asked of others. */
#ifndef SK_CLI_ARGUMENTS_H
#define SK_CLI_ARGUMENTS_H

#include <argp.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "config/load.h"

#define CLI_LIST_MAX 64

/* VALUE behind the *COUNT values that LIST (CLI_LIST_MAX places) has; argp's error when it is full. */
void cli_add(struct argp_state *state, const char **list, size_t *count, const char *flag, const char *value);
/* VALUE behind the *COUNT words that WORDS (MOST places) has; argp's error when it is full. */
void cli_add_word(struct argp_state *state, const char **words, size_t most, size_t *count,
                  const char *value);
/* Appends "NAME=VALUE" with VALUE percent-encoded (RFC 3986 section 3.4). SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE (OUT's
 * limit). */
sk_err cli_add_parameter(struct sk_buf *out, const char *name, const char *value);
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
