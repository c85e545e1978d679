/* From the raw structs to struct config: values into their types, defaults for what is not there, and the
 * checks that need more than one value. */
#ifndef SK_CONFIG_COMPILE_H
#define SK_CONFIG_COMPILE_H

#include "config/problem.h"
#include "config/raw.h"

/* Where the raw structs are from. */
struct config_source {
    const char *name;   /* for messages */
    sk_str text;        /* to find places in; empty: places have no position */
    const char *folder; /* what relative paths are relative to; NULL: the working directory */
    bool shared;        /* what a fleet shares, without the file of any machine */
};

/* SK_ERR_INVALID with problems; SK_ERR_NO_MEMORY. RAW may go afterwards. */
sk_err config_compile(const struct config_source *source, const struct config_raw_TOP *raw,
                      struct config_problems *problems, struct config **out_config);

/* Replaces the listeners. Texts are good (config_check_value). */
sk_err config_set_listeners(struct config *config, const char *const *texts, size_t count);
/* Replaces the certificates that are no site's: pairs of paths. SK_ERR_NO_MEMORY. */
sk_err config_set_certificates(struct config *config, const char *const *certs, const char *const *keys,
                               size_t count);
/* True when TLS has a certificate to show. */
bool config_has_certificate(const struct config *config);
/* What depends on other values, after these changed: an admin address without a token, an object larger than
 * the memory. */
void config_check_whole(const struct config *config, const struct config_source *source,
                        struct config_problems *problems);

#endif
