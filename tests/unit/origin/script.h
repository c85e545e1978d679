/* A scripted origin: real sockets on loopback, a thread a connection, blocking calls, so that a script reads
 * as what the origin does. And the frame in which a test's story runs: a loop, a fiber, one site. */
#ifndef SK_TESTS_ORIGIN_SCRIPT_H
#define SK_TESTS_ORIGIN_SCRIPT_H

#include "unit.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "origin/origin.h"
#include "origin/pool.h"

/* --- the origin ------------------------------------------------------------------------------------------ */

#define SCRIPT_CONNECTIONS 1024

struct script_server;

struct script_connection {
    struct script_server *server;
    int number; /* from 0, in order of accepting */
    int fd;
    SSL *ssl;
    pthread_t thread;
    char data[70000]; /* what was read and not used */
    size_t len;
    char head[70000]; /* the last head read */
};

typedef void script_play(struct script_connection *connection);

struct script_server {
    script_play *play; /* runs for each connection; returning closes it */
    void *arg;
    SSL_CTX *tls;
    int fd;
    uint16_t port;
    pthread_t thread;
    _Atomic int accepted, requests;
    _Atomic bool stop;
    pthread_mutex_t lock; /* protects the connections' fds at the end */
    struct script_connection *connections[SCRIPT_CONNECTIONS];
};

static inline bool script_fill(struct script_connection *connection) {
    size_t room = sizeof connection->data - connection->len;
    char *at = connection->data + connection->len;
    ssize_t n =
        connection->ssl ? SSL_read(connection->ssl, at, (int)room) : recv(connection->fd, at, room, 0);
    if (n <= 0) return false;
    connection->len += (size_t)n;
    return true;
}

static inline void script_use(struct script_connection *connection, size_t bytes) {
    memmove(connection->data, connection->data + bytes, connection->len - bytes);
    connection->len -= bytes;
}

/* Reads a head into connection->head; false when the connection ends before. */
static inline bool script_read_head(struct script_connection *connection) {
    char *end;
    while (!(end = memmem(connection->data, connection->len, "\r\n\r\n", 4)))
        if (!script_fill(connection)) return false;
    size_t bytes = (size_t)(end - connection->data) + 4;
    memcpy(connection->head, connection->data, bytes);
    connection->head[bytes] = 0;
    script_use(connection, bytes);
    connection->server->requests++;
    return true;
}

static inline bool script_read_body(struct script_connection *connection, size_t bytes) {
    while (bytes) {
        if (connection->len == 0 && !script_fill(connection)) return false;
        size_t n = SK_MIN(bytes, connection->len);
        script_use(connection, n);
        bytes -= n;
    }
    return true;
}

static inline bool script_send_bytes(struct script_connection *connection, const char *data, size_t bytes) {
    while (bytes) {
        ssize_t n = connection->ssl ? SSL_write(connection->ssl, data, (int)bytes)
                                    : send(connection->fd, data, bytes, MSG_NOSIGNAL);
        if (n <= 0) return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

static inline bool script_send(struct script_connection *connection, const char *text) {
    return script_send_bytes(connection, text, strlen(text));
}

static inline void script_sleep_ms(int ms) { usleep((useconds_t)ms * 1000); }

/* The last head, for a test to look at when the origin has stopped. */
static inline void script_keep_head(const struct script_connection *connection, char *out, size_t room) {
    size_t bytes = strnlen(connection->head, room - 1);
    memcpy(out, connection->head, bytes);
    out[bytes] = 0;
}

/* Waits until the other end closes. */
static inline void script_await_close(struct script_connection *connection) {
    while (script_fill(connection)) connection->len = 0;
}

static inline void script_reset(struct script_connection *connection) {
    struct linger linger = {1, 0};
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static inline void *script_connection_main(void *arg) {
    struct script_connection *connection = arg;
    struct script_server *server = connection->server;
    bool good = true;
    if (server->tls) {
        connection->ssl = SSL_new(server->tls);
        SSL_set_fd(connection->ssl, connection->fd);
        good = SSL_accept(connection->ssl) == 1;
    }
    if (good) server->play(connection);
    if (connection->ssl) {
        if (good) SSL_shutdown(connection->ssl);
        SSL_free(connection->ssl);
    }
    pthread_mutex_lock(&server->lock);
    close(connection->fd);
    connection->fd = -1;
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static inline void *script_server_main(void *arg) {
    struct script_server *server = arg;
    while (!server->stop) {
        int fd = accept(server->fd, NULL, NULL);
        if (fd < 0) break;
        struct timeval patience = {.tv_sec = 5};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        struct script_connection *connection = calloc(1, sizeof *connection);
        connection->server = server;
        connection->fd = fd;
        connection->number = server->accepted;
        if (connection->number == SCRIPT_CONNECTIONS) abort();
        server->connections[connection->number] = connection;
        server->accepted++;
        pthread_create(&connection->thread, NULL, script_connection_main, connection);
    }
    return NULL;
}

static inline void script_start(struct script_server *server, const char *ip, script_play *play,
                                SSL_CTX *tls) {
    struct io_addr addr;
    socklen_t len = sizeof addr.v6;
    char text[64];
    snprintf(text, sizeof text, strchr(ip, ':') ? "[%s]:0" : "%s:0", ip);
    *server = (struct script_server){.play = play, .tls = tls, .lock = PTHREAD_MUTEX_INITIALIZER};
    assert_ok(io_addr_parse(sk_str_from_c(text), &addr));
    server->fd = socket(addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->fd < 0) abort();
    assert_int_equal(bind(server->fd, &addr.any, addr.len), 0);
    assert_int_equal(listen(server->fd, 64), 0);
    getsockname(server->fd, &addr.any, &len);
    server->port = io_addr_port(&addr);
    pthread_create(&server->thread, NULL, script_server_main, server);
}

static inline void script_stop(struct script_server *server) {
    server->stop = true;
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
    for (int i = 0; i < server->accepted; i++) {
        struct script_connection *connection = server->connections[i];
        pthread_mutex_lock(&server->lock);
        if (connection->fd >= 0) shutdown(connection->fd, SHUT_RDWR);
        pthread_mutex_unlock(&server->lock);
        pthread_join(connection->thread, NULL);
        free(connection);
    }
}

/* --- the story --------------------------------------------------------------------------------------------- */

struct story {
    /* before it runs */
    struct config_site site;
    struct config_origin origins[4];
    char urls[4][64];
    /* while it runs */
    struct io_loop *loop;
    struct origin_registry *registry;
    struct origin_group *group;
    struct origin_thread *thread;
    struct observe_thread *metrics;
    void (*tell)(struct story *story);
    struct io_task start;
    char failure[512]; /* the first thing that was not as expected */
};

/* Inside of a story, where cmocka's own assertions must not jump. */
#define expect(story, condition, ...)                                                                        \
    do {                                                                                                     \
        if (!(condition) && !(story)->failure[0]) {                                                          \
            int used_ =                                                                                      \
                snprintf((story)->failure, sizeof(story)->failure, "line %d: %s: ", __LINE__, #condition);   \
            snprintf((story)->failure + used_, sizeof(story)->failure - (size_t)used_, __VA_ARGS__);         \
        }                                                                                                    \
    } while (0)

/* Times that a loaded machine does not reach either. */
static inline struct story story_new(void) {
    struct story story = {0};
    story.site.origin = (struct config_origin_options){.connect_timeout_ms = 5000,
                                                       .first_byte_timeout_ms = 5000,
                                                       .between_bytes_timeout_ms = 5000,
                                                       .idle_timeout_ms = 5000,
                                                       .max_idle = 8,
                                                       .retry_budget_percent = 20};
    return story;
}

/* For tests that wait for a time-out. */
static inline void story_impatient(struct story *story) {
    story->site.origin.first_byte_timeout_ms = story->site.origin.between_bytes_timeout_ms = 400;
}

static inline struct config_origin *story_origin(struct story *story, const char *scheme, const char *host,
                                                 uint16_t port) {
    uint32_t i = story->site.origin_count++;
    struct config_origin *origin = &story->origins[i];
    snprintf(story->urls[i], sizeof story->urls[i], "%s://%s:%u", scheme, host, port);
    *origin = (struct config_origin){.url = sk_str_from_c(story->urls[i]),
                                     .tls = strcmp(scheme, "https") == 0,
                                     .port = port,
                                     .weight = 1,
                                     .verify = true};
    assert_ok(http_uri_parse_absolute(origin->url, &origin->uri));
    return origin;
}

static inline void story_fiber(void *arg) {
    struct story *story = arg;
    sk_err err = origin_thread_join(story->registry, story->loop, story->metrics, NULL, &story->thread);
    expect(story, !err, "%s", sk_err_name(err));
    if (!err) {
        story->tell(story);
        origin_thread_leave(story->thread);
    }
    io_loop_stop(story->loop);
}

static inline void story_start(struct io_task *task) {
    struct story *story = SK_CONTAINER_OF(task, struct story, start);
    if (io_fiber_spawn(story->loop, "story", story_fiber, story, NULL)) abort();
}

/* Runs TELL on a fiber; fails the test with what it found. */
static inline void story_run(struct story *story, void (*tell)(struct story *story)) {
    story->site.origins = story->origins;
    story->tell = tell;
    story->start.run = story_start;
    assert_ok(io_loop_create("story", &story->loop));
    assert_ok(observe_thread_join(&story->metrics));
    assert_ok(origin_registry_create(&story->registry));
    assert_ok(origin_group_create(story->registry, &story->site, &story->group));
    io_loop_post(story->loop, &story->start);
    io_loop_run(story->loop);
    io_loop_destroy(story->loop);
    origin_group_destroy(story->group);
    origin_registry_destroy(story->registry);
    if (story->failure[0]) fail_msg("%s", story->failure);
}

static inline uint64_t story_count(const struct story *story, enum observe_counter counter) {
    return atomic_load_explicit(&story->metrics->counters[counter], memory_order_relaxed);
}

static inline void pause_ms(struct story *story, int ms) {
    sk_err err = io_fiber_sleep_until(io_loop_now(story->loop) + ms * SK_NS_PER_MS);
    expect(story, !err, "%s", sk_err_name(err));
}

/* Waits until CONDITION holds, or fails the story after ten seconds. */
#define await(story, condition)                                                                              \
    do {                                                                                                     \
        for (int i_ = 0; i_ < 1000 && !(condition); i_++) pause_ms(story, 10);                               \
        expect(story, condition, "not in ten seconds");                                                      \
    } while (0)

static inline uint32_t open_connections(const struct story *story) {
    return atomic_load(&story->group->members[0].origin->connections);
}

/* --- one request ------------------------------------------------------------------------------------------- */

struct answer {
    sk_err err;
    struct origin_result result;
    uint16_t status;
    char body[100000];
    size_t bytes;
    sk_err read_err; /* what ended the body */
};

static inline struct http_request story_request(enum http_method method, const char *method_text) {
    return (struct http_request){.method = method,
                                 .version = HTTP_1_1,
                                 .method_text = sk_str_from_c(method_text),
                                 .scheme = SK_STR("http"),
                                 .authority = SK_STR("site.test"),
                                 .target = SK_STR("/path?q"),
                                 .path = SK_STR("/path"),
                                 .query = SK_STR("q")};
}

static inline void read_all(struct origin_exchange *exchange, struct answer *answer) {
    size_t n;
    do {
        if (answer->bytes == sizeof answer->body) answer->bytes = 0;
        answer->read_err = origin_exchange_read(exchange, answer->body + answer->bytes,
                                                sizeof answer->body - answer->bytes, &n);
        if (!answer->read_err) answer->bytes += n;
    } while (!answer->read_err);
}

/* Asks and reads to the end. The answer is the caller's, too large for a fiber's stack. */
static inline void ask_as(struct story *story, const struct origin_request *request, struct answer *answer) {
    struct origin_exchange *exchange;
    const struct http_response *response;
    memset(answer, 0, sizeof *answer);
    answer->err = origin_exchange_open(story->thread, request, &exchange, &response, &answer->result);
    if (answer->err) return;
    answer->status = response->status;
    read_all(exchange, answer);
    origin_exchange_close(exchange);
}

static inline void ask(struct story *story, struct answer *answer) {
    struct http_request request = story_request(HTTP_METHOD_GET, "GET");
    ask_as(story, &(struct origin_request){.group = story->group, .request = &request}, answer);
}

/* A body of some pieces, each after a pause. */
struct pieces {
    const char *piece;
    int count, pause_ms;
    struct story *story;
    sk_err end;
    int taken;
};

static inline sk_err pieces_read(void *arg, sk_time_ns deadline, sk_str *out_piece) {
    struct pieces *pieces = arg;
    if (pieces->pause_ms) {
        sk_err err = io_fiber_sleep_until(io_loop_now(pieces->story->loop) + pieces->pause_ms * SK_NS_PER_MS);
        if (err) return err;
    }
    if (pieces->taken == pieces->count) return pieces->end;
    pieces->taken++;
    *out_piece = sk_str_from_c(pieces->piece);
    return SK_OK;
}

#endif
