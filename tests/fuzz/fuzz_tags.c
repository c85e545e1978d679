/* Field lines as tags: bounds are kept, every tag lies in what it was read from, counts add up. The first byte bounds
 * the arena. */
#include "fuzz.h"
#include "http/tags.h"

static const enum http_field_id ids[] = {HTTP_FIELD_SURROGATE_KEY, HTTP_FIELD_CACHE_TAG, HTTP_FIELD_XKEY,
                                         HTTP_FIELD_CACHE_GROUPS, HTTP_FIELD_CACHE_GROUP_INVALIDATION};

static void look_at(const struct http_tags *tags) {
    uint32_t sum = 0;
    for (unsigned i = 0; i < HTTP_TAG_SOURCES; i++) {
        sum += tags->parts.counts[i];
        MUST(tags->parts.counts[i] == 0 || tags->parts.present >> i & 1);
    }
    MUST(sum == tags->count && sum <= HTTP_TAGS_MAX);
    uint32_t first_group = sum - tags->parts.counts[HTTP_TAG_CACHE_GROUPS];
    for (uint32_t i = 0; i < sum; i++) {
        sk_str tag = tags->items[i];
        bool group = sk_str_starts_with(tag, SK_STR("\nh\n"));
        MUST(tag.len > 0 && tag.len <= HTTP_TAG_MAX_BYTES + 3);
        MUST(group == (i >= first_group));
        if (i < tags->parts.counts[HTTP_TAG_SURROGATE_KEY]) MUST(sk_str_find_byte(tag, ' ') == tag.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0) return 0;
    char *copy = exact_copy(data + 1, bytes - 1);
    sk_str rest = {copy, bytes - 1}, line;
    struct sk_arena arena, lists;
    struct http_fields fields = {0};
    struct http_tags tags;
    sk_str *groups;
    uint32_t count = 0;
    sk_arena_init(&lists, 256, 0);
    sk_arena_init(&arena, 256, data[0] < 255 ? 64 * (size_t)data[0] + 1 : 0);
    for (size_t i = 0; i < 64 && bytes > 1 && sk_str_cut(&rest, '\n', &line); i++)
        if (line.len) {
            enum http_field_id id = ids[(unsigned char)line.data[0] % SK_COUNT(ids)];
            sk_str value = sk_str_slice(line, 1, line.len);
            MUST(http_fields_add_id(&fields, &lists, id, value) == SK_OK);
        }
    if (http_tags_of(&fields, SK_STR("h"), &arena, &tags) == SK_OK) look_at(&tags);
    if (http_groups_of(&fields, HTTP_FIELD_CACHE_GROUP_INVALIDATION, SK_STR("h"), &arena, &groups, &count) ==
        SK_OK)
        for (uint32_t i = 0; i < count; i++) MUST(sk_str_starts_with(groups[i], SK_STR("\nh\n")));
    http_tags_strip(&fields);
    for (size_t i = 0; i < 3; i++) MUST(!http_fields_find(&fields, ids[i]));
    sk_arena_free(&arena);
    sk_arena_free(&lists);
    free(copy);
    return 0;
}
