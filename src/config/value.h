/* One value of the configuration: from text to what the kind and range of its option allow, and what to tell
 * a person who wrote something else. Pure, but for percentages of the machine's memory. */
#ifndef SK_CONFIG_VALUE_H
#define SK_CONFIG_VALUE_H

#include "base/arena.h"
#include "config/options.h"
#include "io/addr.h"

struct config_value {
    sk_str text;    /* of kinds that stay text */
    int64_t number; /* of all others: bytes, milliseconds, seconds of LIFETIME, 0 or 1, index of a CHOICE */
};

/* Reads TEXT as OPTION wants it. Text is borrowed, or copied to ARENA in its normal form (a HOST in lower
 * case). SK_ERR_INVALID: syntax or range; SK_ERR_NO_MEMORY. */
sk_err config_value_read(const struct config_option *option, sk_str text, struct sk_arena *arena,
                         struct config_value *out_value);
/* Puts the value in its field of the section's struct. Text is borrowed. */
void config_value_store(const struct config_option *option, const struct config_value *value, void *section);

/* "https://0.0.0.0:443" and ":80": an address, and whether TLS is spoken there. SK_ERR_INVALID. */
sk_err config_endpoint_parse(sk_str text, struct io_addr *out_addr, bool *out_tls);

/* "a size from 8MiB to 64TiB", and the example if there is one, NUL-terminated. */
#define CONFIG_EXPECTED_BYTES 384
void config_value_expected(const struct config_option *option, char out[CONFIG_EXPECTED_BYTES]);
/* The same without the example. */
void config_value_range(const struct config_option *option, char out[CONFIG_EXPECTED_BYTES]);

/* What the process may use: the machine's memory or its control group's limit, in bytes; its cores. */
uint64_t config_machine_memory(void);
uint32_t config_machine_cores(void);

#endif
