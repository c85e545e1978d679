/* Which site serves a host: a hash table over all exact names and wildcards, read on every request. */
#ifndef SK_CONFIG_HOSTS_H
#define SK_CONFIG_HOSTS_H

#include "base/arena.h"
#include "config/config.h"

struct config_host_slot {
    uint64_t hash;
    sk_str name; /* "example.com", or ".example.com" for "*.example.com"; data NULL: free */
    const struct config_site *site;
};

struct config_hosts {
    struct config_host_slot *slots;
    uint64_t mask;
    bool has_names, has_wildcards;
    const struct config_site *any; /* of "*", or NULL */
};

/* Room for COUNT names, from ARENA, which must outlive the table. SK_ERR_NO_MEMORY. */
sk_err config_hosts_create(struct sk_arena *arena, size_t count, struct config_hosts **out_hosts);
/* NAME as in config_site.hosts, borrowed. SK_ERR_EXISTS: OUT_OTHER already has it. */
sk_err config_hosts_add(struct config_hosts *hosts, sk_str name, const struct config_site *site,
                        const struct config_site **out_other);
/* Exact, then the longest wildcard, then "*". HOST without port, in any case. NULL when none. */
const struct config_site *config_hosts_find(const struct config_hosts *hosts, sk_str host);

#endif
