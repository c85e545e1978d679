#include "control/audit.h"

#include "unit.h"

static void write_line(struct control_audit_mark *mark, const char *who, struct sk_buf *out) {
    struct control_audit_entry entry = {
        .at = 5, .who = sk_str_from_c(who), .what = SK_STR("apply"), .about = SK_STR("\"x\n")};
    sk_buf_init(out, 0);
    assert_ok(control_audit_write(&entry, mark, out));
}

static void test_chain(void **state) {
    struct control_audit_mark writer = {0}, reader = {0}, gap = {0};
    struct sk_buf one, two;
    write_line(&writer, "a", &one);
    write_line(&writer, "b", &two);
    assert_int_equal(writer.number, 2);
    assert_err(control_audit_follow(sk_buf_str(&two), &gap), SK_ERR_CORRUPT); /* the first is missing */
    assert_ok(control_audit_follow(sk_buf_str(&one), &reader));
    assert_err(control_audit_follow(sk_buf_str(&one), &reader), SK_ERR_CORRUPT); /* twice */
    struct control_audit_mark before = reader;
    assert_ok(control_audit_follow(sk_buf_str(&two), &reader));
    assert_string_equal(reader.hash, writer.hash);
    /* a line that was changed shows at the one behind it */
    struct control_audit_mark changed = {0};
    one.data[one.end - 2] ^= 1;
    sk_err err = control_audit_follow(sk_buf_str(&one), &changed);
    assert_true(err || control_audit_follow(sk_buf_str(&two), &changed) == SK_ERR_CORRUPT);
    assert_err(control_audit_follow(SK_STR("{}"), &before), SK_ERR_CORRUPT);
    assert_err(control_audit_follow(SK_STR(""), &before), SK_ERR_CORRUPT);
    sk_buf_free(&one);
    sk_buf_free(&two);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chain)};
    return SK_RUN_TESTS(tests);
}
