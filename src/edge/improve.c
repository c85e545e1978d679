#include "edge/improve.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "edge/coding.h"
#include "edge/worker.h"
#include "wire/coding.h"

#define POPULAR_ACCESSES 3 /* where the cache's counter saturates */
#define PRIORITY 10
#define STACK_BYTES (1024 * 1024)
#define TURN_BYTES (512 * 1024) /* copied before others get their turn */
#define SLICE_BYTES 65536       /* between two looks whether the edge stops */

/* Somebody improves: acquired by who begins, released at the end. */
static atomic_flag busy = ATOMIC_FLAG_INIT;

struct improvement {
    /* set once, before anything runs */
    struct edge_worker *worker;
    struct cache_object *parent, *form; /* references, of the fiber */
    struct cache_key key;               /* of the form; text owned */
    enum http_coding coding;
    int level;
    struct io_task begin, done;
    struct io_fiber *fiber;
    bool delivered; /* own thread: `done` has run */
    /* the fiber until the thread starts, then the thread's until `done` is posted, then the fiber's */
    char *content, *result;
    size_t content_bytes, result_bytes;
    sk_err err;
    /* under the lock, held for a few instructions: who goes last frees, and nobody posts to a loop that is gone */
    pthread_mutex_t lock;
    bool abandoned;
    /* any thread; relaxed, a hint to stop early */
    _Atomic bool stop;
};

/* And lets others begin. */
static void improvement_free(struct improvement *improvement) {
    pthread_mutex_destroy(&improvement->lock);
    free((char *)(uintptr_t)improvement->key.text.data);
    free(improvement->content);
    free(improvement->result);
    free(improvement);
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

/* ---- the thread ------------------------------------------------------------------------------------------ */

/* A result that is no shorter than the content is of no use, so there is no room for more. */
static sk_err code(struct improvement *improvement) {
    struct wire_coder *coder;
    size_t taken = 0, room = improvement->content_bytes;
    sk_err err =
        wire_coder_create(improvement->coding, improvement->level, improvement->content_bytes, &coder);
    bool done = false;
    while (!err && !done) {
        size_t slice = SK_MIN((size_t)SLICE_BYTES, improvement->content_bytes - taken), written = 0;
        enum wire_coder_goal goal = slice ? WIRE_CODER_TAKE : WIRE_CODER_FINISH;
        sk_str input = sk_str_make(improvement->content + taken, slice);
        if (improvement->result_bytes == room) err = SK_ERR_TOO_LARGE;
        if (atomic_load_explicit(&improvement->stop, memory_order_relaxed)) err = SK_ERR_CANCELLED;
        if (err) break;
        err = wire_coder_run(coder, goal, &input, improvement->result + improvement->result_bytes,
                             room - improvement->result_bytes, &written, &done);
        improvement->result_bytes += written;
        taken += slice - input.len;
        done = done && goal == WIRE_CODER_FINISH;
    }
    wire_coder_free(coder);
    return err;
}

static void *thread_main(void *arg) {
    struct improvement *improvement = arg;
    (void)setpriority(PRIO_PROCESS, 0, PRIORITY); /* on Linux: of this thread */
    improvement->err = code(improvement);
    pthread_mutex_lock(&improvement->lock);
    bool last = improvement->abandoned;
    if (!last) io_loop_post(improvement->worker->loop, &improvement->done);
    pthread_mutex_unlock(&improvement->lock);
    if (last) improvement_free(improvement);
    return NULL;
}

static bool start_thread(struct improvement *improvement) {
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
    bool started = pthread_create(&thread, &attr, thread_main, improvement) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return started;
}

/* ---- the fiber ------------------------------------------------------------------------------------------- */

static bool copy_content(struct improvement *improvement) {
    struct cache_reader reader;
    size_t at = 0, since_yield = 0;
    improvement->content = malloc(improvement->content_bytes);
    improvement->result = malloc(improvement->content_bytes);
    if (!improvement->content || !improvement->result) return false;
    cache_object_ref(improvement->parent);
    cache_reader_open(&reader, improvement->worker->cache, improvement->parent, 0, CACHE_LENGTH_UNKNOWN);
    for (;;) {
        struct cache_piece piece;
        size_t count = 0;
        if (cache_reader_peek(&reader, &piece, 1, &count) != CACHE_READ_DATA) break;
        size_t bytes = SK_MIN(piece.bytes, improvement->content_bytes - at);
        if (!bytes) break;
        memcpy(improvement->content + at, piece.data, bytes);
        at += bytes;
        since_yield += bytes;
        cache_reader_advance(&reader, bytes);
        if (since_yield < TURN_BYTES) continue;
        since_yield = 0;
        io_fiber_yield();
    }
    cache_reader_close(&reader);
    return at == improvement->content_bytes;
}

static sk_err write_form(struct improvement *improvement, struct cache_fill *fill) {
    static const struct http_fields none = {0};
    struct cache_head head = {.status = 200,
                              .fields = &none,
                              .freshness = improvement->form->freshness,
                              .reason = improvement->form->store_reason,
                              .body_length = improvement->result_bytes};
    sk_err err = cache_fill_store(fill, &head);
    for (size_t at = 0; !err && at < improvement->result_bytes;) {
        char *space;
        size_t room;
        err = cache_fill_space(fill, SK_TIME_NEVER, &space, &room);
        if (err) break;
        room = SK_MIN(room, improvement->result_bytes - at);
        memcpy(space, improvement->result + at, room);
        cache_fill_commit(fill, room);
        at += room;
    }
    return err ? err : cache_fill_finish(fill);
}

/* Nobody improves it again. */
static void mark(struct improvement *improvement) {
    struct cache_thread *cache = improvement->worker->cache;
    cache_enter(cache);
    struct cache_object *form = cache_find(cache, &improvement->key, NULL, NULL);
    if (form) atomic_store_explicit(&form->effort, (uint8_t)improvement->level, memory_order_relaxed);
    cache_leave(cache);
}

/* Takes the quick form's place, unless that is gone. */
static void replace_form(struct improvement *improvement) {
    struct cache_thread *cache = improvement->worker->cache;
    struct cache_fill *fill;
    struct cache_object *found;
    switch (cache_fill_begin(cache, &improvement->key, NULL, improvement->form, &fill, &found)) {
    case CACHE_LEAD: {
        sk_err err = write_form(improvement, fill);
        cache_fill_leave(cache, fill);
        cache_fill_release(fill);
        if (err) return;
        mark(improvement);
        observe_count(improvement->worker->metrics, OBSERVE_FORMS_IMPROVED);
        break;
    }
    case CACHE_FOLLOW: cache_fill_leave(cache, fill); break;
    case CACHE_FOUND: cache_object_unref(cache, found); break;
    case CACHE_ALONE: break;
    }
}

/* The task itself is part of the improvement: not before it has run may the fiber free that. */
static void on_coded(struct io_task *task) {
    struct improvement *improvement = SK_CONTAINER_OF(task, struct improvement, done);
    pthread_mutex_lock(&improvement->lock); /* the thread has let go of it then */
    bool abandoned = improvement->abandoned;
    pthread_mutex_unlock(&improvement->lock);
    improvement->delivered = true;
    if (abandoned)
        improvement_free(improvement);
    else
        io_fiber_wake(improvement->fiber);
}

/* The edge stops: the thread frees everything later, or the task that it has posted already. */
static void abandon(struct improvement *improvement) {
    atomic_store_explicit(&improvement->stop, true, memory_order_relaxed);
    pthread_mutex_lock(&improvement->lock);
    improvement->abandoned = true;
    pthread_mutex_unlock(&improvement->lock);
}

/* True when the fiber still owns the improvement. */
static bool improve(struct improvement *improvement) {
    if (!copy_content(improvement) || !start_thread(improvement)) return true;
    bool woken = true;
    while (woken && !improvement->delivered) woken = io_fiber_park(SK_TIME_NEVER) == SK_OK;
    if (!improvement->delivered) {
        abandon(improvement);
        return false;
    }
    uint64_t present = atomic_load_explicit(&improvement->form->body_length, memory_order_acquire);
    if (!improvement->err && improvement->result_bytes < present) replace_form(improvement);
    return true;
}

static void fiber_main(void *arg) {
    struct improvement *improvement = arg;
    struct edge_worker *worker = improvement->worker;
    struct cache_object *parent = improvement->parent, *form = improvement->form;
    improvement->fiber = io_fiber_self();
    worker->improver = improvement->fiber;
    if (improve(improvement)) improvement_free(improvement);
    worker->improver = NULL;
    cache_object_unref(worker->cache, parent);
    cache_object_unref(worker->cache, form);
    edge_worker_check_drained(worker);
}

/* ---- beginning ------------------------------------------------------------------------------------------- */

static void drop(struct improvement *improvement) {
    cache_object_unref(improvement->worker->cache, improvement->parent);
    cache_object_unref(improvement->worker->cache, improvement->form);
    improvement_free(improvement);
}

static void on_begin(struct io_task *task) {
    struct improvement *improvement = SK_CONTAINER_OF(task, struct improvement, begin);
    bool running = improvement->worker->stage == EDGE_RUNNING;
    if (!running || io_fiber_spawn(improvement->worker->loop, "improve", fiber_main, improvement, NULL))
        drop(improvement);
}

/* NULL when out of memory: then nobody is busy any more. */
static struct improvement *create(struct edge_exchange *exchange, const struct cache_object *form,
                                  size_t content_bytes) {
    struct improvement *improvement = calloc(1, sizeof *improvement);
    if (!improvement) {
        atomic_flag_clear_explicit(&busy, memory_order_release);
        return NULL;
    }
    pthread_mutex_init(&improvement->lock, NULL);
    improvement->worker = exchange->worker;
    improvement->level = (int)exchange->site->compress.popular_level;
    improvement->content_bytes = content_bytes;
    char *text = malloc(form->key.text.len);
    if (text) memcpy(text, form->key.text.data, form->key.text.len);
    improvement->key = (struct cache_key){form->key.hash, sk_str_make(text, form->key.text.len)};
    if (text) return improvement;
    improvement_free(improvement);
    return NULL;
}

static bool worth_it(const struct edge_exchange *exchange, struct cache_object *object,
                     struct cache_object *form) {
    const struct config_compress *rules = &exchange->site->compress;
    /* relaxed: hints */
    if (atomic_load_explicit(&form->accesses, memory_order_relaxed) < POPULAR_ACCESSES) return false;
    if (rules->popular_level <= rules->level) return false;
    if (atomic_load_explicit(&form->effort, memory_order_relaxed) >= rules->popular_level) return false;
    /* acquire: the length came with the end */
    if (atomic_load_explicit(&form->complete, memory_order_acquire) != CACHE_COMPLETE) return false;
    if (atomic_load_explicit(&object->complete, memory_order_acquire) != CACHE_COMPLETE) return false;
    return atomic_load_explicit(&object->body_length, memory_order_relaxed) <= EDGE_IMPROVE_MAX_BYTES;
}

void edge_improve_consider(struct edge_exchange *exchange, struct cache_object *object,
                           struct cache_object *form, enum http_coding coding) {
    struct edge_worker *worker = exchange->worker;
    if (!worth_it(exchange, object, form) || worker->stage != EDGE_RUNNING) return;
    if (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) return;
    struct improvement *improvement =
        create(exchange, form, (size_t)atomic_load_explicit(&object->body_length, memory_order_relaxed));
    if (!improvement) return;
    /* Whatever comes of it: this one is not tried again. */
    atomic_store_explicit(&form->effort, (uint8_t)improvement->level, memory_order_relaxed);
    cache_object_ref(improvement->parent = object);
    cache_object_ref(improvement->form = form);
    improvement->coding = coding;
    improvement->begin.run = on_begin;
    improvement->done.run = on_coded;
    io_loop_defer(worker->loop, &improvement->begin);
}
