/* What the cache's tests share: keys, heads, bodies that can be checked, and threads with a loop each. */
#ifndef SK_TESTS_CACHE_TEST_H
#define SK_TESTS_CACHE_TEST_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "cache/cache.h"
#include "cache/fill.h"
#include "unit.h"

#define MIB (1u << 20)
#define MS SK_NS_PER_MS

/* ---- keys and heads -------------------------------------------------------------------------------------- */

struct test_key {
    struct cache_key key;
    char text[64];
};

static inline struct cache_key *make_key(struct test_key *out, const char *path, uint64_t number) {
    int len =
        snprintf(out->text, sizeof out->text, "site|example.org|%s%llu", path, (unsigned long long)number);
    out->key.text = sk_str_make(out->text, (size_t)len);
    out->key.hash = sk_hash128_of(out->text, (size_t)len);
    return &out->key;
}

static inline const struct http_fields *test_fields(void) {
    static struct http_field items[] = {
        {SK_STR_INIT("Content-Type"), SK_STR_INIT("text/plain"), HTTP_FIELD_CONTENT_TYPE},
        {SK_STR_INIT("ETag"), SK_STR_INIT("\"abc\""), HTTP_FIELD_ETAG},
    };
    static const struct http_fields fields = {items, 2, 2};
    return &fields;
}

static inline struct cache_head make_head(uint64_t body_length) {
    return (struct cache_head){
        .status = 200,
        .fields = test_fields(),
        .freshness = {.lifetime_s = 3600},
        .validators = {.etag = {.opaque = SK_STR("\"abc\"")}},
        .reason = HTTP_REASON_STORE_EXPLICIT,
        .body_length = body_length,
    };
}

/* ---- bodies: each byte follows from a number and its position ------------------------------------------- */

static inline unsigned char body_byte(uint64_t number, uint64_t position) {
    return (unsigned char)(number * 131 + position * 7 + (position >> 12) * 13);
}

static inline void body_write(char *data, uint64_t number, uint64_t position, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) data[i] = (char)body_byte(number, position + i);
}

/* Every byte of small pieces, some of large ones. */
static inline bool body_right(const char *data, uint64_t number, uint64_t position, size_t bytes) {
    size_t step = bytes > 4096 ? 509 : 1;
    for (size_t i = 0; i < bytes; i += step)
        if ((unsigned char)data[i] != body_byte(number, position + i)) return false;
    return bytes == 0 || (unsigned char)data[bytes - 1] == body_byte(number, position + bytes - 1);
}

/* Writes the body [from, to) of a fill. */
static inline sk_err fill_write(struct cache_fill *fill, uint64_t number, uint64_t from, uint64_t to) {
    while (from < to) {
        char *data;
        size_t room;
        sk_err err = cache_fill_space(fill, SK_TIME_NEVER, &data, &room);
        if (err) return err;
        room = SK_MIN(room, to - from);
        body_write(data, number, from, room);
        cache_fill_commit(fill, room);
        from += room;
    }
    return SK_OK;
}

/* Reads all that the reader can have now, checking it; the last answer of peek. */
static inline enum cache_read read_on(struct cache_reader *reader, uint64_t number, uint64_t at_most) {
    struct cache_piece pieces[3];
    size_t count;
    enum cache_read state = CACHE_READ_DATA;
    while (at_most > 0 && (state = cache_reader_peek(reader, pieces, 3, &count)) == CACHE_READ_DATA) {
        for (size_t i = 0; i < count && at_most > 0; i++) {
            size_t bytes = SK_MIN(pieces[i].bytes, at_most);
            if (!body_right(pieces[i].data, number, reader->position, bytes))
                fail_msg("wrong bytes at %llu", (unsigned long long)reader->position);
            cache_reader_advance(reader, bytes);
            at_most -= bytes;
        }
    }
    return state;
}

/* Reads a complete object from start to end. */
static inline uint64_t read_whole(struct cache_thread *thread, struct cache_object *object, uint64_t number) {
    struct cache_reader reader;
    cache_object_ref(object);
    cache_reader_open(&reader, thread, object, 0, CACHE_LENGTH_UNKNOWN);
    enum cache_read state = read_on(&reader, number, UINT64_MAX);
    uint64_t bytes = reader.position;
    if (state != CACHE_READ_END)
        fail_msg("reading ended with %d after %llu bytes", state, (unsigned long long)bytes);
    cache_reader_close(&reader);
    return bytes;
}

/* ---- storing without waiting ------------------------------------------------------------------------------- */

/* Leads a fill for KEY (revalidating whatever stands there) and brings a body; false when the role was another
 * or the store refused. ANNOUNCED: the head says the length. */
static inline bool put_object(struct cache_thread *thread, const struct cache_key *key, uint64_t number,
                              uint64_t bytes, bool announced) {
    struct cache_fill *fill;
    struct cache_object *stale, *found = NULL;
    cache_enter(thread);
    stale = cache_find(thread, key, NULL, NULL);
    if (stale) cache_object_ref(stale);
    cache_leave(thread);
    enum cache_role role = cache_fill_begin(thread, key, NULL, stale, &fill, &found);
    if (stale) cache_object_unref(thread, stale);
    if (role == CACHE_FOUND) cache_object_unref(thread, found);
    if (role == CACHE_FOLLOW) cache_fill_leave(thread, fill);
    if (role != CACHE_LEAD) return false;
    cache_fill_leave(thread, fill);
    struct cache_head head = make_head(announced ? bytes : CACHE_LENGTH_UNKNOWN);
    sk_err err = cache_fill_store(fill, &head);
    if (!err) err = fill_write(fill, number, 0, bytes);
    if (!err) err = cache_fill_finish(fill);
    cache_fill_release(fill);
    return err == SK_OK;
}

/* ---- threads ------------------------------------------------------------------------------------------------ */

struct worker {
    struct cache *cache;
    struct io_loop *loop;
    struct cache_thread *thread;
    void (*story)(struct worker *worker,
                  void *arg); /* runs on a fiber; the loop ends when it and all others end */
    void *arg;
    pthread_t handle;
    struct io_timer watch;
};

static inline void worker_look(struct io_timer *timer) {
    struct worker *worker = SK_CONTAINER_OF(timer, struct worker, watch);
    if (io_fiber_count(worker->loop) == 0)
        io_loop_stop(worker->loop);
    else
        io_timer_start(worker->loop, timer, sk_time_now() + 2 * MS, worker_look);
}

static inline void worker_fiber(void *arg) {
    struct worker *worker = arg;
    worker->story(worker, worker->arg);
}

static inline void *worker_main(void *arg) {
    struct worker *worker = arg;
    assert_ok(io_loop_create("test", &worker->loop));
    assert_ok(cache_thread_join(worker->cache, worker->loop, &worker->thread));
    io_timer_start(worker->loop, &worker->watch, sk_time_now() + 2 * MS, worker_look);
    assert_ok(io_fiber_spawn(worker->loop, "story", worker_fiber, worker, NULL));
    io_loop_run(worker->loop);
    return NULL;
}

/* Runs a story on each of COUNT threads until all have ended. */
static inline void run_workers(struct worker *workers, size_t count) {
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&workers[i].handle, NULL, worker_main, &workers[i]), 0);
    for (size_t i = 0; i < count; i++) pthread_join(workers[i].handle, NULL);
    /* Only now: other threads may post to a loop to the last. */
    for (size_t i = 0; i < count; i++) {
        cache_thread_leave(workers[i].thread);
        io_loop_destroy(workers[i].loop);
    }
}

static inline void pause_ms(int64_t ms) { assert_ok(io_fiber_sleep_until(sk_time_now() + ms * MS)); }

#endif
