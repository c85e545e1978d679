#include "edge/exchange.h"

#include "edge/access.h"
#include "edge/fetch.h"
#include "edge/worker.h"
#include "wire/h1.h"

void edge_exchange_begin(struct edge_exchange *exchange, struct edge_worker *worker) {
    exchange->worker = worker;
    exchange->snapshot = worker->snapshot;
    exchange->site = NULL;
    exchange->rule = NULL;
    exchange->arena = &worker->scratch;
    exchange->key = (struct cache_key){.text = SK_STR("")};
    exchange->traits = 0;
    exchange->started = io_loop_now(worker->loop);
    exchange->kept = exchange->responded = exchange->client_gone = false;
    exchange->fiber = NULL;
    exchange->fetch = NULL;
    exchange->body_problem = NULL;
    exchange->outcome = (struct edge_outcome){.reason = HTTP_REASON_NONE};
}

static sk_err copy_to_own(struct edge_exchange *exchange) {
    struct http_request copy = {0};
    sk_str key = exchange->key.text;
    sk_err err = wire_h1_request_copy(&exchange->own_arena, &exchange->request, &copy);
    if (!err && key.len) {
        key = sk_arena_copy(&exchange->own_arena, key);
        if (!key.data) err = SK_ERR_NO_MEMORY;
    }
    if (!err && exchange->outcome.error.len) {
        exchange->outcome.error = sk_arena_copy(&exchange->own_arena, exchange->outcome.error);
        if (!exchange->outcome.error.data) exchange->outcome.error.len = 0;
    }
    if (err) return err;
    exchange->request = copy;
    exchange->key.text = key;
    exchange->arena = &exchange->own_arena;
    return SK_OK;
}

sk_err edge_exchange_keep(struct edge_exchange *exchange) {
    if (exchange->kept) return SK_OK;
    sk_err err = exchange->lasting ? SK_OK : copy_to_own(exchange);
    if (err) return err;
    edge_snapshot_ref(exchange->snapshot);
    exchange->kept = true;
    return SK_OK;
}

static enum observe_counter class_counter(uint16_t status) {
    switch (status / 100) {
    case 2: return OBSERVE_RESPONSES_2XX;
    case 3: return OBSERVE_RESPONSES_3XX;
    case 5: return OBSERVE_RESPONSES_5XX;
    default: return OBSERVE_RESPONSES_4XX;
    }
}

static void count(struct edge_exchange *exchange) {
    struct observe_thread *metrics = exchange->worker->metrics;
    const struct edge_outcome *outcome = &exchange->outcome;
    observe_count(metrics, OBSERVE_REQUESTS);
    observe_add(metrics, OBSERVE_CLIENT_BYTES_SENT, outcome->sent_bytes);
    if (outcome->status >= 200) observe_count(metrics, class_counter(outcome->status));
    if (outcome->reason != HTTP_REASON_NONE) observe_reason(metrics, outcome->reason);
    if (outcome->store_reason != HTTP_REASON_NONE) observe_reason(metrics, outcome->store_reason);
    if (outcome->hit) {
        observe_count(metrics, OBSERVE_HITS);
        observe_add(metrics, OBSERVE_HIT_BYTES, outcome->body_bytes);
        bool disk = outcome->reason == HTTP_REASON_HIT_DISK;
        observe_count(metrics, disk ? OBSERVE_HITS_DISK : OBSERVE_HITS_MEMORY);
        observe_add(metrics, disk ? OBSERVE_HIT_BYTES_DISK : OBSERVE_HIT_BYTES_MEMORY, outcome->body_bytes);
        if (outcome->reason != HTTP_REASON_HIT_FRESH && outcome->reason != HTTP_REASON_HIT_REVALIDATED &&
            !disk)
            observe_count(metrics, OBSERVE_HITS_STALE);
        if (outcome->first_byte_at)
            observe_duration(metrics, OBSERVE_HIT_SECONDS, outcome->first_byte_at - exchange->started);
    } else if (outcome->forwarded) {
        bool pass = outcome->reason >= HTTP_REASON_PASS_METHOD && outcome->reason <= HTTP_REASON_PASS_UPGRADE;
        observe_count(metrics, pass ? OBSERVE_PASSES : OBSERVE_MISSES);
        if (outcome->first_byte_at)
            observe_duration(metrics, OBSERVE_MISS_SECONDS, outcome->first_byte_at - exchange->started);
    }
    if (outcome->collapsed) observe_count(metrics, OBSERVE_COLLAPSED);
}

void edge_exchange_account(struct edge_exchange *exchange) {
    count(exchange);
    if (exchange->worker->log_wanted) edge_access_write(exchange);
}

void edge_exchange_end(struct edge_exchange *exchange) {
    SK_ASSERT(!exchange->fiber);
    if (exchange->fetch) edge_fetch_leave(exchange->fetch);
    exchange->fetch = NULL;
    if (!exchange->kept) return;
    exchange->kept = false;
    edge_snapshot_unref(exchange->snapshot);
    exchange->snapshot = NULL;
    sk_arena_free(&exchange->own_arena);
}
