/* The compiler of configurations from the inside, for compile.c, listeners.c and origin_tls.c. */
#ifndef SK_CONFIG_COMPILE_PRIVATE_H
#define SK_CONFIG_COMPILE_PRIVATE_H

#include "config/compile.h"
#include "config/config.h"

#define CONFIG_PATH_BYTES 256

struct compile {
    const struct config_source *source;
    struct config_problems *problems;
    struct config *config;
    sk_err err; /* the first that is not about the text; all go on with what they have */
};

/* All VALUE rows of SECTION, from RAW or their defaults, into FIELDS. */
void config_compile_fill(struct compile *c, const struct config_section *section, const void *raw,
                         void *fields);
/* Zeroed, in the configuration's arena; at least one. NULL with c->err. */
void *config_compile_allocate(struct compile *c, size_t count, size_t bytes);
/* PATH is the key's, "sites[0].host" for instance. */
void config_compile_problem(struct compile *c, const char *path, const char *text);
/* FILE as the key at PATH names it: relative to the configuration's folder, and told when it cannot be read. */
sk_str config_compile_file(struct compile *c, const char *path, sk_str file);

/* FILE, relative to the configuration's folder; ends with NUL. */
sk_str config_compile_path(struct compile *c, sk_str file);

/* disk.c: `disk` of the top; RAW is NULL when it is not there. */
void config_compile_disk(struct compile *c, const struct config_raw_DISK *raw, struct config_disk *disk);

/* peers.c: `peers` of the top, after `fleet` and the listeners; RAW is NULL when it is not there. */
void config_compile_peers(struct compile *c, const struct config_raw_PEERS *raw, struct config_peers *peers);

/* acme.c: `acme` of the top; RAW is NULL when it is not there. */
void config_compile_acme(struct compile *c, const struct config_raw_ACME *raw, struct config_acme *acme);

/* listeners.c: `listen`, `listeners` and `certificates` of the top and of a site. */
void config_compile_listeners(struct compile *c, const struct config_raw_TOP *raw);
void config_compile_site_certificates(struct compile *c, const struct config_raw_SITE *raw,
                                      struct config_site *site);

/* origin_tls.c: the files and rules of TLS to the origin at PATH. */
void config_compile_origin_tls(struct compile *c, const char *path, const struct config_raw_ORIGIN *raw,
                               struct config_origin *origin);

#endif
