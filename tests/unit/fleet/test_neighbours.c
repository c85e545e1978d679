/* Who shares its cache with us, as heartbeats tell it. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "fleet/neighbours.h"

#define A "spiffe://acme/fra/edge/a"
#define B "spiffe://acme/fra/edge/b"
#define C "spiffe://acme/fra/edge/c"

static struct fleet_neighbours *known;
static struct fleet_id self;

static int begin(void **state) {
    known = calloc(1, sizeof *known);
    return !known || fleet_id_parse(SK_STR(A), &self) ? -1 : 0;
}

static int end(void **state) {
    free(known);
    return 0;
}

static struct fleet_heartbeat beat(const char *name, const char *address, enum fleet_state how) {
    return (struct fleet_heartbeat){
        .name = sk_str_from_c(name), .address = sk_str_from_c(address), .state = how, .made_ms = 1};
}

static const struct fleet_neighbour *neighbour(const char *name) {
    struct fleet_id id;
    assert_int_equal(fleet_id_parse(sk_str_from_c(name), &id), SK_OK);
    return fleet_neighbours_find(known, &id);
}

static bool hear(const struct fleet_heartbeat *beats, size_t count, int64_t at_ms) {
    return fleet_neighbours_hear(known, beats, count, &self, 1 + at_ms * SK_NS_PER_MS);
}

static void those_that_are_there_are_known_at_once(void **state) {
    struct fleet_heartbeat beats[] = {beat(A, "10.0.0.1:7444", FLEET_STATE_RUNNING),
                                      beat(B, "10.0.0.2:7444", FLEET_STATE_RUNNING)};
    assert_true(hear(beats, 2, 0));
    assert_false(hear(beats, 2, 1000));
    assert_string_equal(neighbour(B)->address, "10.0.0.2:7444");
    assert_true(neighbour(A)->running && neighbour(B)->running && known->count == 2);
    beats[1] = beat(B, "10.0.0.9:7444", FLEET_STATE_RUNNING);
    assert_true(hear(beats, 2, 2000));
    assert_string_equal(neighbour(B)->address, "10.0.0.9:7444");
}

static void who_says_that_it_takes_no_part_is_out_at_once(void **state) {
    static const enum fleet_state out[] = {FLEET_STATE_DRAINED, FLEET_STATE_SICK, FLEET_STATE_STOPPING};
    struct fleet_heartbeat beats[] = {beat(A, "a:1", FLEET_STATE_RUNNING),
                                      beat(B, "b:1", FLEET_STATE_RUNNING)};
    for (size_t i = 0; i < SK_COUNT(out); i++) {
        beats[1].state = FLEET_STATE_RUNNING;
        assert_true(hear(beats, 2, 0));
        beats[1].state = out[i];
        assert_true(hear(beats, 2, 1000));
        assert_false(neighbour(B)->running);
    }
}

static void who_is_missing_stays_for_a_while(void **state) {
    struct fleet_heartbeat beats[] = {beat(A, "a:1", FLEET_STATE_RUNNING),
                                      beat(B, "b:1", FLEET_STATE_RUNNING)};
    assert_true(hear(beats, 2, 0));
    assert_false(hear(beats, 1, 1000));
    assert_false(hear(beats, 1, 1000 + FLEET_NEIGHBOUR_GONE_MS - 1));
    assert_false(hear(beats, 2, 5000)); /* back */
    assert_false(hear(beats, 1, 6000));
    assert_non_null(neighbour(B));
    assert_true(hear(beats, 1, 6000 + FLEET_NEIGHBOUR_GONE_MS));
    assert_null(neighbour(B));
}

static void a_table_without_ourselves_is_not_believed(void **state) {
    struct fleet_heartbeat beats[] = {beat(A, "a:1", FLEET_STATE_RUNNING),
                                      beat(B, "b:1", FLEET_STATE_RUNNING)};
    assert_true(hear(beats, 2, 0));
    for (int64_t at = 1000; at < 100000; at += 1000) assert_false(hear(NULL, 0, at));
    struct fleet_heartbeat others[] = {beat(C, "c:1", FLEET_STATE_RUNNING)};
    assert_false(hear(others, 1, 100000));
    assert_int_equal(known->count, 2);
    assert_null(neighbour(C));
}

static void what_is_no_neighbour_is_passed_over(void **state) {
    struct fleet_heartbeat beats[] = {
        beat(A, "a:1", FLEET_STATE_RUNNING),
        beat("spiffe://acme/fra/control/c", "c:1", FLEET_STATE_RUNNING),
        beat("spiffe://acme/fra/route/r", "r:1", FLEET_STATE_RUNNING),
        beat("spiffe://other/fra/edge/b", "b:1", FLEET_STATE_RUNNING),
        beat("nobody", "b:1", FLEET_STATE_RUNNING),
        beat(B, "", FLEET_STATE_RUNNING),
        beat(C, "c:1/path", FLEET_STATE_RUNNING),
        beat("spiffe://acme/fra/edge/d", "user@d:1", FLEET_STATE_RUNNING),
    };
    assert_true(hear(beats, SK_COUNT(beats), 0));
    assert_int_equal(known->count, 1);
}

static void there_is_room_for_so_many(void **state) {
    static char names[FLEET_NEIGHBOURS_MAX + 10][64];
    static struct fleet_heartbeat beats[FLEET_NEIGHBOURS_MAX + 10];
    for (size_t i = 0; i < SK_COUNT(beats); i++) {
        snprintf(names[i], sizeof names[i], i ? "spiffe://acme/fra/edge/n%zu" : A, i);
        beats[i] = beat(names[i], "n:1", FLEET_STATE_RUNNING);
    }
    assert_true(hear(beats, SK_COUNT(beats), 0));
    assert_int_equal(known->count, FLEET_NEIGHBOURS_MAX);
}

static void they_are_written_and_read_again(void **state) {
    struct fleet_heartbeat beats[] = {beat(A, "a:1", FLEET_STATE_RUNNING),
                                      beat(B, "[::1]:7444", FLEET_STATE_DRAINED)};
    struct fleet_neighbours *again = calloc(1, sizeof *again);
    struct sk_buf text;
    sk_buf_init(&text, 4096);
    assert_true(hear(beats, 2, 0));
    assert_int_equal(fleet_neighbours_write(known, &text), SK_OK);
    assert_int_equal(fleet_neighbours_parse(sk_buf_str(&text), again), SK_OK);
    assert_int_equal(again->count, 2);
    assert_string_equal(again->items[1].address, "[::1]:7444");
    assert_true(again->items[0].running && !again->items[1].running);
    static const char *const bad[] = {"x\n", A "\n", A " a:1 in\n", A " a:1\n\n", A " a:1\nspiffe"};
    for (size_t i = 0; i < SK_COUNT(bad); i++)
        assert_int_equal(fleet_neighbours_parse(sk_str_from_c(bad[i]), again), SK_ERR_MALFORMED);
    assert_int_equal(again->count, 2);
    sk_buf_free(&text);
    free(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(those_that_are_there_are_known_at_once, begin, end),
        cmocka_unit_test_setup_teardown(who_says_that_it_takes_no_part_is_out_at_once, begin, end),
        cmocka_unit_test_setup_teardown(who_is_missing_stays_for_a_while, begin, end),
        cmocka_unit_test_setup_teardown(a_table_without_ourselves_is_not_believed, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_neighbour_is_passed_over, begin, end),
        cmocka_unit_test_setup_teardown(there_is_room_for_so_many, begin, end),
        cmocka_unit_test_setup_teardown(they_are_written_and_read_again, begin, end),
    };
    return SK_RUN_TESTS(tests);
}
