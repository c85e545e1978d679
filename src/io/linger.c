/* Lingering close: a socket whose peer may still be sending is closed for writing, then read until the
 * peer has seen our end, for a bounded time and number of bytes. Closing at once would answer the bytes
 * under way with a reset, which may destroy our last answer before the peer has read it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop_private.h"
#include "io/socket.h"

/* More than a peer could have had under way; who goes on sending after that has not read our answer. */
#define LINGER_BYTES ((size_t)8 << 20)
/* Of them one socket has at a time; the others' turn comes in between. */
#define TURN_BYTES ((size_t)256 << 10)
#define SCRATCH_BYTES 16384 /* on the stack, which may be a fiber's */

struct lingers {
    struct io_part part;
    struct sk_list sockets;
};

struct linger_socket {
    struct sk_list link;
    struct io_watch watch;
    struct io_timer timer;
    struct io_task again; /* more has come than one turn takes */
    bool queued, over;
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
    socket->over = true;
    if (!socket->queued) free(socket); /* else its task does */
}

static void destroy(struct io_loop *loop, struct io_part *part) {
    struct lingers *lingers = SK_CONTAINER_OF(part, struct lingers, part);
    (void)loop;
    SK_LIST_FOR_EACH(link, &lingers->sockets) finish(SK_CONTAINER_OF(link, struct linger_socket, link));
    free(lingers);
}

/* TCP throws away without copying (tcp(7), MSG_TRUNC); other sockets fill SCRATCH. */
static ssize_t throw_away(int fd) {
    char scratch[SCRATCH_BYTES];
    ssize_t n;
    do n = recv(fd, scratch, sizeof scratch, MSG_TRUNC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Throws away a turn's worth of what has come. SK_OK: there may be more; SK_ERR_AGAIN: not now; else nothing more is
 * to be waited for. */
static sk_err discard(int fd, size_t *bytes_left) {
    for (size_t turn = 0; turn < TURN_BYTES;) {
        ssize_t n = throw_away(fd);
        if (n < 0) return sk_err_from_errno(errno);
        if (n == 0 || (size_t)n >= *bytes_left) return SK_ERR_END;
        *bytes_left -= (size_t)n;
        turn += (size_t)n;
    }
    return SK_OK;
}

static void take_turn(struct linger_socket *socket);

static void on_again(struct io_task *task) {
    struct linger_socket *socket = SK_CONTAINER_OF(task, struct linger_socket, again);
    socket->queued = false;
    if (socket->over)
        free(socket);
    else
        take_turn(socket);
}

static void queue(struct linger_socket *socket) {
    if (socket->queued) return;
    socket->queued = true;
    socket->again.run = on_again;
    io_loop_defer_to_next(socket->watch.loop, &socket->again);
}

static void take_turn(struct linger_socket *socket) {
    sk_err err = discard(socket->watch.fd, &socket->bytes_left);
    if (err == SK_OK)
        queue(socket);
    else if (err != SK_ERR_AGAIN)
        finish(socket);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    if (ready & (IO_READABLE | IO_HANGUP)) take_turn(SK_CONTAINER_OF(watch, struct linger_socket, watch));
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
    sk_err err = shutdown(fd, SHUT_WR) < 0 ? SK_ERR_END : discard(fd, &bytes_left);
    bool more = err == SK_OK || err == SK_ERR_AGAIN;
    if (!more || !start(loop, fd, linger_ms, bytes_left)) close(fd);
}
