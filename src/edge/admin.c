#include "edge/admin.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/upgrade.h"
#include "fleet/admin_request.h"
#include "io/stream.h"

#define CONNECTIONS_MAX 64
#define REQUEST_MS 10000
#define HEAD_LIMIT (64 * 1024)
#define ADMIN_SOCKET_MODE 0600
#define BODY_LIMIT (8 << 20) /* of an answer */

struct edge_admin {
    struct edge_process *process;
    struct io_addr addr;
    struct io_watch watch;
    bool local;
    unsigned connections;
};

struct visit {
    struct edge_admin *admin;
    struct io_stream *stream;
    struct sk_buf in, out;
    struct sk_arena arena;
    struct edge_admin_answer answer;
};

static const struct endpoint {
    enum http_method method;
    sk_str path;
    sk_err (*handle)(struct edge_process *process, struct edge_admin_answer *answer);
} endpoints[] = {
#define X(method, path, handler, help) {HTTP_METHOD_##method, SK_STR_INIT(path), edge_admin_##handler},
    EDGE_ADMIN_TABLE(X)
#undef X
};

/* --- one request ------------------------------------------------------------------------------------------ */

static bool may_ask(const struct edge_admin *admin, const struct http_request *request) {
    sk_str wanted = admin->process->snapshot->config->admin_token;
    if (admin->local) return true;
    sk_str given = http_fields_value(&request->fields, HTTP_FIELD_AUTHORIZATION);
    if (!sk_str_istarts_with(given, SK_STR("Bearer "))) return false;
    given = sk_str_trim(sk_str_slice(given, 7, given.len));
    return wanted.len && given.len == wanted.len && CRYPTO_memcmp(given.data, wanted.data, wanted.len) == 0;
}

static sk_err say(struct edge_admin_answer *answer, uint16_t status, const char *text) {
    answer->status = status;
    answer->type = "text/plain; charset=utf-8";
    return sk_buf_printf(&answer->body, "%s\n", text);
}

static sk_err dispatch(struct edge_admin *admin, const struct http_request *request,
                       struct edge_admin_answer *answer) {
    bool known = false;
    if (!may_ask(admin, request)) return say(answer, 401, "the admin token is missing or wrong");
    enum http_method method = request->method == HTTP_METHOD_HEAD ? HTTP_METHOD_GET : request->method;
    for (size_t i = 0; i < SK_COUNT(endpoints); i++) {
        if (!sk_str_eq(request->path, endpoints[i].path)) continue;
        known = true;
        if (endpoints[i].method == method) return endpoints[i].handle(admin->process, answer);
    }
    return known ? say(answer, 405, "another method is meant for this path")
                 : say(answer, 404, "there is no such path");
}

static sk_err write_answer(struct visit *visit, bool head_only) {
    struct edge_admin_answer *answer = &visit->answer;
    sk_time_ns deadline = sk_time_now() + REQUEST_MS * SK_NS_PER_MS;
    sk_str reason = http_status_reason(answer->status);
    sk_err err = sk_buf_printf(&visit->out,
                               "HTTP/1.1 %u %.*s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                               "Cache-Control: no-store\r\n%sConnection: close\r\n\r\n",
                               answer->status, SK_STR_ARGS(reason), answer->type, sk_buf_len(&answer->body),
                               answer->status == 401 ? "WWW-Authenticate: Bearer\r\n" : "");
    if (err) return err;
    sk_str head = sk_buf_str(&visit->out), body = sk_buf_str(&answer->body);
    struct iovec iov[2] = {{(void *)(uintptr_t)head.data, head.len},
                           {(void *)(uintptr_t)body.data, body.len}};
    return io_stream_writev(visit->stream, iov, head_only || !body.len ? 1 : 2, deadline);
}

static sk_err answer_request(struct visit *visit, const struct http_request *request) {
    struct edge_admin_answer *answer = &visit->answer;
    answer->status = 200;
    answer->type = "application/json";
    sk_err err = dispatch(visit->admin, request, answer);
    if (err) {
        sk_buf_clear(&answer->body);
        err = say(answer, 500, sk_err_text(err));
    }
    return err ? err : write_answer(visit, request->method == HTTP_METHOD_HEAD);
}

static void visit_main(void *arg) {
    struct visit *visit = arg;
    struct http_request request;
    sk_err err = fleet_admin_read_request(visit->stream, &visit->in, &visit->arena, REQUEST_MS, &request,
                                          &visit->answer.status);
    if (!err)
        err = answer_request(visit, &request);
    else if (err == SK_ERR_MALFORMED &&
             say(&visit->answer, visit->answer.status, "malformed request") == SK_OK)
        err = write_answer(visit, false);
    if (err && err != SK_ERR_END) sk_log(SK_LOG_DEBUG, "admin", "a request failed: %s", sk_err_text(err));
    io_stream_close(visit->stream);
    sk_buf_free(&visit->in);
    sk_buf_free(&visit->out);
    sk_buf_free(&visit->answer.body);
    sk_arena_free(&visit->arena);
    visit->admin->connections--;
    free(visit);
}

/* --- the socket ------------------------------------------------------------------------------------------- */

static void begin_visit(struct edge_admin *admin, int fd) {
    struct io_loop *loop = admin->process->loop;
    struct visit *visit = admin->connections < CONNECTIONS_MAX ? calloc(1, sizeof *visit) : NULL;
    if (!visit) {
        close(fd);
        return;
    }
    visit->admin = admin;
    sk_buf_init(&visit->in, HEAD_LIMIT);
    sk_buf_init(&visit->out, 0);
    sk_buf_init(&visit->answer.body, BODY_LIMIT);
    sk_arena_init(&visit->arena, 4096, HEAD_LIMIT);
    admin->connections++;
    sk_err err = io_stream_adopt(loop, fd, &visit->stream);
    if (err)
        close(fd);
    else
        err = io_fiber_spawn(loop, "admin", visit_main, visit, NULL);
    if (!err) return;
    io_stream_close(visit->stream);
    admin->connections--;
    free(visit);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct edge_admin *admin = SK_CONTAINER_OF(watch, struct edge_admin, watch);
    int fd;
    struct io_addr peer;
    while (io_accept(watch->fd, &fd, &peer) == SK_OK) begin_visit(admin, fd);
}

static sk_err open_socket(struct edge_admin *admin, const struct config *config, int *out_fd) {
    struct edge_listener listener;
    struct io_addr inherited_addr;
    sk_err err = io_addr_parse(config->admin, &admin->addr);
    if (err) return err;
    admin->local = admin->addr.any.sa_family == AF_UNIX;
    int inherited = edge_upgrade_take_admin();
    if (inherited >= 0 && io_socket_local_addr(inherited, &inherited_addr) == SK_OK &&
        io_addr_eq(&inherited_addr, &admin->addr)) {
        *out_fd = inherited;
        return SK_OK;
    }
    if (inherited >= 0) close(inherited);
    err = edge_listener_bind(&admin->addr, 1, ADMIN_SOCKET_MODE, &listener);
    if (err) return err;
    *out_fd = listener.fds[0];
    free(listener.fds);
    return SK_OK;
}

static sk_err announce(struct edge_admin *admin) {
    char text[IO_ADDR_TEXT_BYTES];
    struct io_addr bound;
    sk_err err = io_socket_local_addr(admin->watch.fd, &bound);
    if (err) return err;
    io_addr_format(&bound, text);
    fprintf(stderr, "admin on %s%s\n", admin->local ? "" : "http://", text);
    return SK_OK;
}

sk_err edge_admin_start(struct edge_process *process) {
    const struct config *config = process->snapshot->config;
    struct edge_admin *admin = calloc(1, sizeof *admin);
    int fd = -1;
    if (!admin) return SK_ERR_NO_MEMORY;
    admin->process = process;
    sk_err err = open_socket(admin, config, &fd);
    if (err) {
        sk_log(SK_LOG_ERROR, "edge", "admin: cannot listen on %.*s: %s", SK_STR_ARGS(config->admin),
               sk_err_text(err));
        free(admin);
        return err;
    }
    admin->watch = (struct io_watch){.fd = fd, .on_ready = on_ready};
    err = io_watch_start(process->loop, &admin->watch);
    if (!err) err = announce(admin);
    process->admin = admin;
    return err;
}

int edge_admin_fd(const struct edge_admin *admin) { return admin->watch.fd; }

void edge_admin_hand_over(struct edge_process *process) {
    struct edge_admin *admin = process->admin;
    if (admin->watch.fd < 0) return;
    io_watch_stop(&admin->watch);
    close(admin->watch.fd);
    admin->watch.fd = -1;
}

void edge_admin_stop(struct edge_process *process) {
    struct edge_admin *admin = process->admin;
    bool ours = admin->watch.fd >= 0;
    edge_admin_hand_over(process);
    if (ours && admin->local) unlink(admin->addr.local.sun_path);
    process->admin = NULL;
    free(admin);
}
