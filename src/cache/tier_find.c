/* What comes back from the SSD tier. */
#include "cache/body.h"
#include "cache/entry.h"
#include "cache/fill_internal.h"
#include "cache/index.h"
#include "cache/purge_internal.h"
#include "cache/slices.h"
#include "cache/store.h"
#include "cache/tier_internal.h"
#include "cache/tier_record.h"
#include "cache/vary.h"
#include "http/content_range.h"

/* ---- lists of variants ------------------------------------------------------------------------------------------ */

/* Under which key REQUEST's response is stored: what the list in RAM selects, if there is one. *out_names is empty when
 * there is none. */
static sk_err choose_key(struct cache_thread *thread, struct sk_arena *arena, const struct cache_key *primary,
                         const struct http_request *request, struct cache_key *out_key, sk_str *out_names) {
    uint64_t number = 0;
    sk_str names = {"", 0};
    cache_section_begin(thread);
    const struct cache_entry *list = cache_index_get(thread->cache, primary);
    if (list && list->object.kind == CACHE_KIND_VARIANTS) {
        number = list->list_number;
        names = sk_arena_copy(arena, list->object.head);
    }
    cache_section_end(thread);
    if (!names.data) return SK_ERR_NO_MEMORY;
    *out_names = names;
    *out_key = *primary;
    return names.len ? cache_vary_key(arena, primary, number, names, request, out_key) : SK_OK;
}

/* A list that another one has followed would select what that one does not. */
static bool list_holds(struct cache_thread *thread, const struct cache_tier_found *found,
                       const struct tier_record *record) {
    if (record->born < tier_floor_of(found->tier, found->key.hash)) return false;
    cache_section_begin(thread);
    bool removed = cache_purge_removes_key(thread->cache, found->key.text, record->born);
    cache_section_end(thread);
    return !removed;
}

/* Into RAM, where there is none: what was stored there since has another one. */
static sk_err restore_list(struct cache_thread *thread, const struct cache_key *key,
                           const struct tier_record *record) {
    struct cache *cache = thread->cache;
    struct cache_stripe *stripe = &cache->stripes[cache_shard_of(cache, key->hash)];
    struct cache_entry *list = cache_entry_create_list(cache, key, record->names, record->number);
    if (!list) return SK_ERR_NOT_FOUND;
    list->object.from_tier = true;
    atomic_init(&list->object.verified, cache_verified_make(record->born, CACHE_PURGE_NONE));
    cache_section_begin(thread);
    pthread_mutex_lock(&stripe->lock);
    bool put = !cache_index_get(cache, key) && cache_index_put(cache, list, NULL) == SK_OK;
    pthread_mutex_unlock(&stripe->lock);
    cache_section_end(thread);
    if (put)
        (void)cache_store_admit(cache, list);
    else
        cache_store_never_indexed(cache, list);
    cache_entry_unref(cache, list);
    return put ? SK_ERR_AGAIN : SK_ERR_NOT_FOUND;
}

/* ---- finding ------------------------------------------------------------------------------------------------------ */

static sk_err look_at_purges(struct cache_thread *thread, const struct tier_record *record,
                             struct cache_tier_found *found) {
    struct cache_tier *tier = found->tier;
    cache_section_begin(thread);
    enum cache_purge_state state = cache_purge_state_of_stored(
        thread->cache, &(struct cache_purge_subject){.key = found->key.text,
                                                     .tags = record->tags,
                                                     .tag_count = found->head.tag_count,
                                                     .slice = record->part == CACHE_PART_SLICE,
                                                     .born = record->born});
    cache_section_end(thread);
    if (state == CACHE_PURGE_HARD) {
        tier_count(&tier->purged, 1);
        disk_set_remove(tier->set, found->key.hash);
        return SK_ERR_NOT_FOUND;
    }
    found->soft_purged = state == CACHE_PURGE_SOFT;
    found->unproven = tier_is_unproven(tier, found->key.hash, record->born);
    /* A slice is asked about with its head, which has the same age or a later one. */
    if (record->part == CACHE_PART_SLICE) found->unproven = false;
    if (found->unproven) tier_count(&tier->unproven, 1);
    return SK_OK;
}

static sk_err make_head(struct cache_tier_found *found, const struct tier_record *record,
                        struct sk_arena *arena, sk_str names, const struct http_request *request) {
    struct http_tag_parts *parts = sk_arena_zalloc(arena, sizeof *parts);
    if (!parts) return SK_ERR_NO_MEMORY;
    sk_err err = tier_record_fields(record, arena, &found->fields);
    if (err) return err;
    found->head = (struct cache_head){
        .status = record->status,
        .fields = &found->fields,
        .freshness = record->freshness,
        .validators = record->validators,
        .reason = record->reason,
        .body_length = record->length,
        .vary = names,
        .request = request,
        .codable = record->codable,
        .tag_parts = parts,
        .tag_scopes = record->tags,
        .part = record->part,
        .slices = record->number,
        .stored_at = record->stored_at,
        .from_tier = true,
    };
    for (unsigned i = 0; i < HTTP_TAG_SOURCES; i++) {
        parts->counts[i] = record->tag_counts[i];
        parts->present |= (uint8_t)(1u << i);
        found->head.tag_count += record->tag_counts[i];
    }
    found->born = record->born;
    return SK_OK;
}

/* The record is whole, to its last byte. */
static sk_err verify(struct cache_tier_found *found, const struct tier_record *record) {
    uint64_t bytes = found->reader.one.record.body_bytes;
    uint64_t expected = record->part == CACHE_PART_HEAD ? 0 : record->length;
    sk_err err = bytes == expected ? SK_OK : SK_ERR_CORRUPT;
    sk_str block;
    for (uint64_t i = 0; !err && i * DISK_BLOCK_BYTES < bytes; i++)
        err = disk_set_read_block(&found->reader, found->loop, i, &block);
    return err;
}

/* With the reader open. */
static sk_err take(struct cache_thread *thread, struct sk_arena *arena, sk_str names,
                   const struct http_request *request, struct cache_tier_found *found) {
    struct tier_record record;
    sk_err err = tier_record_decode(found->reader.one.record.head, arena, &record);
    if (err) return err;
    if (record.list && (!record.number || !record.names.len || names.len)) return SK_ERR_NOT_FOUND;
    if (record.list && !list_holds(thread, found, &record)) return SK_ERR_NOT_FOUND;
    if (record.list) return restore_list(thread, &found->key, &record);
    err = make_head(found, &record, arena, names, request);
    if (!err) err = look_at_purges(thread, &record, found);
    return err ? err : verify(found, &record);
}

sk_err cache_tier_find(struct cache_thread *thread, struct sk_arena *arena, const struct cache_key *primary,
                       const struct http_request *request, struct cache_tier_found *out_found) {
    struct cache_tier *tier = thread->cache->tier;
    struct disk_set *set = tier ? tier_enter(tier) : NULL;
    if (!set) return SK_ERR_NOT_FOUND;
    struct cache_tier_found found = {.tier = tier, .loop = thread->loop};
    sk_str names = {"", 0};
    sk_err err = choose_key(thread, arena, primary, request, &found.key, &names);
    if (!err) err = disk_set_find(set, thread->loop, found.key.hash, found.key.text, &found.reader);
    if (err) {
        tier_leave(tier);
        return err == SK_ERR_NO_MEMORY ? err : SK_ERR_NOT_FOUND;
    }
    err = take(thread, arena, names, request, &found);
    if (err) {
        if (err == SK_ERR_CORRUPT) disk_set_remove(set, found.key.hash);
        cache_tier_close(&found);
        return err == SK_ERR_NO_MEMORY || err == SK_ERR_AGAIN ? err : SK_ERR_NOT_FOUND;
    }
    tier_count(&tier->found, 1);
    tier_count(&tier->found_bytes, found.reader.one.record.body_bytes);
    *out_found = found;
    out_found->head.fields = &out_found->fields;
    return SK_OK;
}

void cache_tier_close(struct cache_tier_found *found) {
    if (!found->tier) return;
    disk_set_reader_close(&found->reader);
    tier_leave(found->tier);
    found->tier = NULL;
}

/* ---- into RAM --------------------------------------------------------------------------------------------------------- */

static sk_err copy_block(struct cache_fill *fill, sk_str block) {
    while (block.len) {
        char *space;
        size_t room;
        sk_err err = cache_fill_space(fill, SK_TIME_NEVER, &space, &room);
        if (err) return err;
        room = SK_MIN(room, block.len);
        memcpy(space, block.data, room);
        cache_fill_commit(fill, room);
        block = sk_str_slice(block, room, block.len);
    }
    return SK_OK;
}

sk_err cache_tier_fill(struct cache_tier_found *found, struct cache_fill *fill) {
    uint64_t bytes = found->reader.one.record.body_bytes;
    cache_fill_born(fill, found->born);
    sk_err err = cache_fill_store(fill, &found->head);
    if (found->head.part == CACHE_PART_HEAD) return err;
    if (err && err != SK_ERR_FULL && err != SK_ERR_TOO_LARGE) return err;
    err = SK_OK; /* a window for those who wait */
    for (uint64_t i = 0; !err && i * DISK_BLOCK_BYTES < bytes; i++) {
        sk_str block;
        err = disk_set_read_block(&found->reader, found->loop, i, &block);
        if (!err) err = copy_block(fill, block);
    }
    if (!err) return cache_fill_finish(fill);
    cache_fill_break(fill, err);
    return err;
}

static bool copy_body(struct cache_tier_found *found, struct cache *cache, struct cache_entry *entry,
                      uint64_t bytes) {
    for (uint64_t at = 0; at < bytes;) {
        sk_str block;
        if (disk_set_read_block(&found->reader, found->loop, at / DISK_BLOCK_BYTES, &block)) return false;
        while (block.len) {
            size_t room = bytes - at;
            char *space =
                entry->body ? cache_body_space(cache, entry->body, at, &room) : entry->inline_body + at;
            if (!space) return false;
            room = SK_MIN(room, block.len);
            memcpy(space, block.data, room);
            block = sk_str_slice(block, room, block.len);
            at += room;
        }
    }
    return true;
}

sk_err cache_tier_adopt(struct cache_tier_found *found, struct cache_fill *fill) {
    struct cache *cache = fill->cache;
    struct cache_head head = found->head;
    uint64_t bytes = found->reader.one.record.body_bytes;
    bool single = bytes && cache_entry_bytes(&found->key, &head) + bytes <= CACHE_SINGLE_MAX_BYTES;
    if (found->unproven) head.freshness.always_revalidate = head.freshness.must_revalidate = true;
    struct cache_entry *entry = cache_entry_create(cache, &found->key, &head, single ? bytes : 0, NULL);
    if (!entry) return SK_ERR_FULL;
    if (bytes && !single) entry->body = cache_body_create(cache, bytes, bytes);
    if ((bytes && !single && !entry->body) || !copy_body(found, cache, entry, bytes)) {
        cache_entry_unref(cache, entry);
        return SK_ERR_FULL;
    }
    entry->object.shared = true;
    entry->object.born = found->born;
    atomic_init(&entry->object.verified, cache_verified_make(found->born, CACHE_PURGE_NONE));
    atomic_init(&entry->object.available, bytes);
    atomic_init(&entry->object.complete, CACHE_COMPLETE);
    cache_store_never_indexed(cache, entry);
    SK_ASSERT(!fill->stale);
    fill->stale = entry;
    return SK_OK;
}
