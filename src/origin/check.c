/* Active health checks: one fiber an origin, on one thread, each with its own short-lived connection. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "origin/connection.h"
#include "origin/pool.h"
#include "wire/h1.h"

#define HEAD_BYTES 8192

struct check {
    struct sk_list link; /* of the thread, until stopped */
    struct origin_thread *thread;
    struct origin *origin; /* referenced */
    struct io_fiber *fiber;
    bool stopped;
    struct config_health_check rules; /* path points to request's text */
    char *request;                    /* the whole head, ready to send */
    size_t request_bytes;
    struct http_request head; /* the same for HTTP/2; borrows from `request` */
};

/* --- one probe ------------------------------------------------------------------------------------------ */

static const char *judge(const struct check *check, uint16_t status) {
    bool expected = status >= check->rules.expect_status_min && status <= check->rules.expect_status_max;
    return expected ? NULL : "the health check got an unexpected status";
}

/* Reads heads until a final one. *OUT_STATUS on SK_OK. */
static sk_err read_status(struct origin_connection *connection, sk_time_ns deadline, struct sk_buf *head,
                          struct sk_arena *arena, uint16_t *out_status) {
    struct wire_h1_limits limits;
    struct wire_h1_parser parser;
    struct http_response response;
    wire_h1_limits_default(&limits);
    limits.head_bytes = HEAD_BYTES;
    wire_h1_parser_init(&parser);
    for (;;) {
        size_t n, head_bytes;
        enum wire_h1_result result = wire_h1_parse_response(&parser, &limits, HTTP_METHOD_GET,
                                                            sk_buf_str(head), arena, &response, &head_bytes);
        if (result == WIRE_H1_REFUSED) return SK_ERR_MALFORMED;
        if (result == WIRE_H1_HEAD && response.status >= 200) {
            *out_status = response.status;
            return SK_OK;
        }
        if (result == WIRE_H1_HEAD) {
            sk_buf_consume(head, head_bytes);
            sk_arena_reset(arena);
            wire_h1_parser_init(&parser);
            continue;
        }
        sk_err err = sk_buf_reserve(head, 1024);
        if (!err)
            err =
                origin_connection_read(connection, sk_buf_space(head), sk_buf_space_len(head), deadline, &n);
        if (err) return err;
        sk_buf_commit(head, n);
    }
}

static sk_err ask(const struct check *check, struct origin_connection *connection, sk_time_ns deadline,
                  uint16_t *out_status) {
    struct sk_buf head;
    struct sk_arena arena;
    sk_buf_init(&head, 2 * HEAD_BYTES);
    sk_arena_init(&arena, 1024, 8 * HEAD_BYTES);
    sk_err err =
        origin_connection_write(connection, &(sk_str){check->request, check->request_bytes}, 1, deadline);
    if (!err) err = read_status(connection, deadline, &head, &arena, out_status);
    sk_arena_free(&arena);
    sk_buf_free(&head);
    return err;
}

static sk_err await_status(struct origin_call *call, sk_time_ns deadline, uint16_t *out_status) {
    sk_err err = SK_OK;
    while (!err && !call->wire.final && !call->closed) err = io_fiber_park(deadline);
    if (err) return err;
    if (!call->wire.final) return call->error ? call->error : SK_ERR_CLOSED;
    *out_status = call->wire.response.status;
    return SK_OK;
}

/* The same over HTTP/2, on a session of its own, which ends with it. CONNECTION is taken over. */
static sk_err ask_http2(const struct check *check, struct origin_connection *connection, sk_time_ns deadline,
                        uint16_t *out_status) {
    const struct config_origin_options options = {.between_bytes_timeout_ms = check->rules.timeout_ms};
    struct origin_session *session;
    struct sk_arena arena;
    struct sk_buf content;
    sk_err err = origin_session_create(NULL, connection, &options, &session);
    if (err) {
        origin_connection_close(connection);
        return err;
    }
    sk_arena_init(&arena, 1024, 8 * HEAD_BYTES);
    sk_buf_init(&content, HEAD_BYTES);
    struct origin_call call = {.wire.arena = &arena, .content = &content};
    origin_session_join(session);
    err = origin_call_begin(&call, session, &check->head, false);
    if (!err) err = await_status(&call, deadline, out_status);
    origin_call_end(&call);
    sk_arena_free(&arena);
    sk_buf_free(&content);
    return err;
}

/* NULL when all is well, else why not. *OUT_ERR is SK_ERR_CANCELLED when nothing was found out. */
static const char *probe(const struct check *check, sk_err *out_err) {
    sk_time_ns deadline = io_loop_now(check->thread->loop) + check->rules.timeout_ms * SK_NS_PER_MS;
    struct origin_connection *connection;
    struct origin_failure failure = {0};
    uint16_t status = 0;
    bool http2 = check->origin->http2 == CONFIG_HTTP2_ON;
    sk_err err =
        origin_connection_open(check->thread, check->origin, !http2, NULL, deadline, &connection, &failure);
    if (!err && connection->http2) {
        err = ask_http2(check, connection, deadline, &status);
    } else if (!err) {
        err = ask(check, connection, deadline, &status);
        origin_connection_close(connection);
    }
    *out_err = err;
    if (!err) return judge(check, status);
    return failure.detail ? failure.detail : sk_err_text(err);
}

/* --- the fiber ------------------------------------------------------------------------------------------ */

static void check_free(struct check *check) {
    sk_list_remove(&check->link);
    origin_unref(check->origin);
    free(check->request);
    free(check);
}

static void note(const struct check *check, const char *why) {
    struct origin *origin = check->origin;
    sk_time_ns now = io_loop_now(check->thread->loop);
    if (!origin_health_checked(&origin->health, &check->rules, why, now)) return;
    if (why)
        sk_log(SK_LOG_WARN, "origin", "%s: down: %s", origin->url, why);
    else
        sk_log(SK_LOG_INFO, "origin", "%s: up by its health check", origin->url);
}

/* Spread by a tenth to either side, so that many edges do not ask at the same moment. */
static sk_time_ns next_time(const struct check *check) {
    sk_time_ns interval = SK_MAX(check->rules.interval_ms, 10) * SK_NS_PER_MS, spread = interval / 10;
    return io_loop_now(check->thread->loop) + interval - spread +
           (sk_time_ns)sk_random_below(2 * (uint64_t)spread);
}

static void check_main(void *arg) {
    struct check *check = arg;
    sk_err err = SK_OK;
    while (!check->stopped && err != SK_ERR_CANCELLED) {
        const char *why = probe(check, &err);
        if (err == SK_ERR_CANCELLED) break;
        note(check, why);
        err = io_fiber_sleep_until(next_time(check));
    }
    check_free(check);
}

/* --- start and stop ------------------------------------------------------------------------------------- */

static bool prepare_request(struct check *check, const struct config_origin *config, sk_str path) {
    sk_str host = sk_str_empty(config->host) ? config->uri.authority : config->host;
    if (sk_str_empty(path)) path = SK_STR("/");
    int n = asprintf(&check->request,
                     "GET %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: skerry-health-check\r\nAccept: */*\r\n"
                     "Connection: close\r\n\r\n",
                     SK_STR_ARGS(path), SK_STR_ARGS(host));
    if (n < 0)
        check->request = NULL;
    else
        check->request_bytes = (size_t)n;
    if (n >= 0)
        check->head = (struct http_request){
            .method = HTTP_METHOD_GET,
            .method_text = SK_STR("GET"),
            .target = {check->request + 4, path.len},
            .authority = {check->request + 4 + path.len + sizeof " HTTP/1.1\r\nHost: " - 1, host.len},
        };
    return n >= 0;
}

static sk_err start_one(struct origin_thread *thread, const struct origin_member *member,
                        const struct config_health_check *rules) {
    struct check *check = calloc(1, sizeof *check);
    if (!check) return SK_ERR_NO_MEMORY;
    *check = (struct check){.thread = thread, .origin = origin_ref(member->origin), .rules = *rules};
    check->rules.path = (sk_str){0}; /* the snapshot may go before the check does */
    sk_list_push_back(&thread->checks, &check->link);
    if (!prepare_request(check, member->config, rules->path)) {
        check_free(check);
        return SK_ERR_NO_MEMORY;
    }
    sk_err err = io_fiber_spawn(thread->loop, "health check", check_main, check, &check->fiber);
    if (err) check_free(check);
    return err;
}

static bool checked_already(const struct origin_thread *thread, const struct origin *origin) {
    SK_LIST_FOR_EACH(link, (struct sk_list *)&thread->checks) {
        const struct check *check = SK_CONTAINER_OF(link, struct check, link);
        if (check->origin == origin && !check->stopped) return true;
    }
    return false;
}

static sk_err start_group(struct origin_thread *thread, const struct origin_group *group) {
    const struct config_health_check *rules = &group->site->origin.health;
    for (size_t i = 0; i < group->count && rules->enabled; i++) {
        if (checked_already(thread, group->members[i].origin)) continue;
        sk_err err = start_one(thread, &group->members[i], rules);
        if (err) return err;
    }
    return SK_OK;
}

sk_err origin_health_start(struct origin_thread *thread, struct origin_group *const *groups, size_t count) {
    SK_CHECK_MAGIC(thread, ORIGIN_THREAD_MAGIC);
    origin_health_stop(thread);
    for (size_t i = 0; i < count; i++) {
        sk_err err = start_group(thread, groups[i]);
        if (err) return err;
    }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < groups[i]->count; j++)
            if (!checked_already(thread, groups[i]->members[j].origin))
                origin_health_forget_checks(&groups[i]->members[j].origin->health);
    return SK_OK;
}

void origin_health_stop(struct origin_thread *thread) {
    SK_CHECK_MAGIC(thread, ORIGIN_THREAD_MAGIC);
    SK_LIST_FOR_EACH(link, &thread->checks) {
        struct check *check = SK_CONTAINER_OF(link, struct check, link);
        if (!check->stopped) io_fiber_cancel(check->fiber);
        check->stopped = true;
    }
}
