#include "base/buf.h"
#include "unit.h"

static void bytes_come_out_in_the_order_they_went_in(void **state) {
    struct sk_buf buf;
    (void)state;
    sk_buf_init(&buf, 0);
    assert_str(sk_buf_str(&buf), SK_STR(""));
    assert_ok(sk_buf_append(&buf, SK_STR("hello ")));
    assert_ok(sk_buf_append(&buf, sk_str_from_c(NULL)));
    assert_ok(sk_buf_append(&buf, SK_STR("world")));
    sk_buf_consume(&buf, 3);
    assert_str(sk_buf_str(&buf), SK_STR("lo world"));
    sk_buf_consume(&buf, 8);
    assert_int_equal(buf.start, 0);
    assert_int_equal(sk_buf_len(&buf), 0);
    sk_buf_free(&buf);
}

static void a_stream_of_bytes_does_not_grow_a_drained_buffer(void **state) {
    struct sk_buf buf;
    (void)state;
    sk_buf_init(&buf, 0);
    assert_ok(sk_buf_append(&buf, SK_STR("x")));
    for (int i = 0; i < 10000; i++) {
        assert_ok(sk_buf_append(&buf, SK_STR("0123456789")));
        sk_buf_consume(&buf, 10);
    }
    assert_int_equal(buf.capacity, 256);
    assert_str(sk_buf_str(&buf), SK_STR("9"));
    sk_buf_free(&buf);
}

static void the_limit_holds_to_the_byte(void **state) {
    struct sk_buf buf;
    (void)state;
    sk_buf_init(&buf, 300);
    assert_ok(sk_buf_reserve(&buf, 300));
    assert_err(sk_buf_reserve(&buf, 301), SK_ERR_TOO_LARGE);
    assert_err(sk_buf_reserve(&buf, SIZE_MAX), SK_ERR_TOO_LARGE);
    for (int i = 0; i < 30; i++) assert_ok(sk_buf_append(&buf, SK_STR("0123456789")));
    assert_err(sk_buf_append(&buf, SK_STR("x")), SK_ERR_TOO_LARGE);
    assert_int_equal(sk_buf_len(&buf), 300);
    assert_true(buf.capacity <= 300);
    sk_buf_consume(&buf, 1);
    assert_err(sk_buf_reserve(&buf, SIZE_MAX), SK_ERR_TOO_LARGE);
    assert_ok(sk_buf_printf(&buf, "%c", 'x'));
    assert_err(sk_buf_printf(&buf, "%c", 'x'), SK_ERR_TOO_LARGE);
    sk_buf_free(&buf);
}

static void printf_of_any_length_is_whole(void **state) {
    static const int widths[] = {0, 1, 127, 128, 255, 256, 257, 5000};
    (void)state;
    for (size_t i = 0; i < SK_COUNT(widths); i++) {
        struct sk_buf buf;
        sk_buf_init(&buf, 0);
        assert_ok(sk_buf_append(&buf, SK_STR("<")));
        assert_ok(sk_buf_printf(&buf, "%.0s%0*d>", "", widths[i], 7));
        size_t digits = widths[i] ? (size_t)widths[i] : 1;
        assert_int_equal(sk_buf_len(&buf), digits + 2);
        assert_true(sk_str_ends_with(sk_buf_str(&buf), SK_STR("7>")));
        sk_buf_free(&buf);
    }
}

static void shrink_frees_an_empty_buffer_only(void **state) {
    struct sk_buf buf;
    (void)state;
    sk_buf_init(&buf, 10);
    assert_ok(sk_buf_append(&buf, SK_STR("x")));
    sk_buf_shrink(&buf);
    assert_str(sk_buf_str(&buf), SK_STR("x"));
    sk_buf_consume(&buf, 1);
    sk_buf_shrink(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.limit, 10);
    assert_ok(sk_buf_append(&buf, SK_STR("y")));
    sk_buf_free(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_the_order_they_went_in),
        cmocka_unit_test(a_stream_of_bytes_does_not_grow_a_drained_buffer),
        cmocka_unit_test(the_limit_holds_to_the_byte),
        cmocka_unit_test(printf_of_any_length_is_whole),
        cmocka_unit_test(shrink_frees_an_empty_buffer_only),
    };
    return SK_RUN_TESTS(tests);
}
