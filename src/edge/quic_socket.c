/* The datagram sockets of a worker, and how much of what waits in them one turn takes. */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/quic_private.h"
#include "io/socket.h"

/* A turn of the sockets. Others wait meanwhile, so it is counted in time: one datagram may cost a microsecond or, where
 * a handshake begins with it, a thousand. */
#define TURN_NS (SK_NS_PER_MS / 2)
/* Datagrams without a handshake, from one look at the clock to the next. */
#define LOOK_EVERY 8

/* --- turns ------------------------------------------------------------------------------------------------ */

static bool next_datagram(struct edge_quic_batch *batch, const struct io_train **out_train,
                          sk_str *out_datagram) {
    while (batch->count) {
        const struct io_train *train = batch->trains;
        if (!train->cut && batch->at < train->bytes) {
            size_t bytes = SK_MIN(train->segment, train->bytes - batch->at);
            *out_train = train;
            *out_datagram = (sk_str){train->data + batch->at, bytes};
            batch->at += bytes;
            return true;
        }
        batch->trains++;
        batch->count--;
        batch->at = 0;
    }
    return false;
}

/* What the last receive brought. False: the time is over, and some of it may be left. */
static bool work_off(struct edge_quic *quic, sk_time_ns end) {
    const struct io_train *train;
    sk_str datagram;
    for (unsigned n = 1; next_datagram(&quic->batch, &train, &datagram); n++) {
        bool begun = quic_take(quic->batch.socket, train, datagram, false);
        if ((begun || n % LOOK_EVERY == 0) && sk_time_now() >= end) return false;
    }
    return true;
}

/* True: more may wait. */
static bool receive(struct edge_quic_socket *socket) {
    struct edge_quic_batch *batch = &socket->quic->batch;
    *batch = (struct edge_quic_batch){.socket = socket};
    sk_err err = io_datagrams_receive(socket->quic->room, socket->watch.fd, &socket->bound, &batch->trains,
                                      &batch->count);
    if (err) batch->count = 0;
    return !err && batch->count == IO_TRAINS; /* what comes later is told of */
}

static void on_again(struct io_task *task);

/* Goes on in the next iteration: more waits, or the end is near and somebody on the stack still reads from it. */
static void queue_socket(struct edge_quic_socket *socket) {
    if (socket->queued) return;
    socket->queued = true;
    socket->again.run = on_again;
    io_loop_defer_to_next(socket->quic->worker->loop, &socket->again);
}

/* A batch that another socket's turn has left comes first: there is one room for all. */
static void take_turn(struct edge_quic_socket *socket) {
    sk_time_ns end = sk_time_now() + TURN_NS;
    bool more = !socket->deaf;
    bool in_time = work_off(socket->quic, end);
    while (in_time && more) {
        more = receive(socket);
        in_time = work_off(socket->quic, end);
    }
    if (!in_time) queue_socket(socket);
    quic_run_touched(socket->quic);
}

static void on_again(struct io_task *task) {
    struct edge_quic_socket *socket = SK_CONTAINER_OF(task, struct edge_quic_socket, again);
    socket->queued = false;
    if (socket->closed)
        free(socket);
    else if (socket->unwanted && !socket->connections)
        quic_socket_close(socket);
    else
        take_turn(socket);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    take_turn(SK_CONTAINER_OF(watch, struct edge_quic_socket, watch));
}

/* --- life ------------------------------------------------------------------------------------------------- */

void quic_socket_close(struct edge_quic_socket *socket) {
    struct edge_quic_batch *batch = &socket->quic->batch;
    if (batch->socket == socket) *batch = (struct edge_quic_batch){0};
    io_watch_stop(&socket->watch);
    close(socket->watch.fd);
    sk_list_remove(&socket->link);
    socket->closed = true;
    if (!socket->queued) free(socket); /* else its task does */
}

void edge_quic_listen(struct edge_quic *quic, int fd, int source_fd, const struct io_addr *addr) {
    struct edge_quic_socket *socket = calloc(1, sizeof *socket);
    if (!socket || io_socket_local_addr(fd, &socket->bound) != SK_OK) {
        sk_log(SK_LOG_ERROR, "edge", "a worker cannot listen for QUIC: out of memory");
        free(socket);
        close(fd);
        return;
    }
    socket->quic = quic;
    socket->source_fd = source_fd;
    socket->addr = *addr;
    socket->tls = edge_snapshot_quic(quic->worker->snapshot, addr);
    socket->watch = (struct io_watch){.fd = fd, .on_ready = on_ready, .read_only = true};
    sk_list_push_back(&quic->sockets, &socket->link);
    if (io_watch_start(quic->worker->loop, &socket->watch) != SK_OK)
        sk_log(SK_LOG_ERROR, "edge", "a worker cannot watch its socket for QUIC");
}

void edge_quic_left(struct edge_quic_socket *socket) {
    if (--socket->connections == 0 && socket->unwanted) queue_socket(socket);
}

void edge_quic_refuse_from(struct edge_quic *quic, int source_fd) {
    SK_LIST_FOR_EACH(link, &quic->sockets) {
        struct edge_quic_socket *socket = SK_CONTAINER_OF(link, struct edge_quic_socket, link);
        if (source_fd != -1 && socket->source_fd != source_fd) continue;
        socket->unwanted = true;
        socket->tls = NULL;
        socket->source_fd = -1; /* another one may get this number */
        if (!socket->connections) queue_socket(socket);
    }
}

void edge_quic_stop_reading(struct edge_quic *quic) {
    SK_LIST_FOR_EACH(link, &quic->sockets) {
        struct edge_quic_socket *socket = SK_CONTAINER_OF(link, struct edge_quic_socket, link);
        io_watch_stop(&socket->watch);
        socket->deaf = true;
    }
}

void edge_quic_use_snapshot(struct edge_quic *quic) {
    SK_LIST_FOR_EACH(link, &quic->sockets) {
        struct edge_quic_socket *socket = SK_CONTAINER_OF(link, struct edge_quic_socket, link);
        if (!socket->unwanted) socket->tls = edge_snapshot_quic(quic->worker->snapshot, &socket->addr);
    }
}
