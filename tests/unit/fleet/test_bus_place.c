/* The place of a reader on the purge bus, as bytes: whole, or not at all; and what goes on from it. */
#include "fleet/bus_place.h"

#include "unit.h"

#define A "spiffe://f/p/control/a"

static struct fleet_bus_place example(void) {
    struct fleet_bus_place place = {.tick = 77, .unresolved = true, .boot = SK_STR("a boot"), .heard_ns = 5};
    struct fleet_bus_entry beat = {
        .kind = FLEET_BUS_BEAT, .publisher = SK_STR(A), .mark = {7, 3}, .serial = 9};
    assert_int_equal(fleet_bus_follow_server(&place.follow, SK_STR("one"), (struct fleet_stream_id){100, 0}),
                     FLEET_BUS_REVALIDATE);
    fleet_bus_follow_entry(&place.follow, (struct fleet_stream_id){101, 4}, &beat);
    return place;
}

static void write(const struct fleet_bus_place *place, struct sk_buf *out) {
    sk_buf_init(out, FLEET_BUS_PLACE_MAX_BYTES);
    assert_ok(fleet_bus_place_write(place, out));
}

static void what_is_written_is_read_again(void **state) {
    struct fleet_bus_place place = example(), again;
    struct sk_buf bytes;
    write(&place, &bytes);
    assert_ok(fleet_bus_place_read(sk_buf_str(&bytes), &again));
    assert_true(again.tick == 77 && again.unresolved && again.heard_ns == 5);
    assert_str(again.boot, SK_STR("a boot"));
    assert_memory_equal(&again.follow, &place.follow, sizeof place.follow);
    sk_buf_free(&bytes);
}

static void every_cut_and_every_changed_bit_is_seen(void **state) {
    struct fleet_bus_place place = example(), again;
    struct sk_buf bytes;
    write(&place, &bytes);
    sk_str all = sk_buf_str(&bytes);
    for (size_t len = 0; len < all.len; len++)
        assert_err(fleet_bus_place_read(sk_str_slice(all, 0, len), &again), SK_ERR_MALFORMED);
    for (size_t bit = 0; bit < 8 * all.len; bit++) {
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
        assert_err(fleet_bus_place_read(all, &again), SK_ERR_MALFORMED);
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_ok(sk_buf_append(&bytes, SK_STR("x")));
    assert_err(fleet_bus_place_read(sk_buf_str(&bytes), &again), SK_ERR_MALFORMED);
    sk_buf_free(&bytes);
}

static void who_is_nowhere_or_reads_again_has_no_place(void **state) {
    static struct fleet_bus_place nowhere;
    struct fleet_bus_place place = example();
    struct sk_buf bytes;
    sk_buf_init(&bytes, FLEET_BUS_PLACE_MAX_BYTES);
    assert_err(fleet_bus_place_write(&nowhere, &bytes), SK_ERR_INVALID);
    fleet_bus_follow_server(&place.follow, SK_STR("two"), (struct fleet_stream_id){100, 0});
    assert_err(fleet_bus_place_write(&place, &bytes), SK_ERR_INVALID);
    sk_buf_free(&bytes);
}

static void the_fullest_one_fits(void **state) {
    static struct fleet_bus_place place, again;
    struct sk_buf bytes;
    place = example();
    place.follow.count = FLEET_BUS_PUBLISHERS_MAX;
    for (size_t i = 0; i < FLEET_BUS_PUBLISHERS_MAX; i++) {
        place.follow.publishers[i] = place.follow.publishers[0];
        memset(place.follow.publishers[i].publisher, 'x', FLEET_BUS_PUBLISHER_MAX);
        place.follow.publishers[i].publisher_bytes = FLEET_BUS_PUBLISHER_MAX;
    }
    write(&place, &bytes);
    assert_ok(fleet_bus_place_read(sk_buf_str(&bytes), &again));
    assert_int_equal(again.follow.count, FLEET_BUS_PUBLISHERS_MAX);
    sk_buf_free(&bytes);
}

/* What came while the reader was away: each case as a follower would meet it after its place was read again. */
static void reading_goes_on_from_it(void **state) {
    static const struct fleet_purge_wish all = {.kind = CACHE_PURGE_ALL};
    static struct fleet_bus_place place;
    struct sk_buf bytes;
    struct fleet_bus_place before = example();
    struct fleet_bus_entry purge = {.kind = FLEET_BUS_PURGES,
                                    .publisher = SK_STR(A),
                                    .mark = {7, 4},
                                    .serial = 10,
                                    .wishes = &all,
                                    .wish_count = 1};
    struct fleet_stream_id next = {102, 0};
    write(&before, &bytes);
    assert_ok(fleet_bus_place_read(sk_buf_str(&bytes), &place)); /* the same server: the purge is applied */
    assert_int_equal(fleet_bus_follow_server(&place.follow, SK_STR("one"), next), 0);
    assert_int_equal(fleet_bus_follow_entry(&place.follow, next, &purge), FLEET_BUS_ALIVE | FLEET_BUS_APPLY);
    assert_ok(fleet_bus_place_read(sk_buf_str(&bytes), &place)); /* another one */
    assert_int_equal(fleet_bus_follow_server(&place.follow, SK_STR("two"), next),
                     FLEET_BUS_REVALIDATE | FLEET_BUS_AGAIN);
    assert_ok(fleet_bus_place_read(sk_buf_str(&bytes), &place)); /* its tail was trimmed */
    assert_int_equal(fleet_bus_follow_server(&place.follow, SK_STR("one"), next), 0);
    purge.mark.sequence = 6;
    assert_int_equal(fleet_bus_follow_entry(&place.follow, next, &purge), FLEET_BUS_AGAIN);
    assert_int_equal(fleet_bus_follow_entry(&place.follow, next, &purge),
                     FLEET_BUS_ALIVE | FLEET_BUS_REVALIDATE | FLEET_BUS_APPLY);
    sk_buf_free(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(every_cut_and_every_changed_bit_is_seen),
        cmocka_unit_test(who_is_nowhere_or_reads_again_has_no_place),
        cmocka_unit_test(the_fullest_one_fits),
        cmocka_unit_test(reading_goes_on_from_it),
    };
    return SK_RUN_TESTS(tests);
}
