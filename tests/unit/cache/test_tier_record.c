/* What the SSD tier keeps beside key and body, and its log of purges: there and back, and nothing from damage. */
#include <unistd.h>

#include "cache/tier_log.h"
#include "cache/tier_record.h"
#include "cache_test.h"

static struct sk_arena arena;
static struct sk_buf buf;

static int setup(void **state) {
    sk_arena_init(&arena, 1024, 0);
    sk_buf_init(&buf, 0);
    (void)state;
    return 0;
}

static int teardown(void **state) {
    sk_arena_free(&arena);
    sk_buf_free(&buf);
    (void)state;
    return 0;
}

static const uint64_t tags[] = {1, UINT64_MAX, 42};

static struct tier_record sample(void) {
    struct tier_record record = {
        .codable = true,
        .part = CACHE_PART_HEAD,
        .status = 203,
        .reason = HTTP_REASON_STORE_HEURISTIC,
        .freshness = {.response_time = 1700000000,
                      .initial_age_s = 12,
                      .lifetime_s = -1,
                      .stale_while_revalidate_s = 5,
                      .stale_if_error_s = 6,
                      .heuristic = true,
                      .must_revalidate = true,
                      .unframed = true,
                      .has_validator = true,
                      .lifetime_rule = HTTP_LIFETIME_S_MAXAGE,
                      .age_value_s = 7,
                      .response_delay_s = 8},
        .validators = {.etag = {SK_STR("\"x\""), true},
                       .has_last_modified = true,
                       .last_modified = -5,
                       .date = 9},
        .stored_at = 1700000001,
        .born = UINT64_MAX,
        .number = 77,
        .length = 1u << 31,
        .tag_counts = {2, 0, 1},
        .tags = tags,
        .fields = SK_STR("Content-Type: text/plain\r\nETag: \"x\"\r\nX-Empty: \r\n"),
    };
    return record;
}

static void test_there_and_back(void **state) {
    struct tier_record record = sample(), again;
    struct http_fields fields;
    assert_ok(tier_record_encode(&record, &buf));
    assert_ok(tier_record_decode(sk_buf_str(&buf), &arena, &again));
    assert_false(again.list);
    assert_true(again.codable);
    assert_int_equal(again.part, record.part);
    assert_int_equal(again.status, 203);
    assert_int_equal(again.reason, HTTP_REASON_STORE_HEURISTIC);
    assert_memory_equal(&again.freshness, &record.freshness, sizeof record.freshness);
    assert_true(sk_str_eq(again.validators.etag.opaque, SK_STR("\"x\"")) && again.validators.etag.weak);
    assert_true(again.validators.has_last_modified);
    assert_int_equal(again.validators.last_modified, -5);
    assert_int_equal(again.stored_at, record.stored_at);
    assert_true(again.born == UINT64_MAX && again.number == 77 && again.length == 1u << 31);
    assert_memory_equal(again.tag_counts, record.tag_counts, sizeof record.tag_counts);
    assert_memory_equal(again.tags, tags, sizeof tags);
    assert_ok(tier_record_fields(&again, &arena, &fields));
    assert_int_equal(fields.count, 3);
    assert_int_equal(fields.items[1].id, HTTP_FIELD_ETAG);
    assert_true(sk_str_eq(fields.items[0].value, SK_STR("text/plain")));
    assert_int_equal(fields.items[2].value.len, 0);
    (void)state;
}

static void test_lists(void **state) {
    struct tier_record record = {.list = true, .number = 5, .names = SK_STR("accept,x")}, again;
    assert_ok(tier_record_encode(&record, &buf));
    assert_ok(tier_record_decode(sk_buf_str(&buf), &arena, &again));
    assert_true(again.list && again.number == 5 && sk_str_eq(again.names, SK_STR("accept,x")));
    (void)state;
}

static void test_no_beginning_of_a_record_is_one(void **state) {
    struct tier_record record = sample(), again;
    assert_ok(tier_record_encode(&record, &buf));
    for (size_t n = 0; n < sk_buf_len(&buf); n++)
        assert_int_equal(tier_record_decode(sk_str_slice(sk_buf_str(&buf), 0, n), &arena, &again),
                         SK_ERR_CORRUPT);
    (void)state;
}

static void test_fields_that_are_none(void **state) {
    static const char *const lines[] = {"A: b",    "A: b\r",    "A: b\n",     ": b\r\n",       "A b\r\n",
                                        "A:b\r\n", "A : b\r\n", "A: \1b\r\n", "A: b\r\nC\r\n", "\r\n"};
    for (size_t i = 0; i < SK_COUNT(lines); i++) {
        struct tier_record record = {.fields = sk_str_from_c(lines[i])};
        struct http_fields fields;
        assert_int_equal(tier_record_fields(&record, &arena, &fields), SK_ERR_CORRUPT);
    }
    (void)state;
}

/* ---- the log ------------------------------------------------------------------------------------------------ */

struct fixture {
    char path[64];
    uint8_t secret[SK_HASH_SECRET_BYTES];
    struct tier_log *log;
    struct sk_buf data;
    struct tier_log_reading reading;
};

static void open_log(struct fixture *f) {
    assert_ok(tier_log_open(f->path, f->secret, &f->log, &f->data, &f->reading));
}
static void make(struct fixture *f) {
    *f = (struct fixture){.path = "/tmp/skerry-tier-log-XXXXXX"};
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    close(fd);
    sk_random_secret(f->secret, sizeof f->secret);
    open_log(f);
    assert_true(f->reading.damaged); /* nothing is known of an empty one */
    assert_ok(tier_log_restart(f->log, 3, (sk_str){"", 0}));
    sk_buf_free(&f->data);
}

static const struct cache_purge purges[] = {
    {.kind = CACHE_PURGE_KEY, .text = SK_STR_INIT("site|host|/a")},
    {.kind = CACHE_PURGE_TAG, .soft = true, .site = SK_STR_INIT("site"), .text = SK_STR_INIT("red")},
    {.kind = CACHE_PURGE_PREFIX,
     .site = SK_STR_INIT("s"),
     .host = SK_STR_INIT("h"),
     .text = SK_STR_INIT("/x/")},
    {.kind = CACHE_PURGE_ALL},
};

static void test_purges_are_read_again(void **state) {
    struct fixture f;
    make(&f);
    for (size_t i = 0; i < SK_COUNT(purges); i++) tier_log_append(f.log, &purges[i], 10 + i);
    tier_log_close(f.log, true, 20);
    open_log(&f);
    assert_true(f.reading.ended && !f.reading.damaged && !f.reading.state.incomplete);
    assert_true(f.reading.state.floor == 3 && f.reading.last_tick == 20);
    size_t at = TIER_LOG_HEADER_BYTES, count = 0;
    struct cache_purge purge;
    for (uint64_t tick; tier_log_next(&f.reading, sk_buf_str(&f.data), &at, &purge, &tick); count++) {
        assert_int_equal(tick, 10 + count);
        assert_true(purge.kind == purges[count].kind && purge.soft == purges[count].soft);
        assert_true(sk_str_eq(purge.site, purges[count].site) && sk_str_eq(purge.host, purges[count].host));
        assert_true(sk_str_eq(purge.text, purges[count].text));
    }
    assert_int_equal(count, SK_COUNT(purges));
    sk_buf_free(&f.data);
    tier_log_close(f.log, false, 0);
    unlink(f.path);
    (void)state;
}

static void test_a_process_that_dies_loses_no_purge(void **state) {
    struct fixture f;
    make(&f);
    tier_log_append(f.log, &purges[0], 10);
    tier_log_close(f.log, false, 0); /* no end mark: as if it had died */
    open_log(&f);
    assert_true(!f.reading.ended && f.reading.same_boot && !f.reading.damaged && f.reading.last_tick == 10);
    sk_buf_free(&f.data);
    tier_log_close(f.log, false, 0);
    unlink(f.path);
    (void)state;
}

static void test_any_torn_end_is_seen(void **state) {
    struct fixture f;
    make(&f);
    tier_log_append(f.log, &purges[2], 10);
    tier_log_close(f.log, true, 10);
    open_log(&f);
    sk_str whole = sk_buf_str(&f.data);
    for (size_t n = TIER_LOG_HEADER_BYTES + 1; n < whole.len; n++) {
        struct tier_log_reading reading;
        assert_ok(tier_log_read(sk_str_slice(whole, 0, n), &reading));
        assert_true(!reading.ended || reading.damaged);
    }
    sk_buf_free(&f.data);
    tier_log_close(f.log, false, 0);
    unlink(f.path);
    (void)state;
}

static void test_one_process_has_it(void **state) {
    struct fixture f, other;
    make(&f);
    other = f;
    assert_int_equal(tier_log_open(other.path, other.secret, &other.log, &other.data, &other.reading),
                     SK_ERR_BUSY);
    tier_log_close(f.log, true, 0);
    open_log(&other);
    sk_buf_free(&other.data);
    tier_log_close(other.log, false, 0);
    unlink(f.path);
    (void)state;
}

static void test_another_secret_is_another_log(void **state) {
    struct fixture f;
    make(&f);
    tier_log_close(f.log, true, 5);
    f.secret[0] ^= 1;
    open_log(&f);
    assert_true(f.reading.damaged && f.reading.state.incomplete);
    sk_buf_free(&f.data);
    tier_log_close(f.log, false, 0);
    unlink(f.path);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_beginning_of_a_record_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fields_that_are_none, setup, teardown),
        cmocka_unit_test(test_purges_are_read_again),
        cmocka_unit_test(test_a_process_that_dies_loses_no_purge),
        cmocka_unit_test(test_any_torn_end_is_seen),
        cmocka_unit_test(test_one_process_has_it),
        cmocka_unit_test(test_another_secret_is_another_log),
    };
    return SK_RUN_TESTS(tests);
}
