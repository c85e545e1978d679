/* The YAML as libcyaml reads it: one struct for each section, every value still text (NULL: not there), made
 * from the tables of options.h. Only for texts that config_scan has found good. */
#ifndef SK_CONFIG_RAW_H
#define SK_CONFIG_RAW_H

#include "config/options.h"

#define CONFIG_RAW_VALUE(kind, key) char *key;
#define CONFIG_RAW_HAND(kind, key) char *key;
#define CONFIG_RAW_LIST(kind, key)                                                                           \
    char **key;                                                                                              \
    unsigned key##_count;
#define CONFIG_RAW_ONE_OR_LIST(kind, key)                                                                    \
    CONFIG_RAW_LIST(kind, key)                                                                               \
    char *key##_one;
#define CONFIG_RAW_SECTION(kind, key) struct config_raw_##kind *key;
#define CONFIG_RAW_SECTIONS(kind, key)                                                                       \
    struct config_raw_##kind *key;                                                                           \
    unsigned key##_count;

#define CONFIG_RAW_MEMBER(S, shape, kind, key, ...) CONFIG_RAW_##shape(kind, key)
#define X(name, title, type)                                                                                 \
    struct config_raw_##name {                                                                               \
        CONFIG_##name##_TABLE(CONFIG_RAW_MEMBER, name)                                                       \
    };
CONFIG_SECTION_TABLE(X)
#undef X

/* What libcyaml cannot read otherwise: whether keys of shape ONE_OR_LIST have a single value. */
struct config_raw_forms {
    bool listen_is_one;
};

/* TEXT is YAML. The result is freed with config_raw_free. SK_ERR_INVALID with OUT_DETAIL (constant text);
 * SK_ERR_NO_MEMORY. */
sk_err config_raw_load(sk_str text, struct config_raw_forms forms, struct config_raw_TOP **out_raw,
                       const char **out_detail);
void config_raw_free(struct config_raw_TOP *raw, struct config_raw_forms forms);

#endif
