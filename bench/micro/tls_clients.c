/* TLS clients, many at a time, on one thread: for what a handshake, or a connection that is idle, costs a server.
 *
 *   bench_tls_clients shake PORT SECONDS PARALLEL GROUPS full|resumed
 *       Handshakes, one after the other on each of PARALLEL places, resumed from a first one's ticket or not.
 *       Prints: done, of these resumed, failed, the group, seconds.
 *   bench_tls_clients hold PORT COUNT h1|h2|plain [PATH]
 *       COUNT connections, after the handshake (h2: and the exchange of SETTINGS; with PATH: after one request
 *       also) left alone until standard input ends. Prints "held COUNT" when they are there. A client keeps
 *       nothing of a connection but its socket.
 *
 * The server is at 127.0.0.1; clients come from several loopback addresses, so that ports suffice. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define AHEAD 64 /* handshakes at a time while connections are made to be held */
#define SOURCES 16
#define EVENTS 256

enum phase { CONNECTING, SHAKING, ASKING, CLOSING };

struct place {
    int fd;
    SSL *ssl; /* NULL: plain */
    enum phase phase;
    size_t answered;
    char answer[16384];
};

static struct {
    bool hold, h2, plain, resume;
    const char *path;
    int port, parallel, epoll;
    SSL_CTX *ctx;
    SSL_SESSION *session; /* with a ticket, from the first connection */
    char group[64];
    unsigned long begun, done, resumed, failed, count;
    double until;
} load;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void stop(const char *what) {
    fprintf(stderr, "bench_tls_clients: %s: %s\n", what, strerror(errno));
    exit(1);
}

static bool enough(void) { return load.hold ? load.begun >= load.count : now() >= load.until; }

static void watch(struct place *place, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.ptr = place};
    if (epoll_ctl(load.epoll, how, place->fd, &event) != 0) stop("epoll_ctl");
}

static SSL *new_ssl(int fd) {
    SSL *ssl = SSL_new(load.ctx);
    if (!ssl || SSL_set_fd(ssl, fd) != 1) stop("SSL_new");
    SSL_set_tlsext_host_name(ssl, "bench.test");
    if (load.resume && load.session) { /* a copy: the library uses each once */
        SSL_SESSION *session = SSL_SESSION_dup(load.session);
        if (!session || SSL_set_session(ssl, session) != 1) stop("SSL_set_session");
        SSL_SESSION_free(session);
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

/* The next connection of PLACE, unless there are enough. */
static void begin(struct place *place) {
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    int one = 1;
    place->ssl = NULL;
    place->fd = -1;
    place->answered = 0;
    if (enough()) return;
    from.sin_addr.s_addr = htonl(0x7f000002 + (uint32_t)(load.begun++ % SOURCES));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)load.port);
    place->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (place->fd < 0) stop("socket");
    setsockopt(place->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(place->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(place->fd, (struct sockaddr *)&from, sizeof from) != 0) stop("bind");
    if (connect(place->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) stop("connect");
    place->phase = CONNECTING;
    watch(place, EPOLLOUT, EPOLL_CTL_ADD);
}

/* KEEP: the socket stays as it is, and nothing else does. */
static void end(struct place *place, bool keep) {
    epoll_ctl(load.epoll, EPOLL_CTL_DEL, place->fd, NULL);
    if (place->ssl)
        SSL_set_shutdown(place->ssl, SSL_SENT_SHUTDOWN); /* or its session may not be used again */
    SSL_free(place->ssl);
    if (!keep) close(place->fd);
    begin(place);
}

static void failed(struct place *place) {
    load.failed++;
    end(place, false);
}

/* --- what is asked when the handshake is over ------------------------------------------------------------- */

static int put(struct place *place, const void *data, size_t bytes) {
    return place->ssl ? SSL_write(place->ssl, data, (int)bytes) : (int)write(place->fd, data, bytes);
}

static size_t h2_literal(unsigned char *out, const char *name, const char *value) {
    size_t n = 0;
    out[n++] = 0; /* RFC 7541 section 6.2.2: without indexing, new name */
    for (const char *text = name; text; text = text == name ? value : NULL) {
        size_t bytes = strlen(text);
        out[n++] = (unsigned char)bytes;
        memcpy(out + n, text, bytes);
        n += bytes;
    }
    return n;
}

/* RFC 9113 section 3.4; a HEADERS frame of stream 1 where something is asked for. */
static void say_h2(struct place *place) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    unsigned char text[512];
    size_t n = sizeof preface - 1;
    memcpy(text, preface, n);
    if (load.path) {
        unsigned char *frame = text + n;
        size_t bytes = 9;
        bytes += h2_literal(frame + bytes, ":method", "GET");
        bytes += h2_literal(frame + bytes, ":scheme", "https");
        bytes += h2_literal(frame + bytes, ":authority", "bench.test");
        bytes += h2_literal(frame + bytes, ":path", load.path);
        memcpy(frame, "\0\0\0\1\5\0\0\0\1", 9);
        frame[1] = (unsigned char)((bytes - 9) >> 8);
        frame[2] = (unsigned char)(bytes - 9);
        n += bytes;
    }
    if (put(place, text, n) != (int)n) stop("write");
}

static void say_h1(struct place *place) {
    char text[256];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: bench.test\r\n\r\n", load.path);
    if (put(place, text, (size_t)n) != n) stop("write");
}

static bool h1_whole(const struct place *place) {
    const char *body = memmem(place->answer, place->answered, "\r\n\r\n", 4);
    const char *length = memmem(place->answer, place->answered, "Content-Length: ", 16);
    if (!length) length = memmem(place->answer, place->answered, "content-length: ", 16);
    return body && length && place->answer + place->answered - (body + 4) >= strtol(length + 16, NULL, 10);
}

/* True: SETTINGS were acknowledged, and the answer, if there is to be one, has ended. */
static bool h2_whole(const struct place *place) {
    const unsigned char *at = (const unsigned char *)place->answer, *last = at + place->answered;
    bool acked = false, ended = !load.path;
    while (last - at >= 9) {
        size_t bytes = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        if ((size_t)(last - at) < 9 + bytes) break;
        if (at[3] == 4 && (at[4] & 1)) acked = true;
        if (at[3] <= 1 && at[8] == 1 && (at[4] & 1)) ended = true;
        at += 9 + bytes;
    }
    return acked && ended;
}

static void shaken(struct place *place) {
    const char *name = place->ssl ? SSL_get0_group_name(place->ssl) : NULL;
    if (name) snprintf(load.group, sizeof load.group, "%s", name);
    if (place->ssl && SSL_session_reused(place->ssl)) load.resumed++;
    load.done++;
    place->phase = ASKING;
    watch(place, EPOLLIN, EPOLL_CTL_MOD);
    if (load.hold) {
        if (load.h2) say_h2(place);
        if (!load.h2 && load.path) say_h1(place);
        if (!load.h2 && !load.path) end(place, true);
    } else if (!load.resume || load.session) { /* over: the word of it is the last that is done */
        SSL_shutdown(place->ssl);
        shutdown(place->fd, SHUT_WR);
        place->phase = CLOSING;
    }
}

/* --- events ----------------------------------------------------------------------------------------------- */

static void shake(struct place *place) {
    int result = place->ssl ? SSL_do_handshake(place->ssl) : 1;
    if (result == 1) {
        shaken(place);
        return;
    }
    int why = SSL_get_error(place->ssl, result);
    if (why == SSL_ERROR_WANT_READ)
        watch(place, EPOLLIN, EPOLL_CTL_MOD);
    else if (why == SSL_ERROR_WANT_WRITE)
        watch(place, EPOLLOUT, EPOLL_CTL_MOD);
    else
        failed(place);
}

static void listen_to(struct place *place) {
    size_t room = sizeof place->answer - place->answered;
    int n = place->ssl ? SSL_read(place->ssl, place->answer + place->answered, (int)room)
                       : (int)read(place->fd, place->answer + place->answered, room);
    if (!load.hold && load.session) { /* the ticket has come */
        end(place, false);
        return;
    }
    if (n <= 0) {
        bool again = place->ssl ? SSL_get_error(place->ssl, n) == SSL_ERROR_WANT_READ : errno == EAGAIN;
        if (!again) failed(place);
        return;
    }
    place->answered += (size_t)n;
    if (load.h2 ? h2_whole(place) : h1_whole(place)) {
        if (load.h2) put(place, "\0\0\0\4\1\0\0\0\0", 9);
        end(place, true);
    } else {
        listen_to(place);
    }
}

/* The server's end has come: its work on this connection is done. */
static void drain(struct place *place) {
    char room[4096];
    ssize_t n;
    while ((n = read(place->fd, room, sizeof room)) > 0) continue;
    if (n == 0 || errno != EAGAIN) end(place, false);
}

static void on_event(struct place *place) {
    if (place->phase == CONNECTING) {
        place->ssl = load.plain ? NULL : new_ssl(place->fd);
        place->phase = SHAKING;
    }
    if (place->phase == SHAKING)
        shake(place);
    else if (place->phase == ASKING)
        listen_to(place);
    else
        drain(place);
}

static int on_session(SSL *ssl, SSL_SESSION *session) {
    if (!load.resume || load.session) return 0;
    load.session = session;
    return 1;
}

static void run(void) {
    struct place *places = calloc((size_t)load.parallel, sizeof *places);
    if (!places) stop("calloc");
    for (int i = 0; i < load.parallel; i++) begin(&places[i]);
    for (;;) {
        struct epoll_event events[EVENTS];
        int busy = 0, n = epoll_wait(load.epoll, events, EVENTS, 1000);
        for (int i = 0; i < n; i++) on_event(events[i].data.ptr);
        for (int i = 0; i < load.parallel; i++) busy += places[i].fd >= 0;
        if (!busy || (!load.hold && now() > load.until + 5)) break;
    }
    free(places);
}

static void prepare(const char *groups) {
    static const unsigned char h2[] = "\x02h2", h1[] = "\x08http/1.1";
    load.ctx = SSL_CTX_new(TLS_client_method());
    if (!load.ctx || SSL_CTX_set1_groups_list(load.ctx, groups) != 1) stop("groups");
    SSL_CTX_set_min_proto_version(load.ctx, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(load.ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(load.ctx, on_session);
    if (load.h2)
        SSL_CTX_set_alpn_protos(load.ctx, h2, sizeof h2 - 1);
    else
        SSL_CTX_set_alpn_protos(load.ctx, h1, sizeof h1 - 1);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.epoll < 0) stop("epoll_create1");
    signal(SIGPIPE, SIG_IGN);
}

static void hold(void) {
    char room[64];
    load.hold = true;
    load.parallel = AHEAD;
    prepare("X25519MLKEM768:X25519");
    run();
    printf("held %lu failed %lu\n", load.done, load.failed);
    fflush(stdout);
    while (read(STDIN_FILENO, room, sizeof room) > 0) continue;
}

/* One full handshake, and then the ticket that follows it. */
static void fetch_ticket(void) {
    struct place *place = calloc(1, sizeof *place);
    if (!place) stop("calloc");
    load.until = now() + 5;
    begin(place);
    while (place->fd >= 0 && !load.session) {
        struct epoll_event event;
        if (epoll_wait(load.epoll, &event, 1, 1000) == 1) on_event(place);
    }
    if (place->fd >= 0) { /* already the next one */
        SSL_free(place->ssl);
        close(place->fd);
    }
    if (!load.session) stop("no ticket came");
    free(place);
}

static void time_shakes(double seconds, const char *groups) {
    prepare(groups);
    if (load.resume) fetch_ticket();
    load.done = load.resumed = load.failed = 0;
    double start = now();
    load.until = start + seconds;
    run();
    printf("done %lu resumed %lu failed %lu group %s seconds %.3f\n", load.done, load.resumed, load.failed,
           load.group, now() - start);
}

int main(int argc, char **argv) {
    if (argc == 7 && !strcmp(argv[1], "shake")) {
        load.port = atoi(argv[2]);
        load.parallel = atoi(argv[4]);
        load.resume = !strcmp(argv[6], "resumed");
        time_shakes(atof(argv[3]), argv[5]);
    } else if ((argc == 5 || argc == 6) && !strcmp(argv[1], "hold")) {
        load.port = atoi(argv[2]);
        load.count = strtoul(argv[3], NULL, 10);
        load.h2 = !strcmp(argv[4], "h2");
        load.plain = !strcmp(argv[4], "plain");
        load.path = argc == 6 ? argv[5] : NULL;
        hold();
    } else {
        fprintf(stderr, "usage: see the head of bench/micro/tls_clients.c\n");
        return 2;
    }
    return 0;
}
