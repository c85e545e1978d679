#include "edge/handshake.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/h1.h"
#include "edge/h2.h"
#include "edge/tls_layer.h"

struct handshake {
    struct edge_connection connection;
    struct edge_worker *worker;
    struct edge_tls_layer *layer;
    struct io_addr peer;
    uint16_t http3_port; /* to be told of; 0: none */
    struct io_watch watch;
    struct io_timer timer;
};

static void release(struct handshake *handshake) {
    io_watch_stop(&handshake->watch);
    io_timer_stop(&handshake->timer);
    edge_connection_remove(handshake->worker, &handshake->connection);
    free(handshake);
}

/* The alert, if there is one, must not be lost with the socket's own data: so it lingers. */
static void give_up(struct handshake *handshake) {
    struct edge_worker *worker = handshake->worker;
    int fd = handshake->watch.fd;
    edge_limits_leave(worker->limits, &handshake->peer);
    io_layer_free(&handshake->layer->layer);
    release(handshake);
    io_socket_close_lingering(worker->loop, fd, EDGE_LINGER_MS);
    edge_worker_check_drained(worker);
}

static void note_failure(const struct handshake *handshake, sk_err err) {
    char ip[IO_ADDR_TEXT_BYTES];
    observe_count(handshake->worker->metrics, OBSERVE_TLS_HANDSHAKES_FAILED);
    if (err != SK_ERR_TLS) return; /* whoever leaves without a word is nothing to tell of */
    io_addr_format_ip(&handshake->peer, ip);
    SK_LOG_LIMITED(SK_LOG_INFO, "edge", "%s: TLS handshake failed: %s", ip,
                   wire_tls_conn_error(handshake->layer->tls));
}

static void count(struct observe_thread *metrics, const struct wire_tls_facts *facts) {
    observe_count(metrics,
                  facts->post_quantum ? OBSERVE_TLS_HANDSHAKES_PQ : OBSERVE_TLS_HANDSHAKES_CLASSICAL);
    if (facts->resumed) observe_count(metrics, OBSERVE_TLS_RESUMED);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct handshake *handshake = SK_CONTAINER_OF(watch, struct handshake, watch);
    struct edge_tls_layer *layer = handshake->layer;
    if (ready & IO_WRITABLE) layer->layer.ops->flush(&layer->layer, watch->fd);
    sk_err err = edge_tls_layer_handshake(layer, watch->fd);
    if (err == SK_ERR_AGAIN) return;
    if (err) {
        note_failure(handshake, err);
        give_up(handshake);
        return;
    }
    struct edge_worker *worker = handshake->worker;
    struct io_addr peer = handshake->peer;
    int fd = watch->fd;
    layer->facts.http3_port = handshake->http3_port;
    count(worker->metrics, &layer->facts);
    release(handshake);
    if (layer->facts.http2)
        h2_accept(worker, fd, &peer, &layer->layer);
    else
        h1_accept(worker, fd, &peer, &layer->layer);
}

static void on_timer(struct io_timer *timer) {
    struct handshake *handshake = SK_CONTAINER_OF(timer, struct handshake, timer);
    observe_count(handshake->worker->metrics, OBSERVE_TIMEOUTS);
    note_failure(handshake, SK_ERR_TIMEOUT);
    give_up(handshake);
}

static void on_abort(struct edge_connection *connection) {
    give_up(SK_CONTAINER_OF(connection, struct handshake, connection));
}

/* It may yet bring a request: only the time for that is short. */
static void on_drain(struct edge_connection *connection) {
    struct handshake *handshake = SK_CONTAINER_OF(connection, struct handshake, connection);
    struct io_loop *loop = handshake->worker->loop;
    io_timer_start(loop, &handshake->timer, io_loop_now(loop) + EDGE_DRAIN_IDLE_MS * SK_NS_PER_MS, on_timer);
}

static const struct edge_connection_ops ops = {.drain = on_drain, .abort = on_abort};

void edge_handshake_start(struct edge_worker *worker, int fd, const struct io_addr *peer,
                          struct wire_tls_server *server, uint16_t http3_port) {
    struct handshake *handshake = calloc(1, sizeof *handshake);
    struct edge_tls_room *room = edge_worker_tls_room(worker);
    if (!handshake || !room || edge_tls_layer_create(server, room, &handshake->layer) != SK_OK) {
        free(handshake);
        edge_limits_leave(worker->limits, peer);
        close(fd);
        return;
    }
    handshake->worker = worker;
    handshake->peer = *peer;
    handshake->http3_port = http3_port;
    handshake->watch = (struct io_watch){.fd = fd, .on_ready = on_ready};
    edge_connection_add(worker, &handshake->connection, &ops);
    int64_t ms = worker->snapshot->config->timeouts.header_ms;
    io_timer_start(worker->loop, &handshake->timer, io_loop_now(worker->loop) + ms * SK_NS_PER_MS, on_timer);
    if (io_watch_start(worker->loop, &handshake->watch) != SK_OK) give_up(handshake);
}
