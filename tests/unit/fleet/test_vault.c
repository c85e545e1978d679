#include "fleet/vault.h"

#include "fleet_of_test.h"

static const struct fleet_vault_keys one = {.keys = {{{1}}}, .count = 1},
                                     other = {.keys = {{{2}}}, .count = 1},
                                     both = {.keys = {{{2}}, {{1}}}, .count = 2};

static sk_str seal(struct sk_buf *buf, const struct fleet_vault_keys *keys, const char *label,
                   sk_str content) {
    sk_buf_init(buf, 0);
    assert_ok(fleet_vault_close(keys, sk_str_from_c(label), content, buf));
    assert_int_equal(sk_buf_len(buf), content.len + FLEET_VAULT_EXTRA_BYTES);
    return sk_buf_str(buf);
}

static void test_round_trip(void **state) {
    const sk_str contents[] = {SK_STR(""), SK_STR("a key"), sk_str_make("\0\xff\n", 3)};
    for (size_t i = 0; i < SK_COUNT(contents); i++) {
        struct sk_buf sealed, again, opened;
        sk_str text = seal(&sealed, &one, "certificate shop", contents[i]);
        sk_buf_init(&opened, 0);
        assert_ok(sk_buf_append(&opened, SK_STR("before")));
        assert_ok(fleet_vault_open(&one, SK_STR("certificate shop"), text, &opened));
        sk_buf_consume(&opened, 6);
        assert_str(sk_buf_str(&opened), contents[i]);
        assert_null(contents[i].len ? memmem(text.data, text.len, contents[i].data, contents[i].len) : NULL);
        /* never twice the same nonce */
        assert_false(sk_str_eq(text, seal(&again, &one, "certificate shop", contents[i])));
        sk_buf_free(&sealed);
        sk_buf_free(&again);
        sk_buf_free(&opened);
    }
}

/* While the root changes: the old one's still opens, the new one's seals. */
static void test_two_roots(void **state) {
    struct sk_buf sealed, opened;
    sk_str text = seal(&sealed, &one, "x", SK_STR("content"));
    sk_buf_init(&opened, 0);
    assert_err(fleet_vault_open(&other, SK_STR("x"), text, &opened), SK_ERR_DENIED);
    assert_ok(fleet_vault_open(&both, SK_STR("x"), text, &opened));
    assert_true(fleet_vault_is_newest(&one, text));
    assert_false(fleet_vault_is_newest(&both, text));
    sk_buf_free(&sealed);
    text = seal(&sealed, &both, "x", SK_STR("content"));
    assert_true(fleet_vault_is_newest(&both, text));
    assert_true(fleet_vault_is_newest(&other, text));
    sk_buf_free(&sealed);
    sk_buf_free(&opened);
}

/* Any bit changed, any byte less, or another label: it does not open, and nothing comes out. */
static void test_changed(void **state) {
    struct sk_buf sealed, opened;
    sk_str text = seal(&sealed, &one, "certificate a", SK_STR("content"));
    char copy[128];
    sk_buf_init(&opened, 0);
    assert_err(fleet_vault_open(&one, SK_STR("certificate b"), text, &opened), SK_ERR_CORRUPT);
    for (size_t i = 0; i < text.len * 8; i++) {
        memcpy(copy, text.data, text.len);
        copy[i / 8] ^= (char)(1 << i % 8);
        assert_true(fleet_vault_open(&one, SK_STR("certificate a"), sk_str_make(copy, text.len), &opened) !=
                    SK_OK);
    }
    for (size_t bytes = 0; bytes < text.len; bytes++)
        assert_true(fleet_vault_open(&one, SK_STR("certificate a"), sk_str_slice(text, 0, bytes), &opened) !=
                    SK_OK);
    assert_int_equal(sk_buf_len(&opened), 0);
    sk_buf_free(&sealed);
    sk_buf_free(&opened);
}

/* Each root has a key of its own for this, which is not that of the bus, and opening the folder again gives the same. */
static void test_of_roots(void **state) {
    struct fleet_ca *ca;
    struct fleet_vault_keys first, again;
    struct fleet_bus_keys bus;
    test_folder_make();
    assert_ok(fleet_ca_open(sk_str_from_c(test_folder), SK_STR("acme"), 1000000, &ca));
    assert_ok(fleet_ca_vault_keys(ca, &first));
    assert_int_equal(first.count, 1);
    assert_ok(fleet_ca_bus_masters(ca, &bus));
    assert_memory_not_equal(&first.keys[0], &bus.keys[0], sizeof first.keys[0]);
    fleet_ca_free(ca);
    assert_ok(fleet_ca_open(sk_str_from_c(test_folder), SK_STR("acme"), 1000000, &ca));
    assert_ok(fleet_ca_take(ca, FLEET_CA_ADD, 1000000));
    assert_ok(fleet_ca_vault_keys(ca, &again));
    assert_int_equal(again.count, 2);
    assert_memory_equal(&first.keys[0], &again.keys[0], sizeof first.keys[0]); /* the old one issues */
    assert_ok(fleet_ca_take(ca, FLEET_CA_SWITCH, 1000000));
    assert_ok(fleet_ca_vault_keys(ca, &again));
    assert_memory_equal(&first.keys[0], &again.keys[1], sizeof first.keys[0]);
    assert_memory_not_equal(&again.keys[0], &again.keys[1], sizeof first.keys[0]);
    fleet_ca_free(ca);
    test_folder_remove();
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_two_roots),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_of_roots),
    };
    return SK_RUN_TESTS(tests);
}
