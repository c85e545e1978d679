#include "edge/health.h"

#include <stdatomic.h>
#include <stdio.h>

#include "edge/answer.h"
#include "edge/error_page.h"
#include "edge/worker.h"

/* A bit for each reason. Relaxed: a word by itself, which nothing else hangs on. */
static _Atomic unsigned withdrawn_bits;

void edge_withdraw(enum edge_withdrawn why, bool withdrawn) {
    unsigned bit = 1u << why;
    if (withdrawn)
        atomic_fetch_or_explicit(&withdrawn_bits, bit, memory_order_relaxed);
    else
        atomic_fetch_and_explicit(&withdrawn_bits, ~bit, memory_order_relaxed);
}

bool edge_is_withdrawn(enum edge_withdrawn why) {
    return atomic_load_explicit(&withdrawn_bits, memory_order_relaxed) >> why & 1;
}

const char *edge_withdrawn_why(void) {
    static const char *const texts[] = {
#define X(name, text) [EDGE_WITHDRAWN_##name] = text,
        EDGE_WITHDRAWN_TABLE(X)
#undef X
    };
    for (unsigned i = 0; i < EDGE_WITHDRAWN_COUNT_; i++)
        if (edge_is_withdrawn((enum edge_withdrawn)i)) return texts[i];
    return NULL;
}

/* Why no client should come here; NULL: they may. */
static const char *sickness(const struct edge_worker *worker) {
    if (worker->stage != EDGE_RUNNING) return "stopping";
    return edge_withdrawn_why();
}

void edge_answer_health(struct edge_exchange *exchange) {
    enum { HEAD_BYTES = 256, BODY_BYTES = 128 };
    const char *why = sickness(exchange->worker);
    enum http_method method = exchange->request.method;
    char head[HEAD_BYTES], body[BODY_BYTES];
    observe_count(exchange->worker->metrics, OBSERVE_HEALTH_CHECKS);
    if (method != HTTP_METHOD_GET && method != HTTP_METHOD_HEAD) {
        edge_respond_error(exchange, 405, "health is asked with GET");
        return;
    }
    sk_str date = edge_worker_date(exchange->worker);
    int head_len = snprintf(head, sizeof head,
                            "Date: %.*s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n",
                            SK_STR_ARGS(date));
    int body_len = why ? snprintf(body, sizeof body, "{\"status\":\"sick\",\"reason\":\"%s\"}\n", why)
                       : snprintf(body, sizeof body, "{\"status\":\"ok\"}\n");
    struct edge_response response = {.status = why ? 503 : 200,
                                     .head = {head, (size_t)head_len},
                                     .body_length = (uint64_t)body_len,
                                     .head_only = method == HTTP_METHOD_HEAD,
                                     .small_body = {body, (size_t)body_len}};
    exchange->ops->respond(exchange, &response);
}
