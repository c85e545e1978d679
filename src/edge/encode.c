#include "edge/encode.h"

#include <stdlib.h>

#include "edge/coding.h"
#include "edge/worker.h"
#include "wire/coding.h"

#define SLICE_BYTES 16384 /* taken by the coder in one go */
#define TURN_NS (SK_NS_PER_MS / 2)

struct edge_encode {
    struct sk_list link; /* worker.encodes */
    struct io_fiber *fiber;
    struct edge_worker *worker;
    struct cache_object *parent; /* a reference, until the reader has it */
    struct cache_reader reader;
    struct cache_fill *fill; /* of the form */
    struct wire_coder *coder;
    enum http_coding coding;
    int level;
    bool ready; /* the reader says so */
    sk_time_ns turn_began, spent_ns;
    uint64_t coded_bytes;
};

/* ---- one step -------------------------------------------------------------------------------------------- */

/* Through the coder into the form. */
static sk_err code(struct edge_encode *encode, enum wire_coder_goal goal, sk_str input) {
    for (bool done = false; !done;) {
        char *space;
        size_t room, written = 0;
        sk_err err = cache_fill_space(encode->fill, SK_TIME_NEVER, &space, &room);
        if (!err) err = wire_coder_run(encode->coder, goal, &input, space, room, &written, &done);
        if (err) return err;
        if (written) cache_fill_commit(encode->fill, written);
        encode->coded_bytes += written;
    }
    return SK_OK;
}

static void begin_turn(struct edge_encode *encode) { encode->turn_began = sk_time_now(); }

static sk_time_ns end_turn(struct edge_encode *encode) {
    sk_time_ns took = sk_time_now() - encode->turn_began;
    encode->spent_ns += took;
    encode->turn_began += took;
    return took;
}

static void on_ready(struct cache_reader *reader) {
    struct edge_encode *encode = SK_CONTAINER_OF(reader, struct edge_encode, reader);
    encode->ready = true;
    io_fiber_wake(encode->fiber);
}

/* Until more of the parent is there. What it has sent so far reaches the form's readers before. */
static sk_err await_more(struct edge_encode *encode) {
    sk_err err = code(encode, WIRE_CODER_FLUSH, (sk_str){"", 0});
    end_turn(encode);
    encode->ready = false;
    if (!err) encode->ready = !cache_reader_wait(&encode->reader, on_ready);
    while (!err && !encode->ready) err = io_fiber_park(SK_TIME_NEVER);
    begin_turn(encode);
    return err;
}

static sk_err take(struct edge_encode *encode, const struct cache_piece *piece, sk_time_ns *turn_ns) {
    size_t bytes = SK_MIN(piece->bytes, (size_t)SLICE_BYTES);
    sk_err err = code(encode, WIRE_CODER_TAKE, sk_str_make(piece->data, bytes));
    if (err) return err;
    cache_reader_advance(&encode->reader, bytes);
    *turn_ns += end_turn(encode);
    if (*turn_ns < TURN_NS) return SK_OK;
    *turn_ns = 0;
    io_fiber_yield();
    begin_turn(encode);
    return io_fiber_cancelled(encode->fiber) ? SK_ERR_CANCELLED : SK_OK;
}

static sk_err code_all(struct edge_encode *encode) {
    sk_time_ns turn_ns = 0;
    begin_turn(encode);
    for (;;) {
        struct cache_piece piece;
        size_t count = 0;
        sk_err err = SK_OK;
        switch (cache_reader_peek(&encode->reader, &piece, 1, &count)) {
        case CACHE_READ_DATA: err = take(encode, &piece, &turn_ns); break;
        case CACHE_READ_WAIT: err = await_more(encode); break;
        case CACHE_READ_FAILED: return SK_ERR_CORRUPT;
        case CACHE_READ_END:
            err = code(encode, WIRE_CODER_FINISH, (sk_str){"", 0});
            end_turn(encode);
            return err;
        }
        if (err) return err;
    }
}

/* ---- the fiber ------------------------------------------------------------------------------------------- */

/* The form's head is never sent: it has no fields, and nobody asks whether it is fresh. */
static sk_err publish(struct edge_encode *encode) {
    static const struct http_fields none = {0};
    struct cache_head head = {
        .status = 200,
        .fields = &none,
        .freshness = encode->parent->freshness,
        .reason = encode->parent->store_reason,
        .body_length = CACHE_LENGTH_UNKNOWN,
    };
    return cache_fill_store(encode->fill, &head);
}

static enum observe_counter counter_of(enum http_coding coding) {
    switch (coding) {
    case HTTP_CODING_BR: return OBSERVE_ENCODES_BR;
    case HTTP_CODING_GZIP: return OBSERVE_ENCODES_GZIP;
    default: return OBSERVE_ENCODES_ZSTD;
    }
}

static void make_form(struct edge_encode *encode) {
    sk_err err = publish(encode);
    if (err) return; /* no room: whoever asked gets identity */
    cache_object_ref(encode->parent);
    cache_reader_open(&encode->reader, encode->worker->cache, encode->parent, 0, CACHE_LENGTH_UNKNOWN);
    err = code_all(encode);
    cache_reader_close(&encode->reader);
    if (!err) err = cache_fill_finish(encode->fill);
    if (err) {
        cache_fill_break(encode->fill, err);
        return;
    }
    observe_count(encode->worker->metrics, counter_of(encode->coding));
    observe_duration(encode->worker->metrics, OBSERVE_ENCODE_SECONDS, encode->spent_ns);
}

static void encode_free(struct edge_encode *encode) {
    wire_coder_free(encode->coder);
    free(encode);
}

static void encode_main(void *arg) {
    struct edge_encode *encode = arg;
    struct edge_worker *worker = encode->worker;
    encode->fiber = io_fiber_self();
    sk_list_push_back(&worker->encodes, &encode->link);
    make_form(encode);
    cache_fill_release(encode->fill);
    cache_object_unref(worker->cache, encode->parent);
    sk_list_remove(&encode->link);
    worker->encode_count--;
    encode_free(encode);
    edge_worker_check_drained(worker);
}

void edge_encode_cancel_all(struct edge_worker *worker) {
    SK_LIST_FOR_EACH(link, &worker->encodes) {
        struct edge_encode *encode = SK_CONTAINER_OF(link, struct edge_encode, link);
        if (encode->fiber != io_fiber_self()) io_fiber_cancel(encode->fiber);
    }
    if (worker->improver && worker->improver != io_fiber_self()) io_fiber_cancel(worker->improver);
}

/* ---- starting -------------------------------------------------------------------------------------------- */

static struct edge_encode *create(struct edge_worker *worker, struct cache_object *object,
                                  enum http_coding coding, int level) {
    struct edge_encode *encode = calloc(1, sizeof *encode);
    /* acquire: a length that came with the end */
    uint64_t length = atomic_load_explicit(&object->body_length, memory_order_acquire);
    if (!encode) return NULL;
    *encode = (struct edge_encode){.worker = worker, .parent = object, .coding = coding, .level = level};
    if (wire_coder_create(coding, level, length, &encode->coder) == SK_OK) return encode;
    encode_free(encode);
    return NULL;
}

/* Leads the fill of the form, unless somebody has made it or does so now. */
static bool lead(struct edge_exchange *exchange, struct cache_object *object, enum http_coding coding,
                 struct cache_fill **out_fill) {
    struct cache_thread *cache = exchange->worker->cache;
    struct cache_object *found;
    struct cache_key key;
    if (edge_coding_key(exchange->arena, object, coding, &key)) return false;
    switch (cache_fill_begin(cache, &key, NULL, NULL, out_fill, &found)) {
    case CACHE_LEAD: return true;
    case CACHE_FOLLOW: cache_fill_leave(cache, *out_fill); break;
    case CACHE_FOUND: cache_object_unref(cache, found); break;
    case CACHE_ALONE: break;
    }
    return false;
}

static void give_up(struct edge_encode *encode, struct cache_fill *fill) {
    if (encode) encode_free(encode);
    cache_fill_fail(fill, SK_ERR_NO_MEMORY, false);
    cache_fill_release(fill);
}

bool edge_encode_start(struct edge_exchange *exchange, struct cache_object *object, enum http_coding coding) {
    struct edge_worker *worker = exchange->worker;
    struct cache_fill *fill;
    if (worker->encode_count >= EDGE_ENCODES_MAX || worker->stage != EDGE_RUNNING) return false;
    /* Somebody else's may be found by now. */
    if (!lead(exchange, object, coding, &fill)) return true;
    struct edge_encode *encode = create(worker, object, coding, (int)exchange->site->compress.level);
    bool started = false;
    if (encode) {
        encode->fill = fill;
        cache_object_ref(object);
        worker->encode_count++;
        started = io_fiber_spawn(worker->loop, "encode", encode_main, encode, NULL) == SK_OK;
        if (!started) {
            worker->encode_count--;
            cache_object_unref(worker->cache, object);
        }
    }
    cache_fill_leave(worker->cache, fill);
    if (!started) give_up(encode, fill);
    return started;
}
