/* Answering over TCP (RFC 7766): messages with their length before them, as many in a row as the client likes, a
 * bounded number of connections, and no patience with the slow. A client that does not take its answers is not
 * read from. */
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "io/socket.h"
#include "route/transfer.h"
#include "route/worker.h"

enum {
    ACCEPTS_MAX = 64, /* in one turn */
    RETRY_MS = 2,
    POOL_KEEP = 64,
    INPUT_MAX = 2 + 65535,
    OUTPUT_MAX = 128 * 1024, /* answers not yet taken; above it nothing more is read */
};

struct connection {
    struct io_watch watch;
    struct io_timer idle;
    struct sk_list link;
    struct route_worker *worker;
    struct io_addr client;
    struct sk_buf in, out;
    struct transfer *transfer; /* NULL: none under way */
    bool peer_done, stalled;   /* no more will come; the socket takes no more now */
};

void tcp_pool_init(struct route_worker *worker) {
    sk_pool_init(&worker->connection_pool, sizeof(struct connection), POOL_KEEP);
}

static uint16_t *client_count(struct route_worker *worker, const struct io_addr *client) {
    uint8_t ip[16] = {0};
    (void)!io_addr_ip16(client, ip);
    return &worker->per_client[sk_hash64(ip, sizeof ip) % SK_COUNT(worker->per_client)];
}

static void end(struct connection *c) {
    struct route_worker *worker = c->worker;
    io_watch_stop(&c->watch);
    io_timer_stop(&c->idle);
    close(c->watch.fd);
    transfer_free(c->transfer);
    sk_buf_free(&c->in);
    sk_buf_free(&c->out);
    sk_list_remove(&c->link);
    --*client_count(worker, &c->client);
    sk_pool_put(&worker->connection_pool, c);
    if (--worker->connection_count == 0 && worker->leaving) io_loop_stop(worker->loop);
}

static void on_idle(struct io_timer *timer) { end(SK_CONTAINER_OF(timer, struct connection, idle)); }

/* Half the patience when half of the connections are taken, a tenth when nearly all are (RFC 7766 6.2.3). */
static void be_patient(struct connection *c) {
    struct route_worker *worker = c->worker;
    const struct config_route_tcp *tcp = &worker->plan->config->config->tcp;
    int64_t ms = tcp->idle_ms;
    if (worker->connection_count > tcp->connections / 2) ms /= 2;
    if (worker->connection_count > tcp->connections / 10 * 9) ms /= 5;
    io_timer_start(worker->loop, &c->idle, io_loop_now(worker->loop) + ms * SK_NS_PER_MS, on_idle);
}

/* --- answers ---------------------------------------------------------------------------------------- */

/* BYTES of the worker's scratch, which has room for the length before them. */
static sk_err queue(struct connection *c, size_t bytes) {
    uint8_t *answer = c->worker->tcp_answer;
    answer[0] = (uint8_t)(bytes >> 8);
    answer[1] = (uint8_t)bytes;
    return sk_buf_append(&c->out, sk_str_make((const char *)answer, 2 + bytes));
}

/* A transfer that cannot be given is refused as an ordinary answer. */
static sk_err refuse_transfer(struct connection *c, const uint8_t *message, const struct dns_query *asked,
                              struct tsig_request *tsig, sk_err why) {
    struct route_worker *worker = c->worker;
    struct dns_writer writer;
    struct dns_query query = *asked;
    query.edns.present = false;
    enum dns_rcode rcode = why == SK_ERR_NOT_FOUND ? DNS_NOTAUTH
                           : why == SK_ERR_DENIED  ? DNS_REFUSED
                                                   : DNS_SERVFAIL;
    dns_writer_begin(&writer, worker->tcp_answer + 2, UINT16_MAX, 0, message, &query, 0, rcode);
    size_t bytes = dns_writer_finish(&writer);
    sk_err err =
        tsig ? tsig_close(tsig, worker->tcp_answer + 2, &bytes, UINT16_MAX, io_loop_wall_s(worker->loop))
             : SK_OK;
    return err ? err : queue(c, bytes);
}

/* Begins a transfer if MESSAGE asks for one. False: it is to be answered as all others, also where its signature is
 * wrong. */
static bool begin_transfer(struct connection *c, const uint8_t *message, size_t bytes) {
    struct route_worker *worker = c->worker;
    struct dns_query query;
    enum dns_rcode rcode;
    struct tsig_request request, *tsig = NULL;
    if (dns_query_parse(message, bytes, &query, &rcode) != SK_OK || !transfer_wanted(&query)) return false;
    if (query.tsig_at) {
        tsig = &request;
        if (tsig_open(&worker->plan->config->options.tsig, message, bytes, query.tsig_at,
                      io_loop_wall_s(worker->loop), tsig) ||
            tsig->error)
            return false;
    }
    sk_err err = transfer_begin(worker->plan, message, &query, &c->client, tsig, &c->transfer);
    char name[1024], ip[IO_ADDR_TEXT_BYTES];
    dns_name_format(&query.name, name);
    io_addr_format_ip(&c->client, ip);
    SK_LOG_LIMITED(SK_LOG_INFO, "route", "transfer of %s to %s: %s", name, ip,
                   err ? sk_err_text(err) : "begins");
    if (!err)
        observe_count(worker->metrics, OBSERVE_DNS_TRANSFERS);
    else if (refuse_transfer(c, message, &query, tsig, err))
        c->peer_done = true;
    return true;
}

static sk_err answer(struct connection *c, const uint8_t *message, size_t bytes) {
    struct route_worker *worker = c->worker;
    if (begin_transfer(c, message, bytes)) return SK_OK;
    struct answer_log log;
    log.name.length = 0;
    sk_time_ns now = io_loop_now(worker->loop);
    size_t used =
        answer_query(worker->answerer, worker->plan->snapshot, ANSWER_TCP, &c->client, message, bytes, now,
                     io_loop_wall_s(worker->loop), worker->tcp_answer + 2, UINT16_MAX, &log);
    struct route_note note = {ANSWER_TCP,
                              &c->client,
                              &log,
                              used,
                              query_log_wants(&worker->notes.log),
                              top_due(worker->notes.top, 1, now)};
    if (log.name.length) route_notes_take(&worker->notes, worker->plan, &note, now);
    return used ? queue(c, used) : SK_ERR_MALFORMED;
}

/* Fills the output from the transfer under way, as far as there is room. */
static sk_err go_on_transfer(struct connection *c) {
    while (c->transfer && sk_buf_len(&c->out) < OUTPUT_MAX) {
        size_t bytes;
        sk_err err =
            transfer_next(c->transfer, io_loop_wall_s(c->worker->loop), c->worker->tcp_answer + 2, &bytes);
        if (err) return err;
        if (bytes) {
            err = queue(c, bytes);
            if (err) return err;
        } else {
            transfer_free(c->transfer);
            c->transfer = NULL;
        }
    }
    return SK_OK;
}

/* Answers whole messages of the input in their order while there is room for answers. */
static sk_err answer_input(struct connection *c) {
    for (;;) {
        sk_err err = go_on_transfer(c);
        sk_str in = sk_buf_str(&c->in);
        if (err || c->transfer || sk_buf_len(&c->out) >= OUTPUT_MAX || in.len < 2) return err;
        size_t bytes = (size_t)(uint8_t)in.data[0] << 8 | (uint8_t)in.data[1];
        if (in.len < 2 + bytes) return SK_OK;
        err = answer(c, (const uint8_t *)in.data + 2, bytes);
        if (err) return err;
        sk_buf_consume(&c->in, 2 + bytes);
    }
}

/* --- input and output ------------------------------------------------------------------------------- */

static sk_err flush(struct connection *c) {
    while (sk_buf_len(&c->out) && !c->stalled) {
        sk_str out = sk_buf_str(&c->out);
        struct iovec iov = {(void *)(uintptr_t)out.data, out.len};
        size_t sent;
        sk_err err = io_sendv(c->watch.fd, &iov, 1, false, &sent);
        if (err == SK_ERR_AGAIN) {
            c->stalled = true;
            return SK_OK;
        }
        if (err) return err;
        sk_buf_consume(&c->out, sent);
        be_patient(c);
    }
    return SK_OK;
}

/* Reads until the socket is empty or the input is full. */
static sk_err fill(struct connection *c, bool *out_any) {
    while (!c->peer_done && sk_buf_len(&c->in) < INPUT_MAX) {
        size_t n;
        sk_err err = sk_buf_reserve(&c->in, SK_MIN(2048, INPUT_MAX - sk_buf_len(&c->in)));
        if (err) return err;
        err = io_recv(c->watch.fd, sk_buf_space(&c->in),
                      SK_MIN(sk_buf_space_len(&c->in), INPUT_MAX - sk_buf_len(&c->in)), &n);
        if (err == SK_ERR_AGAIN) return SK_OK;
        if (err == SK_ERR_END) c->peer_done = true;
        if (err && err != SK_ERR_END) return err;
        if (!err) {
            sk_buf_commit(&c->in, n);
            *out_any = true;
        }
    }
    return SK_OK;
}

/* All that can be done now: read, answer, send, as long as that moves something. */
static void serve(struct connection *c) {
    sk_err err = SK_OK;
    for (bool go_on = true; go_on && !err;) {
        bool read_any = false;
        size_t out_before = sk_buf_len(&c->out);
        if (out_before < OUTPUT_MAX) err = fill(c, &read_any);
        if (!err) err = answer_input(c);
        bool answered = sk_buf_len(&c->out) > out_before;
        if (!err) err = flush(c);
        if (read_any || answered) be_patient(c);
        go_on = (read_any || answered) && !c->stalled;
    }
    bool finished = sk_buf_len(&c->out) == 0 && !c->transfer && (c->peer_done || c->worker->draining);
    if (err || finished) {
        end(c);
        return;
    }
    sk_buf_shrink(&c->in);
    sk_buf_shrink(&c->out);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct connection *c = SK_CONTAINER_OF(watch, struct connection, watch);
    if (ready & IO_WRITABLE) c->stalled = false;
    serve(c);
}

/* --- accepting -------------------------------------------------------------------------------------- */

static bool may_connect(struct route_worker *worker, const struct io_addr *client) {
    const struct config_route_tcp *tcp = &worker->plan->config->config->tcp;
    return worker->connection_count < tcp->connections &&
           *client_count(worker, client) < tcp->connections_per_client;
}

static void begin(struct route_worker *worker, int fd, const struct io_addr *client) {
    struct connection *c = may_connect(worker, client) ? sk_pool_get(&worker->connection_pool) : NULL;
    if (!c) {
        observe_count(worker->metrics, OBSERVE_CONNECTIONS_REFUSED);
        io_socket_abort(fd);
        return;
    }
    c->worker = worker;
    c->client = *client;
    c->watch.fd = fd;
    c->watch.on_ready = on_ready;
    sk_buf_init(&c->in, 0);
    sk_buf_init(&c->out, 0);
    sk_list_push_back(&worker->connections, &c->link);
    worker->connection_count++;
    ++*client_count(worker, client);
    observe_count(worker->metrics, OBSERVE_CONNECTIONS);
    be_patient(c);
    if (io_watch_start(worker->loop, &c->watch)) end(c);
}

static void on_retry(struct io_timer *timer);

static void accept_some(struct tcp_listener *listener) {
    struct io_addr client;
    int fd;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        sk_err err = io_accept(listener->watch.fd, &fd, &client);
        if (err == SK_ERR_AGAIN) return;
        if (err) break;
        begin(listener->worker, fd, &client);
    }
    /* Readiness is told once only: more wait, or there was no descriptor for one. */
    io_timer_start(listener->worker->loop, &listener->retry,
                   io_loop_now(listener->worker->loop) + RETRY_MS * SK_NS_PER_MS, on_retry);
}

static void on_retry(struct io_timer *timer) {
    accept_some(SK_CONTAINER_OF(timer, struct tcp_listener, retry));
}

static void on_accept(struct io_watch *watch, unsigned ready) {
    accept_some(SK_CONTAINER_OF(watch, struct tcp_listener, watch));
}

sk_err tcp_start(struct tcp_listener *listener, int fd) {
    listener->watch.fd = fd;
    listener->watch.on_ready = on_accept;
    return io_watch_start(listener->worker->loop, &listener->watch);
}

void tcp_stop_accepting(struct tcp_listener *listener) {
    if (listener->watch.fd < 0) return;
    io_timer_stop(&listener->retry);
    io_watch_stop(&listener->watch);
    close(listener->watch.fd);
    listener->watch.fd = -1;
}

void tcp_drain(struct route_worker *worker) {
    SK_LIST_FOR_EACH(link, &worker->connections) serve(SK_CONTAINER_OF(link, struct connection, link));
}

void tcp_close_all(struct route_worker *worker) {
    SK_LIST_FOR_EACH(link, &worker->connections) end(SK_CONTAINER_OF(link, struct connection, link));
    sk_pool_free_all(&worker->connection_pool);
}
