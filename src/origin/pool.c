#include "origin/pool.h"

#include <stdlib.h>

/* A request that cannot be repeated takes an idle connection only if it was in use this long ago: servers
 * close theirs after 5 seconds or more, and one that closes just now would cost the request. */
#define NO_SURPRISE_NS (2 * SK_NS_PER_S)

/* A fiber in line. On its own stack. */
struct waiter {
    struct sk_list link;
    struct io_fiber *fiber;
    struct origin_connection *connection; /* given */
    struct origin_session *session;       /* a place in it was given instead */
    bool may_open;                        /* a place for a connection was */
    bool http2;                           /* it can use a session */
};

/* --- pools --------------------------------------------------------------------------------------------- */

static bool unused(const struct origin_pool *pool) {
    /* relaxed: a pool that is kept a little too long does no harm */
    return pool->open == 0 && sk_list_empty(&pool->waiters) &&
           atomic_load_explicit(&pool->origin->groups, memory_order_relaxed) == 0;
}

static void pool_free(struct origin_pool *pool) {
    SK_ASSERT(pool->open == 0 && sk_list_empty(&pool->idle) && sk_list_empty(&pool->sessions));
    sk_list_remove(&pool->link);
    pool->origin->pools[pool->thread->slot] = NULL;
    wire_tls_session_free(pool->session);
    origin_unref(pool->origin);
    free(pool);
}

/* Pools of origins that no configuration names any more. Looked for when a new one is made, which is when a
 * reload has brought other origins. */
static void sweep(struct origin_thread *thread) {
    SK_LIST_FOR_EACH(link, &thread->pools) {
        struct origin_pool *pool = SK_CONTAINER_OF(link, struct origin_pool, link);
        if (unused(pool)) pool_free(pool);
    }
}

struct origin_pool *origin_pool_of(struct origin_thread *thread, struct origin *origin) {
    struct origin_pool *pool = origin->pools[thread->slot];
    if (pool) return pool;
    sweep(thread);
    pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pool->thread = thread;
    pool->origin = origin_ref(origin);
    sk_list_init(&pool->idle);
    sk_list_init(&pool->waiters);
    sk_list_init(&pool->sessions);
    sk_list_push_back(&thread->pools, &pool->link);
    return origin->pools[thread->slot] = pool;
}

/* --- connections come and go ------------------------------------------------------------------------- */

/* A place has become free: the first in line gets it. */
static void give_place(struct origin_pool *pool) {
    struct sk_list *link = sk_list_pop_front(&pool->waiters);
    if (!link) {
        pool->open--;
        return;
    }
    struct waiter *waiter = SK_CONTAINER_OF(link, struct waiter, link);
    waiter->may_open = true;
    io_fiber_wake(waiter->fiber);
}

static void keep_session(struct origin_pool *pool, struct origin_connection *connection) {
    struct wire_tls_session *session = connection->tls ? wire_tls_take_session(connection->tls) : NULL;
    if (!session) return;
    wire_tls_session_free(pool->session);
    pool->session = session;
}

static void discard(struct origin_pool *pool, struct origin_connection *connection) {
    keep_session(pool, connection);
    origin_connection_close(connection);
    give_place(pool);
}

void origin_pool_discard(struct origin_pool *pool, struct origin_connection *connection) {
    discard(pool, connection);
}

/* --- sessions of HTTP/2 -------------------------------------------------------------------------------- */

static struct origin_session *session_with_room(const struct origin_pool *pool) {
    SK_LIST_FOR_EACH(link, (struct sk_list *)(uintptr_t)&pool->sessions) {
        struct origin_session *session = origin_session_of(link);
        if (origin_session_room(session)) return session;
    }
    return NULL;
}

void origin_pool_offer(struct origin_pool *pool) {
    SK_LIST_FOR_EACH(link, &pool->waiters) {
        struct waiter *waiter = SK_CONTAINER_OF(link, struct waiter, link);
        struct origin_session *session = waiter->http2 ? session_with_room(pool) : NULL;
        if (!session) continue;
        sk_list_remove(link);
        origin_session_join(session);
        waiter->session = session;
        io_fiber_wake(waiter->fiber);
    }
}

/* A connection failed that others waited for, or did not become a session: they open their own. */
static void let_others_open(struct origin_pool *pool, const struct config_origin_options *options) {
    pool->speaks_http2 = false;
    while (!sk_list_empty(&pool->waiters) &&
           (!options->max_connections || pool->open < options->max_connections)) {
        struct waiter *waiter = SK_CONTAINER_OF(sk_list_pop_front(&pool->waiters), struct waiter, link);
        pool->open++;
        waiter->may_open = true;
        io_fiber_wake(waiter->fiber);
    }
}

static void leave_idle(struct origin_pool *pool, struct origin_connection *connection) {
    io_timer_stop(&connection->idle_timer);
    io_stream_on_idle_event(connection->stream, NULL, NULL);
    sk_list_remove(&connection->link);
    pool->idle_count--;
}

static struct origin_pool *pool_of(const struct origin_connection *connection) {
    return connection->origin->pools[connection->thread->slot];
}

static void on_idle_timer(struct io_timer *timer) {
    struct origin_connection *connection = SK_CONTAINER_OF(timer, struct origin_connection, idle_timer);
    struct origin_pool *pool = pool_of(connection);
    leave_idle(pool, connection);
    discard(pool, connection);
}

/* The peer closed it or sent something. */
static void on_idle_event(void *arg) {
    struct origin_connection *connection = arg;
    struct origin_pool *pool = pool_of(connection);
    if (!origin_connection_is_stale(connection)) { /* a TLS ticket, say */
        keep_session(pool, connection);
        io_stream_on_idle_event(connection->stream, on_idle_event, connection);
        return;
    }
    leave_idle(pool, connection);
    discard(pool, connection);
}

static void become_idle(struct origin_pool *pool, struct origin_connection *connection,
                        const struct config_origin_options *options) {
    struct io_loop *loop = pool->thread->loop;
    connection->idle_since = io_loop_now(loop);
    sk_buf_shrink(&connection->cipher);
    sk_list_push_front(&pool->idle, &connection->link);
    pool->idle_count++;
    io_timer_start(loop, &connection->idle_timer,
                   connection->idle_since + options->idle_timeout_ms * SK_NS_PER_MS, on_idle_timer);
    io_stream_on_idle_event(connection->stream, on_idle_event, connection);
}

static struct origin_connection *oldest_idle(struct origin_pool *pool) {
    return SK_CONTAINER_OF(sk_list_last(&pool->idle), struct origin_connection, link);
}

void origin_pool_release(struct origin_connection *connection, const struct config_origin_options *options,
                         bool reusable) {
    struct origin_pool *pool = pool_of(connection);
    if (!reusable || options->max_idle == 0 || origin_connection_is_stale(connection)) {
        discard(pool, connection);
        return;
    }
    keep_session(pool, connection);
    struct sk_list *link = sk_list_pop_front(&pool->waiters);
    if (link) {
        struct waiter *waiter = SK_CONTAINER_OF(link, struct waiter, link);
        waiter->connection = connection;
        io_fiber_wake(waiter->fiber);
        return;
    }
    become_idle(pool, connection, options);
    if (pool->idle_count <= options->max_idle) return;
    struct origin_connection *oldest = oldest_idle(pool);
    leave_idle(pool, oldest);
    discard(pool, oldest);
}

void origin_pools_close(struct origin_thread *thread) {
    SK_LIST_FOR_EACH(link, &thread->pools) {
        struct origin_pool *pool = SK_CONTAINER_OF(link, struct origin_pool, link);
        SK_ASSERT(sk_list_empty(&pool->waiters));
        origin_sessions_settle(&pool->sessions);
        while (!sk_list_empty(&pool->sessions))
            origin_session_close_idle(origin_session_of(sk_list_first(&pool->sessions)));
        while (!sk_list_empty(&pool->idle)) {
            struct origin_connection *oldest = oldest_idle(pool);
            leave_idle(pool, oldest);
            discard(pool, oldest);
        }
        pool_free(pool);
    }
}

/* --- getting one --------------------------------------------------------------------------------------- */

/* The newest idle one: it is the least likely to be closed soon, and the others may run out. */
static struct origin_connection *take_idle(struct origin_pool *pool, const struct origin_pool_wish *wish) {
    sk_time_ns now = io_loop_now(pool->thread->loop);
    while (!wish->fresh && !sk_list_empty(&pool->idle)) {
        struct origin_connection *newest =
            SK_CONTAINER_OF(sk_list_first(&pool->idle), struct origin_connection, link);
        if (wish->no_surprise && now - newest->idle_since > NO_SURPRISE_NS) return NULL;
        leave_idle(pool, newest);
        if (!origin_connection_is_stale(newest)) return newest;
        discard(pool, newest);
    }
    return NULL;
}

static bool close_unused(struct origin_pool *pool) {
    if (!sk_list_empty(&pool->idle)) {
        struct origin_connection *oldest = oldest_idle(pool);
        leave_idle(pool, oldest);
        discard(pool, oldest);
        return true;
    }
    SK_LIST_FOR_EACH(link, (struct sk_list *)(uintptr_t)&pool->sessions) {
        if (!origin_session_idle(origin_session_of(link))) continue;
        origin_session_close_idle(origin_session_of(link));
        return true;
    }
    return false;
}

/* A place for one more connection. Idle ones that this request cannot use give theirs up. */
static bool take_place(struct origin_pool *pool, const struct config_origin_options *options) {
    if (options->max_connections && pool->open >= options->max_connections) {
        if (!close_unused(pool) || pool->open >= options->max_connections) return false;
    }
    pool->open++;
    return true;
}

/* Stands in line. The wait has the connect timeout of its own, within the deadline. */
static sk_err wait_in_line(struct origin_pool *pool, const struct origin_pool_wish *wish,
                           struct waiter *waiter) {
    sk_time_ns now = io_loop_now(pool->thread->loop);
    sk_time_ns until = SK_MIN(wish->deadline, now + wish->options->connect_timeout_ms * SK_NS_PER_MS);
    sk_err err = SK_OK;
    sk_list_push_back(&pool->waiters, &waiter->link);
    while (!err && !waiter->connection && !waiter->session && !waiter->may_open) err = io_fiber_park(until);
    sk_list_remove(&waiter->link);
    if (waiter->connection || waiter->session || waiter->may_open) return SK_OK;
    return err == SK_ERR_TIMEOUT ? SK_ERR_BUSY : err;
}

/* A new connection that speaks HTTP/2 becomes a session, with room for those in line. */
static sk_err become_session(struct origin_pool *pool, const struct origin_pool_wish *wish,
                             struct origin_connection *connection) {
    struct origin_session *session;
    sk_err err = origin_session_create(pool, connection, wish->options, &session);
    if (err) {
        discard(pool, connection);
        return err;
    }
    pool->speaks_http2 = true;
    origin_session_join(session);
    *wish->out_session = session;
    origin_pool_offer(pool);
    return SK_OK;
}

static sk_err open_in_place(struct origin_pool *pool, const struct origin_pool_wish *wish,
                            struct origin_connection **out_connection, struct origin_failure *out_failure) {
    sk_time_ns now = io_loop_now(pool->thread->loop);
    sk_time_ns until = SK_MIN(wish->deadline, now + wish->options->connect_timeout_ms * SK_NS_PER_MS);
    struct origin_connection *connection;
    pool->opening++;
    sk_err err = origin_connection_open(pool->thread, pool->origin, !wish->out_session, pool->session, until,
                                        &connection, out_failure);
    pool->opening--;
    if (err) give_place(pool);
    if (!err && connection->http2) return become_session(pool, wish, connection);
    let_others_open(pool, wish->options);
    if (!err) *out_connection = connection;
    return err;
}

/* A session that has room, or will soon have. */
static struct origin_session *take_session(struct origin_pool *pool, const struct origin_pool_wish *wish) {
    struct origin_session *session = wish->out_session && !wish->fresh ? session_with_room(pool) : NULL;
    if (session) origin_session_join(session);
    return session;
}

static bool better_wait(const struct origin_pool *pool, const struct origin_pool_wish *wish) {
    return wish->out_session && pool->speaks_http2 && pool->opening;
}

sk_err origin_pool_acquire(struct origin_thread *thread, struct origin *origin,
                           const struct origin_pool_wish *wish, struct origin_connection **out_connection,
                           bool *out_reused, struct origin_failure *out_failure) {
    struct origin_pool *pool = origin_pool_of(thread, origin);
    *out_failure = (struct origin_failure){.phase = ORIGIN_PHASE_CONNECT};
    if (!pool) return SK_ERR_NO_MEMORY;
    struct waiter waiter = {
        .fiber = io_fiber_self(), .http2 = wish->out_session != NULL, .session = take_session(pool, wish)};
    if (!waiter.session) waiter.connection = take_idle(pool, wish);
    bool found = waiter.session || waiter.connection;
    if (!found && (better_wait(pool, wish) || !take_place(pool, wish->options))) {
        sk_err err = wait_in_line(pool, wish, &waiter);
        if (err == SK_ERR_BUSY) out_failure->detail = "all connections to the origin are in use";
        if (err) return err;
    }
    *out_reused = waiter.connection || waiter.session;
    if (!*out_reused) return open_in_place(pool, wish, out_connection, out_failure);
    if (waiter.session)
        *wish->out_session = waiter.session;
    else
        *out_connection = waiter.connection;
    return SK_OK;
}
