#include "edge/improve.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "edge/coding.h"
#include "edge/dictionary.h"
#include "edge/whole.h"
#include "edge/worker.h"
#include "wire/coding.h"

#define POPULAR_ACCESSES 3 /* where the cache's counter saturates */
#define PRIORITY 10
#define STACK_BYTES (1024 * 1024)
#define SLICE_BYTES 65536 /* between two looks whether the edge stops */
#define USELESS_KEPT 64   /* keys of forms that were no shorter than their content */

/* Somebody improves: acquired by who begins, released at the end. */
static atomic_flag busy = ATOMIC_FLAG_INIT;
/* Any thread, relaxed: a hint that saves work. By the key's hash, a later one takes an earlier one's place. */
static _Atomic uint64_t useless[USELESS_KEPT];

struct improvement {
    /* set once, before anything runs */
    struct edge_worker *worker;
    struct cache_object *parent, *form; /* references, of the fiber; FORM is NULL where none is replaced */
    bool with_dictionary;
    struct wire_dictionary dictionary; /* content owned; read by the fiber before the thread starts */
    struct cache_key key;              /* of the form; text owned */
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
    free((char *)(uintptr_t)improvement->dictionary.content.data);
    free(improvement->content);
    free(improvement->result);
    free(improvement);
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

/* ---- the thread ------------------------------------------------------------------------------------------ */

static sk_err create_coder(const struct improvement *improvement, struct wire_coder **out_coder) {
    if (improvement->with_dictionary)
        return wire_coder_create_with(improvement->coding, improvement->level, improvement->content_bytes,
                                      &improvement->dictionary, out_coder);
    return wire_coder_create(improvement->coding, improvement->level, improvement->content_bytes, out_coder);
}

/* A result that is no shorter than the content is of no use, so there is no room for more. */
static sk_err code(struct improvement *improvement) {
    struct wire_coder *coder = NULL;
    size_t taken = 0, room = improvement->content_bytes;
    sk_err err = create_coder(improvement, &coder);
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
    improvement->content =
        edge_whole_read(improvement->worker, improvement->parent, improvement->content_bytes);
    improvement->result = malloc(improvement->content_bytes);
    return improvement->content && improvement->result;
}

static bool read_dictionary(struct improvement *improvement) {
    uint8_t hash[WIRE_DICTIONARY_HASH_BYTES];
    if (!improvement->with_dictionary) return true;
    memcpy(hash, improvement->dictionary.hash, sizeof hash);
    return edge_dictionary_read(improvement->worker, improvement->key.text, hash, &improvement->dictionary);
}

/* Nobody improves it again. */
static void mark(struct improvement *improvement) {
    struct cache_thread *cache = improvement->worker->cache;
    cache_enter(cache);
    struct cache_object *form = cache_find(cache, &improvement->key, NULL, NULL);
    if (form) atomic_store_explicit(&form->effort, (uint8_t)improvement->level, memory_order_relaxed);
    cache_leave(cache);
}

static enum observe_counter counter_of(enum http_coding coding) {
    switch (coding) {
    case HTTP_CODING_DCB: return OBSERVE_ENCODES_DCB;
    case HTTP_CODING_DCZ: return OBSERVE_ENCODES_DCZ;
    default: return OBSERVE_FORMS_IMPROVED;
    }
}

/* Takes the quick form's place, unless that is gone. */
static void replace_form(struct improvement *improvement) {
    struct cache_thread *cache = improvement->worker->cache;
    struct cache_fill *fill;
    struct cache_object *found;
    switch (cache_fill_begin(cache, &improvement->key, NULL, improvement->form, &fill, &found)) {
    case CACHE_LEAD: {
        sk_err err = edge_whole_write(fill, improvement->parent,
                                      sk_str_make(improvement->result, improvement->result_bytes));
        cache_fill_leave(cache, fill);
        cache_fill_release(fill);
        if (err) return;
        mark(improvement);
        observe_count(improvement->worker->metrics, counter_of(improvement->coding));
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

static uint64_t bytes_to_beat(const struct improvement *improvement) {
    const struct cache_object *present = improvement->form ? improvement->form : improvement->parent;
    return atomic_load_explicit(&present->body_length, memory_order_acquire);
}

static void remember_useless(const struct cache_key *key) {
    atomic_store_explicit(&useless[key->hash.low % USELESS_KEPT], key->hash.high, memory_order_relaxed);
}
static bool is_useless(const struct cache_key *key) {
    return atomic_load_explicit(&useless[key->hash.low % USELESS_KEPT], memory_order_relaxed) ==
           key->hash.high;
}

/* True when the fiber still owns the improvement. */
static bool improve(struct improvement *improvement) {
    if (!read_dictionary(improvement) || !copy_content(improvement) || !start_thread(improvement))
        return true;
    bool woken = true;
    while (woken && !improvement->delivered) woken = io_fiber_park(SK_TIME_NEVER) == SK_OK;
    if (!improvement->delivered) {
        abandon(improvement);
        return false;
    }
    if (!improvement->err && improvement->result_bytes < bytes_to_beat(improvement))
        replace_form(improvement);
    else if (!improvement->form)
        remember_useless(&improvement->key);
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
    if (form) cache_object_unref(worker->cache, form);
    edge_worker_check_drained(worker);
}

/* ---- beginning ------------------------------------------------------------------------------------------- */

static void drop(struct improvement *improvement) {
    cache_object_unref(improvement->worker->cache, improvement->parent);
    if (improvement->form) cache_object_unref(improvement->worker->cache, improvement->form);
    improvement_free(improvement);
}

static void on_begin(struct io_task *task) {
    struct improvement *improvement = SK_CONTAINER_OF(task, struct improvement, begin);
    bool running = improvement->worker->stage == EDGE_RUNNING;
    if (!running || io_fiber_spawn(improvement->worker->loop, "improve", fiber_main, improvement, NULL))
        drop(improvement);
}

/* NULL when out of memory: then nobody is busy any more. */
static struct improvement *create(struct edge_exchange *exchange, struct cache_object *object,
                                  enum http_coding coding, const struct cache_key *key) {
    struct improvement *improvement = calloc(1, sizeof *improvement);
    if (!improvement) {
        atomic_flag_clear_explicit(&busy, memory_order_release);
        return NULL;
    }
    pthread_mutex_init(&improvement->lock, NULL);
    improvement->worker = exchange->worker;
    improvement->level = (int)exchange->site->compress.popular_level;
    improvement->coding = coding;
    improvement->content_bytes = (size_t)atomic_load_explicit(&object->body_length, memory_order_relaxed);
    improvement->begin.run = on_begin;
    improvement->done.run = on_coded;
    char *text = malloc(key->text.len);
    if (text) memcpy(text, key->text.data, key->text.len);
    improvement->key = (struct cache_key){key->hash, sk_str_make(text, key->text.len)};
    if (text) {
        cache_object_ref(improvement->parent = object);
        return improvement;
    }
    improvement_free(improvement);
    return NULL;
}

static bool is_whole_and_small(const struct cache_object *object) {
    /* acquire: the length came with the end */
    if (atomic_load_explicit(&object->complete, memory_order_acquire) != CACHE_COMPLETE) return false;
    return atomic_load_explicit(&object->body_length, memory_order_relaxed) <= EDGE_IMPROVE_MAX_BYTES;
}

static bool worth_it(const struct edge_exchange *exchange, struct cache_object *object,
                     struct cache_object *form) {
    const struct config_compress *rules = &exchange->site->compress;
    /* relaxed: hints */
    if (atomic_load_explicit(&form->accesses, memory_order_relaxed) < POPULAR_ACCESSES) return false;
    if (rules->popular_level <= rules->level) return false;
    if (atomic_load_explicit(&form->effort, memory_order_relaxed) >= rules->popular_level) return false;
    if (atomic_load_explicit(&form->complete, memory_order_acquire) != CACHE_COMPLETE) return false;
    return is_whole_and_small(object);
}

void edge_improve_consider(struct edge_exchange *exchange, struct cache_object *object,
                           struct cache_object *form, enum http_coding coding) {
    struct edge_worker *worker = exchange->worker;
    if (!worth_it(exchange, object, form) || worker->stage != EDGE_RUNNING) return;
    if (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) return;
    struct improvement *improvement = create(exchange, object, coding, &form->key);
    if (!improvement) return;
    /* Whatever comes of it: this one is not tried again. */
    atomic_store_explicit(&form->effort, (uint8_t)improvement->level, memory_order_relaxed);
    cache_object_ref(improvement->form = form);
    io_loop_defer(worker->loop, &improvement->begin);
}

void edge_improve_with_dictionary(struct edge_exchange *exchange, struct cache_object *object,
                                  enum http_coding coding, const struct cache_key *key,
                                  const uint8_t hash[HTTP_DICTIONARY_HASH_BYTES]) {
    struct edge_worker *worker = exchange->worker;
    if (is_useless(key) || !is_whole_and_small(object) || worker->stage != EDGE_RUNNING) return;
    if (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) return;
    struct improvement *improvement = create(exchange, object, coding, key);
    if (!improvement) return;
    improvement->level = (int)SK_MAX(exchange->site->compress.popular_level, exchange->site->compress.level);
    improvement->with_dictionary = true;
    memcpy(improvement->dictionary.hash, hash, sizeof improvement->dictionary.hash);
    io_loop_defer(worker->loop, &improvement->begin);
}
