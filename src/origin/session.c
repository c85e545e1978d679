#include "origin/session.h"

#include <stdlib.h>

#include "origin/pool.h"

#define OUT_BYTES (64 * 1024) /* frames made before the socket is asked again */
#define ROUNDS_MOST 16        /* reads in a row before frames go out */
#define HEAD_BYTES (32 * 1024)
#define FIELDS_MOST 100
/* Servers close what is idle after 5 seconds or more. */
#define QUIET_NS (2 * SK_NS_PER_S)

struct origin_session {
    uint32_t magic;
    uint32_t places;     /* taken: calls, and those about to be */
    struct sk_list link; /* of its pool */
    struct origin_pool *pool;
    struct origin_connection *connection;
    struct wire_h2_client *wire;
    struct io_fiber *pump; /* NULL: idle, or dead */
    struct sk_buf out;     /* frames on their way */
    struct sk_list pings;  /* fibers that wait for an answer */
    int64_t idle_ms, stuck_ms;
    sk_time_ns heard_at;
    struct io_timer idle_timer;
    sk_err error; /* why it is dead */
    bool leaving; /* no new calls: it did not answer in time */
    bool idle;    /* no pump, timer and idle event are set */
};

struct ping {
    struct sk_list link;
    struct io_fiber *fiber;
    bool answered;
};

static sk_time_ns now(const struct origin_session *session) {
    return io_loop_now(session->connection->thread->loop);
}

static struct origin_call *call_of(struct wire_h2_call *wire) {
    return SK_CONTAINER_OF(wire, struct origin_call, wire);
}

static void wake(struct io_fiber *fiber) {
    if (fiber) io_fiber_wake(fiber);
}

static bool usable(const struct origin_session *session) {
    return !session->error && !session->leaving && !wire_h2_client_leaving(session->wire);
}

/* --- what comes ----------------------------------------------------------------------------------------- */

static void on_response(void *arg, struct wire_h2_call *wire) {
    struct origin_session *session = arg;
    struct origin_call *call = call_of(wire);
    call->heard_at = now(session);
    if (!wire->final && wire->response.status != 100 && call->on_informational)
        call->on_informational(call->informational_arg, &wire->response);
    wake(call->owner);
}

static void on_data(void *arg, struct wire_h2_call *wire, sk_str bytes) {
    struct origin_session *session = arg;
    struct origin_call *call = call_of(wire);
    if (!call->error && sk_buf_append(call->content, bytes) != SK_OK) call->error = SK_ERR_NO_MEMORY;
    if (call->error) wire_h2_client_consumed(session->wire, wire, bytes.len);
    wake(call->owner);
}

static void on_end(void *arg, struct wire_h2_call *wire) { wake(call_of(wire)->owner); }

static void close_call(struct origin_call *call, sk_err err, const char *detail) {
    call->closed = true;
    call->refused = err == SK_ERR_REFUSED;
    if (!call->error) call->error = call->refused ? SK_ERR_CLOSED : err;
    if (!call->detail) call->detail = detail;
    wake(call->owner);
    wake(call->sender);
}

static void on_closed(void *arg, struct wire_h2_call *wire, sk_err err) {
    const char *detail = wire->why;
    if (err == SK_ERR_REFUSED) detail = "the origin refused the stream";
    if (err == SK_ERR_UNSUPPORTED) detail = "the origin wants HTTP/1.1 for it";
    close_call(call_of(wire), err, detail);
}

static sk_err on_content(void *arg, struct wire_h2_call *wire, char *data, size_t most, size_t *out_bytes,
                         bool *out_last, const struct http_fields **out_trailers) {
    struct origin_call *call = call_of(wire);
    size_t n = SK_MIN(most, call->piece.len);
    if (!n && !call->last_piece) return SK_ERR_AGAIN;
    if (n) memcpy(data, call->piece.data, n);
    call->piece = sk_str_slice(call->piece, n, call->piece.len);
    if (!call->piece.len) wake(call->sender);
    *out_bytes = n;
    *out_last = call->last_piece && !call->piece.len;
    *out_trailers = call->trailers;
    return SK_OK;
}

static void on_pong(void *arg) {
    struct origin_session *session = arg;
    SK_LIST_FOR_EACH(link, &session->pings) {
        struct ping *ping = SK_CONTAINER_OF(link, struct ping, link);
        ping->answered = true;
        io_fiber_wake(ping->fiber);
    }
}

static const struct wire_h2_client_events events = {on_response, on_data,    on_end,
                                                    on_closed,   on_content, on_pong};

/* --- bytes ------------------------------------------------------------------------------------------------ */

/* What is there, in. SK_OK also when nothing is; SK_ERR_BUSY: there may be more. */
static sk_err take_in(struct origin_session *session) {
    char *data = session->connection->thread->plain;
    for (int round = 0; round < ROUNDS_MOST; round++) {
        size_t n;
        sk_err err = origin_connection_try_read(session->connection, data, ORIGIN_SCRATCH_BYTES, &n);
        if (err == SK_ERR_AGAIN) return SK_OK;
        if (err) return err == SK_ERR_END ? SK_ERR_CLOSED : err;
        session->heard_at = now(session);
        err = wire_h2_client_receive(session->wire, (sk_str){data, n}, session->heard_at);
        if (err) return err;
    }
    return SK_ERR_BUSY;
}

static bool pending(const struct origin_session *session) {
    return sk_buf_len(&session->out) || sk_buf_len(&session->connection->cipher);
}

/* What is to be said, as far as the socket takes it. SK_ERR_MALFORMED: that was the end, though calls are open. */
static sk_err give_out(struct origin_session *session) {
    for (;;) {
        sk_err err = SK_OK;
        if (!sk_buf_len(&session->out)) err = wire_h2_client_fill(session->wire, &session->out, OUT_BYTES);
        bool any = sk_buf_len(&session->out) > 0;
        if (!err) err = origin_connection_try_write(session->connection, &session->out);
        if (err || pending(session)) return err;
        if (any) continue;
        /* nghttp2 takes what comes after an error of the server's without a word: nobody would end the calls. */
        bool cut = wire_h2_client_over(session->wire) && wire_h2_client_calls(session->wire);
        return cut ? SK_ERR_MALFORMED : SK_OK;
    }
}

/* --- life and death --------------------------------------------------------------------------------------- */

static void session_free(struct origin_session *session) {
    struct origin_pool *pool = session->pool;
    SK_CHECK_MAGIC(session, ORIGIN_SESSION_MAGIC);
    SK_ASSERT(!session->places && !session->pump);
    sk_list_remove(&session->link);
    wire_h2_client_free(session->wire);
    sk_buf_free(&session->out);
    if (pool)
        origin_pool_discard(pool, session->connection);
    else
        origin_connection_close(session->connection);
    session->magic = 0;
    free(session);
}

/* Its calls are told; it is freed with the last place. */
static void die(struct origin_session *session, sk_err err) {
    session->error = err == SK_ERR_DENIED ? SK_ERR_MALFORMED : err;
    sk_list_remove(&session->link);
    wire_h2_client_abandon(session->wire, session->error);
    SK_LIST_FOR_EACH(link, &session->pings) io_fiber_wake(SK_CONTAINER_OF(link, struct ping, link)->fiber);
}

static void leave_idle(struct origin_session *session) {
    if (!session->idle) return;
    session->idle = false;
    io_timer_stop(&session->idle_timer);
    io_stream_on_idle_event(session->connection->stream, NULL, NULL);
}

void origin_session_close_idle(struct origin_session *session) {
    leave_idle(session);
    session_free(session);
}

static void on_idle_timer(struct io_timer *timer) {
    origin_session_close_idle(SK_CONTAINER_OF(timer, struct origin_session, idle_timer));
}

/* The server said something: answers to PING and SETTINGS are given, anything worse ends it. */
static void on_idle_event(void *arg) {
    struct origin_session *session = arg;
    sk_err err = take_in(session), sent = give_out(session);
    if (err || sent || pending(session) || !usable(session))
        origin_session_close_idle(session);
    else
        io_stream_on_idle_event(session->connection->stream, on_idle_event, session);
}

/* Without a pump and without a place taken. */
static void settle(struct origin_session *session) {
    struct io_loop *loop = session->connection->thread->loop;
    if (!usable(session) || !session->pool || session->idle_ms <= 0) {
        session_free(session);
        return;
    }
    session->idle = true;
    sk_buf_shrink(&session->out);
    io_timer_start(loop, &session->idle_timer, io_loop_now(loop) + session->idle_ms * SK_NS_PER_MS,
                   on_idle_timer);
    io_stream_on_idle_event(session->connection->stream, on_idle_event, session);
}

/* --- the pump --------------------------------------------------------------------------------------------- */

/* Calls have their own time limits; here only for a server that takes nothing. */
static sk_err await(struct origin_session *session) {
    bool writing = pending(session);
    sk_time_ns until = writing ? now(session) + session->stuck_ms * SK_NS_PER_MS : SK_TIME_NEVER;
    return io_stream_wait(session->connection->stream, true, writing, until);
}

static void pump_main(void *arg) {
    struct origin_session *session = arg;
    sk_err err;
    session->pump = io_fiber_self();
    do {
        err = take_in(session);
        if (err == SK_ERR_BUSY) err = SK_OK;
        sk_err sent = give_out(session);
        if (!err) err = sent;
        if (!err && session->pool) origin_pool_offer(session->pool);
        if (!err && session->places) err = await(session);
    } while (!err && session->places);
    session->pump = NULL;
    if (!err && pending(session)) err = SK_ERR_TIMEOUT; /* it does not even take our last words */
    if (err) die(session, err);
    if (!session->places) settle(session);
}

static void kick(struct origin_session *session) {
    if (session->error) return;
    if (session->pump)
        io_fiber_wake(session->pump);
    else if (io_fiber_spawn(session->connection->thread->loop, "origin h2", pump_main, session, NULL) !=
             SK_OK)
        die(session, SK_ERR_NO_MEMORY);
}

void origin_sessions_settle(const struct sk_list *list) {
    for (bool busy = true; busy;) {
        busy = false;
        SK_LIST_FOR_EACH(link, (struct sk_list *)(uintptr_t)list)
        busy |= SK_CONTAINER_OF(link, struct origin_session, link)->pump != NULL;
        if (busy) io_fiber_yield();
    }
}

/* --- places ----------------------------------------------------------------------------------------------- */

sk_err origin_session_create(struct origin_pool *pool, struct origin_connection *connection,
                             const struct config_origin_options *options,
                             struct origin_session **out_session) {
    static const struct wire_h2_client_limits limits = {HEAD_BYTES, FIELDS_MOST};
    struct origin_session *session = calloc(1, sizeof *session);
    if (!session) return SK_ERR_NO_MEMORY;
    sk_err err = wire_h2_client_create(&events, session, &limits, &session->wire);
    if (err) {
        free(session);
        return err;
    }
    session->magic = ORIGIN_SESSION_MAGIC;
    session->pool = pool;
    session->connection = connection;
    session->idle_ms = options->idle_timeout_ms;
    session->stuck_ms = options->between_bytes_timeout_ms;
    session->heard_at = now(session);
    sk_buf_init(&session->out, 0);
    sk_list_init(&session->pings);
    sk_list_init(&session->link);
    if (pool) sk_list_push_front(&pool->sessions, &session->link);
    *out_session = session;
    return SK_OK;
}

struct origin_session *origin_session_of(struct sk_list *link) {
    return SK_CONTAINER_OF(link, struct origin_session, link);
}

uint32_t origin_session_room(const struct origin_session *session) {
    if (!usable(session)) return 0;
    uint32_t calls = wire_h2_client_calls(session->wire), room = wire_h2_client_room(session->wire);
    uint32_t coming = session->places > calls ? session->places - calls : 0;
    return room > coming ? room - coming : 0;
}

bool origin_session_quiet(const struct origin_session *session) {
    return now(session) - session->heard_at > QUIET_NS;
}

sk_time_ns origin_session_heard_at(const struct origin_session *session) { return session->heard_at; }

bool origin_session_idle(const struct origin_session *session) { return session->idle; }

bool origin_session_dead(const struct origin_session *session) { return session->error != SK_OK; }

void origin_session_join(struct origin_session *session) {
    leave_idle(session);
    session->places++;
}

void origin_session_leave(struct origin_session *session) {
    struct origin_pool *pool = session->pool;
    session->places--;
    if (session->pump)
        io_fiber_wake(session->pump);
    else if (!session->places)
        settle(session);
    if (pool) origin_pool_offer(pool);
}

sk_err origin_session_probe(struct origin_session *session, sk_time_ns deadline) {
    struct ping ping = {.fiber = io_fiber_self()};
    sk_err err = session->error ? SK_ERR_CLOSED : wire_h2_client_ping(session->wire);
    if (err) return err;
    sk_list_push_back(&session->pings, &ping.link);
    kick(session);
    while (!err && !ping.answered && !session->error) err = io_fiber_park(deadline);
    sk_list_remove(&ping.link);
    if (ping.answered) return SK_OK;
    session->leaving = true;
    return err ? err : SK_ERR_CLOSED;
}

/* --- calls ------------------------------------------------------------------------------------------------ */

sk_err origin_call_begin(struct origin_call *call, struct origin_session *session,
                         const struct http_request *request, bool content) {
    sk_str scheme = session->connection->tls ? SK_STR("https") : SK_STR("http");
    call->owner = io_fiber_self();
    sk_err err = session->error
                     ? SK_ERR_CLOSED
                     : wire_h2_client_request(session->wire, &call->wire, request, scheme, content);
    if (err) {
        origin_session_leave(session);
        return err;
    }
    call->session = session;
    call->begun_at = now(session);
    kick(session);
    return SK_OK;
}

sk_err origin_call_send(struct origin_call *call, sk_str piece, sk_time_ns deadline) {
    sk_err err = SK_OK;
    call->piece = piece;
    call->sender = io_fiber_self();
    if (!call->closed) wire_h2_client_resume(call->session->wire, &call->wire);
    if (!call->closed) kick(call->session);
    while (!err && call->piece.len && !call->closed) err = io_fiber_park(deadline);
    bool taken = !call->piece.len;
    call->sender = NULL;
    call->piece = (sk_str){0};
    return taken ? SK_OK : call->closed ? SK_ERR_CLOSED : err;
}

void origin_call_finish(struct origin_call *call, const struct http_fields *trailers) {
    if (call->closed) return;
    call->last_piece = true;
    call->trailers = trailers;
    wire_h2_client_resume(call->session->wire, &call->wire);
    kick(call->session);
}

void origin_call_consumed(struct origin_call *call, size_t bytes) {
    struct origin_session *session = call->session;
    if (session->error) return;
    wire_h2_client_consumed(session->wire, &call->wire, bytes);
    wake(session->pump);
}

void origin_call_end(struct origin_call *call) {
    struct origin_session *session = call->session;
    if (!session) return;
    call->session = NULL;
    if (!session->error) {
        wire_h2_client_consumed(session->wire, &call->wire, sk_buf_len(call->content));
        wire_h2_client_cancel(session->wire, &call->wire);
        /* Silent towards everybody since then: whoever comes next would only wait as well. */
        if (call->timed_out && session->heard_at < call->begun_at) session->leaving = true;
    }
    origin_session_leave(session);
}
