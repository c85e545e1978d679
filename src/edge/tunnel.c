#include "edge/tunnel.h"

#include <stdlib.h>

#include "edge/error_page.h"
#include "edge/fetch.h"
#include "edge/worker.h"

#define PIECE_BYTES (16 * 1024)

/* Two fibers, one for each direction; the last one to end closes everything. */
struct tunnel {
    uint32_t references;
    struct io_loop *loop;
    struct io_stream *client;       /* NULL: it is a part of EXCHANGE's connection */
    struct edge_exchange *exchange; /* until the downward direction has ended */
    struct origin_exchange *origin;
    struct edge_snapshot *snapshot; /* a reference: the origin's group belongs to it */
    struct io_fiber *up, *down;     /* NULL when ended */
    int64_t idle_ms;
    sk_time_ns moved_at; /* last byte, either direction */
    uint64_t down_bytes;
    sk_str first; /* what the client has sent already */
    char up_piece[PIECE_BYTES], down_piece[PIECE_BYTES];
};

static void tunnel_unref(struct tunnel *tunnel) {
    if (--tunnel->references) return;
    io_stream_close(tunnel->client);
    origin_exchange_close(tunnel->origin);
    edge_snapshot_unref(tunnel->snapshot);
    free(tunnel);
}

static sk_time_ns deadline(const struct tunnel *tunnel) {
    return tunnel->idle_ms ? tunnel->moved_at + tunnel->idle_ms * SK_NS_PER_MS : SK_TIME_NEVER;
}

/* --- the client's end -------------------------------------------------------------------------------------- */

/* On the upward fiber, which may outlive the exchange. */
static sk_err read_client(struct tunnel *tunnel, size_t *out_n) {
    if (tunnel->client)
        return io_stream_read(tunnel->client, tunnel->up_piece, PIECE_BYTES, deadline(tunnel), out_n);
    for (;;) {
        struct edge_exchange *exchange = tunnel->exchange;
        if (!exchange) return SK_ERR_CLOSED;
        sk_err err =
            exchange->ops->tunnel_read(exchange, io_fiber_self(), tunnel->up_piece, PIECE_BYTES, out_n);
        if (err != SK_ERR_AGAIN) return err;
        err = io_fiber_park(deadline(tunnel));
        if (err) {
            if (tunnel->exchange) (void)exchange->ops->tunnel_read(exchange, NULL, NULL, 0, out_n);
            return err;
        }
    }
}

static sk_err write_client(struct tunnel *tunnel, size_t bytes) {
    if (tunnel->client) return io_stream_write(tunnel->client, tunnel->down_piece, bytes, deadline(tunnel));
    return tunnel->exchange->ops->tunnel_write(tunnel->exchange, tunnel->down_piece, bytes, deadline(tunnel));
}

static void end_client(struct tunnel *tunnel) {
    if (tunnel->client)
        io_stream_shutdown_write(tunnel->client);
    else
        tunnel->exchange->ops->tunnel_end(tunnel->exchange);
}

static sk_err take_client(struct tunnel *tunnel, struct edge_exchange *exchange,
                          const struct http_response *response) {
    if (!exchange->ops->tunnel_open)
        return exchange->ops->take_stream(exchange, response, &tunnel->client, &tunnel->first);
    return exchange->ops->tunnel_open(exchange, response);
}

/* --- two directions ---------------------------------------------------------------------------------------- */

/* A time-out of one direction is none while the other one moves. */
static bool still_moving(const struct tunnel *tunnel, sk_err err) {
    return err == SK_ERR_TIMEOUT && io_loop_now(tunnel->loop) < deadline(tunnel);
}

static sk_err send_up(struct tunnel *tunnel, const char *data, size_t bytes) {
    tunnel->moved_at = io_loop_now(tunnel->loop);
    return origin_exchange_tunnel_write(tunnel->origin, data, bytes, deadline(tunnel));
}

static sk_err run_up(struct tunnel *tunnel) {
    sk_err err = tunnel->first.len ? send_up(tunnel, tunnel->first.data, tunnel->first.len) : SK_OK;
    while (!err) {
        size_t n = 0;
        err = read_client(tunnel, &n);
        if (!err)
            err = send_up(tunnel, tunnel->up_piece, n);
        else if (still_moving(tunnel, err))
            err = SK_OK;
    }
    return err;
}

static sk_err run_down(struct tunnel *tunnel) {
    sk_err err = SK_OK;
    while (!err) {
        size_t n = 0;
        err = origin_exchange_tunnel_read(tunnel->origin, tunnel->down_piece, PIECE_BYTES, deadline(tunnel),
                                          &n);
        if (still_moving(tunnel, err)) {
            err = SK_OK;
        } else if (!err) {
            tunnel->moved_at = io_loop_now(tunnel->loop);
            err = write_client(tunnel, n);
            if (!err) tunnel->down_bytes += n;
        }
    }
    return err;
}

static void up_main(void *arg) {
    struct tunnel *tunnel = arg;
    tunnel->up = io_fiber_self();
    sk_err err = run_up(tunnel);
    tunnel->up = NULL;
    if (err == SK_ERR_END)
        origin_exchange_tunnel_shutdown(tunnel->origin);
    else if (tunnel->down)
        io_fiber_cancel(tunnel->down);
    if (tunnel->down) io_fiber_wake(tunnel->down);
    tunnel_unref(tunnel);
}

/* The downward direction has ended: so does the upward one, after the client's own end or at once. */
static void finish_down(struct tunnel *tunnel, sk_err err) {
    if (err == SK_ERR_END)
        end_client(tunnel);
    else if (tunnel->up)
        io_fiber_cancel(tunnel->up);
    while (tunnel->up && io_fiber_park(SK_TIME_NEVER) == SK_OK) continue;
    if (tunnel->up) io_fiber_cancel(tunnel->up);
    tunnel->down = NULL;
}

static void leave_client(struct tunnel *tunnel, bool well) {
    if (!tunnel->client) tunnel->exchange->ops->tunnel_close(tunnel->exchange, well);
    tunnel->exchange = NULL;
}

static struct tunnel *tunnel_create(struct edge_exchange *exchange, struct origin_exchange *origin) {
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);
    if (!tunnel) return NULL;
    tunnel->references = 1;
    tunnel->loop = exchange->worker->loop;
    tunnel->origin = origin;
    tunnel->snapshot = edge_snapshot_ref(exchange->snapshot);
    tunnel->exchange = exchange;
    tunnel->down = exchange->fiber;
    tunnel->idle_ms = exchange->snapshot->config->timeouts.tunnel_ms;
    tunnel->moved_at = io_loop_now(tunnel->loop);
    return tunnel;
}

static void run(struct tunnel *tunnel) {
    tunnel->references++;
    sk_err err = io_fiber_spawn(tunnel->loop, "tunnel", up_main, tunnel, NULL);
    if (err) {
        tunnel->references--;
    } else {
        err = run_down(tunnel);
        finish_down(tunnel, err);
    }
    leave_client(tunnel, err == SK_ERR_END);
}

void edge_tunnel(struct edge_exchange *exchange) {
    struct edge_fetch *fetch = exchange->fetch;
    struct origin_exchange *origin = fetch->tunnel;
    exchange->outcome.origin_status = 101;
    exchange->outcome.upstream = fetch->result.origin;
    fetch->tunnel = NULL;
    struct tunnel *tunnel = tunnel_create(exchange, origin);
    if (!tunnel) {
        origin_exchange_close(origin);
        edge_respond_error(exchange, 503, "out of memory");
        return;
    }
    sk_err err = take_client(tunnel, exchange, fetch->tunnel_response);
    if (!err)
        run(tunnel);
    else if (!exchange->responded)
        edge_respond_error(exchange, 502, "the connection cannot change its protocol");
    if (tunnel->client) exchange->outcome.sent_bytes += tunnel->down_bytes; /* else it is counted already */
    tunnel_unref(tunnel);
}
