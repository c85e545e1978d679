#include "fleet/snapshot.h"

#include "fleet_of_test.h"

static struct fleet_ca *ca;
static struct fleet_identity *control, *edge;
static sk_unix_s now;

static int set_up(void **state) {
    char path[128];
    now = sk_wall_now_s();
    test_folder_make();
    snprintf(path, sizeof path, "%s/ca", test_folder);
    assert_ok(fleet_ca_open(sk_str_from_c(path), SK_STR("acme"), now, &ca));
    control = test_identity(ca, "spiffe://acme/fra/control/c", now);
    edge = test_identity(ca, "spiffe://acme/fra/edge/a", now);
    return 0;
}

static int tear_down(void **state) {
    fleet_identity_unref(control);
    fleet_identity_unref(edge);
    fleet_ca_free(ca);
    test_folder_remove();
    return 0;
}

static void make(const struct fleet_identity *signer, uint64_t number, const char *body, struct sk_buf *out) {
    struct fleet_snapshot snapshot = {
        .number = number, .created = now, .author = SK_STR("token ops"), .body = sk_str_from_c(body)};
    sk_buf_init(out, 0);
    assert_ok(fleet_snapshot_make(signer, &snapshot, out));
}

static void test_round_trip(void **state) {
    struct sk_buf bytes;
    struct fleet_snapshot snapshot;
    make(control, 7, "sites: []\n", &bytes);
    assert_ok(fleet_snapshot_check(edge, sk_buf_str(&bytes), 6, NULL, &snapshot));
    assert_int_equal(snapshot.number, 7);
    assert_int_equal(snapshot.created, now);
    assert_str(snapshot.author, SK_STR("token ops"));
    assert_str(snapshot.body, SK_STR("sites: []\n"));
    assert_err(fleet_snapshot_check(edge, sk_buf_str(&bytes), 7, NULL, &snapshot), SK_ERR_STALE);
    assert_err(fleet_snapshot_check(edge, sk_buf_str(&bytes), 8, NULL, &snapshot), SK_ERR_STALE);
    sk_buf_free(&bytes);
}

/* Half written, and with any byte changed: nothing of it is taken. */
static void test_damaged(void **state) {
    struct sk_buf bytes;
    struct fleet_snapshot snapshot;
    make(control, 7, "sites: []\n", &bytes);
    sk_str whole = sk_buf_str(&bytes);
    for (size_t len = 0; len < whole.len; len++)
        assert_err(fleet_snapshot_parse(sk_str_slice(whole, 0, len), &snapshot), SK_ERR_MALFORMED);
    for (size_t i = 0; i < whole.len; i += i < 80 ? 1 : 97) {
        bytes.data[i] ^= 1;
        assert_int_not_equal(fleet_snapshot_check(edge, whole, 0, NULL, &snapshot), SK_OK);
        bytes.data[i] ^= 1;
    }
    assert_ok(fleet_snapshot_check(edge, whole, 0, NULL, &snapshot));
    assert_ok(sk_buf_append(&bytes, SK_STR("x")));
    assert_err(fleet_snapshot_parse(sk_buf_str(&bytes), &snapshot), SK_ERR_MALFORMED);
    sk_buf_free(&bytes);
}

static void test_wrong_signer(void **state) {
    struct sk_buf bytes;
    struct fleet_snapshot snapshot;
    make(edge, 7, "sites: []\n", &bytes);
    assert_err(fleet_snapshot_check(edge, sk_buf_str(&bytes), 0, NULL, &snapshot), SK_ERR_DENIED);
    sk_buf_free(&bytes);
    make(control, 7, "sites: []\n", &bytes);
    struct fleet_expelled_one one = {fleet_identity_self(control)->id, now};
    struct fleet_expelled expelled = {&one, 1};
    assert_err(fleet_snapshot_check(edge, sk_buf_str(&bytes), 0, &expelled, &snapshot), SK_ERR_DENIED);
    sk_buf_free(&bytes);
}

static void test_not_made(void **state) {
    struct sk_buf out;
    sk_buf_init(&out, 0);
    struct fleet_snapshot empty = {.number = 1, .created = now},
                          zero = {.created = now, .body = SK_STR("a: b\n")},
                          liar = {.number = 1,
                                  .created = now,
                                  .author = SK_STR("a\nb"),
                                  .body = SK_STR("a: b\n")},
                          large = {.number = 1,
                                   .created = now,
                                   .body = {test_folder, FLEET_SNAPSHOT_BODY_MAX + 1}};
    assert_err(fleet_snapshot_make(control, &empty, &out), SK_ERR_INVALID);
    assert_err(fleet_snapshot_make(control, &zero, &out), SK_ERR_INVALID);
    assert_err(fleet_snapshot_make(control, &liar, &out), SK_ERR_INVALID);
    assert_err(fleet_snapshot_make(control, &large, &out), SK_ERR_TOO_LARGE);
    sk_buf_free(&out);
}

static void test_kept(void **state) {
    struct sk_buf bytes, again;
    sk_str folder = sk_str_from_c(test_folder);
    sk_buf_init(&again, 0);
    assert_err(fleet_snapshot_read(folder, &again), SK_ERR_NOT_FOUND);
    make(control, 7, "sites: []\n", &bytes);
    assert_ok(fleet_snapshot_keep(folder, sk_buf_str(&bytes)));
    assert_ok(fleet_snapshot_read(folder, &again));
    assert_str(sk_buf_str(&again), sk_buf_str(&bytes));
    sk_buf_free(&bytes);
    sk_buf_free(&again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_wrong_signer), cmocka_unit_test(test_not_made),
        cmocka_unit_test(test_kept),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
