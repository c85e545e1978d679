/* What the parts of `skerry store` share. */
#ifndef SK_CLI_STORE_H
#define SK_CLI_STORE_H

#include <stdbool.h>
#include <stdint.h>

struct store_arguments {
    const char *verb;
    const char *paths[64];
    uint32_t count;
    bool json;
    int64_t seconds;     /* of bench: of each part */
    uint64_t size_bytes; /* of bench: of the scratch file */
};

/* Whether the user asked to stop (SIGINT, SIGTERM). */
bool store_stopped(void);
/* Measures a scratch file in the folder PATH, or that PATH names and nothing else has; removes it. Returns an exit
 * code. */
int store_bench(const char *path, const struct store_arguments *arguments);

#endif
