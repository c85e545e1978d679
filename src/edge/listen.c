#include "edge/listen.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "edge/tls.h"
#include "io/datagram.h"
#include "io/socket.h"

#define PROBE_MS 100
/* A port that the system chose for TCP may be another one's for UDP. */
#define PORT_TRIES 8
/* Whoever may reach the machine may be a client. */
#define CLIENT_SOCKET_MODE 0666

static void set_port(struct io_addr *addr, uint16_t port) {
    if (addr->any.sa_family == AF_INET) addr->v4.sin_port = htons(port);
    if (addr->any.sa_family == AF_INET6) addr->v6.sin6_port = htons(port);
}

/* SO_REUSEPORT would let two edges share a port without a word; whoever listens there already is found by
 * calling on it. A connection within the machine is made or refused at once. */
static sk_err probe(const struct io_addr *addr) {
    int fd;
    if (!io_addr_port(addr) || io_connect_start(addr, &fd) != SK_OK) return SK_OK;
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    bool answered = poll(&waiting, 1, PROBE_MS) == 1 && io_socket_error(fd) == SK_OK;
    close(fd);
    return answered ? SK_ERR_EXISTS : SK_OK;
}

static sk_err bind_all(struct edge_listener *listener, unsigned count, unsigned unix_mode) {
    struct io_listen_options options = {.reuse_port = true, .unix_mode = unix_mode};
    listener->bound = listener->addr;
    for (unsigned i = 0; i < count; i++) {
        sk_err err = io_listen(&listener->bound, &options, &listener->fds[i]);
        if (!err && i == 0) {
            struct io_addr bound;
            err = io_socket_local_addr(listener->fds[0], &bound);
            if (!err) set_port(&listener->bound, io_addr_port(&bound));
        }
        if (err) return err;
        listener->fd_count++;
    }
    return SK_OK;
}

sk_err edge_listener_bind(const struct io_addr *addr, unsigned count, unsigned unix_mode,
                          struct edge_listener *out_listener) {
    bool local = addr->any.sa_family == AF_UNIX;
    struct edge_listener listener = {.addr = *addr, .fds = calloc(count, sizeof(int)), .unused = true};
    if (!listener.fds) return SK_ERR_NO_MEMORY;
    sk_err err = local ? SK_OK : probe(addr);
    if (!err) err = bind_all(&listener, local ? 1 : count, unix_mode);
    if (err)
        edge_listener_close(&listener);
    else
        *out_listener = listener;
    return err;
}

static void close_quic(struct edge_listener *listener) {
    for (unsigned i = 0; i < listener->quic_count; i++) close(listener->quic_fds[i]);
    free(listener->quic_fds);
    listener->quic_fds = NULL;
    listener->quic_count = 0;
}

sk_err edge_listener_bind_quic(struct edge_listener *listener, unsigned count) {
    listener->quic_fds = calloc(count, sizeof(int));
    if (!listener->quic_fds) return SK_ERR_NO_MEMORY;
    listener->quic_unused = true;
    sk_err err = SK_OK;
    for (unsigned i = 0; i < count && !err; i++) {
        err = io_datagram_open(&listener->bound, true, &listener->quic_fds[i]);
        if (!err) listener->quic_count++;
    }
    if (err) close_quic(listener);
    return err;
}

void edge_listener_close(struct edge_listener *listener) {
    for (unsigned i = 0; i < listener->fd_count; i++) close(listener->fds[i]);
    free(listener->fds);
    listener->fds = NULL;
    listener->fd_count = 0;
    close_quic(listener);
}

size_t edge_listener_text(const struct edge_listener *listener, bool tls, char out[IO_ADDR_TEXT_BYTES + 8]) {
    if (listener->bound.any.sa_family == AF_UNIX) return io_addr_format(&listener->bound, out);
    sk_str scheme = tls ? SK_STR("https://") : SK_STR("http://");
    memcpy(out, scheme.data, scheme.len);
    return scheme.len + io_addr_format(&listener->bound, out + scheme.len);
}

struct edge_listener *edge_listeners_find(const struct edge_listeners *listeners,
                                          const struct io_addr *addr) {
    for (unsigned i = 0; i < listeners->count; i++)
        if (listeners->items[i].fds && io_addr_eq(&listeners->items[i].addr, addr))
            return &listeners->items[i];
    return NULL;
}

static sk_err bind_one(const struct config_listener *wanted, unsigned workers, struct edge_listener *out) {
    sk_err err = SK_OK;
    for (int i = 0; i < PORT_TRIES; i++) {
        err = edge_listener_bind(&wanted->addr, workers, CLIENT_SOCKET_MODE, out);
        if (err || !edge_speaks_http3(wanted)) return err;
        err = edge_listener_bind_quic(out, workers);
        if (!err) return SK_OK;
        edge_listener_close(out);
        if (err != SK_ERR_EXISTS || io_addr_port(&wanted->addr)) return err;
    }
    return err;
}

static sk_err bind_new(const struct edge_listeners *old, const struct config *config, unsigned workers,
                       struct edge_listeners *fresh, const struct io_addr **out_failed) {
    for (uint32_t i = 0; i < config->listener_count; i++) {
        const struct io_addr *addr = &config->listeners[i].addr;
        struct edge_listener *kept = edge_listeners_find(old, addr);
        sk_err err = SK_OK;
        if (!kept)
            err = bind_one(&config->listeners[i], workers, &fresh->items[i]);
        else if (!kept->quic_count && edge_speaks_http3(&config->listeners[i]))
            err = edge_listener_bind_quic(kept, workers);
        if (err) {
            *out_failed = addr;
            return err;
        }
    }
    return SK_OK;
}

sk_err edge_listeners_change(struct edge_listeners *old, const struct config *config, unsigned workers,
                             struct edge_listeners *out_listeners, const struct io_addr **out_failed) {
    struct edge_listeners fresh = {calloc(config->listener_count + 1, sizeof *fresh.items),
                                   config->listener_count};
    if (!fresh.items) return SK_ERR_NO_MEMORY;
    sk_err err = bind_new(old, config, workers, &fresh, out_failed);
    if (err) {
        edge_listeners_free(&fresh);
        return err;
    }
    for (uint32_t i = 0; i < config->listener_count; i++) {
        if (fresh.items[i].fds) continue;
        struct edge_listener *kept = edge_listeners_find(old, &config->listeners[i].addr);
        if (!kept) continue; /* the same address twice: the first one has it */
        fresh.items[i] = *kept;
        *kept = (struct edge_listener){0};
    }
    *out_listeners = fresh;
    return SK_OK;
}

void edge_listeners_free(struct edge_listeners *listeners) {
    for (unsigned i = 0; i < listeners->count; i++) edge_listener_close(&listeners->items[i]);
    free(listeners->items);
    *listeners = (struct edge_listeners){0};
}
