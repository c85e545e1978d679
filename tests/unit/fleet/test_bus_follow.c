/* What readers of the purge bus conclude: cases by hand, and then chance against a model. */
#include "fleet/bus_follow.h"

#include <stdio.h>

#include "unit.h"

#define A "spiffe://f/p/control/a"
#define APPLY (FLEET_BUS_ALIVE | FLEET_BUS_APPLY)
#define LOST (FLEET_BUS_ALIVE | FLEET_BUS_REVALIDATE)

static struct fleet_bus_follow follow;
static uint64_t place;

static struct fleet_bus_entry make(enum fleet_bus_kind kind, const char *publisher, uint64_t epoch,
                                   uint64_t sequence, uint64_t serial) {
    static const struct fleet_purge_wish all = {.kind = CACHE_PURGE_ALL};
    return (struct fleet_bus_entry){.kind = kind,
                                    .publisher = sk_str_from_c(publisher),
                                    .mark = {epoch, sequence},
                                    .serial = serial,
                                    .wishes = &all,
                                    .wish_count = kind == FLEET_BUS_PURGES};
}

static unsigned hear(enum fleet_bus_kind kind, uint64_t epoch, uint64_t sequence, uint64_t serial) {
    struct fleet_bus_entry entry = make(kind, A, epoch, sequence, serial);
    return fleet_bus_follow_entry(&follow, (struct fleet_stream_id){++place, 0}, &entry);
}

static int begin(void **state) {
    follow = (struct fleet_bus_follow){0};
    place = 100;
    assert_int_equal(fleet_bus_follow_server(&follow, SK_STR("one"), (struct fleet_stream_id){place, 0}),
                     FLEET_BUS_REVALIDATE);
    return 0;
}

static void what_is_stored_at_the_start_is_revalidated_and_old_entries_are_not_read(void **state) {
    assert_int_equal(follow.read.ms, 100);
    assert_int_equal(fleet_bus_follow_server(&follow, SK_STR("one"), follow.read), 0);
}

static void a_new_publisher_is_followed_from_its_beginning(void **state) {
    assert_int_equal(hear(FLEET_BUS_BEAT, 7, 0, 1), FLEET_BUS_ALIVE);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 1, 2), APPLY);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 2, 3), APPLY);
    assert_int_equal(hear(FLEET_BUS_BEAT, 7, 2, 4), FLEET_BUS_ALIVE);
    assert_int_equal(follow.read.ms, place);
}

static void a_publisher_heard_in_its_middle_means_revalidation(void **state) {
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 5, 9), LOST | FLEET_BUS_APPLY);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 6, 10), APPLY);
}

static void doubles_are_not_applied_and_are_no_sign_of_life(void **state) {
    hear(FLEET_BUS_BEAT, 7, 0, 1);
    hear(FLEET_BUS_PURGES, 7, 1, 2);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 1, 2), 0);
    assert_int_equal(hear(FLEET_BUS_BEAT, 7, 1, 3), FLEET_BUS_ALIVE);
    assert_int_equal(hear(FLEET_BUS_BEAT, 7, 1, 3), 0);
    struct fleet_bus_entry old = make(FLEET_BUS_PURGES, A, 7, 1, 99);
    assert_false(fleet_bus_follow_is_news(&follow, &old));
}

static void a_purge_that_was_sent_again_after_a_beat_is_applied(void **state) {
    hear(FLEET_BUS_BEAT, 7, 0, 1);
    hear(FLEET_BUS_BEAT, 7, 0, 3);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 1, 2), APPLY);
}

static void a_hole_is_looked_for_and_then_revalidated(void **state) {
    hear(FLEET_BUS_BEAT, 7, 0, 1);
    hear(FLEET_BUS_PURGES, 7, 1, 2);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 3, 4), FLEET_BUS_AGAIN);
    assert_int_equal(follow.read.ms, 0);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 1, 2), 0);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 3, 4), LOST | FLEET_BUS_APPLY);
    fleet_bus_follow_end(&follow);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 4, 5), APPLY);
}

static void a_hole_that_the_stream_can_fill_costs_no_revalidation(void **state) {
    hear(FLEET_BUS_BEAT, 7, 0, 1);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 2, 3), FLEET_BUS_AGAIN);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 1, 2), APPLY);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 2, 3), APPLY);
}

static void a_beat_shows_a_lost_tail(void **state) {
    hear(FLEET_BUS_BEAT, 7, 0, 1);
    assert_int_equal(hear(FLEET_BUS_BEAT, 7, 1, 3), FLEET_BUS_AGAIN);
    assert_int_equal(hear(FLEET_BUS_BEAT, 7, 1, 3), LOST);
}

static void a_closed_epoch_may_be_followed_by_another(void **state) {
    hear(FLEET_BUS_BEAT, 7, 0, 1);
    hear(FLEET_BUS_PURGES, 7, 1, 2);
    assert_int_equal(hear(FLEET_BUS_END, 7, 1, 3), FLEET_BUS_ALIVE);
    assert_int_equal(hear(FLEET_BUS_BEAT, 8, 0, 1), FLEET_BUS_ALIVE);
}

static void an_epoch_that_broke_off_means_revalidation(void **state) {
    hear(FLEET_BUS_BEAT, 7, 0, 1);
    assert_int_equal(hear(FLEET_BUS_BEAT, 8, 0, 1), LOST);
    assert_int_equal(hear(FLEET_BUS_END, 8, 0, 2), FLEET_BUS_ALIVE);
    assert_int_equal(hear(FLEET_BUS_PURGES, 9, 2, 2), LOST | FLEET_BUS_APPLY);
}

static void an_epoch_of_a_clock_set_back_is_followed(void **state) {
    hear(FLEET_BUS_BEAT, 7, 0, 1);
    assert_int_equal(hear(FLEET_BUS_PURGES, 6, 1, 1), LOST | FLEET_BUS_APPLY);
    assert_int_equal(hear(FLEET_BUS_PURGES, 6, 2, 2), APPLY);
}

static void another_history_means_reading_again_and_revalidation(void **state) {
    hear(FLEET_BUS_BEAT, 7, 0, 1);
    assert_int_equal(fleet_bus_follow_server(&follow, SK_STR("two"), (struct fleet_stream_id){999, 0}),
                     FLEET_BUS_REVALIDATE | FLEET_BUS_AGAIN);
    assert_int_equal(follow.read.ms, 0);
    fleet_bus_follow_end(&follow);
    follow.read.ms = 999;
    assert_int_equal(fleet_bus_follow_server(&follow, SK_STR("two"), (struct fleet_stream_id){998, 0}),
                     FLEET_BUS_AGAIN);
    assert_int_equal(fleet_bus_follow_server(&follow, (sk_str){0}, (struct fleet_stream_id){999, 0}),
                     FLEET_BUS_REVALIDATE | FLEET_BUS_AGAIN);
}

static void of_another_history_only_the_end_is_read_again(void **state) {
    const struct fleet_stream_id last = {FLEET_BUS_AGAIN_MS + 5000, 3};
    hear(FLEET_BUS_BEAT, 7, 0, 1);
    assert_int_equal(fleet_bus_follow_server(&follow, SK_STR("two"), last),
                     FLEET_BUS_REVALIDATE | FLEET_BUS_AGAIN);
    assert_int_equal(follow.read.ms, 5000);
    /* what was made meanwhile, and is older than that, was revalidated, and its end is told */
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 9, 12), LOST | FLEET_BUS_APPLY);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 10, 13), APPLY);
}

static void a_hole_is_looked_for_from_the_beginning(void **state) {
    const struct fleet_stream_id last = {2 * FLEET_BUS_AGAIN_MS, 0};
    follow.read = last;
    hear(FLEET_BUS_BEAT, 7, 0, 1);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 2, 3), FLEET_BUS_AGAIN);
    assert_int_equal(follow.read.ms, 0);
}

static void who_was_not_heard_for_longest_gives_way(void **state) {
    char name[32];
    hear(FLEET_BUS_BEAT, 7, 0, 1);
    for (int i = 0; i < FLEET_BUS_PUBLISHERS_MAX; i++) {
        snprintf(name, sizeof name, "publisher-%d", i);
        struct fleet_bus_entry entry = make(FLEET_BUS_BEAT, name, 1, 0, 1);
        assert_int_equal(fleet_bus_follow_entry(&follow, (struct fleet_stream_id){++place, 0}, &entry),
                         FLEET_BUS_ALIVE);
    }
    assert_int_equal(follow.count, FLEET_BUS_PUBLISHERS_MAX);
    assert_int_equal(hear(FLEET_BUS_PURGES, 7, 3, 4), LOST | FLEET_BUS_APPLY);
}

/* ---- chance against a model ----------------------------------------------------------------------------------- */

/* A server that loses its tail at failovers, gives ids below those it gave, forgets its oldest entries; publishers that
 * send twice, restart with or without an end, and whose clocks go back; a reader that stops and comes back. A purge is
 * acknowledged when the server took it. After the reader has heard a later word of each publisher, every acknowledged
 * purge must be applied, or everything stored was revalidated after it was made. */

enum { PUBLISHERS = 3, STREAM = 400, PURGES = 4000, STEPS = 400 };
enum { TICK_MS = 2000 }; /* of the server's clock: what is read again is a small part of the stream */

struct stored {
    struct fleet_stream_id id;
    struct fleet_bus_entry entry;
    int purge; /* which, or -1 */
};

static struct world {
    struct stored stream[STREAM];
    int length;
    uint64_t clock, last_ms; /* the server's */
    int history;
    uint64_t level[PUBLISHERS], epochs;
    uint64_t epoch[PUBLISHERS], sequence[PUBLISHERS], serial[PUBLISHERS];
    char names[PUBLISHERS][8];
    int made[PURGES], by[PURGES]; /* when (the model's time), by whom */
    bool acknowledged[PURGES], applied[PURGES];
    int purges, now, revalidated;
    uint64_t seed;
} world;

static uint64_t chance(uint64_t below) { /* xorshift64: the same each time */
    world.seed ^= world.seed << 13;
    world.seed ^= world.seed >> 7;
    world.seed ^= world.seed << 17;
    return world.seed % below;
}

static void store(struct fleet_bus_entry entry, int purge) {
    if (world.length == STREAM) {
        memmove(world.stream, world.stream + STREAM / 4, (STREAM - STREAM / 4) * sizeof world.stream[0]);
        world.length -= STREAM / 4;
    }
    uint64_t ms = SK_MAX(world.clock * TICK_MS, world.last_ms + 1);
    world.last_ms = ms;
    world.stream[world.length++] = (struct stored){{ms, 0}, entry, purge};
}

static void publish(int who, enum fleet_bus_kind kind) {
    int purge = -1;
    if (kind == FLEET_BUS_PURGES) {
        purge = world.purges++;
        world.made[purge] = world.now;
        world.by[purge] = who;
        world.sequence[who]++;
    }
    struct fleet_bus_entry entry =
        make(kind, world.names[who], world.epoch[who], world.sequence[who], ++world.serial[who]);
    if (chance(20) == 0) store(entry, purge); /* the answer was late: it is sent again */
    store(entry, purge);
    if (purge >= 0) world.acknowledged[purge] = true;
}

static void restart(int who) {
    if (chance(2)) publish(who, FLEET_BUS_END);
    world.level[who] += chance(4) ? 1 + chance(5) : -1 - chance(3); /* its clock, which may go back */
    world.epoch[who] = world.level[who] << 20 | ++world.epochs;     /* but never to the same nanosecond */
    world.sequence[who] = 0;
    world.serial[who] = 0;
    if (chance(3)) publish(who, FLEET_BUS_BEAT);
}

static void fail_over(void) {
    world.length -= (int)chance((uint64_t)SK_MIN(world.length, 12) + 1);
    world.last_ms = world.length ? world.stream[world.length - 1].id.ms : 0;
    world.clock = world.clock > 40 ? world.clock - chance(40) : 1;
    world.history++;
}

static void obey(unsigned verdict, int purge) {
    if (verdict & FLEET_BUS_REVALIDATE) world.revalidated = world.now;
    if ((verdict & FLEET_BUS_APPLY) && purge >= 0) world.applied[purge] = true;
}

/* As the driver does, up to the stream's end. */
static void read_all(void) {
    char history[16];
    snprintf(history, sizeof history, "history-%d", world.history);
    obey(fleet_bus_follow_server(&follow, sk_str_from_c(history), (struct fleet_stream_id){world.last_ms, 0}),
         -1);
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < world.length && !more; i++) {
            const struct stored *stored = &world.stream[i];
            if (fleet_stream_id_compare(stored->id, follow.read) <= 0) continue;
            unsigned verdict = 0;
            if (fleet_bus_follow_is_news(&follow, &stored->entry))
                verdict = fleet_bus_follow_entry(&follow, stored->id, &stored->entry);
            else
                fleet_bus_follow_skip(&follow, stored->id);
            obey(verdict, stored->purge);
            more = verdict & FLEET_BUS_AGAIN;
        }
    }
    fleet_bus_follow_end(&follow);
}

static void nothing_is_missing(void) {
    for (int i = 0; i < world.purges; i++)
        if (world.acknowledged[i] && !world.applied[i] && world.revalidated < world.made[i])
            fail_msg("purge %d of publisher %d, made at %d, is missing at %d (revalidated at %d)", i,
                     world.by[i], world.made[i], world.now, world.revalidated);
}

static void live(uint64_t seed) {
    world = (struct world){.clock = 1000, .seed = seed};
    follow = (struct fleet_bus_follow){0};
    for (int i = 0; i < PUBLISHERS; i++) {
        snprintf(world.names[i], sizeof world.names[i], "p%d", i);
        world.level[i] = 10000;
        world.epoch[i] = world.level[i] << 20 | ++world.epochs;
    }
    for (world.now = 1; world.now < STEPS; world.now++) {
        world.clock += chance(3);
        uint64_t what = chance(100);
        int who = (int)chance(PUBLISHERS);
        if (what < 55)
            publish(who, FLEET_BUS_PURGES);
        else if (what < 70)
            publish(who, FLEET_BUS_BEAT);
        else if (what < 75)
            restart(who);
        else if (what < 77)
            fail_over();
        else if (what < 95)
            read_all();
        if (chance(25)) continue;
        for (int i = 0; i < PUBLISHERS; i++) publish(i, FLEET_BUS_BEAT);
        read_all();
        nothing_is_missing();
    }
}

static void no_acknowledged_purge_is_missing_whatever_happens(void **state) {
    for (uint64_t seed = 1; seed <= 1000; seed++) live(seed * UINT64_C(0x9e3779b97f4a7c15));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup(name, begin)
    const struct CMUnitTest tests[] = {
        CASE(what_is_stored_at_the_start_is_revalidated_and_old_entries_are_not_read),
        CASE(a_new_publisher_is_followed_from_its_beginning),
        CASE(a_publisher_heard_in_its_middle_means_revalidation),
        CASE(doubles_are_not_applied_and_are_no_sign_of_life),
        CASE(a_purge_that_was_sent_again_after_a_beat_is_applied),
        CASE(a_hole_is_looked_for_and_then_revalidated),
        CASE(a_hole_that_the_stream_can_fill_costs_no_revalidation),
        CASE(a_beat_shows_a_lost_tail),
        CASE(a_closed_epoch_may_be_followed_by_another),
        CASE(an_epoch_that_broke_off_means_revalidation),
        CASE(an_epoch_of_a_clock_set_back_is_followed),
        CASE(another_history_means_reading_again_and_revalidation),
        CASE(of_another_history_only_the_end_is_read_again),
        CASE(a_hole_is_looked_for_from_the_beginning),
        CASE(who_was_not_heard_for_longest_gives_way),
        CASE(no_acknowledged_purge_is_missing_whatever_happens),
    };
    return SK_RUN_TESTS(tests);
}
