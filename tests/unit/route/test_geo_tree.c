#include "route/geo_tree.h"

#include <stdlib.h>

#include "base/random.h"
#include "unit.h"

static struct io_prefix prefix_of(const char *text) {
    struct io_prefix prefix;
    assert_ok(io_prefix_parse(sk_str_from_c(text), &prefix));
    return prefix;
}

static uint32_t find(const struct geo_tree *tree, const char *ip, uint8_t *bits) {
    struct io_prefix prefix = prefix_of(ip);
    return geo_tree_find(tree, prefix.ip, bits);
}

static void the_longest_prefix_wins_and_the_scope_is_the_widest_that_holds(void **state) {
    static const struct {
        const char *prefix;
        uint32_t value;
    } entries[] = {
        {"10.0.0.0/8", 1}, {"10.1.0.0/16", 2}, {"10.1.2.0/24", 3}, {"2001:db8::/32", 4}, {"10.1.0.0/16", 5}};
    static const struct {
        const char *ip;
        uint32_t value;
        uint8_t bits;
    } cases[] = {
        {"10.200.0.1", 1, 96 + 9}, /* 10.128.0.0/9 holds none of the more specific ones */
        {"10.0.0.1", 1, 96 + 16},  /* 10.1/16 is next door */
        {"10.1.200.1", 5, 96 + 17}, {"10.1.2.3", 3, 96 + 24}, {"11.0.0.1", 0, 96 + 8},
        {"2001:db8::1", 4, 32},     {"::1", 0, 81},           {"ffff::", 0, 1},
    };
    struct geo_tree_builder *builder;
    struct geo_tree *tree;
    (void)state;
    assert_ok(geo_tree_builder_create(&builder));
    for (size_t i = 0; i < SK_COUNT(entries); i++) {
        struct io_prefix prefix = prefix_of(entries[i].prefix);
        assert_ok(geo_tree_builder_add(builder, &prefix, entries[i].value));
    }
    assert_ok(geo_tree_build(builder, &tree));
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        uint8_t bits;
        uint32_t value = find(tree, cases[i].ip, &bits);
        if (value != cases[i].value || bits != cases[i].bits)
            fail_msg("%s: %u /%u", cases[i].ip, value, bits);
    }
    geo_tree_free(tree);
}

static void an_empty_tree_is_one_range(void **state) {
    struct geo_tree_builder *builder;
    struct geo_tree *tree;
    uint8_t bits;
    (void)state;
    assert_ok(geo_tree_builder_create(&builder));
    assert_ok(geo_tree_build(builder, &tree));
    assert_int_equal(geo_tree_ranges(tree), 1);
    assert_int_equal(find(tree, "1.2.3.4", &bits), 0);
    assert_int_equal(bits, 0);
    geo_tree_free(tree);
}

enum { PREFIXES = 200, PROBES = 2000 };
struct model {
    struct io_prefix prefix;
    uint32_t value;
};

static bool holds(const struct io_prefix *prefix, const uint8_t ip[16]) {
    for (int bit = 0; bit < prefix->bits; bit++)
        if ((prefix->ip[bit / 8] ^ ip[bit / 8]) >> (7 - bit % 8) & 1) return false;
    return true;
}

/* The obviously right answer: look at all, the longest wins, of equal ones the last. */
static uint32_t model_find(const struct model *model, const uint8_t ip[16]) {
    int best = -1;
    uint32_t value = 0;
    for (size_t i = 0; i < PREFIXES; i++) {
        if (!holds(&model[i].prefix, ip) || model[i].prefix.bits < best) continue;
        best = model[i].prefix.bits;
        value = model[i].value;
    }
    return value;
}

/* Few distinct bytes, so that prefixes nest and touch. */
static void random_ip(uint8_t ip[16]) {
    memset(ip, 0, 16);
    if (sk_random_below(2)) {
        ip[10] = ip[11] = 0xff;
        for (int i = 12; i < 16; i++) ip[i] = (uint8_t)(sk_random_below(3) * 127);
        return;
    }
    for (int i = 0; i < 16; i++) ip[i] = (uint8_t)(sk_random_below(3) * 127);
}

static sk_err check_prefix(void *arg, const struct io_prefix *prefix, uint32_t value) {
    assert_int_equal(model_find(arg, prefix->ip), value);
    return SK_OK;
}

static void check_probe(const struct geo_tree *tree, const struct model *model) {
    uint8_t ip[16], bits;
    random_ip(ip);
    uint32_t value = geo_tree_find(tree, ip, &bits);
    assert_int_equal(value, model_find(model, ip));
    /* Any other address of the scope has the same value. */
    for (int try = 0; try < 4; try++) {
        for (int bit = bits; bit < 128; bit++)
            if (sk_random_below(2)) ip[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        assert_int_equal(model_find(model, ip), value);
    }
}

static void random_prefixes_agree_with_a_model(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct model model[PREFIXES];
        struct geo_tree_builder *builder;
        struct geo_tree *tree;
        assert_ok(geo_tree_builder_create(&builder));
        for (size_t i = 0; i < PREFIXES; i++) {
            random_ip(model[i].prefix.ip);
            model[i].prefix.bits = (uint8_t)sk_random_below(129);
            model[i].value = (uint32_t)sk_random_below(5);
            assert_ok(geo_tree_builder_add(builder, &model[i].prefix, model[i].value));
        }
        assert_ok(geo_tree_build(builder, &tree));
        for (int probe = 0; probe < PROBES; probe++) check_probe(tree, model);
        for (size_t range = 0; range < geo_tree_ranges(tree); range++)
            assert_ok(geo_range_prefixes(tree, range, check_prefix, model));
        geo_tree_free(tree);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_prefix_wins_and_the_scope_is_the_widest_that_holds),
        cmocka_unit_test(an_empty_tree_is_one_range),
        cmocka_unit_test(random_prefixes_agree_with_a_model),
    };
    return SK_RUN_TESTS(tests);
}
