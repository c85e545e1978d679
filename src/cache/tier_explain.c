#include "cache/tier_explain.h"

#include "cache/purge_internal.h"
#include "cache/search.h"
#include "cache/tier_internal.h"
#include "cache/tier_record.h"
#include "cache/vary.h"

/* Its head as an object, which borrows from RECORD, in the arena. */
static struct cache_object *make_object(struct sk_arena *arena, const struct cache_key *key,
                                        const struct tier_record *record) {
    struct cache_object *object = sk_arena_zalloc(arena, sizeof *object);
    if (!object || tier_record_fields(record, arena, &object->fields)) return NULL;
    object->magic = CACHE_OBJECT_MAGIC;
    object->status = record->status;
    object->shared = object->from_tier = true;
    object->key = *key;
    object->kind = CACHE_KIND_RESPONSE;
    object->part = (uint8_t)record->part;
    object->codable = record->codable;
    object->freshness = record->freshness;
    object->head = record->fields;
    object->stored_at = record->stored_at;
    object->store_reason = record->reason;
    object->validators = record->validators;
    object->born = record->born;
    object->number = record->number;
    atomic_init(&object->complete, CACHE_COMPLETE);
    atomic_init(&object->body_length, record->length);
    atomic_init(&object->available, record->part == CACHE_PART_HEAD ? 0 : record->length);
    return object;
}

static sk_err judge(struct cache_thread *thread, struct sk_arena *arena, const struct tier_record *record,
                    struct cache_tier_seen *seen) {
    for (unsigned i = 0; i < HTTP_TAG_SOURCES; i++) seen->tags += record->tag_counts[i];
    enum cache_purge_state state = cache_purge_state_of_stored(
        thread->cache,
        &(struct cache_purge_subject){
            .key = seen->key.text, .tags = record->tags, .tag_count = seen->tags, .born = record->born});
    seen->purged = state == CACHE_PURGE_HARD;
    seen->soft_purged = state == CACHE_PURGE_SOFT;
    if (seen->purged) return SK_OK;
    seen->object = make_object(arena, &seen->key, record);
    if (!seen->object) return SK_ERR_NO_MEMORY;
    if (tier_is_unproven(thread->cache->tier, seen->key.hash, record->born))
        seen->object->freshness.always_revalidate = seen->object->freshness.must_revalidate = true;
    return SK_OK;
}

/* The record under seen->key. SK_ERR_NOT_FOUND. */
static sk_err read_record(struct disk_set *set, struct sk_arena *arena, struct cache_tier_seen *seen,
                          struct tier_record *out_record) {
    struct disk_set_reader reader;
    sk_err err = disk_set_find(set, NULL, seen->key.hash, seen->key.text, &reader);
    if (err) return err == SK_ERR_NO_MEMORY ? err : SK_ERR_NOT_FOUND;
    sk_str head = sk_arena_copy(arena, reader.one.record.head);
    seen->record_bytes = reader.one.record.head.len + reader.one.record.body_bytes;
    disk_set_reader_close(&reader);
    if (!head.data) return SK_ERR_NO_MEMORY;
    err = tier_record_decode(head, arena, out_record);
    return err == SK_ERR_CORRUPT ? SK_ERR_NOT_FOUND : err;
}

/* Where RAM has no list of No-Vary-Search for the path, and the tier has one: the key under its rule. */
static sk_err follow_rule(struct cache_thread *thread, struct disk_set *set, struct sk_arena *arena,
                          struct cache_tier_seen *seen) {
    struct cache_tier_seen list = {0};
    struct tier_record record;
    if (!cache_search_any(thread->cache) || cache_search_rule(seen->key.text).len) return SK_OK;
    sk_err err = cache_search_list_key(arena, seen->key.text, &list.key);
    if (!err) err = read_record(set, arena, &list, &record);
    if (err == SK_ERR_NOT_FOUND || (!err && (!record.list || !record.number))) return SK_OK;
    return err ? err : cache_search_key_under(arena, &seen->key, record.number, record.names, &seen->key);
}

static sk_err see(struct cache_thread *thread, struct disk_set *set, struct sk_arena *arena,
                  const struct http_request *request, struct cache_tier_seen *seen) {
    struct tier_record record;
    sk_err err = follow_rule(thread, set, arena, seen);
    if (!err) err = read_record(set, arena, seen, &record);
    if (!err && record.list) {
        struct cache_key primary = seen->key;
        if (!record.number || !record.names.len) return SK_ERR_NOT_FOUND; /* it was struck out */
        if (record.born < tier_floor_of(thread->cache->tier, primary.hash)) return SK_ERR_NOT_FOUND;
        seen->has_variants = true;
        seen->vary = record.names;
        err = cache_vary_key(arena, &primary, record.number, record.names, request, &seen->key);
        if (!err) err = read_record(set, arena, seen, &record);
    }
    if (err || record.list || record.part == CACHE_PART_SLICE) return err ? err : SK_ERR_NOT_FOUND;
    return judge(thread, arena, &record, seen);
}

sk_err cache_tier_see(struct cache_thread *thread, struct sk_arena *arena, const struct cache_key *key,
                      const struct http_request *request, struct cache_tier_seen *out_seen) {
    struct cache_tier *tier = thread->cache->tier;
    struct cache_tier_seen seen = {.key = *key};
    struct disk_set *set = tier ? tier_enter(tier) : NULL;
    sk_err err = set ? see(thread, set, arena, request, &seen) : SK_OK;
    if (set) tier_leave(tier);
    if (err == SK_ERR_NO_MEMORY) return err;
    *out_seen = seen;
    return SK_OK;
}
