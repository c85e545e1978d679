#include "route/admin.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "fleet/admin_request.h"
#include "io/stream.h"

enum { CONNECTIONS_MAX = 64, REQUEST_MS = 10000, HEAD_LIMIT = 64 * 1024, BODY_LIMIT = 8 << 20 };

struct route_admin {
    struct route_process *process;
    struct io_addr addr;
    struct io_watch watch;
    bool local;
    unsigned connections;
};

struct visit {
    struct route_admin *admin;
    struct io_stream *stream;
    struct sk_buf in, out, body;
    struct sk_arena arena;
    uint16_t status;
    const char *type;
};

/* --- answers ------------------------------------------------------------------------------------------ */

static sk_err answer_health(struct route_process *process, struct visit *visit) {
    const struct config_route *config = process->plan->config->config;
    const struct table *table = answer_snapshot_table(process->plan->snapshot);
    visit->type = "application/json";
    return sk_buf_printf(
        &visit->body,
        "{\"status\":\"ok\",\"zones\":%u,\"sites\":%u,\"names\":%u,\"table\":%llu,\"lists\":%u,"
        "\"threads\":%u,\"signed\":%s}\n",
        config->zone_count, config->site_count, config->name_count,
        table ? (unsigned long long)table_version(table) : 0, table ? table_list_count(table) : 0,
        process->worker_count, process->plan->config->is_signed ? "true" : "false");
}

static sk_err answer_metrics(struct route_process *process, struct visit *visit) {
    (void)process;
    visit->type = "text/plain; version=0.0.4; charset=utf-8";
    return observe_write_prometheus(&visit->body);
}

static sk_err say(struct visit *visit, uint16_t status, const char *text) {
    visit->status = status;
    visit->type = "text/plain; charset=utf-8";
    return sk_buf_printf(&visit->body, "%s\n", text);
}

/* A reload on its way from the fiber to the loop's own stack: zones and tables want more than a fiber has. */
struct reload {
    struct io_task task;
    struct route_process *process;
    struct io_fiber *waiting;
    sk_err err;
    bool done;
};

static void reload_now(struct io_task *task) {
    struct reload *reload = SK_CONTAINER_OF(task, struct reload, task);
    reload->err = route_process_reload(reload->process);
    reload->done = true;
    io_fiber_wake(reload->waiting);
}

static sk_err answer_reload(struct route_process *process, struct visit *visit) {
    struct reload reload = {.task.run = reload_now, .process = process, .waiting = io_fiber_self()};
    io_loop_defer(process->loop, &reload.task);
    while (!reload.done) (void)!io_fiber_park(SK_TIME_NEVER);
    sk_err err = reload.err;
    return say(visit, err ? 422 : 200, err ? "refused: what is wrong stands in the log" : "in force");
}

static const struct endpoint {
    enum http_method method;
    sk_str path;
    sk_err (*answer)(struct route_process *process, struct visit *visit);
} endpoints[] = {
#define X(method, path, handler, help) {HTTP_METHOD_##method, SK_STR_INIT(path), answer_##handler},
    ROUTE_ADMIN_TABLE(X)
#undef X
};

/* --- one request -------------------------------------------------------------------------------------- */

static bool may_ask(const struct route_admin *admin, const struct http_request *request) {
    sk_str wanted = admin->process->plan->config->config->admin_token;
    if (admin->local) return true;
    sk_str given = http_fields_value(&request->fields, HTTP_FIELD_AUTHORIZATION);
    if (!sk_str_istarts_with(given, SK_STR("Bearer "))) return false;
    given = sk_str_trim(sk_str_slice(given, 7, given.len));
    return wanted.len && given.len == wanted.len && CRYPTO_memcmp(given.data, wanted.data, wanted.len) == 0;
}

static sk_err dispatch(struct visit *visit, const struct http_request *request) {
    bool known = false;
    if (!may_ask(visit->admin, request)) return say(visit, 401, "the admin token is missing or wrong");
    enum http_method method = request->method == HTTP_METHOD_HEAD ? HTTP_METHOD_GET : request->method;
    visit->status = 200;
    for (size_t i = 0; i < SK_COUNT(endpoints); i++) {
        if (!sk_str_eq(request->path, endpoints[i].path)) continue;
        known = true;
        if (endpoints[i].method == method) return endpoints[i].answer(visit->admin->process, visit);
    }
    return known ? say(visit, 405, "another method is meant for this path")
                 : say(visit, 404, "there is no such path");
}

static sk_err write_answer(struct visit *visit, bool head_only) {
    sk_time_ns deadline = sk_time_now() + REQUEST_MS * SK_NS_PER_MS;
    sk_err err =
        sk_buf_printf(&visit->out,
                      "HTTP/1.1 %u %.*s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                      "Cache-Control: no-store\r\n%sConnection: close\r\n\r\n",
                      visit->status, SK_STR_ARGS(http_status_reason(visit->status)), visit->type,
                      sk_buf_len(&visit->body), visit->status == 401 ? "WWW-Authenticate: Bearer\r\n" : "");
    if (err) return err;
    sk_str head = sk_buf_str(&visit->out), body = sk_buf_str(&visit->body);
    err = io_stream_write(visit->stream, head.data, head.len, deadline);
    return err || head_only || !body.len ? err
                                         : io_stream_write(visit->stream, body.data, body.len, deadline);
}

static void free_visit(struct visit *visit) {
    io_stream_close(visit->stream);
    sk_buf_free(&visit->in);
    sk_buf_free(&visit->out);
    sk_buf_free(&visit->body);
    sk_arena_free(&visit->arena);
    visit->admin->connections--;
    free(visit);
}

static void visit_main(void *arg) {
    struct visit *visit = arg;
    struct http_request request;
    sk_err err = fleet_admin_read_request(visit->stream, &visit->in, &visit->arena, REQUEST_MS, &request,
                                          &visit->status);
    if (!err) {
        err = dispatch(visit, &request);
        if (err) { /* half an answer is none */
            sk_buf_clear(&visit->body);
            err = say(visit, 500, sk_err_text(err));
        }
        if (!err) err = write_answer(visit, request.method == HTTP_METHOD_HEAD);
    } else if (err == SK_ERR_MALFORMED && say(visit, visit->status, "malformed request") == SK_OK) {
        err = write_answer(visit, false);
    }
    if (err && err != SK_ERR_END)
        sk_log(SK_LOG_DEBUG, "route", "an admin request failed: %s", sk_err_text(err));
    free_visit(visit);
}

/* --- the socket --------------------------------------------------------------------------------------- */

static void begin_visit(struct route_admin *admin, int fd) {
    struct io_loop *loop = admin->process->loop;
    struct visit *visit = admin->connections < CONNECTIONS_MAX ? calloc(1, sizeof *visit) : NULL;
    if (!visit || io_stream_adopt(loop, fd, &visit->stream)) {
        close(fd);
        free(visit);
        return;
    }
    visit->admin = admin;
    sk_buf_init(&visit->in, HEAD_LIMIT);
    sk_buf_init(&visit->out, 0);
    sk_buf_init(&visit->body, BODY_LIMIT);
    sk_arena_init(&visit->arena, 4096, HEAD_LIMIT);
    admin->connections++;
    if (io_fiber_spawn(loop, "admin", visit_main, visit, NULL)) free_visit(visit);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct route_admin *admin = SK_CONTAINER_OF(watch, struct route_admin, watch);
    struct io_addr peer;
    int fd;
    while (io_accept(watch->fd, &fd, &peer) == SK_OK) begin_visit(admin, fd);
}

sk_err route_admin_start(struct route_process *process, struct route_admin **out_admin) {
    sk_str where = process->plan->config->config->admin;
    *out_admin = NULL;
    if (where.len == 0) return SK_OK;
    struct route_admin *admin = calloc(1, sizeof *admin);
    if (!admin) return SK_ERR_NO_MEMORY;
    admin->process = process;
    admin->watch.on_ready = on_ready;
    sk_err err = io_addr_parse(where, &admin->addr);
    if (!err) err = io_listen(&admin->addr, &(struct io_listen_options){0}, &admin->watch.fd);
    if (err) {
        sk_log(SK_LOG_ERROR, "route", "cannot listen for admin requests on %.*s: %s", SK_STR_ARGS(where),
               sk_err_text(err));
        free(admin);
        return err;
    }
    admin->local = admin->addr.any.sa_family == AF_UNIX;
    err = io_watch_start(process->loop, &admin->watch);
    if (err) {
        close(admin->watch.fd);
        free(admin);
        return err;
    }
    *out_admin = admin;
    return SK_OK;
}

void route_admin_stop(struct route_admin *admin) {
    if (!admin) return;
    io_watch_stop(&admin->watch);
    close(admin->watch.fd);
    if (admin->local) unlink(admin->addr.local.sun_path);
    free(admin);
}
