/* From text to struct config. Every key comes from one table (config/options.h) that also gives defaults,
 * units, ranges and documentation: parser, `skerry check`, docs/configuration.md and the JSON Schema. */
#ifndef SK_CONFIG_LOAD_H
#define SK_CONFIG_LOAD_H

#include "base/buf.h"
#include "config/config.h"

#define CONFIG_MAX_BYTES (4u << 20)

/* What was wrong, ready to print, one block a problem: "edge.yaml:7:12: memory: found "lots", expected a
 * size such as 256MiB". At most 20 problems. */
struct config_problems {
    struct sk_buf text;
    uint32_t count;
};
void config_problems_init(struct config_problems *problems);
void config_problems_free(struct config_problems *problems);

/* TEXT is YAML; NAME stands in messages. SK_ERR_INVALID with at least one problem; SK_ERR_NO_MEMORY. Relative
 * paths in it are relative to the file's folder (for a text: to the working directory). The caller owns the
 * one reference of OUT_CONFIG. */
sk_err config_parse(sk_str text, const char *name, struct config **out_config,
                    struct config_problems *problems);
/* The same of what a fleet shares, by itself: where edges keep certificates of the fleet is not known then. */
sk_err config_parse_shared(sk_str text, const char *name, struct config **out_config,
                           struct config_problems *problems);
/* As above; a file that cannot be read is a problem too, with the error of open or read. */
sk_err config_load_file(const char *path, struct config **out_config, struct config_problems *problems);
/* The same with MORE (YAML, borrowed) behind the file's own text: what a fleet shares behind what is a machine's. A key
 * that is in both is a problem. */
sk_err config_load_file_with(const char *path, sk_str more, struct config **out_config,
                             struct config_problems *problems);

/* `skerry edge --listen ... --origin ...` without a file. NULL and 0 mean the default. Borrowed. */
struct config_arguments {
    const char *const *listen;
    size_t listen_count;
    const char *const *origins;
    size_t origin_count;
    const char *memory, *admin, *access_log;
    uint32_t threads;
    const char *const *certs, *const *keys;
    size_t cert_count, key_count;
};
sk_err config_from_arguments(const struct config_arguments *arguments, struct config **out_config,
                             struct config_problems *problems);
/* Overrides of a file by the command line (same meaning, but origins are refused beside a file), before it is
 * put in force. On failure CONFIG is of no more use but to be given back. */
sk_err config_apply_arguments(struct config *config, const struct config_arguments *arguments,
                              struct config_problems *problems);

/* docs/configuration.md and docs/edge.schema.json, generated. SK_ERR_NO_MEMORY. */
sk_err config_write_reference(struct sk_buf *out);
sk_err config_write_json_schema(struct sk_buf *out);
/* The same for a terminal: all keys, or those of PATH and below ("timeouts", "sites[].cache"; brackets may be
 * left out). SK_ERR_NOT_FOUND when there is no such key. */
sk_err config_write_help(const char *path, struct sk_buf *out);

#endif
