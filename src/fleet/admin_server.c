#include "fleet/admin_server.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "fleet/deep.h"
#include "fleet/link.h"

enum { CONNECTIONS_MAX = 64, REQUEST_MS = 10000, ANSWER_LIMIT = 8 << 20, SOCKET_MODE = 0600 };

struct fleet_admin_server {
    struct io_loop *loop;
    struct fleet_admin_options options;
    struct io_addr addr;
    struct io_watch watch;
    bool local, stopped;
    struct sk_list visits; /* struct visit.link */
    unsigned connections;
};

struct visit {
    struct fleet_admin_server *server;
    struct sk_list link;
    struct io_fiber *fiber;
    bool idle; /* has been answered, and waits for the next request */
    struct io_stream *stream;
    struct fleet_admin_request request;
    struct fleet_admin_answer answer;
    struct sk_buf out;
    fleet_admin_handler *handler;
};

/* --- one request ------------------------------------------------------------------------------------------ */

static bool may_ask(const struct fleet_admin_server *server, const struct http_request *request) {
    if (server->local || !server->options.token) return true;
    sk_str wanted = server->options.token(server->options.role);
    sk_str given = http_fields_value(&request->fields, HTTP_FIELD_AUTHORIZATION);
    if (!sk_str_istarts_with(given, SK_STR("Bearer "))) return false;
    given = sk_str_trim(sk_str_slice(given, 7, given.len));
    return wanted.len && given.len == wanted.len && CRYPTO_memcmp(given.data, wanted.data, wanted.len) == 0;
}

sk_err fleet_admin_say(struct fleet_admin_answer *answer, uint16_t status, const char *text) {
    answer->status = status;
    answer->type = "text/plain; charset=utf-8";
    return sk_buf_printf(&answer->body, "%s\n", text);
}

static sk_err handle_now(void *arg) {
    struct visit *visit = arg;
    return visit->handler(visit->server->options.role, &visit->request, &visit->answer);
}

static sk_err handle(struct visit *visit, fleet_admin_handler *handler, bool parks) {
    visit->handler = handler;
    return parks ? handle_now(visit) : fleet_deeply(handle_now, visit);
}

/* NULL: none for that method, and *OUT_KNOWN tells whether for another. */
static const struct fleet_admin_endpoint *find_endpoint(struct visit *visit, bool *out_known) {
    const struct http_request *request = &visit->request.http;
    const struct fleet_admin_options *options = &visit->server->options;
    bool known = false;
    enum http_method method = request->method == HTTP_METHOD_HEAD ? HTTP_METHOD_GET : request->method;
    for (size_t i = 0; i < options->endpoint_count; i++) {
        const struct fleet_admin_endpoint *endpoint = &options->endpoints[i];
        if (!sk_str_eq(request->path, endpoint->path)) continue;
        known = true;
        if (endpoint->method == method) return endpoint;
    }
    *out_known = known;
    return NULL;
}

static sk_err dispatch(struct visit *visit) {
    const struct fleet_admin_options *options = &visit->server->options;
    bool known = false;
    if (!options->allow && !may_ask(visit->server, &visit->request.http))
        return fleet_admin_say(&visit->answer, 401, "the admin token is missing or wrong");
    const struct fleet_admin_endpoint *endpoint = find_endpoint(visit, &known);
    if (!endpoint && !known && options->fallback) return handle(visit, options->fallback, false);
    if (!endpoint)
        return known ? fleet_admin_say(&visit->answer, 405, "another method is meant for this path")
                     : fleet_admin_say(&visit->answer, 404, "there is no such path");
    if (options->allow && !options->allow(options->role, endpoint, &visit->request, &visit->answer))
        return SK_OK;
    return handle(visit, endpoint->handle, endpoint->parks);
}

static sk_err write_answer(struct visit *visit, bool head_only, bool close_after) {
    struct fleet_admin_answer *answer = &visit->answer;
    sk_time_ns deadline = sk_time_now() + REQUEST_MS * SK_NS_PER_MS;
    sk_str reason = http_status_reason(answer->status);
    sk_err err = sk_buf_printf(&visit->out,
                               "HTTP/1.1 %u %.*s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                               "Cache-Control: no-store\r\n%s%.*s%s%s%s\r\n",
                               answer->status, SK_STR_ARGS(reason), answer->type, sk_buf_len(&answer->body),
                               answer->location.len ? "Location: " : "", SK_STR_ARGS(answer->location),
                               answer->location.len ? "\r\n" : "",
                               answer->status == 401 ? "WWW-Authenticate: Bearer\r\n" : "",
                               close_after ? "Connection: close\r\n" : "");
    if (err) return err;
    sk_str head = sk_buf_str(&visit->out), body = sk_buf_str(&answer->body);
    struct iovec iov[2] = {{(void *)(uintptr_t)head.data, head.len},
                           {(void *)(uintptr_t)body.data, body.len}};
    return io_stream_writev(visit->stream, iov, head_only || !body.len ? 1 : 2, deadline);
}

static bool goes_on(const struct visit *visit) {
    return visit->request.http.keep_alive && visit->request.http.version >= HTTP_1_1 &&
           visit->server->watch.fd >= 0;
}

static sk_err answer_request(struct visit *visit) {
    sk_err err = dispatch(visit);
    if (err) { /* half an answer is none */
        sk_buf_clear(&visit->answer.body);
        err = fleet_admin_say(&visit->answer, 500, sk_err_text(err));
    }
    const struct http_request *request = &visit->request.http;
    return err ? err : write_answer(visit, request->method == HTTP_METHOD_HEAD, !goes_on(visit));
}

static void server_free_if_unused(struct fleet_admin_server *server) {
    if (server->stopped && !server->connections) free(server);
}

static void visit_free(struct visit *visit) {
    struct fleet_admin_server *server = visit->server;
    io_stream_close(visit->stream);
    fleet_admin_request_free(&visit->request);
    sk_buf_free(&visit->answer.body);
    sk_buf_free(&visit->out);
    sk_list_remove(&visit->link);
    free(visit);
    server->connections--;
    server_free_if_unused(server);
}

/* One request; SK_ERR_END: it was the last. */
static sk_err serve_one(struct visit *visit) {
    uint16_t status = 400;
    sk_err err = fleet_admin_request_read(&visit->request, visit->stream, REQUEST_MS, &status);
    if (err && err != SK_ERR_MALFORMED && visit->idle) return SK_ERR_END;
    visit->idle = false;
    if (err == SK_ERR_MALFORMED && fleet_admin_say(&visit->answer, status, "malformed request") == SK_OK) {
        err = write_answer(visit, false, true);
        return err ? err : SK_ERR_END;
    }
    if (!err) err = answer_request(visit);
    return err || goes_on(visit) ? err : SK_ERR_END;
}

/* --- TLS -------------------------------------------------------------------------------------------------- */

struct shaking {
    struct fleet_link *link;
    bool write;
};

static sk_err shake_now(void *arg) {
    struct shaking *shaking = arg;
    return fleet_link_handshake(shaking->link, &shaking->write);
}

static sk_err shake(struct visit *visit, struct fleet_link *link) {
    sk_time_ns deadline = sk_time_now() + REQUEST_MS * SK_NS_PER_MS;
    struct shaking shaking = {.link = link};
    for (;;) {
        sk_err err = fleet_deeply(shake_now, &shaking);
        if (err != SK_ERR_AGAIN) return err;
        err = io_stream_wait(visit->stream, !shaking.write, shaking.write, deadline);
        if (err) return err;
    }
}

static void note_stranger(const struct visit *visit, sk_err err) {
    char ip[IO_ADDR_TEXT_BYTES] = "?";
    struct io_addr peer;
    if (err == SK_ERR_CLOSED || err == SK_ERR_END)
        return; /* whoever leaves without a word is nothing to tell of */
    if (io_socket_peer_addr(io_stream_fd(visit->stream), &peer) == SK_OK) io_addr_format_ip(&peer, ip);
    SK_LOG_LIMITED(SK_LOG_WARN, visit->server->options.role_name, "%s: refused: %s", ip, sk_err_text(err));
}

static sk_err begin_tls(struct visit *visit) {
    const struct fleet_admin_options *options = &visit->server->options;
    struct fleet_link *link;
    if (!options->tls || visit->server->local) return SK_OK;
    SSL_CTX *context = options->tls(options->role);
    sk_err err = context ? fleet_link_create(context, FLEET_LINK_SERVER, io_stream_fd(visit->stream), &link)
                         : SK_ERR_NO_MEMORY;
    if (err) return err;
    io_stream_set_layer(visit->stream, fleet_link_layer(link));
    err = shake(visit, link);
    if (!err) {
        err = fleet_link_caller(link, &visit->request.caller);
        visit->request.is_node = !err;
        if (err == SK_ERR_NOT_FOUND) err = SK_OK; /* a person or a joiner */
    }
    if (err) note_stranger(visit, err);
    return err;
}

static void visit_main(void *arg) {
    struct visit *visit = arg;
    visit->fiber = io_fiber_self();
    visit->request.local = visit->server->local;
    sk_err err = begin_tls(visit);
    while (!err && (err = serve_one(visit)) == SK_OK) {
        fleet_admin_request_next(&visit->request);
        visit->answer.status = 200;
        visit->answer.type = "application/json";
        visit->answer.location = (sk_str){0};
        sk_buf_clear(&visit->answer.body);
        sk_buf_clear(&visit->out);
        visit->idle = true;
    }
    if (err != SK_ERR_END)
        sk_log(SK_LOG_DEBUG, visit->server->options.role_name, "an admin request failed: %s",
               sk_err_text(err));
    visit_free(visit);
}

/* --- the socket ------------------------------------------------------------------------------------------- */

static void begin_visit(struct fleet_admin_server *server, int fd, const struct io_addr *peer) {
    struct visit *visit =
        server->connections < server->options.connections_max ? calloc(1, sizeof *visit) : NULL;
    if (!visit || io_stream_adopt(server->loop, fd, &visit->stream)) {
        close(fd);
        free(visit);
        return;
    }
    visit->server = server;
    visit->answer = (struct fleet_admin_answer){.status = 200, .type = "application/json"};
    fleet_admin_request_init(&visit->request);
    visit->request.peer = *peer;
    sk_buf_init(&visit->answer.body, ANSWER_LIMIT);
    sk_buf_init(&visit->out, 0);
    server->connections++;
    sk_list_push_back(&server->visits, &visit->link);
    if (io_fiber_spawn(server->loop, "admin", visit_main, visit, NULL)) visit_free(visit);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct fleet_admin_server *server = SK_CONTAINER_OF(watch, struct fleet_admin_server, watch);
    struct io_addr peer;
    int fd;
    while (io_accept(watch->fd, &fd, &peer) == SK_OK) begin_visit(server, fd, &peer);
}

static sk_err open_socket(struct fleet_admin_server *server, int inherited, int *out_fd) {
    struct io_addr bound;
    sk_err err = io_addr_parse(server->options.where, &server->addr);
    server->local = !err && server->addr.any.sa_family == AF_UNIX;
    if (inherited >= 0) {
        if (!err && io_socket_local_addr(inherited, &bound) == SK_OK && io_addr_eq(&bound, &server->addr)) {
            *out_fd = inherited;
            return SK_OK;
        }
        close(inherited);
    }
    return err ? err
               : io_listen(&server->addr, &(struct io_listen_options){.unix_mode = SOCKET_MODE}, out_fd);
}

sk_err fleet_admin_start(struct io_loop *loop, const struct fleet_admin_options *options,
                         struct fleet_admin_server **out_server) {
    struct fleet_admin_server *server = calloc(1, sizeof *server);
    if (!server) return SK_ERR_NO_MEMORY;
    server->loop = loop;
    server->options = *options;
    if (!server->options.connections_max) server->options.connections_max = CONNECTIONS_MAX;
    server->watch = (struct io_watch){.fd = -1, .on_ready = on_ready};
    sk_list_init(&server->visits);
    sk_err err = open_socket(server, options->inherited_fd, &server->watch.fd);
    if (!err) err = io_watch_start(loop, &server->watch);
    if (err) {
        sk_log(SK_LOG_ERROR, options->role_name, "admin: cannot listen on %.*s: %s",
               SK_STR_ARGS(options->where), sk_err_text(err));
        fleet_admin_stop(server);
        return err;
    }
    server->options.where = (sk_str){0}; /* the caller's */
    *out_server = server;
    return SK_OK;
}

int fleet_admin_fd(const struct fleet_admin_server *server) { return server->watch.fd; }

sk_err fleet_admin_text(const struct fleet_admin_server *server, struct sk_buf *out) {
    char text[IO_ADDR_TEXT_BYTES];
    struct io_addr bound;
    sk_err err = io_socket_local_addr(server->watch.fd, &bound);
    if (err) return err;
    io_addr_format(&bound, text);
    return sk_buf_printf(out, "%s%s",
                         server->local         ? ""
                         : server->options.tls ? "https://"
                                               : "http://",
                         text);
}

void fleet_admin_hand_over(struct fleet_admin_server *server) {
    if (server->watch.fd < 0) return;
    io_watch_stop(&server->watch);
    close(server->watch.fd);
    server->watch.fd = -1;
    /* What would be asked next on these connections is for the other process. */
    SK_LIST_FOR_EACH(link, &server->visits) {
        struct visit *visit = SK_CONTAINER_OF(link, struct visit, link);
        if (visit->idle) io_fiber_cancel(visit->fiber);
    }
}

void fleet_admin_stop(struct fleet_admin_server *server) {
    if (!server) return;
    bool ours = server->watch.fd >= 0;
    fleet_admin_hand_over(server);
    if (ours && server->local) unlink(server->addr.local.sun_path);
    server->stopped = true;
    server_free_if_unused(server); /* else the last visit does, which ends with the loop */
}
