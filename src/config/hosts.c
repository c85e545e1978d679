#include "config/hosts.h"

/* FNV-1a, from the last byte to the first, so that one pass over a host gives the hash of each of its
 * suffixes. Without a secret: all names in the table are the operator's own, and a lookup only probes. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

static uint64_t hash_byte(uint64_t hash, char byte) { return (hash ^ (unsigned char)byte) * HASH_PRIME; }

static uint64_t hash_of(sk_str name) {
    uint64_t hash = HASH_START;
    for (size_t i = name.len; i-- > 0;) hash = hash_byte(hash, sk_ascii_lower_byte(name.data[i]));
    return hash;
}

/* The slot of the name, or the free one where it would be. At least half of the slots are free. */
static struct config_host_slot *slot_of(const struct config_hosts *hosts, uint64_t hash, sk_str name) {
    for (uint64_t i = hash;; i++) {
        struct config_host_slot *slot = &hosts->slots[i & hosts->mask];
        if (!slot->name.data || (slot->hash == hash && sk_str_ieq(slot->name, name))) return slot;
    }
}

sk_err config_hosts_create(struct sk_arena *arena, size_t count, struct config_hosts **out_hosts) {
    size_t slots = 2;
    while (slots < 2 * count) slots *= 2;
    struct config_hosts *hosts = sk_arena_zalloc(arena, sizeof(*hosts));
    if (!hosts) return SK_ERR_NO_MEMORY;
    hosts->slots = sk_arena_zalloc(arena, slots * sizeof(*hosts->slots));
    if (!hosts->slots) return SK_ERR_NO_MEMORY;
    hosts->mask = slots - 1;
    *out_hosts = hosts;
    return SK_OK;
}

sk_err config_hosts_add(struct config_hosts *hosts, sk_str name, const struct config_site *site,
                        const struct config_site **out_other) {
    if (sk_str_eq(name, SK_STR("*"))) {
        *out_other = hosts->any;
        if (hosts->any) return SK_ERR_EXISTS;
        hosts->any = site;
        return SK_OK;
    }
    bool wildcard = sk_str_starts_with(name, SK_STR("*."));
    if (wildcard) name = sk_str_slice(name, 1, name.len);
    uint64_t hash = hash_of(name);
    struct config_host_slot *slot = slot_of(hosts, hash, name);
    *out_other = slot->site;
    if (slot->name.data) return SK_ERR_EXISTS;
    *slot = (struct config_host_slot){hash, name, site};
    hosts->has_names = true;
    hosts->has_wildcards |= wildcard;
    return SK_OK;
}

const struct config_site *config_hosts_find(const struct config_hosts *hosts, sk_str host) {
    const struct config_site *best = hosts->any;
    uint64_t hash = HASH_START;
    if (!hosts->has_names) return best;
    for (size_t i = host.len; i-- > 0;) {
        hash = hash_byte(hash, sk_ascii_lower_byte(host.data[i]));
        if (!hosts->has_wildcards || host.data[i] != '.' || i == 0) continue;
        const struct config_host_slot *slot = slot_of(hosts, hash, sk_str_slice(host, i, host.len));
        if (slot->site) best = slot->site; /* later ones are longer */
    }
    if (!host.len || host.data[0] == '.') return best; /* ".x" is how the wildcard "*.x" is kept */
    const struct config_host_slot *slot = slot_of(hosts, hash, host);
    return slot->site ? slot->site : best;
}
