/* The compiler of configurations from the inside: a file for each part of a configuration. */
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

/* --- compile_values.c: what every part uses --------------------------------------------------------------- */

/* PATH is the key's, "sites[0].host" for instance. */
void config_compile_problem(struct compile *c, const char *path, const char *format, ...) SK_PRINTF(3, 4);
/* The same where nothing is compiled. */
void config_compile_told(const struct config_source *source, struct config_problems *problems,
                         const char *path, const char *text);
/* Zeroed, in the configuration's arena; at least one. NULL with c->err. */
void *config_compile_allocate(struct compile *c, size_t count, size_t bytes);
/* A copy in the configuration's arena. */
sk_str config_compile_keep(struct compile *c, sk_str text);
/* The section at KEY, which is one, of PARENT. */
const struct config_section *config_compile_section(const struct config_section *parent, const char *key);
/* All VALUE rows of SECTION, from RAW (NULL: nothing is there) or their defaults, into FIELDS. */
void config_compile_fill(struct compile *c, const struct config_section *section, const void *raw,
                         void *fields);
/* What TEXT says, which is good; OTHERWISE where it is NULL. */
bool config_compile_flag(const char *text, bool otherwise);
/* COUNT networks, in the arena. NULL with c->err. */
struct io_prefix *config_compile_prefixes(struct compile *c, char *const *texts, unsigned count);
/* PATH, relative to the configuration's folder; ends with NUL. */
sk_str config_compile_path(struct compile *c, sk_str path);
/* The same of FILE, which the key at PATH names, and told when it cannot be read. */
sk_str config_compile_file(struct compile *c, const char *path, sk_str file);
/* A descriptor to read from PATH (ends with NUL), which KEY names; or -1 with the problem told. */
int config_compile_open(struct compile *c, const char *key, sk_str path);

/* --- the parts ------------------------------------------------------------------------------------------- */

/* compile.c: `purge` of the top and of a site; RAW is NULL when it is not there. */
void config_compile_purge(struct compile *c, const struct config_raw_PURGE *raw, struct config_purge *purge);

/* compile_sites.c: `sites` of the top, after all else. */
void config_compile_sites(struct compile *c, const struct config_raw_TOP *raw);

/* compile_origins.c: the origins of a site, `origin: URL` before what `origins` lists, and how they are asked. SECTION is
 * that of `origins`, of `origin_options`. */
void config_compile_origins(struct compile *c, const struct config_section *section,
                            const struct config_raw_SITE *raw, struct config_site *site);
void config_compile_origin_options(struct compile *c, const struct config_section *section,
                                   const struct config_raw_ORIGIN_OPTIONS *raw,
                                   struct config_origin_options *options);

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
