#include "cache/slices.h"

#include "cache/index.h"
#include "cache/pass.h"
#include "cache/vary.h"

#define SUFFIX_BYTES 48 /* "\n#number:slice" */

uint64_t cache_slices_number(struct cache_thread *thread) {
    /* relaxed: only unique; lists of variants are numbered from the same */
    return 1 + atomic_fetch_add_explicit(&thread->cache->numbers, 1, memory_order_relaxed);
}

uint64_t cache_slices_of(const struct cache_object *object) { return object->number; }

/* ':' stands in no field name, so this is no variant's key. */
sk_err cache_slice_key(struct sk_arena *arena, const struct cache_key *key, uint64_t number, uint64_t slice,
                       struct cache_key *out_key) {
    sk_str primary = cache_key_primary(key->text);
    if (primary.len + SUFFIX_BYTES > CACHE_KEY_MAX_BYTES) return SK_ERR_TOO_LARGE;
    char *data = sk_arena_alloc(arena, primary.len + SUFFIX_BYTES), *next = data;
    if (!data) return SK_ERR_NO_MEMORY;
    memcpy(next, primary.data, primary.len);
    next += primary.len;
    *next++ = '\n';
    *next++ = '#';
    next += sk_u64_to_text(number, next);
    *next++ = ':';
    next += sk_u64_to_text(slice, next);
    out_key->text = sk_str_make(data, (size_t)(next - data));
    out_key->hash = sk_hash128_of(data, out_key->text.len);
    return SK_OK;
}

bool cache_slice_present(struct cache_thread *thread, const struct cache_key *slice_key) {
    cache_section_begin(thread);
    const struct cache_entry *entry = cache_index_get(thread->cache, slice_key);
    /* relaxed: only a hint; whoever reads the body looks again */
    bool present =
        entry && atomic_load_explicit(&entry->object.complete, memory_order_relaxed) != CACHE_BROKEN;
    cache_section_end(thread);
    return present;
}

/* In the table of keys that pass, beside the key itself. */
static sk_hash128 declined_hash(const struct cache_key *key) {
    sk_hash128 hash = key->hash;
    hash.low ^= UINT64_C(0x9e3779b97f4a7c15);
    return hash;
}

void cache_slices_decline(struct cache_thread *thread, const struct cache_key *key, int64_t remember_ms) {
    cache_pass_remember(thread->cache->passes, declined_hash(key), sk_time_now() + remember_ms * SK_NS_PER_MS,
                        HTTP_REASON_NO_STORE_PARTIAL);
}

bool cache_slices_declined(struct cache_thread *thread, const struct cache_key *key) {
    return cache_pass_remembered(thread->cache->passes, declined_hash(key), sk_time_now(), NULL);
}
