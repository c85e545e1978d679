#include "fleet/token.h"

#include "unit.h"

static const uint8_t root[FLEET_DIGEST_BYTES] = {1, 2, 3, 255};

static void test_round_trip(void **state) {
    for (int kind = FLEET_TOKEN_JOIN; kind <= FLEET_TOKEN_ASK; kind++) {
        struct fleet_token token, again;
        char text[FLEET_TOKEN_TEXT_BYTES], hash[FLEET_HEX_BYTES];
        fleet_token_make((enum fleet_token_kind)kind, root, &token);
        sk_str written = fleet_token_format(&token, text);
        assert_int_equal(written.len, FLEET_TOKEN_TEXT_BYTES - 1);
        assert_ok(fleet_token_parse(written, &again));
        assert_memory_equal(&token, &again, sizeof token);
        fleet_token_hash(&token, hash);
        assert_true(fleet_token_matches(&again, sk_str_from_c(hash)));
        again.secret[31] ^= 1;
        assert_false(fleet_token_matches(&again, sk_str_from_c(hash)));
        assert_false(fleet_token_matches(&token, SK_STR("")));
    }
}

/* RFC 4648 3.5: bits that mean nothing must be zero, so that a token has one text. */
static void test_one_text(void **state) {
    struct fleet_token token, again;
    char text[FLEET_TOKEN_TEXT_BYTES];
    memset(&token, 0, sizeof token);
    memcpy(token.id, "AAAAAAAAAAA", sizeof token.id);
    sk_str written = fleet_token_format(&token, text);
    assert_str(sk_str_slice(written, 0, 5), SK_STR("skj1."));
    assert_ok(fleet_token_parse(written, &again));
    text[FLEET_TOKEN_TEXT_BYTES - 2] = 'B';
    assert_err(fleet_token_parse(written, &again), SK_ERR_MALFORMED);
}

static void test_refused(void **state) {
    struct fleet_token token, again;
    char text[FLEET_TOKEN_TEXT_BYTES + 1];
    fleet_token_make(FLEET_TOKEN_JOIN, root, &token);
    sk_str good = fleet_token_format(&token, text);
    for (size_t len = 0; len < good.len; len++)
        assert_err(fleet_token_parse(sk_str_slice(good, 0, len), &again), SK_ERR_MALFORMED);
    text[good.len] = 'A';
    assert_err(fleet_token_parse(sk_str_make(text, good.len + 1), &again), SK_ERR_MALFORMED);
    text[good.len] = '.';
    assert_err(fleet_token_parse(sk_str_make(text, good.len + 1), &again), SK_ERR_MALFORMED);
    text[2] = 'x';
    assert_err(fleet_token_parse(good, &again), SK_ERR_MALFORMED);
    text[2] = 'j';
    text[10] = '+';
    assert_err(fleet_token_parse(good, &again), SK_ERR_MALFORMED);
    text[10] = 0;
    assert_err(fleet_token_parse(good, &again), SK_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_one_text),
        cmocka_unit_test(test_refused),
    };
    return SK_RUN_TESTS(tests);
}
