/* Entries of the purge bus: what is written is read, and nothing else is. */
#include "fleet/bus_entry.h"
#include "unit.h"

static struct sk_arena arena;
static struct sk_buf out;

static int set_up(void **state) {
    sk_arena_init(&arena, 1024, 1 << 20);
    sk_buf_init(&out, 1 << 20);
    return 0;
}
static int tear_down(void **state) {
    sk_buf_free(&out);
    sk_arena_free(&arena);
    return 0;
}

static struct fleet_purge_wish wishes[FLEET_BUS_PURGES_MAX + 1];

static struct fleet_bus_entry entry_of(uint32_t count) {
    return (struct fleet_bus_entry){.kind = count ? FLEET_BUS_PURGES : FLEET_BUS_BEAT,
                                    .publisher = SK_STR("spiffe://f/p/control/a"),
                                    .mark = {UINT64_MAX, 3},
                                    .serial = 4,
                                    .made_ms = 1700000000000,
                                    .wishes = wishes,
                                    .wish_count = count};
}

static void all_kinds_come_back_as_they_were(void **state) {
    struct fleet_bus_entry entry, read;
    for (unsigned i = 0; i < CACHE_PURGE_COUNT_; i++)
        wishes[i] =
            (struct fleet_purge_wish){.kind = (enum cache_purge_kind)i,
                                      .soft = i % 2,
                                      .text = i == CACHE_PURGE_ALL ? (sk_str){0} : SK_STR("t\xc3\xa4g"),
                                      .site = i == CACHE_PURGE_TAG ? SK_STR("shop") : (sk_str){0}};
    entry = entry_of(CACHE_PURGE_COUNT_);
    assert_ok(fleet_bus_write(&entry, &out));
    assert_ok(fleet_bus_read(sk_buf_str(&out), &arena, &read));
    assert_int_equal(read.kind, FLEET_BUS_PURGES);
    assert_str(read.publisher, entry.publisher);
    assert_true(read.mark.epoch == UINT64_MAX && read.mark.sequence == 3 && read.serial == 4);
    assert_true(read.made_ms == 1700000000000);
    assert_int_equal(read.wish_count, CACHE_PURGE_COUNT_);
    for (unsigned i = 0; i < CACHE_PURGE_COUNT_; i++) {
        assert_int_equal(read.wishes[i].kind, wishes[i].kind);
        assert_int_equal(read.wishes[i].soft, wishes[i].soft);
        assert_str(read.wishes[i].text, wishes[i].text);
        assert_str(read.wishes[i].site, wishes[i].site);
        assert_int_equal(read.wishes[i].item, i);
    }
}

static void every_cut_and_every_byte_more_is_malformed(void **state) {
    struct fleet_bus_entry read, entry = entry_of(1);
    wishes[0] = (struct fleet_purge_wish){.kind = CACHE_PURGE_HOST, .text = SK_STR("www.example.com")};
    assert_ok(fleet_bus_write(&entry, &out));
    size_t bytes = sk_buf_len(&out);
    for (size_t i = 0; i < bytes; i++)
        assert_err(fleet_bus_read(sk_str_slice(sk_buf_str(&out), 0, i), &arena, &read), SK_ERR_MALFORMED);
    assert_ok(sk_buf_append(&out, SK_STR("x")));
    assert_err(fleet_bus_read(sk_buf_str(&out), &arena, &read), SK_ERR_MALFORMED);
}

static void limits_hold_on_both_sides(void **state) {
    static char text[FLEET_BUS_TEXT_MAX + 1];
    struct fleet_bus_entry entry = entry_of(1);
    wishes[0] = (struct fleet_purge_wish){.kind = CACHE_PURGE_TAG, .text = {text, sizeof text}};
    assert_err(fleet_bus_write(&entry, &out), SK_ERR_TOO_LARGE);
    for (size_t i = 0; i < SK_COUNT(wishes); i++)
        wishes[i] = (struct fleet_purge_wish){.kind = CACHE_PURGE_ALL};
    entry = entry_of(FLEET_BUS_PURGES_MAX + 1);
    assert_err(fleet_bus_write(&entry, &out), SK_ERR_TOO_LARGE);
    for (size_t i = 0; i < 40; i++)
        wishes[i] = (struct fleet_purge_wish){.kind = CACHE_PURGE_TAG, .text = {text, FLEET_BUS_TEXT_MAX}};
    sk_buf_clear(&out);
    entry = entry_of(40);
    assert_err(fleet_bus_write(&entry, &out), SK_ERR_TOO_LARGE);
    entry = entry_of(0);
    entry.kind = FLEET_BUS_PURGES;
    assert_err(fleet_bus_write(&entry, &out), SK_ERR_INVALID);
}

static void what_no_publisher_writes_is_malformed(void **state) {
    struct fleet_bus_entry read, entry = entry_of(1);
    entry.mark.sequence = 0; /* purges count from 1 */
    wishes[0] = (struct fleet_purge_wish){.kind = CACHE_PURGE_ALL};
    assert_ok(fleet_bus_write(&entry, &out));
    assert_err(fleet_bus_read(sk_buf_str(&out), &arena, &read), SK_ERR_MALFORMED);
    sk_buf_clear(&out);
    entry = entry_of(1);
    wishes[0].text = SK_STR("everything has no text");
    assert_ok(fleet_bus_write(&entry, &out));
    assert_err(fleet_bus_read(sk_buf_str(&out), &arena, &read), SK_ERR_MALFORMED);
}

/* An entry as a publisher of before writes it, but for the last field, at which no reader of before has looked. */
static void an_erasure_is_the_purge_of_its_site_to_those_before(void **state) {
    struct fleet_bus_entry read, entry = entry_of(1);
    wishes[0] = (struct fleet_purge_wish){.kind = CACHE_PURGE_SITE, .text = SK_STR("shop")};
    assert_ok(fleet_bus_write(&entry, &out));
    size_t plain = sk_buf_len(&out);
    wishes[0].erase = true;
    assert_ok(fleet_bus_write(&entry, &out));
    sk_str both = sk_buf_str(&out), first = sk_str_slice(both, 0, plain),
           second = sk_str_slice(both, plain, both.len);
    assert_str(sk_str_slice(second, 0, plain - 2), sk_str_slice(first, 0, plain - 2));
    assert_str(sk_str_slice(second, plain - 2, second.len), sk_str_make("\0\5erase", 7));
    assert_ok(fleet_bus_read(first, &arena, &read));
    assert_false(read.wishes[0].erase);
    assert_ok(fleet_bus_read(second, &arena, &read));
    assert_true(read.wishes[0].erase && !read.wishes[0].soft && read.wishes[0].site.len == 0);
    assert_int_equal(read.wishes[0].kind, CACHE_PURGE_SITE);
    assert_str(read.wishes[0].text, SK_STR("shop"));
}

static void an_erasure_is_alone_of_a_site_and_hard(void **state) {
    struct fleet_bus_entry read, entry = entry_of(1);
    wishes[0] = (struct fleet_purge_wish){
        .kind = CACHE_PURGE_SITE, .text = SK_STR("shop"), .erase = true, .soft = true};
    assert_err(fleet_bus_write(&entry, &out), SK_ERR_INVALID);
    wishes[0].soft = false;
    wishes[0].kind = CACHE_PURGE_TAG;
    assert_err(fleet_bus_write(&entry, &out), SK_ERR_INVALID);
    wishes[0].kind = CACHE_PURGE_SITE;
    wishes[1] = (struct fleet_purge_wish){.kind = CACHE_PURGE_ALL};
    entry.wish_count = 2;
    assert_err(fleet_bus_write(&entry, &out), SK_ERR_INVALID);
    /* and what nobody writes is not read */
    for (int soft = 0; soft < 2; soft++) {
        sk_buf_clear(&out);
        wishes[0] = (struct fleet_purge_wish){
            .kind = CACHE_PURGE_SITE, .text = SK_STR("shop"), .site = SK_STR("erase"), .soft = soft};
        entry.wish_count = soft ? 1 : 2;
        assert_ok(fleet_bus_write(&entry, &out));
        assert_err(fleet_bus_read(sk_buf_str(&out), &arena, &read), SK_ERR_MALFORMED);
    }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(all_kinds_come_back_as_they_were),
        CASE(every_cut_and_every_byte_more_is_malformed),
        CASE(limits_hold_on_both_sides),
        CASE(what_no_publisher_writes_is_malformed),
        CASE(an_erasure_is_the_purge_of_its_site_to_those_before),
        CASE(an_erasure_is_alone_of_a_site_and_hard),
    };
    return SK_RUN_TESTS(tests);
}
