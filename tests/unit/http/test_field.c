#include "http/field.h"

#include <ctype.h>

#include "unit.h"

#define S(text) SK_STR_INIT(text)

static const sk_str names[] = {
#define X(name, text) S(text),
    HTTP_FIELD_TABLE(X)
#undef X
};

/* RFC 9110 5.1: names are case-insensitive. */
static void every_known_name_is_found_in_any_case(void **state) {
    (void)state;
    for (size_t i = 0; i < SK_COUNT(names); i++) {
        char text[64];
        for (size_t mask = 0; mask < 3; mask++) {
            for (size_t j = 0; j < names[i].len; j++) {
                bool upper = mask == 1 || (mask == 2 && j % 2 == 0);
                text[j] = upper ? (char)toupper(names[i].data[j]) : names[i].data[j];
            }
            assert_int_equal(http_field_lookup(sk_str_make(text, names[i].len)), i + 1);
        }
        assert_str(http_field_name((enum http_field_id)(i + 1)), names[i]);
    }
}

/* One byte changed, added or taken away is another name; also bytes that differ only in bit 5. */
static void no_other_name_is_taken_for_a_known_one(void **state) {
    (void)state;
    for (size_t i = 0; i < SK_COUNT(names); i++) {
        char text[64];
        size_t len = names[i].len;
        memcpy(text, names[i].data, len);
        for (size_t j = 0; j < len; j++) {
            for (int c = 0; c < 256; c++) {
                text[j] = (char)c;
                bool same = tolower(c) == names[i].data[j];
                enum http_field_id id = http_field_lookup(sk_str_make(text, len));
                if (same)
                    assert_int_equal(id, i + 1);
                else
                    assert_int_not_equal(id, i + 1);
            }
            text[j] = names[i].data[j];
        }
        assert_int_not_equal(http_field_lookup(sk_str_make(text, len - 1)), i + 1);
        text[len] = 's';
        assert_int_not_equal(http_field_lookup(sk_str_make(text, len + 1)), i + 1);
    }
    assert_int_equal(http_field_lookup(SK_STR("")), HTTP_FIELD_UNKNOWN);
    assert_int_equal(http_field_lookup(SK_STR("X-Whatever")), HTTP_FIELD_UNKNOWN);
}

static struct http_fields sample(struct sk_arena *arena) {
    struct http_fields fields = {0};
    assert_ok(http_fields_add(&fields, arena, SK_STR("Vary"), SK_STR("a")));
    assert_ok(http_fields_add(&fields, arena, SK_STR("X-Own"), SK_STR("1")));
    assert_ok(http_fields_add_id(&fields, arena, HTTP_FIELD_VARY, SK_STR("b")));
    assert_ok(http_fields_add(&fields, arena, SK_STR("x-own"), SK_STR("2")));
    assert_ok(http_fields_add(&fields, arena, SK_STR("vary"), SK_STR("")));
    assert_ok(http_fields_add(&fields, arena, SK_STR("Age"), SK_STR("5")));
    return fields;
}

static void finding(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 1024, 0);
    struct http_fields fields = sample(&arena);
    const struct http_field *field = http_fields_find(&fields, HTTP_FIELD_VARY);
    assert_ptr_equal(field, &fields.items[0]);
    assert_ptr_equal(field = http_fields_next(&fields, HTTP_FIELD_VARY, field), &fields.items[2]);
    assert_ptr_equal(field = http_fields_next(&fields, HTTP_FIELD_VARY, field), &fields.items[4]);
    assert_null(http_fields_next(&fields, HTTP_FIELD_VARY, field));
    assert_ptr_equal(field = http_fields_find_name(&fields, SK_STR("X-OWN"), NULL), &fields.items[1]);
    assert_ptr_equal(field = http_fields_find_name(&fields, SK_STR("X-OWN"), field), &fields.items[3]);
    assert_null(http_fields_find_name(&fields, SK_STR("X-OWN"), field));
    assert_null(http_fields_find(&fields, HTTP_FIELD_ETAG));
    assert_null(http_fields_value(&fields, HTTP_FIELD_ETAG).data);
    assert_str(http_fields_value(&fields, HTTP_FIELD_AGE), SK_STR("5"));
    sk_arena_free(&arena);
}

static void removing_keeps_order(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 1024, 0);
    struct http_fields fields = sample(&arena);
    http_fields_remove(&fields, HTTP_FIELD_VARY);
    assert_int_equal(fields.count, 3);
    assert_str(fields.items[0].value, SK_STR("1"));
    assert_str(fields.items[1].value, SK_STR("2"));
    assert_str(fields.items[2].value, SK_STR("5"));
    http_fields_remove_name(&fields, SK_STR("X-OWN"));
    assert_int_equal(fields.count, 1);
    assert_int_equal(fields.items[0].id, HTTP_FIELD_AGE);
    sk_arena_free(&arena);
}

/* RFC 9110 5.3: several lines mean one list. */
static void joining(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 1024, 0);
    struct http_fields fields = sample(&arena);
    assert_str(http_fields_joined(&fields, HTTP_FIELD_VARY, &arena), SK_STR("a, b, "));
    assert_ptr_equal(http_fields_joined(&fields, HTTP_FIELD_AGE, &arena).data, fields.items[5].value.data);
    assert_null(http_fields_joined(&fields, HTTP_FIELD_ETAG, &arena).data);
    sk_arena_free(&arena);
}

static void the_array_grows_until_the_arena_is_full(void **state) {
    struct sk_arena arena;
    struct http_fields fields = {0};
    sk_err err = SK_OK;
    (void)state;
    sk_arena_init(&arena, 1024, 8192);
    while (!err) err = http_fields_add(&fields, &arena, SK_STR("Age"), SK_STR("1"));
    assert_int_equal(err, SK_ERR_TOO_LARGE);
    assert_int_equal(fields.count, 64);
    for (uint32_t i = 0; i < fields.count; i++) assert_int_equal(fields.items[i].id, HTTP_FIELD_AGE);
    sk_arena_free(&arena);
}

/* RFC 9110 5.6.1: empty elements count for nothing, commas in quotes separate nothing. */
static void lists(void **state) {
    static const struct {
        sk_str list;
        sk_str expected; /* elements joined by "|" */
    } cases[] = {
        {S(""), S("")},
        {S("a"), S("a|")},
        {S("a, b ,\tc"), S("a|b|c|")},
        {S(",, a ,,b, ,"), S("a|b|")},
        {S("\"a,b\", c"), S("\"a,b\"|c|")},
        {S("x=\"a\\\",b\",c"), S("x=\"a\\\",b\"|c|")},
        {S("\"open, a"), S("\"open, a|")},
        {S("\"a\\"), S("\"a\\|")},
        {S("W/\"a\" , \"b\""), S("W/\"a\"|\"b\"|")},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        char text[128];
        size_t len = 0;
        sk_str rest = cases[i].list, element;
        while (http_list_next(&rest, &element)) {
            memcpy(text + len, element.data, element.len);
            len += element.len;
            text[len++] = '|';
        }
        assert_str(sk_str_make(text, len), cases[i].expected);
    }
}

static void grammar_of_tokens(void **state) {
    (void)state;
    assert_false(http_token_valid(SK_STR("")));
    for (int c = 0; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'};
        bool tchar = c < 128 && c > 0 && (isalnum(c) || strchr("!#$%&'*+-.^_`|~", c));
        assert_int_equal(http_token_valid(sk_str_make(text, 3)), tchar);
    }
}

/* RFC 9110 5.5; every byte at every place of a word of eight, since eight are looked at together. */
static void grammar_of_values(void **state) {
    (void)state;
    assert_true(http_field_value_valid(SK_STR("")));
    assert_false(http_field_value_valid(SK_STR(" a")));
    assert_false(http_field_value_valid(SK_STR("a\t")));
    for (size_t at = 1; at < 23; at++) {
        for (int c = 0; c < 256; c++) {
            char text[24];
            memset(text, 'v', sizeof(text));
            text[at] = (char)c;
            bool valid = c == '\t' || (c >= 0x20 && c != 0x7f);
            assert_int_equal(http_field_value_valid(sk_str_make(text, sizeof(text))), valid);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_name_is_found_in_any_case),
        cmocka_unit_test(no_other_name_is_taken_for_a_known_one),
        cmocka_unit_test(finding),
        cmocka_unit_test(removing_keeps_order),
        cmocka_unit_test(joining),
        cmocka_unit_test(the_array_grows_until_the_arena_is_full),
        cmocka_unit_test(lists),
        cmocka_unit_test(grammar_of_tokens),
        cmocka_unit_test(grammar_of_values),
    };
    return SK_RUN_TESTS(tests);
}
