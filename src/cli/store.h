/* What the parts of `skerry store` share. */
#ifndef SK_CLI_STORE_H
#define SK_CLI_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct store_arguments {
    const char *verb;
    const char *paths[64];
    uint32_t count;
    bool json;
    const char *state;   /* NULL: beside the store */
    int64_t seconds;     /* of bench: of each part */
    uint64_t size_bytes; /* of bench: of the scratch file */
};

/* What the state file of a store (cache/tier_log.h) says of purges. */
struct store_state {
    sk_err err; /* SK_ERR_NOT_FOUND: there is none; others: it cannot be read */
    uint64_t purges;
    bool ended, damaged, incomplete;
};
/* The one at PATH; NULL: the one beside STORE. */
void store_state_read(const char *store, const char *path, struct store_state *out_state);
/* No purge was lost, as far as the file tells; when it was not closed in order: unless the machine has died since. */
bool store_state_proven(const struct store_state *state);
void store_state_print(const struct store_state *state);

/* Whether the user asked to stop (SIGINT, SIGTERM). */
bool store_stopped(void);
/* Measures a scratch file in the folder PATH, or that PATH names and nothing else has; removes it. Returns an exit
 * code. */
int store_bench(const char *path, const struct store_arguments *arguments);

#endif
