#include "http/tags.h"

#include <stdio.h>
#include <stdlib.h>

#include "messages.h"

struct tags_case {
    const char *lines, *tags; /* TAGS joined by ","; groups as "=group" */
    uint16_t counts[HTTP_TAG_SOURCES];
    uint8_t present;
};

static const struct tags_case cases[] = {
    {"X: a", "", {0}, 0},
    {"Surrogate-Key: a", "a", {1}, 1},
    {"surrogate-key:  a \t b  c", "a,b,c", {3}, 1},
    {"Surrogate-Key:", "", {0}, 1},
    {"Surrogate-Key: a,b", "a,b", {1}, 1}, /* a comma parts nothing: one tag */
    {"Surrogate-Key: a\nSurrogate-Key: b", "a,b", {2}, 1},
    {"Cache-Tag: a,b ,\t c,,", "a,b,c", {0, 3}, 2},
    {"Cache-Tag: a b,c", "a b,c", {0, 2}, 2},
    {"Cache-Tag: \"a,b\"", "\"a,b\"", {0, 2}, 2}, /* no quoting */
    {"xkey: a b", "a,b", {0, 0, 2}, 4},
    {"xkey: x\nCache-Tag: c\nSurrogate-Key: s", "s,c,x", {1, 1, 1}, 7},
    {"Cache-Groups: \"g\", \"h i\";a=1", "=g,=h i", {0, 0, 0, 2}, 8},
    {"Cache-Groups: \"g\"\nCache-Groups: \"h\"\nxkey: x", "x,=g,=h", {0, 0, 1, 2}, 12},
    {"Cache-Groups: \"a\\\"b\\\\\"", "=a\"b\\", {0, 0, 0, 1}, 8},
    {"Cache-Groups: \"\"", "=", {0, 0, 0, 1}, 8},
    {"Cache-Groups:", "", {0}, 8},
    {"Cache-Groups: g", "", {0}, 8},
    {"Cache-Groups: \"g\", 1", "", {0}, 8},
    {"Cache-Groups: \"g", "", {0}, 8},
    {"Cache-Groups: (\"g\")", "", {0}, 8},
    {"Cache-Groups: \"g\"\nSurrogate-Key: s\nCache-Groups: ,", "s", {1}, 9},
};

static void append(char *out, size_t room, sk_str tag) {
    size_t used = strlen(out);
    sk_str prefix = SK_STR("\na.example:80\n");
    bool group = sk_str_starts_with(tag, prefix);
    if (group) tag = sk_str_slice(tag, prefix.len, tag.len);
    snprintf(out + used, room - used, "%s%s%.*s", used ? "," : "", group ? "=" : "", SK_STR_ARGS(tag));
}

/* RFC 9875 section 2 for Cache-Groups, RFC 9651 section 4.2 for what is malformed. */
static void tags_of_every_field(void **state) {
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        const struct tags_case *c = &cases[i];
        struct sk_arena arena;
        struct http_tags tags;
        char text[256] = "";
        sk_arena_init(&arena, 1024, 0);
        struct http_fields fields = fields_of(&arena, c->lines);
        assert_ok(http_tags_of(&fields, SK_STR("a.example:80"), &arena, &tags));
        for (uint32_t k = 0; k < tags.count; k++) append(text, sizeof text, tags.items[k]);
        if (strcmp(text, c->tags) != 0) fail_msg("%s: \"%s\" is not \"%s\"", c->lines, text, c->tags);
        if (memcmp(tags.parts.counts, c->counts, sizeof c->counts) != 0 || tags.parts.present != c->present)
            fail_msg("%s: the parts are wrong", c->lines);
        sk_arena_free(&arena);
    }
    (void)state;
}

static sk_err tags_of_many(unsigned words, unsigned groups, size_t bytes, struct http_tags *out_tags) {
    struct sk_arena arena;
    sk_arena_init(&arena, 1024, 0);
    struct http_fields fields = {0};
    size_t room = (size_t)(words + groups + 1) * (bytes + 4) + 64, used = 0;
    char *text = malloc(room);
    assert_non_null(text);
    for (unsigned i = 0; i < words; i++)
        used += (size_t)snprintf(text + used, room - used, "%0*u ", (int)bytes, i);
    assert_ok(http_fields_add_id(&fields, &arena, HTTP_FIELD_SURROGATE_KEY, sk_str_make(text, used)));
    size_t start = used;
    for (unsigned i = 0; i < groups; i++)
        used += (size_t)snprintf(text + used, room - used, "%s\"%0*u\"", i ? "," : "", (int)bytes, i);
    assert_ok(http_fields_add_id(&fields, &arena, HTTP_FIELD_CACHE_GROUPS,
                                 sk_str_make(text + start, used - start)));
    sk_err err = http_tags_of(&fields, SK_STR("a"), &arena, out_tags);
    free(text);
    sk_arena_free(&arena);
    return err;
}

static void there_are_bounds(void **state) {
    struct http_tags tags;
    assert_ok(tags_of_many(HTTP_TAGS_MAX, 0, 4, &tags));
    assert_int_equal(tags.count, HTTP_TAGS_MAX);
    assert_err(tags_of_many(HTTP_TAGS_MAX + 1, 0, 4, &tags), SK_ERR_TOO_LARGE);
    assert_ok(tags_of_many(HTTP_TAGS_MAX - 32, 32, 4, &tags));
    assert_err(tags_of_many(HTTP_TAGS_MAX - 31, 32, 4, &tags), SK_ERR_TOO_LARGE);
    assert_ok(tags_of_many(1, 0, HTTP_TAG_MAX_BYTES, &tags));
    assert_err(tags_of_many(1, 0, HTTP_TAG_MAX_BYTES + 1, &tags), SK_ERR_TOO_LARGE);
    (void)state;
}

static void rfc9875_2_at_least_32_groups_of_32_characters(void **state) {
    struct http_tags tags;
    assert_ok(tags_of_many(0, 32, 32, &tags));
    assert_int_equal(tags.count, 32);
    (void)state;
}

static void no_memory_is_told_apart(void **state) {
    char text[4096];
    struct http_field items[] = {{SK_STR("xkey"), {text, sizeof text}, HTTP_FIELD_XKEY},
                                 {SK_STR("Cache-Groups"), SK_STR_INIT("\"a\""), HTTP_FIELD_CACHE_GROUPS},
                                 {SK_STR("Cache-Groups"), SK_STR_INIT("\"b\""), HTTP_FIELD_CACHE_GROUPS}};
    struct http_fields fields = {items, 3, 3};
    struct http_tags tags;
    for (size_t i = 0; i < sizeof text; i++) text[i] = i % 8 ? 'a' : ' ';
    for (size_t limit = 1; limit < 20000; limit += 97) {
        struct sk_arena arena;
        sk_arena_init(&arena, 256, limit);
        sk_err err = http_tags_of(&fields, SK_STR("a"), &arena, &tags);
        if (!err) assert_int_equal(tags.count, sizeof text / 8 + 2);
        if (err) assert_int_equal(err, SK_ERR_NO_MEMORY);
        sk_arena_free(&arena);
    }
    (void)state;
}

static void only_what_is_for_us_is_stripped(void **state) {
    struct sk_arena arena;
    sk_arena_init(&arena, 1024, 0);
    struct http_fields fields = fields_of(
        &arena, "A: 1\nSurrogate-Key: a\nCache-Tag: a\nxkey: a\nCache-Groups: \"a\"\nxkey: b\nB: 2");
    http_tags_strip(&fields);
    assert_int_equal(fields.count, 3);
    assert_str(fields.items[1].name, SK_STR("Cache-Groups"));
    sk_arena_free(&arena);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_of_every_field),
        cmocka_unit_test(there_are_bounds),
        cmocka_unit_test(rfc9875_2_at_least_32_groups_of_32_characters),
        cmocka_unit_test(no_memory_is_told_apart),
        cmocka_unit_test(only_what_is_for_us_is_stripped),
    };
    return SK_RUN_TESTS(tests);
}
