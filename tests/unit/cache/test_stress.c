/* Four threads that find, fill, join, revalidate, pass, break and remove the same keys in a cache that is too
 * small for them. Every byte that is read must be right; ThreadSanitizer watches the rest. */
#include "cache_test.h"

#ifdef SK_SLOW_BUILD
#define CLIENT_REQUESTS 400
#else
#define CLIENT_REQUESTS 2500
#endif
#define THREADS 4
#define ROUNDS 5
#define CLIENTS 12 /* fibers a thread */
#define KEYS 300

struct counters {
    _Atomic uint64_t hits, leads, follows, founds, alones, agains, failures, stales, cut, bytes;
};

struct stress {
    struct cache *cache;
    struct counters counters;
};

struct client {
    struct worker *worker;
    struct stress *stress;
    struct io_fiber *fiber;
    struct cache_reader reader;
};

/* Small ones mostly. */
static uint64_t some_length(void) {
    switch (sk_random_below(200)) {
    case 0: return sk_random_below(1000000);
    case 1: return 8 * MIB + sk_random_below(MIB); /* more than may be stored */
    case 2: return 0;
    case 3:
    case 4:
    case 5: return sk_random_below(150000);
    default: return sk_random_below(5000);
    }
}

/* ---- the fetch ------------------------------------------------------------------------------------------- */

struct fetch {
    struct worker *worker;
    struct cache_fill *fill;
    uint64_t number;
};

static sk_err fetch_body(struct cache_fill *fill, uint64_t number, uint64_t length, uint64_t until) {
    sk_err err = SK_OK;
    for (uint64_t at = 0; at < until && !err;) {
        uint64_t step = SK_MIN(1 + sk_random_below(60000), until - at);
        err = fill_write(fill, number, at, at + step);
        at += step;
        if (sk_random_below(4) == 0) io_fiber_yield();
        if (sk_random_below(50) == 0) pause_ms(1);
    }
    if (err || until < length) {
        cache_fill_break(fill, SK_ERR_RESET);
        return SK_ERR_RESET;
    }
    return cache_fill_finish(fill);
}

static void fetch_main(void *arg) {
    struct fetch fetch = *(struct fetch *)arg;
    free(arg);
    uint64_t length = some_length(), until = length;
    struct cache_head head = make_head(sk_random_below(2) ? length : CACHE_LENGTH_UNKNOWN);
    if (sk_random_below(3) == 0) io_fiber_yield();
    unsigned fate = (unsigned)sk_random_below(20);
    sk_err err = SK_OK;
    if (fate == 0) {
        cache_fill_fail(fetch.fill, SK_ERR_REFUSED, true);
        cache_fill_release(fetch.fill);
        return;
    }
    if (fate < 9 && cache_fill_stale(fetch.fill)) {
        (void)!cache_fill_freshen(fetch.fill, &head);
        cache_fill_release(fetch.fill);
        return;
    }
    if (fate == 9) until = length / 2;
    if (fate == 10)
        err = cache_fill_pass(fetch.fill, &head, 2);
    else
        err = cache_fill_store(fetch.fill, &head);
    if (err != SK_ERR_NO_MEMORY) (void)!fetch_body(fetch.fill, fetch.number, length, until);
    cache_fill_release(fetch.fill);
}

static void start_fetch(struct client *client, struct cache_fill *fill, uint64_t number) {
    struct fetch *fetch = malloc(sizeof *fetch);
    *fetch = (struct fetch){client->worker, fill, number};
    assert_ok(io_fiber_spawn(client->worker->loop, "fetch", fetch_main, fetch, NULL));
}

/* ---- the request ------------------------------------------------------------------------------------------ */

static void client_ready(struct cache_reader *reader) {
    io_fiber_wake(SK_CONTAINER_OF(reader, struct client, reader)->fiber);
}

/* Reads on, fast or slow, to the end or to some point. The reader has a reference. */
static void read_rest(struct client *client, uint64_t number) {
    struct cache_reader *reader = &client->reader;
    uint64_t stop = sk_random_below(5) ? UINT64_MAX : sk_random_below(300000);
    uint64_t step = sk_random_below(2) ? UINT64_MAX : 1 + sk_random_below(80000);
    for (;;) {
        enum cache_read state = read_on(reader, number, step);
        if (state == CACHE_READ_FAILED) client->stress->counters.cut++;
        if (state == CACHE_READ_END || state == CACHE_READ_FAILED || reader->position >= stop) break;
        if (state == CACHE_READ_DATA) {
            io_fiber_yield();
            continue;
        }
        cache_reader_wait(reader, client_ready);
        assert_ok(io_fiber_park(SK_TIME_NEVER));
    }
    client->stress->counters.bytes += reader->position;
    cache_reader_close(reader);
}

static void read_object(struct client *client, struct cache_object *object, uint64_t number) {
    cache_reader_open(&client->reader, client->worker->thread, object, 0, CACHE_LENGTH_UNKNOWN);
    read_rest(client, number);
}

/* As a hit is served: borrowed, kept only when it was not all sent at once. */
static bool serve_hit(struct client *client, const struct cache_key *key, uint64_t number,
                      struct cache_object **stale) {
    struct cache_thread *thread = client->worker->thread;
    cache_enter(thread);
    struct cache_object *object = cache_find(thread, key, NULL, NULL);
    if (!object || sk_random_below(8) == 0) {
        if (object) cache_object_ref(*stale = object);
        cache_leave(thread);
        return false;
    }
    assert_true(sk_str_eq(object->key.text, key->text));
    cache_reader_borrow(&client->reader, thread, object, 0, CACHE_LENGTH_UNKNOWN);
    if (read_on(&client->reader, number, 20000) == CACHE_READ_END) {
        cache_reader_close(&client->reader);
        cache_leave(thread);
    } else {
        cache_reader_keep(&client->reader);
        cache_leave(thread);
        read_rest(client, number);
    }
    client->stress->counters.hits++;
    return true;
}

static void fetch_alone(struct client *client, const struct cache_key *key, uint64_t number);

static void follow_fill(struct client *client, const struct cache_key *key, uint64_t number,
                        struct cache_fill *fill, enum cache_role role) {
    enum cache_outcome outcome;
    struct cache_object *object;
    struct cache_failure failure;
    sk_time_ns deadline = sk_random_below(20) ? SK_TIME_NEVER : sk_time_now();
    sk_err err =
        cache_fill_wait(client->worker->thread, fill, role, NULL, deadline, &outcome, &object, &failure);
    if (err) {
        cache_fill_leave(client->worker->thread, fill);
        return;
    }
    switch (outcome) {
    case CACHE_OUTCOME_STALE: client->stress->counters.stales++; [[fallthrough]];
    case CACHE_OUTCOME_OBJECT: read_object(client, object, number); break;
    case CACHE_OUTCOME_ALONE: fetch_alone(client, key, number); break;
    case CACHE_OUTCOME_AGAIN: client->stress->counters.agains++; break;
    case CACHE_OUTCOME_FAILED: client->stress->counters.failures++; break;
    }
}

static void fetch_alone(struct client *client, const struct cache_key *key, uint64_t number) {
    struct cache_fill *fill;
    client->stress->counters.alones++;
    assert_ok(cache_fill_private(client->worker->thread, key, 0, &fill));
    start_fetch(client, fill, number);
    follow_fill(client, key, number, fill, CACHE_LEAD);
}

static void request(struct client *client) {
    struct cache_thread *thread = client->worker->thread;
    struct cache_object *stale = NULL, *found;
    struct cache_fill *fill;
    struct test_key key;
    /* A few keys are wanted much more than the others. */
    uint64_t number = sk_random_below(2) ? sk_random_below(10) : sk_random_below(KEYS);
    make_key(&key, "/", number);
    if (sk_random_below(60) == 0) cache_remove(thread, &key.key);
    if (serve_hit(client, &key.key, number, &stale)) return;
    enum cache_role role = cache_fill_begin(thread, &key.key, NULL, stale, &fill, &found);
    if (stale) cache_object_unref(thread, stale);
    switch (role) {
    case CACHE_LEAD:
        client->stress->counters.leads++;
        start_fetch(client, fill, number);
        follow_fill(client, &key.key, number, fill, role);
        break;
    case CACHE_FOLLOW:
        client->stress->counters.follows++;
        follow_fill(client, &key.key, number, fill, role);
        break;
    case CACHE_FOUND:
        client->stress->counters.founds++;
        read_object(client, found, number);
        break;
    case CACHE_ALONE: fetch_alone(client, &key.key, number); break;
    }
}

static void client_main(void *arg) {
    struct client client = *(struct client *)arg;
    client.fiber = io_fiber_self();
    for (int i = 0; i < CLIENT_REQUESTS; i++) {
        request(&client);
        if (i % 8 == 0) io_fiber_yield();
    }
}

static void story(struct worker *worker, void *arg) {
    struct client clients[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.worker = worker, .stress = arg};
        assert_ok(io_fiber_spawn(worker->loop, "client", client_main, &clients[i], NULL));
    }
}

static void many_threads_get_right_bytes_only(void **state) {
    static struct stress stress;
    struct worker workers[THREADS];
    struct cache_options options = {.memory_bytes = 12 * MIB, .shards = 2};
    struct cache_usage usage;
    assert_ok(cache_create(&options, &stress.cache));
    const struct counters *c = &stress.counters;
    bool every_way = false;
    /* How often each way is gone depends on the machine; usually one round shows all. */
    for (int round = 0; round < ROUNDS && !every_way; round++) {
        for (size_t i = 0; i < THREADS; i++)
            workers[i] = (struct worker){.cache = stress.cache, .story = story, .arg = &stress};
        run_workers(workers, THREADS);
        cache_usage(stress.cache, &usage);
        assert_int_equal(usage.fills, 0);
        assert_true(usage.used_bytes <= usage.budget_bytes);
        every_way =
            c->hits && c->leads && c->follows && c->alones && c->failures && c->cut && usage.evicted_objects;
    }
    print_message(
        "hits %llu, leads %llu, follows %llu, found %llu, alone %llu, failed %llu, stale %llu, cut %llu, "
        "evicted %llu, windows %llu\n",
        (unsigned long long)c->hits, (unsigned long long)c->leads, (unsigned long long)c->follows,
        (unsigned long long)c->founds, (unsigned long long)c->alones, (unsigned long long)c->failures,
        (unsigned long long)c->stales, (unsigned long long)c->cut, (unsigned long long)usage.evicted_objects,
        (unsigned long long)usage.rejected_objects);
    assert_true(every_way); /* or this test shows nothing */
    cache_destroy(stress.cache);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_get_right_bytes_only),
    };
    return SK_RUN_TESTS(tests);
}
