/* Purges as the rest of the cache asks about them. */
#ifndef SK_CACHE_PURGE_INTERNAL_H
#define SK_CACHE_PURGE_INTERNAL_H

#include "cache/internal.h"

struct cache_purge;
struct cache_purges;

sk_err cache_purges_create(struct cache *cache);
void cache_purges_destroy(struct cache *cache);

enum cache_purge_state { CACHE_PURGE_NONE, CACHE_PURGE_SOFT, CACHE_PURGE_HARD };

/* cache_object.verified: the tick up to which it was looked at, and what was found. */
static inline uint64_t cache_verified_make(uint64_t tick, enum cache_purge_state state) {
    return tick << 2 | state;
}

uint64_t cache_purge_now(const struct cache *cache);
/* Inside a section: looks at the purges since `verified`. */
enum cache_purge_state cache_purge_look(struct cache *cache, struct cache_entry *entry, uint64_t now);

/* Inside a section: what the purges so far have done to the object; one comparison when none came. */
static inline enum cache_purge_state cache_purge_state_of(struct cache *cache, struct cache_entry *entry) {
    uint64_t now = cache_purge_now(cache);
    /* relaxed: a value that a look of any thread found to be true, whole in itself */
    uint64_t verified = atomic_load_explicit(&entry->object.verified, memory_order_relaxed);
    if (SK_LIKELY(verified >> 2 == now)) return (enum cache_purge_state)(verified & 3);
    return cache_purge_look(cache, entry, now);
}

/* Inside a section: whether a purge since BORN covers a key, as far as that can be told without its tags. */
bool cache_purge_covers_key(struct cache *cache, sk_str key_text, uint64_t born);

/* The same for hard purges alone. */
bool cache_purge_removes_key(struct cache *cache, sk_str key_text, uint64_t since);

/* Whether a hard purge of the key's whole site came after SINCE. In no section too. */
bool cache_purge_removes_site(struct cache *cache, sk_str key_text, uint64_t since);

/* What is stored elsewhere (cache/tier.h). Inside a section: what the purges since BORN have done to it. A slice minds
 * hard ones alone: it is what its head says. */
struct cache_purge_subject {
    sk_str key; /* text */
    const uint64_t *tags;
    uint32_t tag_count;
    bool slice;
    uint64_t born;
};
enum cache_purge_state cache_purge_state_of_stored(struct cache *cache,
                                                   const struct cache_purge_subject *subject);
/* A purge of an earlier process, under its tick, which is later than those of all restored before; it is logged
 * nowhere. One that is malformed is passed over. */
void cache_purge_restore(struct cache *cache, const struct cache_purge *purge, uint64_t tick);
/* A tick of the clock without a purge: what is born from now on is told from what was before. */
uint64_t cache_purge_step(struct cache *cache);
/* The clock shows TICK at least. */
void cache_purge_advance(struct cache *cache, uint64_t tick);

/* A tag as objects carry it. KEY_TEXT names the site. */
uint64_t cache_tag_scope(sk_str key_text, sk_str tag);

#endif
