#include "http/tags.h"

#include "http/structured.h"

/* Collects; stops at the first error. */
struct collecting {
    struct sk_arena *arena;
    struct http_tags tags;
    uint32_t capacity;
    sk_err err;
};

static void add(struct collecting *collecting, enum http_tag_source source, sk_str tag) {
    struct http_tags *tags = &collecting->tags;
    if (collecting->err || tag.len == 0) return;
    if (tags->count == HTTP_TAGS_MAX || tag.len > HTTP_TAG_MAX_BYTES) {
        collecting->err = SK_ERR_TOO_LARGE;
        return;
    }
    if (tags->count == collecting->capacity) {
        uint32_t capacity = SK_MAX(2 * collecting->capacity, 16);
        sk_str *items = sk_arena_alloc(collecting->arena, capacity * sizeof *items);
        if (!items) {
            collecting->err = SK_ERR_NO_MEMORY;
            return;
        }
        if (tags->count) memcpy(items, tags->items, tags->count * sizeof *items);
        tags->items = items;
        collecting->capacity = capacity;
    }
    tags->items[tags->count++] = tag;
    tags->parts.counts[source]++;
}

static bool is_space(char c) { return c == ' ' || c == '\t'; }

static void add_words(struct collecting *collecting, enum http_tag_source source, sk_str text) {
    for (size_t i = 0; i < text.len && !collecting->err;) {
        size_t start = i;
        while (i < text.len && !is_space(text.data[i])) i++;
        add(collecting, source, sk_str_slice(text, start, i));
        i++;
    }
}

static void add_elements(struct collecting *collecting, enum http_tag_source source, sk_str text) {
    sk_str element;
    while (!collecting->err && sk_str_cut(&text, ',', &element))
        add(collecting, source, sk_str_trim(element));
}

static void add_field(struct collecting *collecting, const struct http_fields *fields, enum http_field_id id,
                      enum http_tag_source source) {
    for (const struct http_field *f = NULL; (f = http_fields_next(fields, id, f));) {
        collecting->tags.parts.present |= (uint8_t)(1u << source);
        if (source == HTTP_TAG_CACHE_TAG)
            add_elements(collecting, source, f->value);
        else
            add_words(collecting, source, f->value);
    }
}

/* ---- groups ------------------------------------------------------------------------------------------------- */

/* No other tag begins with a line feed, which no field and no purge may have in it. */
static sk_str tag_of_group(struct sk_arena *arena, sk_str origin, sk_str group) {
    return sk_arena_printf(arena, "\n%.*s\n%.*s", SK_STR_ARGS(origin), SK_STR_ARGS(group));
}

static bool all_strings(const struct http_sf_member *members, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (members[i].value.type != HTTP_SF_STRING) return false;
    return true;
}

sk_err http_groups_of(const struct http_fields *fields, enum http_field_id id, sk_str origin,
                      struct sk_arena *arena, sk_str **out_groups, uint32_t *out_count) {
    struct http_sf_member *members;
    uint32_t count = 0;
    sk_str text = http_fields_joined(fields, id, arena);
    if (!text.data && http_fields_find(fields, id)) return SK_ERR_NO_MEMORY;
    sk_err err = http_sf_parse_list(arena, text, &members, &count);
    if (err == SK_ERR_MALFORMED || (!err && !all_strings(members, count))) {
        err = SK_OK;
        count = 0;
    }
    sk_str *groups = err ? NULL : sk_arena_alloc(arena, (count + 1) * sizeof *groups);
    if (!groups) return err ? err : SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        if (members[i].value.text.len > HTTP_TAG_MAX_BYTES) return SK_ERR_TOO_LARGE;
        groups[i] = tag_of_group(arena, origin, members[i].value.text);
        if (!groups[i].data) return SK_ERR_NO_MEMORY;
    }
    *out_groups = groups;
    *out_count = count;
    return SK_OK;
}

static void add_groups(struct collecting *collecting, const struct http_fields *fields, sk_str origin) {
    sk_str *groups;
    uint32_t count;
    struct http_tags *tags = &collecting->tags;
    if (collecting->err || !http_fields_find(fields, HTTP_FIELD_CACHE_GROUPS)) return;
    tags->parts.present |= 1u << HTTP_TAG_CACHE_GROUPS;
    collecting->err =
        http_groups_of(fields, HTTP_FIELD_CACHE_GROUPS, origin, collecting->arena, &groups, &count);
    if (collecting->err || count == 0) return;
    if (tags->count + count > HTTP_TAGS_MAX) {
        collecting->err = SK_ERR_TOO_LARGE;
        return;
    }
    sk_str *items = sk_arena_alloc(collecting->arena, (tags->count + count) * sizeof *items);
    if (!items) {
        collecting->err = SK_ERR_NO_MEMORY;
        return;
    }
    if (tags->count) memcpy(items, tags->items, tags->count * sizeof *items);
    memcpy(items + tags->count, groups, count * sizeof *groups);
    tags->items = items;
    tags->count += count;
    tags->parts.counts[HTTP_TAG_CACHE_GROUPS] = (uint16_t)count;
}

/* ---- the door ----------------------------------------------------------------------------------------------- */

sk_err http_tags_of(const struct http_fields *fields, sk_str origin, struct sk_arena *arena,
                    struct http_tags *out_tags) {
    struct collecting collecting = {.arena = arena};
    add_field(&collecting, fields, HTTP_FIELD_SURROGATE_KEY, HTTP_TAG_SURROGATE_KEY);
    add_field(&collecting, fields, HTTP_FIELD_CACHE_TAG, HTTP_TAG_CACHE_TAG);
    add_field(&collecting, fields, HTTP_FIELD_XKEY, HTTP_TAG_XKEY);
    add_groups(&collecting, fields, origin);
    if (!collecting.err) *out_tags = collecting.tags;
    return collecting.err;
}

void http_tags_strip(struct http_fields *fields) {
    http_fields_remove(fields, HTTP_FIELD_SURROGATE_KEY);
    http_fields_remove(fields, HTTP_FIELD_CACHE_TAG);
    http_fields_remove(fields, HTTP_FIELD_XKEY);
}
