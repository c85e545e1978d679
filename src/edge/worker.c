#include "edge/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/encode.h"
#include "edge/fetch.h"
#include "edge/h1.h"
#include "edge/handshake.h"
#include "edge/process.h"
#include "edge/quic.h"
#include "edge/tls_layer.h"
#include "io/socket.h"

#define ACCEPTS_A_TURN 64
#define ACCEPT_RETRY_MS 50
#define DRAIN_CHECK_MS 5
/* Fibers that do not end within this time after the edge was told to stop are left behind. */
#define STOP_MS 1000
#define SCRATCH_FIRST_BYTES (32 * 1024)
#define CONNECTIONS_KEPT 1024

sk_str edge_worker_date(struct edge_worker *worker) {
    sk_unix_s now = io_loop_wall_s(worker->loop);
    if (now != worker->date_at) {
        http_date_format(now, worker->date);
        worker->date_at = now;
    }
    return (sk_str){worker->date, HTTP_DATE_BYTES};
}

/* --- connections --------------------------------------------------------------------------------------- */

void edge_connection_add(struct edge_worker *worker, struct edge_connection *connection,
                         const struct edge_connection_ops *ops) {
    connection->ops = ops;
    sk_list_push_back(&worker->connections, &connection->link);
    worker->connection_count++;
}

void edge_connection_remove(struct edge_worker *worker, struct edge_connection *connection) {
    sk_list_remove(&connection->link);
    worker->connection_count--;
}

struct edge_tls_room *edge_worker_tls_room(struct edge_worker *worker) {
    if (worker->tls_room) return worker->tls_room;
    struct edge_tls_room *room = malloc(sizeof *room);
    if (!room || edge_tls_room_create(room) != SK_OK) {
        free(room);
        return NULL;
    }
    return worker->tls_room = room;
}

/* --- accepting ------------------------------------------------------------------------------------------ */

static void accept_turn(struct edge_accept *accept);

static void on_accept_retry(struct io_timer *timer) {
    accept_turn(SK_CONTAINER_OF(timer, struct edge_accept, retry));
}

static void on_accept_again(struct io_task *task) {
    struct edge_accept *accept = SK_CONTAINER_OF(task, struct edge_accept, again);
    accept->queued = false;
    if (accept->closed)
        free(accept);
    else
        accept_turn(accept);
}

static void queue_accept(struct edge_accept *accept) {
    if (accept->queued) return;
    accept->queued = true;
    accept->again.run = on_accept_again;
    io_loop_defer_to_next(accept->worker->loop, &accept->again);
}

static void take_connection(struct edge_accept *accept, int fd, const struct io_addr *peer) {
    struct edge_worker *worker = accept->worker;
    sk_err err = edge_limits_enter(worker->limits, peer);
    if (!err) {
        observe_count(worker->metrics, OBSERVE_CONNECTIONS);
        if (accept->tls)
            edge_handshake_start(worker, fd, peer, accept->tls, accept->http3_port);
        else
            h1_accept(worker, fd, peer, NULL);
        return;
    }
    close(fd);
    observe_count(worker->metrics, OBSERVE_CONNECTIONS_REFUSED);
    SK_LOG_LIMITED(SK_LOG_WARN, "edge", "a connection was refused: %s",
                   err == SK_ERR_DENIED ? "too many of this client" : "too many connections");
}

static void accept_turn(struct edge_accept *accept) {
    struct edge_worker *worker = accept->worker;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd;
        struct io_addr peer;
        sk_err err = io_accept(accept->watch.fd, &fd, &peer);
        if (err == SK_ERR_AGAIN) return;
        if (err == SK_ERR_FULL || err == SK_ERR_NO_MEMORY) {
            SK_LOG_LIMITED(SK_LOG_ERROR, "edge", "cannot accept connections: out of descriptors or memory");
            io_timer_start(worker->loop, &accept->retry,
                           io_loop_now(worker->loop) + ACCEPT_RETRY_MS * SK_NS_PER_MS, on_accept_retry);
            return;
        }
        if (!err) take_connection(accept, fd, &peer);
    }
    queue_accept(accept);
}

static void on_accept_ready(struct io_watch *watch, unsigned ready) {
    accept_turn(SK_CONTAINER_OF(watch, struct edge_accept, watch));
}

static void set_protocols(struct edge_accept *accept, const struct edge_snapshot *snapshot) {
    accept->tls = edge_snapshot_tls(snapshot, &accept->addr);
    accept->http3_port = edge_snapshot_quic(snapshot, &accept->addr) ? accept->port : 0;
}

static void start_accepting(struct edge_worker *worker, int fd, int source_fd, const struct io_addr *addr) {
    struct edge_accept *accept = calloc(1, sizeof *accept);
    if (!accept) {
        sk_log(SK_LOG_ERROR, "edge", "a worker cannot accept connections: out of memory");
        close(fd);
        return;
    }
    accept->worker = worker;
    accept->source_fd = source_fd;
    accept->addr = *addr;
    struct io_addr bound;
    if (io_socket_local_addr(fd, &bound) == SK_OK) accept->port = io_addr_port(&bound);
    set_protocols(accept, worker->snapshot);
    accept->watch = (struct io_watch){.fd = fd, .on_ready = on_accept_ready};
    sk_list_push_back(&worker->accepts, &accept->link);
    if (io_watch_start(worker->loop, &accept->watch) != SK_OK)
        sk_log(SK_LOG_ERROR, "edge", "a worker cannot watch its listening socket");
}

/* What waits in the queue has been promised an answer by the kernel already. */
static void accept_rest(struct edge_accept *accept) {
    int fd;
    struct io_addr peer;
    while (io_accept(accept->watch.fd, &fd, &peer) == SK_OK) take_connection(accept, fd, &peer);
}

static void stop_accepting(struct edge_accept *accept) {
    io_watch_stop(&accept->watch);
    io_timer_stop(&accept->retry);
    close(accept->watch.fd);
    sk_list_remove(&accept->link);
    accept->closed = true;
    if (!accept->queued) free(accept); /* else its task does */
}

/* --- the end ---------------------------------------------------------------------------------------------- */

static void cancel_fetches(struct edge_worker *worker) {
    SK_LIST_FOR_EACH(link, &worker->fetches)
    edge_fetch_cancel(SK_CONTAINER_OF(link, struct edge_fetch, link));
    edge_encode_cancel_all(worker);
}

static void on_drain_timer(struct io_timer *timer) {
    struct edge_worker *worker = SK_CONTAINER_OF(timer, struct edge_worker, drain_timer);
    edge_worker_check_drained(worker);
}

void edge_worker_check_drained(struct edge_worker *worker) {
    if (worker->stage == EDGE_RUNNING || worker->connection_count) return;
    sk_time_ns now = io_loop_now(worker->loop);
    cancel_fetches(worker);
    bool late = worker->stage == EDGE_STOPPING && now >= worker->stop_by;
    if (late || (!io_fiber_count(worker->loop) && !io_fiber_self()))
        io_loop_stop(worker->loop);
    else
        io_timer_start(worker->loop, &worker->drain_timer, now + DRAIN_CHECK_MS * SK_NS_PER_MS,
                       on_drain_timer);
}

static void drain_one(struct edge_connection *connection) { connection->ops->drain(connection); }
static void abort_one(struct edge_connection *connection) { connection->ops->abort(connection); }

static void for_connections(struct edge_worker *worker, void (*one)(struct edge_connection *connection)) {
    SK_LIST_FOR_EACH(link, &worker->connections) one(SK_CONTAINER_OF(link, struct edge_connection, link));
}

static void drain(struct edge_worker *worker, bool accept_waiting) {
    if (worker->stage != EDGE_RUNNING) return;
    SK_LIST_FOR_EACH(link, &worker->accepts) {
        struct edge_accept *accept = SK_CONTAINER_OF(link, struct edge_accept, link);
        if (accept_waiting) accept_rest(accept);
        stop_accepting(accept);
    }
    worker->stage = EDGE_DRAINING;
    edge_quic_refuse_from(worker->quic, -1);
    for_connections(worker, drain_one);
    edge_worker_check_drained(worker);
}

static void stop(struct edge_worker *worker) {
    drain(worker, false);
    if (worker->stage == EDGE_STOPPING) return;
    worker->stage = EDGE_STOPPING;
    worker->stop_by = io_loop_now(worker->loop) + STOP_MS * SK_NS_PER_MS;
    for_connections(worker, abort_one);
    cancel_fetches(worker);
    io_timer_start(worker->loop, &worker->drain_timer, worker->stop_by, on_drain_timer);
    edge_worker_check_drained(worker);
}

/* --- messages --------------------------------------------------------------------------------------------- */

struct told {
    struct io_task task;
    struct edge_worker *worker;
    struct edge_message message;
};

static void use_snapshot(struct edge_worker *worker, struct edge_snapshot *snapshot) {
    if (worker->snapshot) edge_snapshot_unref(worker->snapshot);
    worker->snapshot = snapshot;
    worker->log_wanted = worker->log && snapshot->config->access_log.len;
    SK_LIST_FOR_EACH(link, &worker->accepts) {
        set_protocols(SK_CONTAINER_OF(link, struct edge_accept, link), snapshot);
    }
    edge_quic_use_snapshot(worker->quic);
}

static void refuse_from(struct edge_worker *worker, int source_fd) {
    SK_LIST_FOR_EACH(link, &worker->accepts) {
        struct edge_accept *accept = SK_CONTAINER_OF(link, struct edge_accept, link);
        if (accept->source_fd != source_fd) continue;
        accept_rest(accept);
        stop_accepting(accept);
    }
    edge_quic_refuse_from(worker->quic, source_fd);
}

static void on_told(struct io_task *task) {
    struct told *told = SK_CONTAINER_OF(task, struct told, task);
    struct edge_worker *worker = told->worker;
    struct edge_message message = told->message;
    free(told);
    switch (message.kind) {
    case EDGE_TELL_SNAPSHOT: use_snapshot(worker, message.snapshot); break;
    case EDGE_TELL_ACCEPT: start_accepting(worker, message.fd, message.source_fd, &message.addr); break;
    case EDGE_TELL_QUIC: edge_quic_listen(worker->quic, message.fd, message.source_fd, &message.addr); break;
    case EDGE_TELL_REFUSE: refuse_from(worker, message.source_fd); break;
    case EDGE_TELL_LET_GO:
        worker->lets_go = true;
        for_connections(worker, drain_one);
        break;
    case EDGE_TELL_KEEP: worker->lets_go = false; break;
    case EDGE_TELL_DRAIN: drain(worker, true); break;
    case EDGE_TELL_HAND_OVER:
        edge_quic_stop_reading(worker->quic);
        drain(worker, false);
        break;
    case EDGE_TELL_STOP: stop(worker); break;
    }
}

sk_err edge_worker_tell(struct edge_worker *worker, struct edge_message message) {
    struct told *told = malloc(sizeof *told);
    if (!told) return SK_ERR_NO_MEMORY;
    *told = (struct told){.task.run = on_told, .worker = worker, .message = message};
    io_loop_post(worker->loop, &told->task);
    return SK_OK;
}

/* --- the thread ------------------------------------------------------------------------------------------- */

static sk_err join(struct edge_worker *worker) {
    char name[16];
    struct edge_process *process = worker->process;
    snprintf(name, sizeof name, "worker-%u", worker->index);
    sk_err err = io_loop_create(name, &worker->loop);
    if (!err) err = observe_thread_join(&worker->metrics);
    if (!err) err = cache_thread_join(process->cache, worker->loop, &worker->cache);
    if (!err)
        err = origin_thread_join(process->registry, worker->loop, worker->metrics,
                                 edge_process_resolver(process), &worker->origins);
    if (!err) err = access_log_join(process->log, worker->metrics, &worker->log);
    return err;
}

static void leave(struct edge_worker *worker) {
    worker->stuck = worker->loop && io_fiber_count(worker->loop) > 0;
    if (worker->stuck) return;
    edge_quic_free(worker->quic);
    worker->quic = NULL; /* what others have posted looks for it */
    if (worker->origins) origin_thread_leave(worker->origins);
    if (worker->cache) cache_thread_leave(worker->cache);
    if (worker->loop) io_loop_destroy(worker->loop);
    if (worker->snapshot) edge_snapshot_unref(worker->snapshot);
    sk_arena_free(&worker->scratch);
    if (!worker->connection_count) {
        sk_pool_free_all(&worker->connection_pool);
        mux_room_free(&worker->mux_room);
    }
    free(worker->input);
    if (worker->tls_room) edge_tls_room_free(worker->tls_room);
    free(worker->tls_room);
}

static sk_err set_up(struct edge_worker *worker) {
    sk_list_init(&worker->connections);
    sk_list_init(&worker->fetches);
    sk_list_init(&worker->accepts);
    sk_list_init(&worker->encodes);
    sk_arena_init(&worker->scratch, SCRATCH_FIRST_BYTES, 0);
    sk_pool_init(&worker->connection_pool, sizeof(struct h1_conn), CONNECTIONS_KEPT);
    worker->input = malloc(EDGE_INPUT_BYTES);
    sk_err err = worker->input ? join(worker) : SK_ERR_NO_MEMORY;
    if (!err) err = edge_quic_create(worker, &worker->quic);
    if (err) return err;
    mux_room_init(&worker->mux_room, worker->loop);
    use_snapshot(worker, edge_snapshot_ref(worker->process->snapshot));
    edge_process_reachable(worker->process, worker->index, true);
    return SK_OK;
}

static void *thread_main(void *arg) {
    struct edge_worker *worker = arg;
    sk_err err = set_up(worker);
    edge_process_worker_ready(worker->process, err);
    if (!err) {
        io_loop_run(worker->loop);
        edge_process_worker_done(worker->process, worker);
    }
    leave(worker);
    return NULL;
}

sk_err edge_worker_start(struct edge_worker *worker) {
    int failed = pthread_create(&worker->thread, NULL, thread_main, worker);
    return failed ? sk_err_from_errno(failed) : SK_OK;
}
