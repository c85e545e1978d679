/* Heads for HTTP/2 and HTTP/3, made of a response's lines. */
#include <stdio.h>

#include "unit.h"
#include "wire/stream.h"

static struct wire_stream stream;

static int set_up(void **state) {
    stream = (struct wire_stream){.id = 1};
    sk_arena_init(&stream.arena, 1024, SIZE_MAX);
    (void)state;
    return 0;
}

static int tear_down(void **state) {
    sk_arena_free(&stream.arena);
    (void)state;
    return 0;
}

static struct wire_nv_list listed(const sk_str *heads, int count, uint64_t length) {
    struct wire_nv_list list;
    assert_ok(wire_nv_response(&list, &stream, 200, heads, count, length));
    return list;
}

static void assert_field(const struct wire_nv_list *list, size_t i, sk_str name, sk_str value) {
    assert_true(i < list->count);
    const struct wire_nv *nv = &list->items[i];
    assert_str(sk_str_make((const char *)nv->name, nv->name_bytes), name);
    assert_str(sk_str_make((const char *)nv->value, nv->value_bytes), value);
}

/* RFC 9113 section 8.2.1, RFC 9114 section 4.2: names are in lower case; values without what surrounds them. */
static void rfc9113_8_2_1_names_are_lowered_and_values_trimmed(void **state) {
    const sk_str heads[] = {SK_STR("Content-Type: text/plain\r\nETag:\t \"a:b\" \t\r\nX:\r\n"),
                            SK_STR("Age: 5\nVia:1.1 skerry")};
    (void)state;
    struct wire_nv_list list = listed(heads, 2, 1024);
    assert_int_equal(list.count, 7);
    assert_field(&list, 0, SK_STR(":status"), SK_STR("200"));
    assert_field(&list, 1, SK_STR("content-type"), SK_STR("text/plain"));
    assert_field(&list, 2, SK_STR("etag"), SK_STR("\"a:b\""));
    assert_field(&list, 3, SK_STR("x"), SK_STR(""));
    assert_field(&list, 4, SK_STR("age"), SK_STR("5"));
    assert_field(&list, 5, SK_STR("via"), SK_STR("1.1 skerry"));
    assert_field(&list, 6, SK_STR("content-length"), SK_STR("1024"));
}

static void rfc9113_8_2_2_what_belongs_to_a_connection_stays_there(void **state) {
    const sk_str head = SK_STR("Connection: close\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n"
                               "TRANSFER-ENCODING: chunked\r\nUpgrade: h2c\r\nServer: s\r\nupgradf: 1\r\n"
                               "Content-Language: de\r\nKeep-alivf: 2\r\n");
    (void)state;
    struct wire_nv_list list = listed(&head, 1, UINT64_MAX);
    assert_int_equal(list.count, 5);
    assert_field(&list, 1, SK_STR("server"), SK_STR("s"));
    assert_field(&list, 2, SK_STR("upgradf"), SK_STR("1"));
    assert_field(&list, 3, SK_STR("content-language"), SK_STR("de"));
    assert_field(&list, 4, SK_STR("keep-alivf"), SK_STR("2"));
}

static void lines_that_are_none_do_no_harm(void **state) {
    const sk_str heads[] = {SK_STR(""), SK_STR("\r\n\n: nothing\r\nalone\r\n\r"), {NULL, 0}};
    (void)state;
    struct wire_nv_list list = listed(heads, 3, UINT64_MAX);
    assert_int_equal(list.count, 2);
    assert_field(&list, 1, SK_STR("alone"), SK_STR(""));
}

/* More lines than there is room for at first, in several heads, and the length behind them. */
static void long_heads_are_whole(void **state) {
    static char text[100][16];
    sk_str heads[100];
    (void)state;
    for (int most = 20; most <= 100; most++) {
        for (int i = 0; i < most; i++)
            heads[i] =
                sk_str_make(text[i], (size_t)snprintf(text[i], sizeof text[i], "Name-%d: %d\r\n", i, i));
        struct wire_nv_list list = listed(heads, most, 7);
        assert_int_equal(list.count, most + 2);
        for (int i = 0; i < most; i++) {
            char name[16], value[8];
            sk_str name_is = {name, (size_t)snprintf(name, sizeof name, "name-%d", i)};
            assert_field(&list, (size_t)i + 1, name_is,
                         (sk_str){value, (size_t)snprintf(value, sizeof value, "%d", i)});
        }
        assert_field(&list, (size_t)most + 1, SK_STR("content-length"), SK_STR("7"));
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(rfc9113_8_2_1_names_are_lowered_and_values_trimmed),
        CASE(rfc9113_8_2_2_what_belongs_to_a_connection_stays_there),
        CASE(lines_that_are_none_do_no_harm),
        CASE(long_heads_are_whole),
    };
    return SK_RUN_TESTS(tests);
}
