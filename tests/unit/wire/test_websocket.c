#include "unit.h"

#include "wire/websocket.h"

static void rfc6455_1_3_the_sample_nonce(void **state) {
    char accept[WIRE_WEBSOCKET_ACCEPT_BYTES];
    assert_true(wire_websocket_accept(SK_STR("dGhlIHNhbXBsZSBub25jZQ=="), accept));
    assert_str(sk_str_make(accept, sizeof accept), SK_STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_false(wire_websocket_accept(SK_STR("short"), accept));
}

static void rfc6455_4_1_each_key_is_its_own(void **state) {
    char one[WIRE_WEBSOCKET_KEY_BYTES], two[WIRE_WEBSOCKET_KEY_BYTES];
    wire_websocket_key(one);
    wire_websocket_key(two);
    assert_memory_not_equal(one, two, sizeof one);
    assert_memory_equal(one + 22, "==", 2); /* 16 bytes */
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc6455_1_3_the_sample_nonce),
        cmocka_unit_test(rfc6455_4_1_each_key_is_its_own),
    };
    return SK_RUN_TESTS(tests);
}
