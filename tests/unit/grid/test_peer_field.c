/* What nodes tell each other in Skerry-Peer. */
#include "unit.h"

#include "grid/peer_field.h"

static void test_asks(void **state) {
    static const struct {
        struct grid_ask ask;
        const char *text;
    } cases[] = {
        {{.hops = {SK_STR_INIT("home/a")}, .hop_count = 1}, "hop=home/a"},
        {{.hops = {SK_STR_INIT("home/a"), SK_STR_INIT("fra/b")}, .hop_count = 2, .fresh = GRID_VALIDATED},
         "hop=home/a hop=fra/b fresh=soft"},
        {{.hops = {SK_STR_INIT("home/a")}, .hop_count = 1, .fresh = GRID_ANEW, .only_stored = true},
         "hop=home/a fresh=hard only"},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        char text[GRID_ASK_BYTES];
        struct grid_ask ask;
        sk_str made = {text, grid_ask_format(&cases[i].ask, text)};
        assert_str(made, sk_str_from_c(cases[i].text));
        assert_ok(grid_ask_parse(made, &ask));
        assert_int_equal(ask.hop_count, cases[i].ask.hop_count);
        assert_int_equal(ask.fresh, cases[i].ask.fresh);
        assert_int_equal(ask.only_stored, cases[i].ask.only_stored);
        for (uint32_t h = 0; h < ask.hop_count; h++)
            assert_true(sk_str_eq(ask.hops[h], cases[i].ask.hops[h]));
    }
}

static void test_bad_asks(void **state) {
    static const char *const bad[] = {
        "",
        " ",
        "only",
        "hop=",
        "hop=a ",
        "hop=a  only",
        "fresh=soft",
        "hop=\x01",
        "hop=a fresh=",
        "hop=a fresh=x",
        "hop=a, hop=b",
        "hop=a other",
        "held=1",
        "hop=a hop=b hop=c hop=d hop=e",
    };
    for (size_t i = 0; i < SK_COUNT(bad); i++) {
        struct grid_ask ask;
        assert_err(grid_ask_parse(sk_str_from_c(bad[i]), &ask), SK_ERR_MALFORMED);
    }
}

static void test_words(void **state) {
    char text[GRID_WORD_BYTES];
    struct grid_word word = {.held_us = 1234, .tags = {1, 0xfedcba9876543210}, .tag_count = 2}, read;
    sk_str made = {text, grid_word_format(&word, text)};
    assert_str(made, SK_STR("held=1234 tags=0000000000000001.fedcba9876543210"));
    assert_ok(grid_word_parse(made, &read));
    assert_int_equal(read.held_us, 1234);
    assert_int_equal(read.tag_count, 2);
    assert_true(read.tags[0] == 1 && read.tags[1] == 0xfedcba9876543210);
    assert_ok(grid_word_parse(SK_STR("held=0"), &read));
    assert_true(!read.held_us && !read.tag_count && !read.tags_untold && !read.failed);
    assert_ok(grid_word_parse(SK_STR("held=7 tags=?"), &read));
    assert_true(read.tags_untold && !read.tag_count);
    assert_ok(grid_word_parse(SK_STR("failed"), &read));
    assert_true(read.failed);
}

/* The longest fits. */
static void test_many_tags(void **state) {
    char text[GRID_WORD_BYTES];
    struct grid_word word = {.held_us = UINT64_MAX, .tag_count = GRID_TAGS_MAX}, read;
    for (uint32_t i = 0; i < GRID_TAGS_MAX; i++) word.tags[i] = UINT64_MAX - i;
    sk_str made = {text, grid_word_format(&word, text)};
    assert_true(made.len < GRID_WORD_BYTES);
    assert_ok(grid_word_parse(made, &read));
    assert_int_equal(read.tag_count, GRID_TAGS_MAX);
}

static void test_bad_words(void **state) {
    static const char *const bad[] = {
        "",
        "held=",
        "held=-1",
        "held=x",
        "tags=?",
        "failed x",
        "held=1 tags=",
        "held=1 tag",
        "held=1 tags=12",
        "held=99999999999999999999",
        "held=1, held=2",
        "held=1 tags=000000000000000G",
        "held=1 tags=0000000000000001.",
        "hop=home/a",
        "held=999999999999999",
    };
    for (size_t i = 0; i < SK_COUNT(bad); i++) {
        struct grid_word word;
        assert_err(grid_word_parse(sk_str_from_c(bad[i]), &word), SK_ERR_MALFORMED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asks),      cmocka_unit_test(test_bad_asks),  cmocka_unit_test(test_words),
        cmocka_unit_test(test_many_tags), cmocka_unit_test(test_bad_words),
    };
    return SK_RUN_TESTS(tests);
}
