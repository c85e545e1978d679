#include "cache/entry.h"

#include "cache/purge_internal.h"
#include "cache/store.h"

/*   entry | key | head text | entity tag | padding | field table | tags | body
 *
 * The field table's names and values point into the head's text. */
struct layout {
    size_t key, head, etag, fields, tags, body, total;
};

static size_t head_text_bytes(const struct http_fields *fields) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        bytes += fields->items[i].name.len + fields->items[i].value.len + 4;
    return bytes;
}

static struct layout lay_out(const struct cache_key *key, size_t head_bytes, size_t etag_bytes,
                             size_t field_count, size_t tag_count, size_t inline_bytes) {
    struct layout at = {.key = sizeof(struct cache_entry)};
    at.head = at.key + key->text.len;
    at.etag = at.head + head_bytes;
    at.fields = (at.etag + etag_bytes + 7) & ~(size_t)7;
    at.tags = at.fields + field_count * sizeof(struct http_field);
    at.body = at.tags + tag_count * sizeof(uint64_t);
    at.total = at.body + inline_bytes;
    return at;
}

static struct layout lay_out_response(const struct cache_key *key, const struct cache_head *head,
                                      uint32_t tag_count, size_t inline_bytes) {
    return lay_out(key, head_text_bytes(head->fields), head->validators.etag.opaque.len, head->fields->count,
                   tag_count, inline_bytes);
}

size_t cache_entry_bytes(const struct cache_key *key, const struct cache_head *head) {
    return lay_out_response(key, head, head->tag_count, 0).total;
}

static sk_str copy_text(char *to, sk_str text) {
    if (text.len) memcpy(to, text.data, text.len);
    return sk_str_make(to, text.len);
}

/* The lines "Name: value\r\n", and FIELDS pointing into them. */
static void copy_fields(struct cache_object *object, char *text, struct http_field *items,
                        const struct http_fields *fields) {
    char *next = text;
    for (uint32_t i = 0; i < fields->count; i++) {
        items[i].id = fields->items[i].id;
        items[i].name = copy_text(next, fields->items[i].name);
        next += items[i].name.len;
        *next++ = ':', *next++ = ' ';
        items[i].value = copy_text(next, fields->items[i].value);
        next += items[i].value.len;
        *next++ = '\r', *next++ = '\n';
    }
    object->head = sk_str_make(text, (size_t)(next - text));
    object->fields = (struct http_fields){items, fields->count, fields->count};
}

/* ---- tags ------------------------------------------------------------------------------------------------------ */

static struct http_tag_parts parts_of_head(const struct cache_head *head) {
    if (head->tag_parts) return *head->tag_parts;
    return (struct http_tag_parts){.counts = {(uint16_t)head->tag_count}, .present = head->tag_count > 0};
}

/* How many tags of each source the entry will have; returns the sum. */
static uint32_t count_tags(const struct cache_head *head, const struct cache_entry *tags_of,
                           uint16_t counts[HTTP_TAG_SOURCES]) {
    struct http_tag_parts own = parts_of_head(head);
    uint32_t sum = 0;
    for (unsigned i = 0; i < HTTP_TAG_SOURCES; i++) {
        bool kept = tags_of && !(own.present >> i & 1);
        sum += counts[i] = kept ? tags_of->tag_counts[i] : own.counts[i];
    }
    return sum;
}

/* The K-th tag of HEAD, which has them as scopes or as texts. */
static uint64_t scope_of(const struct cache_head *head, sk_str key, uint32_t k) {
    if (head->tag_scopes) return head->tag_scopes[k];
    return head->tags ? cache_tag_scope(key, head->tags[k]) : 0;
}

static void copy_tags(struct cache_entry *entry, uint64_t *to, const struct cache_head *head,
                      const struct cache_entry *tags_of) {
    struct http_tag_parts own = parts_of_head(head);
    uint32_t first = 0; /* of this source's own */
    const uint64_t *before = tags_of ? tags_of->tags : NULL;
    entry->tags = to;
    entry->tag_count = count_tags(head, tags_of, entry->tag_counts);
    for (unsigned i = 0; i < HTTP_TAG_SOURCES; i++) {
        bool kept = tags_of && !(own.present >> i & 1);
        for (uint32_t k = 0; k < entry->tag_counts[i]; k++)
            *to++ = kept ? before[k] : scope_of(head, entry->object.key.text, first + k);
        first += own.counts[i];
        if (tags_of) before += tags_of->tag_counts[i];
    }
}

static struct cache_entry *allocate(struct cache *cache, const struct cache_key *key,
                                    const struct layout *at) {
    if (at->total > CACHE_CHUNK_MAX_BYTES) return NULL;
    struct cache_entry *entry = cache_store_alloc(cache, at->total, NULL);
    if (!entry) return NULL;
    memset(entry, 0, sizeof *entry);
    entry->chunk_bytes = (uint32_t)at->total;
    entry->inline_body = (char *)entry + at->body;
    atomic_init(&entry->refs, 1);
    sk_list_init(&entry->policy.link);
    entry->policy.key_hash = key->hash.low;
    entry->policy.bytes = cache_chunk_bytes(at->total);
    entry->policy.accesses = &entry->object.accesses;
    entry->object.magic = CACHE_OBJECT_MAGIC;
    entry->object.key.hash = key->hash;
    entry->object.key.text = copy_text((char *)entry + at->key, key->text);
    return entry;
}

struct cache_entry *cache_entry_create(struct cache *cache, const struct cache_key *key,
                                       const struct cache_head *head, size_t inline_bytes,
                                       const struct cache_entry *tags_of) {
    uint16_t counts[HTTP_TAG_SOURCES];
    uint32_t tag_count = count_tags(head, tags_of, counts);
    struct layout at = lay_out_response(key, head, tag_count, inline_bytes);
    struct cache_entry *entry = allocate(cache, key, &at);
    if (!entry) return NULL;
    struct cache_object *object = &entry->object;
    char *base = (char *)entry;
    copy_fields(object, base + at.head, (struct http_field *)(void *)(base + at.fields), head->fields);
    copy_tags(entry, (uint64_t *)(void *)(base + at.tags), head, tags_of);
    object->status = head->status;
    object->kind = CACHE_KIND_RESPONSE;
    object->part = (uint8_t)head->part;
    object->number = head->slices;
    object->freshness = head->freshness;
    object->validators = head->validators;
    object->validators.etag.opaque = copy_text(base + at.etag, head->validators.etag.opaque);
    if (!head->validators.etag.opaque.data) object->validators.etag.opaque.data = NULL;
    object->store_reason = head->reason;
    object->codable = head->codable;
    object->stored_at = head->stored_at ? head->stored_at : sk_wall_now_s();
    object->from_tier = head->from_tier;
    atomic_init(&object->body_length, head->body_length);
    return entry;
}

struct cache_entry *cache_entry_create_list(struct cache *cache, const struct cache_key *key, sk_str names,
                                            uint64_t number) {
    struct layout at = lay_out(key, names.len, 0, 0, 0, 0);
    struct cache_entry *entry = allocate(cache, key, &at);
    if (!entry) return NULL;
    entry->object.kind = CACHE_KIND_VARIANTS;
    entry->object.head = copy_text((char *)entry + at.head, names);
    entry->object.shared = true;
    entry->list_number = number;
    atomic_init(&entry->object.complete, CACHE_COMPLETE);
    return entry;
}
