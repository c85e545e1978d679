/* Fills as requests and fetches live them: on fibers, on one loop or two. */
#include "cache_test.h"

static struct cache *cache;
static struct test_key key;

static int setup(void **state) {
    struct cache_options options = {.memory_bytes = 16 * MIB};
    assert_ok(cache_create(&options, &cache));
    make_key(&key, "/", 1);
    (void)state;
    return 0;
}

static int teardown(void **state) {
    cache_destroy(cache);
    (void)state;
    return 0;
}

/* One story on one thread. */
static void run_story(void (*story)(struct worker *worker, void *arg), void *arg) {
    struct worker worker = {.cache = cache, .story = story, .arg = arg};
    run_workers(&worker, 1);
}

/* Two threads with a story each. */
static void run_stories(void (*a)(struct worker *, void *), void (*b)(struct worker *, void *), void *arg) {
    struct worker workers[2] = {{.cache = cache, .story = a, .arg = arg},
                                {.cache = cache, .story = b, .arg = arg}};
    run_workers(workers, 2);
}

static enum cache_role begin(struct cache_thread *thread, struct cache_fill **fill) {
    struct cache_object *object = NULL;
    enum cache_role role = cache_fill_begin(thread, &key.key, NULL, NULL, fill, &object);
    if (role == CACHE_FOUND) cache_object_unref(thread, object);
    return role;
}

static enum cache_outcome wait_for(struct cache_thread *thread, struct cache_fill *fill, enum cache_role role,
                                   struct cache_object **object) {
    enum cache_outcome outcome;
    struct cache_failure failure = {0};
    *object = NULL;
    assert_ok(cache_fill_wait(thread, fill, role, NULL, SK_TIME_NEVER, &outcome, object, &failure));
    return outcome;
}

static bool is_found(struct cache_thread *thread) {
    cache_enter(thread);
    bool found = cache_find(thread, &key.key, NULL, NULL) != NULL;
    cache_leave(thread);
    return found;
}

/* ---- a client: waits for a fill and reads its object, as fast as it is told ------------------------------- */

struct client {
    struct worker *worker;
    struct cache_fill *fill;
    enum cache_role role;
    uint64_t number;     /* of the body */
    uint64_t step_bytes; /* reads at most so much, then sleeps for */
    int64_t step_ms;     /* so long; 0: as fast as it can */
    uint64_t stop_after; /* closes after so many bytes; 0: reads all */
    /* results */
    enum cache_outcome outcome;
    enum cache_read last;
    uint64_t bytes;
    bool done;
    struct io_fiber *fiber;
    struct cache_reader reader;
};

static void client_ready(struct cache_reader *reader) {
    io_fiber_wake(SK_CONTAINER_OF(reader, struct client, reader)->fiber);
}

static void client_read(struct client *client) {
    uint64_t step = client->step_bytes ? client->step_bytes : UINT64_MAX;
    for (;;) {
        client->last = read_on(&client->reader, client->number, step);
        if (client->stop_after && client->reader.position >= client->stop_after) return;
        if (client->last == CACHE_READ_END || client->last == CACHE_READ_FAILED) return;
        if (client->last == CACHE_READ_DATA) {
            pause_ms(client->step_ms);
            continue;
        }
        cache_reader_wait(&client->reader, client_ready);
        assert_ok(io_fiber_park(SK_TIME_NEVER));
    }
}

static void client_main(void *arg) {
    struct client *client = arg;
    struct cache_object *object;
    struct cache_thread *thread = client->worker->thread;
    client->fiber = io_fiber_self();
    client->outcome = wait_for(thread, client->fill, client->role, &object);
    if (object) {
        cache_reader_open(&client->reader, thread, object, 0, CACHE_LENGTH_UNKNOWN);
        client_read(client);
        client->bytes = client->reader.position;
        cache_reader_close(&client->reader);
        cache_reader_close(&client->reader);
    }
    client->done = true;
}

static void start_client(struct worker *worker, struct client *client) {
    client->worker = worker;
    assert_ok(io_fiber_spawn(worker->loop, "client", client_main, client, NULL));
}

/* ---- joining ---------------------------------------------------------------------------------------------- */

enum { BODY_BYTES = 700000 };

static void story_of_many_clients(struct worker *worker, void *arg) {
    struct client clients[5] = {{.number = 1},
                                {.number = 1, .step_bytes = 100000, .step_ms = 1},
                                {.number = 1},
                                {.number = 1, .step_bytes = 7000, .step_ms = 1, .stop_after = 50000},
                                {.number = 1}};
    struct cache_head head = make_head(*(bool *)arg ? BODY_BYTES : CACHE_LENGTH_UNKNOWN);
    struct cache_fill *fill;
    assert_int_equal(clients[0].role = begin(worker->thread, &clients[0].fill), CACHE_LEAD);
    fill = clients[0].fill;
    start_client(worker, &clients[0]);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(clients[i].role = begin(worker->thread, &clients[i].fill), CACHE_FOLLOW);
        assert_ptr_equal(clients[i].fill, fill);
        start_client(worker, &clients[i]);
    }
    pause_ms(3);
    assert_int_equal(cache_fill_interest(fill), 4);
    assert_ok(cache_fill_store(fill, &head));
    for (uint64_t at = 0; at < BODY_BYTES; at += 35000) {
        assert_ok(fill_write(fill, 1, at, at + 35000));
        if (at == 350000) assert_int_equal(begin(worker->thread, &clients[4].fill), CACHE_FOUND);
        pause_ms(1);
    }
    assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    while (!clients[0].done || !clients[1].done || !clients[2].done || !clients[3].done) pause_ms(1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(clients[i].outcome, CACHE_OUTCOME_OBJECT);
        if (clients[i].stop_after) continue;
        assert_int_equal(clients[i].last, CACHE_READ_END);
        assert_int_equal(clients[i].bytes, BODY_BYTES);
    }
    assert_true(is_found(worker->thread));
    assert_int_equal(begin(worker->thread, &fill), CACHE_FOUND);
}

static void all_who_join_read_what_arrives_each_at_its_speed(void **state) {
    bool announced = true;
    run_story(story_of_many_clients, &announced);
    (void)state;
}

static void the_same_when_the_length_is_not_announced(void **state) {
    bool announced = false;
    run_story(story_of_many_clients, &announced);
    (void)state;
}

/* ---- two threads -------------------------------------------------------------------------------------------- */

struct two {
    _Atomic(struct cache_fill *) fill; /* led by the first thread */
    _Atomic int joined;
    size_t readers;
    uint64_t bytes;
    bool broken;
};

static void story_of_the_leader(struct worker *worker, void *arg) {
    struct two *two = arg;
    struct client own = {.number = 5};
    struct cache_head head = make_head(two->bytes);
    assert_int_equal(own.role = begin(worker->thread, &own.fill), CACHE_LEAD);
    struct cache_fill *fill = own.fill;
    two->fill = fill;
    start_client(worker, &own);
    while (two->joined < (int)two->readers) pause_ms(1);
    assert_ok(cache_fill_store(fill, &head));
    for (uint64_t at = 0; at < two->bytes; at += 50000) {
        assert_ok(fill_write(fill, 5, at, SK_MIN(at + 50000, two->bytes)));
        if (at % 200000 == 0) pause_ms(1);
    }
    if (two->broken)
        cache_fill_break(fill, SK_ERR_RESET);
    else
        assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    while (!own.done) pause_ms(1);
    assert_int_equal(own.last, two->broken ? CACHE_READ_FAILED : CACHE_READ_END);
    assert_int_equal(own.bytes, two->bytes);
}

static void story_of_the_followers(struct worker *worker, void *arg) {
    struct two *two = arg;
    struct client *clients = calloc(two->readers, sizeof *clients);
    size_t done;
    while (!two->fill) pause_ms(1);
    for (size_t i = 0; i < two->readers; i++) {
        clients[i].number = 5;
        clients[i].step_bytes = i % 3 ? 0 : 90000;
        clients[i].step_ms = 1;
        assert_int_equal(clients[i].role = begin(worker->thread, &clients[i].fill), CACHE_FOLLOW);
        start_client(worker, &clients[i]);
        two->joined++;
    }
    do {
        pause_ms(1);
        done = 0;
        for (size_t i = 0; i < two->readers; i++) done += clients[i].done;
    } while (done < two->readers);
    for (size_t i = 0; i < two->readers; i++) {
        assert_int_equal(clients[i].last, two->broken ? CACHE_READ_FAILED : CACHE_READ_END);
        assert_int_equal(clients[i].bytes, two->bytes);
    }
    free(clients);
}

static void readers_on_another_thread_get_all(void **state) {
    struct two two = {.readers = 200, .bytes = 1500000};
    run_stories(story_of_the_leader, story_of_the_followers, &two);
    (void)state;
}

static void a_small_body_reaches_another_thread(void **state) {
    struct two two = {.readers = 20, .bytes = 3000};
    run_stories(story_of_the_leader, story_of_the_followers, &two);
    (void)state;
}

static void a_broken_fill_fails_its_readers_after_what_is_there(void **state) {
    struct two two = {.readers = 20, .bytes = 300000, .broken = true};
    run_stories(story_of_the_leader, story_of_the_followers, &two);
    (void)state;
}

/* ---- those who leave ------------------------------------------------------------------------------------------ */

static void story_of_a_leader_that_leaves(struct worker *worker, void *arg) {
    struct client follower = {.number = 2};
    struct cache_head head = make_head(BODY_BYTES);
    struct cache_fill *fill;
    assert_int_equal(begin(worker->thread, &fill), CACHE_LEAD);
    assert_int_equal(follower.role = begin(worker->thread, &follower.fill), CACHE_FOLLOW);
    cache_fill_leave(worker->thread, fill);
    assert_int_equal(cache_fill_interest(fill), 1);
    start_client(worker, &follower);
    assert_ok(cache_fill_store(fill, &head));
    assert_ok(fill_write(fill, 2, 0, BODY_BYTES));
    assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    while (!follower.done) pause_ms(1);
    assert_int_equal(follower.bytes, BODY_BYTES);
    (void)arg;
}

static void a_fill_goes_on_when_its_leader_leaves(void **state) {
    run_story(story_of_a_leader_that_leaves, NULL);
    (void)state;
}

static void story_of_nobody(struct worker *worker, void *arg) {
    struct cache_head head = make_head(BODY_BYTES);
    struct cache_fill *fill;
    assert_int_equal(begin(worker->thread, &fill), CACHE_LEAD);
    cache_fill_leave(worker->thread, fill);
    assert_int_equal(cache_fill_interest(fill), 0);
    assert_ok(cache_fill_store(fill, &head));
    assert_int_equal(cache_fill_interest(fill), 0);
    assert_ok(fill_write(fill, 2, 0, BODY_BYTES));
    assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    assert_true(is_found(worker->thread));
    (void)arg;
}

static void a_fill_that_nobody_waits_for_is_stored(void **state) {
    run_story(story_of_nobody, NULL);
    (void)state;
}

static void story_of_time(struct worker *worker, void *arg) {
    struct cache_fill *fill;
    enum cache_outcome outcome;
    struct cache_object *object;
    struct cache_failure failure;
    assert_int_equal(begin(worker->thread, &fill), CACHE_LEAD);
    assert_err(cache_fill_wait(worker->thread, fill, CACHE_LEAD, NULL, sk_time_now() + 5 * MS, &outcome,
                               &object, &failure),
               SK_ERR_TIMEOUT);
    cache_fill_leave(worker->thread, fill);
    cache_fill_fail(fill, SK_ERR_TIMEOUT, false);
    cache_fill_release(fill);
    (void)arg;
}

static void waiting_ends_at_its_deadline(void **state) {
    run_story(story_of_time, NULL);
    (void)state;
}

/* ---- failing --------------------------------------------------------------------------------------------------- */

static void story_of_a_failure(struct worker *worker, void *arg) {
    struct cache_fill *lead, *follow;
    enum cache_outcome outcome;
    struct cache_object *object;
    struct cache_failure failure = {0};
    assert_int_equal(begin(worker->thread, &lead), CACHE_LEAD);
    assert_int_equal(begin(worker->thread, &follow), CACHE_FOLLOW);
    cache_fill_blame(lead, 7, "why");
    cache_fill_fail(lead, SK_ERR_REFUSED, true);
    assert_ok(cache_fill_wait(worker->thread, follow, CACHE_FOLLOW, NULL, SK_TIME_NEVER, &outcome, &object,
                              &failure));
    assert_int_equal(outcome, CACHE_OUTCOME_FAILED);
    assert_int_equal(failure.err, SK_ERR_REFUSED);
    assert_int_equal(failure.phase, 7);
    assert_string_equal(failure.detail, "why");
    cache_fill_leave(worker->thread, lead);
    cache_fill_release(lead);
    assert_int_equal(begin(worker->thread, &lead), CACHE_LEAD);
    cache_fill_leave(worker->thread, lead);
    cache_fill_release(lead); /* without a word: as failed */
    (void)arg;
}

static void a_failure_is_told_to_those_who_wait(void **state) {
    run_story(story_of_a_failure, NULL);
    (void)state;
}

static void story_of_a_short_body(struct worker *worker, void *arg) {
    struct client leader = {.number = 3};
    struct cache_head head = make_head(BODY_BYTES);
    assert_int_equal(leader.role = begin(worker->thread, &leader.fill), CACHE_LEAD);
    struct cache_fill *fill = leader.fill;
    start_client(worker, &leader);
    assert_ok(cache_fill_store(fill, &head));
    assert_ok(fill_write(fill, 3, 0, 1000));
    pause_ms(3);
    assert_true(is_found(worker->thread));
    assert_err(cache_fill_finish(fill), SK_ERR_CORRUPT);
    cache_fill_release(fill);
    assert_false(is_found(worker->thread));
    while (!leader.done) pause_ms(1);
    assert_int_equal(leader.last, CACHE_READ_FAILED);
    assert_int_equal(leader.bytes, 1000);
    (void)arg;
}

static void a_body_shorter_than_announced_is_broken(void **state) {
    run_story(story_of_a_short_body, NULL);
    (void)state;
}

static void story_of_a_long_body(struct worker *worker, void *arg) {
    static const uint64_t lengths[] = {0, 1, 1000, 40000, BODY_BYTES};
    for (size_t i = 0; i < SK_COUNT(lengths); i++) {
        struct cache_fill *fill;
        struct cache_head head = make_head(lengths[i]);
        char *data;
        size_t room;
        make_key(&key, "/long/", i);
        assert_int_equal(begin(worker->thread, &fill), CACHE_LEAD);
        cache_fill_leave(worker->thread, fill);
        assert_ok(cache_fill_store(fill, &head));
        assert_ok(fill_write(fill, 3, 0, lengths[i]));
        assert_err(cache_fill_space(fill, SK_TIME_NEVER, &data, &room), SK_ERR_TOO_LARGE);
        assert_ok(cache_fill_finish(fill));
        cache_fill_release(fill);
        cache_enter(worker->thread);
        struct cache_object *object = cache_find(worker->thread, &key.key, NULL, NULL);
        assert_non_null(object);
        assert_int_equal(read_whole(worker->thread, object, 3), lengths[i]);
        cache_leave(worker->thread);
    }
    (void)arg;
}

static void a_body_cannot_grow_over_its_announced_length(void **state) {
    run_story(story_of_a_long_body, NULL);
    (void)state;
}

/* ---- what is not shareable --------------------------------------------------------------------------------------- */

static void story_of_a_pass(struct worker *worker, void *arg) {
    struct client leader = {.number = 4}, follower = {.number = 4};
    struct cache_head head = make_head(*(uint64_t *)arg);
    uint64_t bytes = *(uint64_t *)arg == CACHE_LENGTH_UNKNOWN ? BODY_BYTES : *(uint64_t *)arg;
    struct cache_fill *other;
    assert_int_equal(leader.role = begin(worker->thread, &leader.fill), CACHE_LEAD);
    assert_int_equal(follower.role = begin(worker->thread, &follower.fill), CACHE_FOLLOW);
    struct cache_fill *fill = leader.fill;
    start_client(worker, &follower); /* waits first, and still is not the leader */
    start_client(worker, &leader);
    assert_ok(cache_fill_pass(fill, &head, 30));
    assert_true(cache_fill_is_private(fill));
    assert_ok(fill_write(fill, 4, 0, bytes));
    assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    while (!leader.done || !follower.done) pause_ms(1);
    assert_int_equal(follower.outcome, CACHE_OUTCOME_ALONE);
    assert_int_equal(leader.outcome, CACHE_OUTCOME_OBJECT);
    assert_int_equal(leader.last, CACHE_READ_END);
    assert_int_equal(leader.bytes, bytes);
    assert_false(is_found(worker->thread));
    pause_ms(35);
    assert_int_equal(begin(worker->thread, &other), CACHE_LEAD);
    cache_fill_leave(worker->thread, other);
    cache_fill_release(other);
}

static void what_is_passed_reaches_the_leader_alone(void **state) {
    static uint64_t lengths[] = {1000, BODY_BYTES, CACHE_LENGTH_UNKNOWN};
    for (size_t i = 0; i < SK_COUNT(lengths); i++) run_story(story_of_a_pass, &lengths[i]);
    (void)state;
}

static void story_of_memory_of_passes(struct worker *worker, void *arg) {
    struct cache_head head = make_head(0);
    struct cache_fill *fill;
    assert_int_equal(begin(worker->thread, &fill), CACHE_LEAD);
    assert_ok(cache_fill_pass(fill, &head, 50));
    cache_fill_leave(worker->thread, fill);
    cache_fill_release(fill);
    assert_int_equal(begin(worker->thread, &fill), CACHE_ALONE);
    pause_ms(60);
    assert_int_equal(begin(worker->thread, &fill), CACHE_LEAD);
    cache_fill_leave(worker->thread, fill);
    cache_fill_release(fill);
    (void)arg;
}

static void a_key_that_passed_is_remembered_for_a_while(void **state) {
    run_story(story_of_memory_of_passes, NULL);
    (void)state;
}

/* ---- windows --------------------------------------------------------------------------------------------------------- */

struct back_pressure {
    uint64_t most_ahead;
    bool close_early;
    sk_err end;
};

static void story_of_back_pressure(struct worker *worker, void *arg) {
    struct back_pressure *pressure = arg;
    enum { LONG = 3000000 };
    struct client client = {.number = 6, .step_bytes = 60000, .step_ms = 1, .role = CACHE_LEAD};
    struct cache_head head = make_head(CACHE_LENGTH_UNKNOWN);
    struct cache_usage usage;
    if (pressure->close_early) client.stop_after = 500000;
    assert_ok(cache_fill_private(worker->thread, &key.key, CACHE_WINDOW_BYTES, &client.fill));
    struct cache_fill *fill = client.fill;
    start_client(worker, &client);
    assert_ok(cache_fill_store(fill, &head));
    sk_err err = SK_OK;
    for (uint64_t at = 0; at < LONG && !err; at += 10000) {
        err = fill_write(fill, 6, at, at + 10000);
        if (!client.done)
            pressure->most_ahead = SK_MAX(pressure->most_ahead, at + 10000 - client.reader.position);
    }
    pressure->end = err;
    if (!err) assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    while (!client.done) pause_ms(1);
    if (!err) assert_int_equal(client.bytes, LONG);
    if (!err) assert_int_equal(client.last, CACHE_READ_END);
    cache_usage(cache, &usage);
    assert_int_equal(usage.objects, 0);
}

static void a_private_window_holds_the_origin_back(void **state) {
    struct back_pressure pressure = {0};
    run_story(story_of_back_pressure, &pressure);
    assert_int_equal(pressure.end, SK_OK);
    assert_true(pressure.most_ahead > 50000 && pressure.most_ahead <= CACHE_WINDOW_BYTES + 65536);
    (void)state;
}

static void a_private_fill_ends_when_its_reader_closes(void **state) {
    struct back_pressure pressure = {.close_early = true};
    run_story(story_of_back_pressure, &pressure);
    assert_int_equal(pressure.end, SK_ERR_CANCELLED);
    (void)state;
}

static void story_of_an_announced_giant(struct worker *worker, void *arg) {
    enum { GIANT = 9000000 };
    struct client leader = {.number = 7}, follower = {.number = 7};
    struct cache_head head = make_head(GIANT);
    assert_int_equal(leader.role = begin(worker->thread, &leader.fill), CACHE_LEAD);
    assert_int_equal(follower.role = begin(worker->thread, &follower.fill), CACHE_FOLLOW);
    struct cache_fill *fill = leader.fill;
    start_client(worker, &leader);
    start_client(worker, &follower);
    assert_err(cache_fill_store(fill, &head), SK_ERR_TOO_LARGE);
    assert_ok(fill_write(fill, 7, 0, GIANT));
    assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    while (!leader.done || !follower.done) pause_ms(1);
    assert_int_equal(leader.bytes, GIANT);
    assert_int_equal(leader.last, CACHE_READ_END);
    assert_int_equal(follower.outcome, CACHE_OUTCOME_ALONE);
    assert_false(is_found(worker->thread));
    (void)arg;
}

static void an_announced_giant_passes_through_a_window(void **state) {
    run_story(story_of_an_announced_giant, NULL);
    (void)state;
}

static void story_of_an_unannounced_giant(struct worker *worker, void *arg) {
    enum { GIANT = 9000000 };
    struct client clients[3] = {{.number = 8},
                                {.number = 8, .step_bytes = 300000, .step_ms = 1},
                                {.number = 8, .step_bytes = 50000, .step_ms = 1, .stop_after = 2000000}};
    struct cache_head head = make_head(CACHE_LENGTH_UNKNOWN);
    struct cache_usage usage;
    assert_int_equal(clients[0].role = begin(worker->thread, &clients[0].fill), CACHE_LEAD);
    struct cache_fill *fill = clients[0].fill;
    for (size_t i = 1; i < 3; i++) clients[i].role = begin(worker->thread, &clients[i].fill);
    for (size_t i = 0; i < 3; i++) start_client(worker, &clients[i]);
    assert_ok(cache_fill_store(fill, &head));
    for (uint64_t at = 0; at < GIANT; at += 100000) {
        assert_ok(fill_write(fill, 8, at, at + 100000));
        if (at == 3000000) assert_true(is_found(worker->thread));
        if (at == 6000000) assert_false(is_found(worker->thread));
        cache_usage(cache, &usage);
        assert_true(usage.used_bytes <= usage.budget_bytes);
        if (at % 1000000 == 0) io_fiber_yield();
    }
    assert_ok(cache_fill_finish(fill));
    cache_fill_release(fill);
    while (!clients[0].done || !clients[1].done || !clients[2].done) pause_ms(1);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(clients[i].last, CACHE_READ_END);
        assert_int_equal(clients[i].bytes, GIANT);
    }
    (void)arg;
}

static void a_giant_that_was_not_announced_turns_into_a_window(void **state) {
    run_story(story_of_an_unannounced_giant, NULL);
    (void)state;
}

static void story_of_memory_shortage(struct worker *worker, void *arg) {
    enum { COUNT = 6, EACH = 3500000 };
    struct client clients[COUNT] = {0};
    struct cache_fill *fills[COUNT];
    struct cache_head head = make_head(EACH);
    struct cache_usage usage;
    for (size_t i = 0; i < COUNT; i++) {
        make_key(&key, "/short/", i);
        clients[i] = (struct client){.number = i, .step_bytes = 100000, .step_ms = 1};
        assert_int_equal(clients[i].role = begin(worker->thread, &clients[i].fill), CACHE_LEAD);
        fills[i] = clients[i].fill;
        start_client(worker, &clients[i]);
        assert_ok(cache_fill_store(fills[i], &head));
    }
    /* Together more than the budget, all in progress: some must become windows, none may fail. */
    for (uint64_t at = 0; at < EACH; at += 100000)
        for (size_t i = 0; i < COUNT; i++) {
            assert_ok(fill_write(fills[i], i, at, at + 100000));
            cache_usage(cache, &usage);
            assert_true(usage.used_bytes <= usage.budget_bytes);
        }
    for (size_t i = 0; i < COUNT; i++) {
        assert_ok(cache_fill_finish(fills[i]));
        cache_fill_release(fills[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        while (!clients[i].done) pause_ms(1);
        assert_int_equal(clients[i].last, CACHE_READ_END);
        assert_int_equal(clients[i].bytes, EACH);
    }
    cache_usage(cache, &usage);
    assert_true(usage.rejected_objects > 0 && usage.rejected_objects < COUNT);
    (void)arg;
}

static void fills_that_get_no_more_memory_turn_into_windows(void **state) {
    run_story(story_of_memory_shortage, NULL);
    (void)state;
}

/* ---- revalidation ------------------------------------------------------------------------------------------------------- */

static struct cache_object *found_object(struct cache_thread *thread) {
    cache_enter(thread);
    struct cache_object *object = cache_find(thread, &key.key, NULL, NULL);
    if (object) cache_object_ref(object);
    cache_leave(thread);
    return object;
}

static void story_of_a_confirmation(struct worker *worker, void *arg) {
    uint64_t bytes = *(uint64_t *)arg;
    struct cache_head head = make_head(CACHE_LENGTH_UNKNOWN);
    struct cache_object *fresh, *none;
    struct cache_fill *fill, *other;
    assert_true(put_object(worker->thread, &key.key, 9, bytes, true));
    struct cache_object *stale = found_object(worker->thread);
    assert_int_equal(cache_fill_begin(worker->thread, &key.key, NULL, stale, &fill, &none), CACHE_LEAD);
    assert_int_equal(cache_fill_begin(worker->thread, &key.key, NULL, stale, &other, &none), CACHE_FOLLOW);
    assert_ptr_equal(cache_fill_stale(fill), stale);
    head.freshness.lifetime_s = 77;
    assert_ok(cache_fill_freshen(fill, &head));
    assert_int_equal(wait_for(worker->thread, fill, CACHE_LEAD, &fresh), CACHE_OUTCOME_OBJECT);
    assert_int_equal(wait_for(worker->thread, other, CACHE_FOLLOW, &none), CACHE_OUTCOME_OBJECT);
    cache_fill_release(fill);
    assert_ptr_equal(none, fresh);
    assert_ptr_not_equal(fresh, stale);
    assert_int_equal(fresh->freshness.lifetime_s, 77);
    assert_int_equal(fresh->body_length, bytes);
    cache_object_unref(worker->thread, stale);
    assert_int_equal(read_whole(worker->thread, fresh, 9), bytes);
    cache_object_unref(worker->thread, fresh);
    cache_object_unref(worker->thread, none);
    fresh = found_object(worker->thread);
    assert_int_equal(read_whole(worker->thread, fresh, 9), bytes);
    cache_object_unref(worker->thread, fresh);
    /* What it shares goes with it. */
    cache_remove(worker->thread, &key.key);
}

static void a_confirmed_object_keeps_its_body_under_a_new_head(void **state) {
    static uint64_t lengths[] = {0, 1000, BODY_BYTES};
    for (size_t i = 0; i < SK_COUNT(lengths); i++) run_story(story_of_a_confirmation, &lengths[i]);
    (void)state;
}

static void story_of_a_stale_answer(struct worker *worker, void *arg) {
    struct cache_object *object, *none;
    struct cache_fill *fill;
    assert_true(put_object(worker->thread, &key.key, 9, 1000, true));
    struct cache_object *stale = found_object(worker->thread);
    assert_int_equal(cache_fill_begin(worker->thread, &key.key, NULL, stale, &fill, &none), CACHE_LEAD);
    cache_fill_fail(fill, SK_ERR_REFUSED, true);
    assert_int_equal(wait_for(worker->thread, fill, CACHE_LEAD, &object), CACHE_OUTCOME_STALE);
    assert_ptr_equal(object, stale);
    cache_object_unref(worker->thread, object);
    cache_object_unref(worker->thread, stale);
    cache_fill_release(fill);
    assert_true(is_found(worker->thread));
    (void)arg;
}

static void a_failed_revalidation_may_answer_with_the_stale_one(void **state) {
    run_story(story_of_a_stale_answer, NULL);
    (void)state;
}

static void story_of_an_outdated_stale_object(struct worker *worker, void *arg) {
    struct cache_object *object = NULL;
    struct cache_fill *fill;
    assert_true(put_object(worker->thread, &key.key, 9, 1000, true));
    struct cache_object *stale = found_object(worker->thread);
    assert_true(put_object(worker->thread, &key.key, 10, 2000, true));
    assert_int_equal(cache_fill_begin(worker->thread, &key.key, NULL, stale, &fill, &object), CACHE_FOUND);
    assert_int_equal(read_whole(worker->thread, object, 10), 2000);
    cache_object_unref(worker->thread, object);
    cache_object_unref(worker->thread, stale);
    (void)arg;
}

static void who_comes_to_revalidate_an_object_that_was_replaced_finds_the_new_one(void **state) {
    run_story(story_of_an_outdated_stale_object, NULL);
    (void)state;
}

/* ---- removal -------------------------------------------------------------------------------------------------------------- */

static void story_of_a_removal(struct worker *worker, void *arg) {
    struct cache_head head = make_head(1000);
    struct cache_object *object;
    struct cache_fill *fill, *other, *next;
    assert_int_equal(begin(worker->thread, &fill), CACHE_LEAD);
    assert_int_equal(begin(worker->thread, &other), CACHE_FOLLOW);
    cache_remove(worker->thread, &key.key);
    assert_int_equal(begin(worker->thread, &next), CACHE_LEAD);
    assert_ok(cache_fill_store(fill, &head));
    assert_ok(fill_write(fill, 9, 0, 1000));
    assert_ok(cache_fill_finish(fill));
    assert_false(is_found(worker->thread));
    assert_int_equal(wait_for(worker->thread, other, CACHE_FOLLOW, &object), CACHE_OUTCOME_OBJECT);
    assert_int_equal(read_whole(worker->thread, object, 9), 1000);
    cache_object_unref(worker->thread, object);
    cache_fill_leave(worker->thread, fill);
    cache_fill_release(fill);
    cache_fill_leave(worker->thread, next);
    cache_fill_release(next);
    (void)arg;
}

static void a_fill_in_progress_is_not_stored_after_a_removal(void **state) {
    run_story(story_of_a_removal, NULL);
    (void)state;
}

/* Another thread may end the fill while a hit looks at it. */
static void story_of_an_end_before_the_keep(struct worker *worker, void *arg) {
    struct cache_head head = make_head(1000);
    struct cache_reader reader;
    struct cache_piece piece;
    struct cache_fill *fill;
    size_t count;
    assert_int_equal(begin(worker->thread, &fill), CACHE_LEAD);
    cache_fill_leave(worker->thread, fill);
    assert_ok(cache_fill_store(fill, &head));
    cache_enter(worker->thread);
    struct cache_object *object = cache_find(worker->thread, &key.key, NULL, NULL);
    cache_reader_borrow(&reader, worker->thread, object, 0, CACHE_LENGTH_UNKNOWN);
    assert_int_equal(cache_reader_peek(&reader, &piece, 1, &count), CACHE_READ_WAIT);
    assert_ok(fill_write(fill, 9, 0, 1000));
    assert_ok(cache_fill_finish(fill));
    cache_reader_keep(&reader);
    assert_false(cache_reader_wait(&reader, NULL));
    cache_leave(worker->thread);
    assert_int_equal(read_on(&reader, 9, UINT64_MAX), CACHE_READ_END);
    assert_int_equal(reader.position, 1000);
    cache_reader_close(&reader);
    cache_fill_release(fill);
    (void)arg;
}

static void a_reader_kept_after_the_end_has_nothing_to_wait_for(void **state) {
    run_story(story_of_an_end_before_the_keep, NULL);
    (void)state;
}

static void story_of_a_borrowed_reader(struct worker *worker, void *arg) {
    struct cache_reader reader;
    assert_true(put_object(worker->thread, &key.key, 9, BODY_BYTES, true));
    cache_enter(worker->thread);
    struct cache_object *object = cache_find(worker->thread, &key.key, NULL, NULL);
    cache_reader_borrow(&reader, worker->thread, object, 10, 200000);
    assert_int_equal(read_on(&reader, 9, 1000), CACHE_READ_DATA);
    cache_remove(worker->thread, &key.key);
    cache_reader_keep(&reader);
    cache_leave(worker->thread);
    for (uint64_t i = 0; i < 100; i++) {
        struct test_key other;
        assert_true(put_object(worker->thread, make_key(&other, "/other/", i), i, 300000, true));
    }
    assert_int_equal(read_on(&reader, 9, UINT64_MAX), CACHE_READ_END);
    assert_int_equal(reader.position, 200000);
    cache_reader_close(&reader);
    (void)arg;
}

static void a_borrowed_reader_can_be_kept_even_when_its_object_was_just_removed(void **state) {
    run_story(story_of_a_borrowed_reader, NULL);
    (void)state;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- memory of fills that are through ------------------------------------------------------------------- */

static void many_fills_story(struct worker *worker, void *arg) {
    struct cache_usage before, after;
    (void)arg;
    cache_usage(cache, &before);
    for (int i = 0; i < 5000; i++) {
        struct cache_fill *fill;
        struct cache_object *object;
        assert_int_equal(begin(worker->thread, &fill), CACHE_LEAD);
        cache_fill_fail(fill, SK_ERR_REFUSED, false);
        cache_fill_release(fill);
        assert_int_equal(wait_for(worker->thread, fill, CACHE_LEAD, &object), CACHE_OUTCOME_FAILED);
    }
    cache_usage(cache, &after);
    /* A fill takes some hundred bytes: without their memory coming back, this would be more than a megabyte. */
    assert_true(after.used_bytes < before.used_bytes + 256 * 1024);
}

static void fills_that_are_through_give_their_memory_back(void **state) {
    (void)state;
    run_story(many_fills_story, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(fills_that_are_through_give_their_memory_back),
        CASE(all_who_join_read_what_arrives_each_at_its_speed),
        CASE(the_same_when_the_length_is_not_announced),
        CASE(readers_on_another_thread_get_all),
        CASE(a_small_body_reaches_another_thread),
        CASE(a_broken_fill_fails_its_readers_after_what_is_there),
        CASE(a_fill_goes_on_when_its_leader_leaves),
        CASE(a_fill_that_nobody_waits_for_is_stored),
        CASE(waiting_ends_at_its_deadline),
        CASE(a_failure_is_told_to_those_who_wait),
        CASE(a_body_shorter_than_announced_is_broken),
        CASE(a_body_cannot_grow_over_its_announced_length),
        CASE(what_is_passed_reaches_the_leader_alone),
        CASE(a_key_that_passed_is_remembered_for_a_while),
        CASE(a_private_window_holds_the_origin_back),
        CASE(a_private_fill_ends_when_its_reader_closes),
        CASE(an_announced_giant_passes_through_a_window),
        CASE(a_giant_that_was_not_announced_turns_into_a_window),
        CASE(fills_that_get_no_more_memory_turn_into_windows),
        CASE(a_confirmed_object_keeps_its_body_under_a_new_head),
        CASE(a_failed_revalidation_may_answer_with_the_stale_one),
        CASE(who_comes_to_revalidate_an_object_that_was_replaced_finds_the_new_one),
        CASE(a_fill_in_progress_is_not_stored_after_a_removal),
        CASE(a_reader_kept_after_the_end_has_nothing_to_wait_for),
        CASE(a_borrowed_reader_can_be_kept_even_when_its_object_was_just_removed),
    };
    return SK_RUN_TESTS(tests);
}
