/* Lingering close: a socket whose peer may still be sending is closed for writing, then read until the
 * peer has seen our end, for a bounded time and number of bytes. Closing at once would answer the bytes
 * under way with a reset, which may destroy our last answer before the peer has read it. */
#include <stdlib.h>
#include <unistd.h>

#include "io/loop_private.h"
#include "io/socket.h"

/* More than a peer could have had under way; who goes on sending after that has not read our answer. */
#define LINGER_BYTES ((size_t)8 << 20)
#define SCRATCH_BYTES 16384

struct lingers {
    struct io_part part;
    struct sk_list sockets;
};

struct linger_socket {
    struct sk_list link;
    struct io_watch watch;
    struct io_timer timer;
    size_t bytes_left;
};

static void destroy(struct io_loop *loop, struct io_part *part);

static struct lingers *lingers_of(struct io_loop *loop) {
    struct io_part *part = loop->parts[IO_PART_LINGER];
    if (part) return SK_CONTAINER_OF(part, struct lingers, part);
    struct lingers *lingers = calloc(1, sizeof *lingers);
    if (!lingers) return NULL;
    sk_list_init(&lingers->sockets);
    lingers->part.destroy = destroy;
    loop->parts[IO_PART_LINGER] = &lingers->part;
    return lingers;
}

static void finish(struct linger_socket *socket) {
    sk_list_remove(&socket->link);
    io_timer_stop(&socket->timer);
    io_watch_stop(&socket->watch);
    close(socket->watch.fd);
    free(socket);
}

static void destroy(struct io_loop *loop, struct io_part *part) {
    struct lingers *lingers = SK_CONTAINER_OF(part, struct lingers, part);
    (void)loop;
    SK_LIST_FOR_EACH(link, &lingers->sockets) finish(SK_CONTAINER_OF(link, struct linger_socket, link));
    free(lingers);
}

/* Throws away what has come; false when nothing more is to be waited for. */
static bool discard(int fd, size_t *bytes_left) {
    char scratch[SCRATCH_BYTES];
    size_t n;
    sk_err err;
    while ((err = io_recv(fd, scratch, sizeof scratch, &n)) == SK_OK) {
        if (n >= *bytes_left) return false;
        *bytes_left -= n;
    }
    return err == SK_ERR_AGAIN;
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct linger_socket *socket = SK_CONTAINER_OF(watch, struct linger_socket, watch);
    if (ready & (IO_READABLE | IO_HANGUP))
        if (!discard(watch->fd, &socket->bytes_left)) finish(socket);
}

static void on_timer(struct io_timer *timer) { finish(SK_CONTAINER_OF(timer, struct linger_socket, timer)); }

static bool start(struct io_loop *loop, int fd, int64_t linger_ms, size_t bytes_left) {
    struct lingers *lingers = lingers_of(loop);
    struct linger_socket *socket = lingers ? calloc(1, sizeof *socket) : NULL;
    if (!socket) return false;
    socket->watch = (struct io_watch){.fd = fd, .on_ready = on_ready};
    socket->bytes_left = bytes_left;
    if (io_watch_start(loop, &socket->watch)) {
        free(socket);
        return false;
    }
    sk_list_push_back(&lingers->sockets, &socket->link);
    io_timer_start(loop, &socket->timer, io_loop_now(loop) + linger_ms * SK_NS_PER_MS, on_timer);
    return true;
}

void io_socket_close_lingering(struct io_loop *loop, int fd, int64_t linger_ms) {
    size_t bytes_left = LINGER_BYTES;
    bool done = shutdown(fd, SHUT_WR) < 0 || !discard(fd, &bytes_left);
    if (done || !start(loop, fd, linger_ms, bytes_left)) close(fd);
}
