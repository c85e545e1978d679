#include "edge/fetch.h"

#include <stdlib.h>

#include "base/log.h"
#include "edge/forward.h"
#include "edge/stored_head.h"
#include "edge/worker.h"
#include "wire/h1.h"

#define ARENA_FIRST_BYTES 4096
/* How long a key whose response was not shareable is remembered as such. */
#define REMEMBER_MS 30000
/* What a fill that nobody waits for may still cost. */
#define ABANDONED_BYTES (16u << 20)

/* --- life --------------------------------------------------------------------------------------------- */

static void fetch_unref(struct edge_fetch *fetch) {
    if (--fetch->references) return;
    if (fetch->tunnel) origin_exchange_close(fetch->tunnel);
    edge_snapshot_unref(fetch->snapshot);
    sk_arena_free(&fetch->arena);
    free(fetch);
}

void edge_fetch_wake(struct edge_fetch *fetch) {
    if (fetch->body_reader) io_fiber_wake(fetch->body_reader);
}

void edge_fetch_cancel(struct edge_fetch *fetch) {
    if (fetch->fiber && fetch->fiber != io_fiber_self()) io_fiber_cancel(fetch->fiber);
}

void edge_fetch_leave(struct edge_fetch *fetch) {
    bool unanswered = !fetch->origin_status;
    fetch->leader = NULL;
    edge_fetch_wake(fetch);
    /* Nobody else can want a private response; a request that changes something is left to the origin. */
    if (fetch->fiber && unanswered && fetch->pass && http_method_safe(fetch->client_request.method))
        edge_fetch_cancel(fetch);
    fetch_unref(fetch);
}

/* --- the client's body -------------------------------------------------------------------------------- */

static sk_err read_body(void *arg, sk_time_ns deadline, sk_str *out_piece) {
    struct edge_fetch *fetch = arg;
    if (fetch->first_piece.len) {
        *out_piece = fetch->first_piece;
        fetch->first_piece.len = 0;
        return SK_OK;
    }
    for (;;) {
        if (!fetch->leader) return SK_ERR_CLOSED;
        sk_err err = fetch->leader->ops->read_body(fetch->leader, out_piece);
        if (err != SK_ERR_AGAIN) return err;
        fetch->body_reader = io_fiber_self();
        err = io_fiber_park(deadline);
        fetch->body_reader = NULL;
        if (err) return err;
    }
}

/* Nothing goes to an origin before the body has begun, so that a malformed beginning costs nobody else. */
static sk_err await_body(struct edge_fetch *fetch) {
    if (!fetch->has_body) return SK_OK;
    sk_err err = read_body(fetch, SK_TIME_NEVER, &fetch->first_piece);
    if (err == SK_ERR_END) return SK_OK;
    if (err) fetch->result.phase = ORIGIN_PHASE_BODY_READ;
    return err;
}

static const struct http_fields *body_trailers(void *arg) {
    struct edge_fetch *fetch = arg;
    const struct http_fields *given = fetch->leader ? fetch->leader->ops->body_trailers(fetch->leader) : NULL;
    struct http_fields *fields = given ? sk_arena_zalloc(&fetch->arena, sizeof *fields) : NULL;
    return fields && edge_trailer_fields(&fetch->arena, given, fields) == SK_OK ? fields : NULL;
}

static void on_informational(void *arg, const struct http_response *response) {
    struct edge_fetch *fetch = arg;
    if (!fetch->leader) return;
    struct edge_head_rules rules = {.pseudonym = fetch->snapshot->config->server_name,
                                    .now = io_loop_wall_s(fetch->worker->loop)};
    struct http_fields fields;
    if (edge_head_fields(&fetch->arena, response, &rules, &fields) == SK_OK)
        fetch->leader->ops->inform(fetch->leader, response->status, &fields);
}

/* --- the response's head -------------------------------------------------------------------------------- */

static uint64_t body_length_of(const struct http_response *response) {
    switch (response->body_kind) {
    case HTTP_BODY_NONE: return 0;
    case HTTP_BODY_LENGTH: return response->content_length;
    default: return CACHE_LENGTH_UNKNOWN;
    }
}

static sk_err make_head(struct edge_fetch *fetch, const struct http_response *response, bool store,
                        struct http_fields *out_fields, struct cache_head *out_head) {
    sk_unix_s now = io_loop_wall_s(fetch->worker->loop);
    struct edge_head_rules rules = {
        .pseudonym = fetch->snapshot->config->server_name,
        .shared = store,
        .drop_set_cookie = store && fetch->site->cache.ignore_set_cookie,
        .keep_length = !store && response->body_kind == HTTP_BODY_NONE,
        .now = now,
    };
    sk_err err = edge_head_fields(&fetch->arena, response, &rules, out_fields);
    if (err) return err;
    *out_head = (struct cache_head){
        .status = response->status,
        .fields = out_fields,
        .body_length = body_length_of(response),
        .vary = http_fields_joined(out_fields, HTTP_FIELD_VARY, &fetch->arena),
        .request = &fetch->client_request,
    };
    http_validators_of(out_fields, now, &out_head->validators);
    return SK_OK;
}

/* How long the next requests of this key go on their own. What concerns only this request, or passes by
 * itself, is not remembered. */
static int64_t remember_ms(enum http_reason reason, uint16_t status) {
    switch (reason) {
    case HTTP_REASON_NO_STORE_REQUEST:
    case HTTP_REASON_NO_STORE_AUTHORIZATION: return 0;
    default: return status >= 500 ? 0 : REMEMBER_MS;
    }
}

/* Publishes the head: stored, or for the leader alone. */
static sk_err publish(struct edge_fetch *fetch, const struct http_response *response, sk_unix_s asked_at) {
    struct http_fields fields;
    struct cache_head head;
    struct http_store_answer answer = {.reason = HTTP_REASON_NONE};
    if (!fetch->pass)
        answer = http_may_store(&fetch->client_request, response, asked_at,
                                io_loop_wall_s(fetch->worker->loop), &fetch->site->cache);
    fetch->store_reason = answer.reason;
    sk_err err = make_head(fetch, response, answer.store, &fields, &head);
    if (err) return err;
    head.freshness = answer.freshness;
    head.reason = answer.reason;
    fetch->stored = answer.store;
    fetch->published = true;
    if (!answer.store)
        return cache_fill_pass(fetch->fill, &head, remember_ms(answer.reason, response->status));
    err = cache_fill_store(fetch->fill, &head);
    if (err == SK_ERR_TOO_LARGE || err == SK_ERR_FULL) {
        fetch->stored = false;
        fetch->store_reason =
            err == SK_ERR_FULL ? HTTP_REASON_NO_STORE_NO_MEMORY : HTTP_REASON_NO_STORE_TOO_LARGE;
        err = SK_OK;
    }
    return err;
}

/* RFC 9111 section 4.3.4. False: the 304 does not speak of what is stored. */
static bool speaks_of(const struct cache_object *stale, const struct http_response *response, sk_unix_s now) {
    struct http_validators fresh;
    http_validators_of(&response->fields, now, &fresh);
    if (!fresh.etag.opaque.data) return true;
    return http_etag_weak_match(fresh.etag, stale->validators.etag);
}

static sk_err freshen(struct edge_fetch *fetch, const struct http_response *response, sk_unix_s asked_at) {
    struct cache_object *stale = cache_fill_stale(fetch->fill);
    struct http_fields fresh, fields;
    struct cache_head head;
    sk_err err = make_head(fetch, response, true, &fresh, &head);
    if (!err) err = edge_head_update(&fetch->arena, &stale->fields, &fresh, &fields);
    if (err) return err;
    /* Judged as if the stored response had come anew. Age is of the 304 itself (section 4.2.3). */
    struct http_response renewed = *response;
    renewed.status = stale->status;
    renewed.fields = fields;
    sk_str age = http_fields_value(&response->fields, HTTP_FIELD_AGE);
    if (age.data) err = http_fields_add_id(&renewed.fields, &fetch->arena, HTTP_FIELD_AGE, age);
    if (err) return err;
    sk_unix_s now = io_loop_wall_s(fetch->worker->loop);
    struct http_store_answer answer =
        http_may_store(&fetch->client_request, &renewed, asked_at, now, &fetch->site->cache);
    head.status = stale->status;
    head.fields = &fields;
    head.body_length = atomic_load_explicit(&stale->body_length, memory_order_acquire);
    head.vary = http_fields_joined(&fields, HTTP_FIELD_VARY, &fetch->arena);
    head.reason = HTTP_REASON_HIT_REVALIDATED;
    http_validators_of(&fields, now, &head.validators);
    head.freshness = answer.store ? answer.freshness
                                  : (struct http_freshness){.response_time = now,
                                                            .always_revalidate = true,
                                                            .must_revalidate = true,
                                                            .has_validator = true};
    fetch->validated = true;
    fetch->stored = answer.store;
    err = cache_fill_freshen(fetch->fill, &head);
    if (!answer.store) cache_remove(fetch->worker->cache, cache_fill_key(fetch->fill));
    return err == SK_ERR_FULL || err == SK_ERR_NO_MEMORY ? SK_OK : err; /* everybody has the stale one then */
}

/* RFC 9111 section 4.4: an unsafe method that worked makes what is stored for this URI invalid. */
static void invalidate(struct edge_fetch *fetch, uint16_t status) {
    if (http_method_safe(fetch->client_request.method) || status < 200 || status >= 400) return;
    const struct cache_key *key = cache_fill_key(fetch->fill);
    if (key->text.len) cache_remove(fetch->worker->cache, key);
}

static bool may_serve_stale(const struct edge_fetch *fetch) {
    const struct cache_object *stale = cache_fill_stale(fetch->fill);
    struct http_cache_control none;
    struct http_fields no_fields = {0};
    if (!stale) return false;
    http_cache_control_parse(&no_fields, HTTP_FIELD_CACHE_CONTROL, &none);
    return http_may_serve_on_error(&stale->freshness, &none, io_loop_wall_s(fetch->worker->loop));
}

/* RFC 5861 section 4. */
static bool is_origin_failure(uint16_t status) {
    return status == 500 || status == 502 || status == 503 || status == 504;
}

/* --- the response's body ---------------------------------------------------------------------------------- */

/* True when the fill goes on although nobody waits for it. */
static bool worth_finishing(const struct edge_fetch *fetch, uint64_t total, uint64_t received,
                            uint64_t since_abandoned) {
    if (cache_fill_interest(fetch->fill)) return true;
    if (since_abandoned > ABANDONED_BYTES) return false;
    return total == CACHE_LENGTH_UNKNOWN || total - received <= ABANDONED_BYTES || received >= total / 2;
}

/* The announced length is reached: nothing may follow it. */
static sk_err expect_end(struct origin_exchange *origin) {
    char spare[64];
    size_t n = 0;
    sk_err err = origin_exchange_read(origin, spare, sizeof spare, &n);
    return err == SK_OK ? SK_ERR_MALFORMED : err;
}

static sk_err copy_body(struct edge_fetch *fetch, struct origin_exchange *origin, uint64_t total) {
    uint64_t received = 0, abandoned_at = 0;
    for (;;) {
        char *space;
        size_t room, n = 0;
        sk_err err = cache_fill_space(fetch->fill, SK_TIME_NEVER, &space, &room);
        if (err == SK_ERR_TOO_LARGE)
            err = expect_end(origin);
        else if (!err)
            err = origin_exchange_read(origin, space, room, &n);
        if (err) return err;
        cache_fill_commit(fetch->fill, n);
        received += n;
        if (cache_fill_interest(fetch->fill)) abandoned_at = received;
        if (!worth_finishing(fetch, total, received, received - abandoned_at)) return SK_ERR_CANCELLED;
    }
}

static void take_body(struct edge_fetch *fetch, struct origin_exchange *origin,
                      const struct http_response *response) {
    sk_err err = SK_ERR_END;
    if (response->body_kind != HTTP_BODY_NONE) err = copy_body(fetch, origin, body_length_of(response));
    const struct http_fields *trailers = err == SK_ERR_END ? origin_exchange_trailers(origin) : NULL;
    if (trailers && edge_trailer_fields(&fetch->arena, trailers, &fetch->trailers) != SK_OK)
        err = SK_ERR_NO_MEMORY;
    if (err == SK_ERR_END)
        err = cache_fill_finish(fetch->fill);
    else
        cache_fill_break(fetch->fill, err);
    if (!err || err == SK_ERR_CANCELLED) return;
    SK_LOG_LIMITED(SK_LOG_WARN, "edge", "%.*s: %.*s: response body: %s", SK_STR_ARGS(fetch->result.origin),
                   SK_STR_ARGS(fetch->request.target), sk_err_text(err));
}

/* --- the story -------------------------------------------------------------------------------------------- */

static void fail(struct edge_fetch *fetch, sk_err err) {
    fetch->error = err;
    cache_fill_fail(fetch->fill, err, may_serve_stale(fetch));
}

static void no_response(struct edge_fetch *fetch, sk_err err) {
    if (fetch->result.phase == ORIGIN_PHASE_BODY_READ && fetch->leader)
        fetch->result.detail = fetch->leader->body_problem;
    fail(fetch, err);
    if (err == SK_ERR_CANCELLED || fetch->result.phase == ORIGIN_PHASE_BODY_READ) return;
    SK_LOG_LIMITED(SK_LOG_WARN, "edge", "%.*s: %.*s: %s: %s%s%s", SK_STR_ARGS(fetch->result.origin),
                   SK_STR_ARGS(fetch->request.target), origin_phase_text(fetch->result.phase),
                   sk_err_text(err), fetch->result.detail ? ": " : "",
                   fetch->result.detail ? fetch->result.detail : "");
}

static sk_err ask(struct edge_fetch *fetch, struct origin_exchange **out_origin,
                  const struct http_response **out_response) {
    sk_err err = edge_forward_request(fetch);
    if (!err) err = await_body(fetch);
    if (err) return err;
    struct origin_request request = {
        .group = edge_snapshot_group(fetch->snapshot, fetch->site),
        .request = &fetch->request,
        .on_informational = on_informational,
        .informational_arg = fetch,
    };
    if (fetch->has_body)
        request.body =
            (struct origin_body_source){.read = read_body, .trailers = body_trailers, .arg = fetch};
    if (fetch->conditional) observe_count(fetch->worker->metrics, OBSERVE_REVALIDATIONS);
    err = origin_exchange_open(fetch->worker->origins, &request, out_origin, out_response, &fetch->result);
    return err;
}

static void take_response(struct edge_fetch *fetch, struct origin_exchange *origin,
                          const struct http_response *response, sk_unix_s asked_at) {
    sk_err err;
    fetch->origin_status = response->status;
    invalidate(fetch, response->status);
    if (fetch->conditional && response->status == 304) {
        err = freshen(fetch, response, asked_at);
        if (err) fail(fetch, err);
    } else if (is_origin_failure(response->status) && may_serve_stale(fetch)) {
        fail(fetch, SK_ERR_IO);
    } else if ((err = publish(fetch, response, asked_at)) == SK_OK) {
        take_body(fetch, origin, response);
    } else if (!fetch->published) {
        fail(fetch, err);
    }
    origin_exchange_close(origin);
}

static void fetch_story(struct edge_fetch *fetch) {
    struct origin_exchange *origin;
    const struct http_response *response;
    for (;;) {
        sk_unix_s asked_at = io_loop_wall_s(fetch->worker->loop);
        sk_err err = ask(fetch, &origin, &response);
        if (err) {
            no_response(fetch, err);
            return;
        }
        if (response->status == 101) {
            fetch->origin_status = 101;
            fetch->tunnel = origin;
            fetch->tunnel_response = response;
            fail(fetch, SK_ERR_UNSUPPORTED); /* no object will come: the leader looks at tunnel */
            return;
        }
        bool mismatch = fetch->conditional && response->status == 304 &&
                        !speaks_of(cache_fill_stale(fetch->fill), response, asked_at);
        if (!mismatch) {
            take_response(fetch, origin, response, asked_at);
            return;
        }
        origin_exchange_close(origin);
        fetch->conditional = false;
    }
}

static void fetch_main(void *arg) {
    struct edge_fetch *fetch = arg;
    struct edge_worker *worker = fetch->worker;
    fetch->fiber = io_fiber_self();
    sk_list_push_back(&worker->fetches, &fetch->link);
    fetch_story(fetch);
    cache_fill_release(fetch->fill);
    sk_list_remove(&fetch->link);
    fetch->fiber = NULL;
    fetch_unref(fetch);
    edge_worker_check_drained(worker);
}

static sk_err fill_in(struct edge_fetch *fetch, const struct edge_fetch_plan *plan) {
    char ip[IO_ADDR_TEXT_BYTES];
    sk_err err = wire_h1_request_copy(&fetch->arena, plan->request, &fetch->client_request);
    if (err) return err;
    fetch->client_ip = sk_arena_copy(&fetch->arena, (sk_str){ip, io_addr_format_ip(plan->client, ip)});
    if (!fetch->client_ip.data) return SK_ERR_NO_MEMORY;
    fetch->client_trusted = edge_is_trusted(plan->snapshot->config, plan->client);
    fetch->has_body = plan->leader && edge_has_content(plan->request);
    struct cache_object *stale = plan->pass ? NULL : cache_fill_stale(plan->fill);
    fetch->conditional = stale && stale->freshness.has_validator;
    return SK_OK;
}

static void start_failed(struct edge_fetch *fetch, const struct edge_fetch_plan *plan) {
    cache_fill_fail(plan->fill, SK_ERR_NO_MEMORY, false);
    cache_fill_release(plan->fill);
    if (!fetch) return;
    edge_snapshot_unref(fetch->snapshot);
    sk_arena_free(&fetch->arena);
    free(fetch);
}

void edge_fetch_start(const struct edge_fetch_plan *plan) {
    struct edge_fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch) {
        start_failed(NULL, plan);
        return;
    }
    fetch->references = plan->leader ? 2 : 1;
    fetch->worker = plan->worker;
    fetch->snapshot = edge_snapshot_ref(plan->snapshot);
    fetch->site = plan->site;
    fetch->fill = plan->fill;
    fetch->leader = plan->leader;
    fetch->pass = plan->pass;
    sk_arena_init(&fetch->arena, ARENA_FIRST_BYTES, 0);
    sk_err err = fill_in(fetch, plan);
    if (!err && plan->leader) plan->leader->fetch = fetch;
    if (!err) err = io_fiber_spawn(plan->worker->loop, "fetch", fetch_main, fetch, NULL);
    if (!err) return;
    if (plan->leader) plan->leader->fetch = NULL;
    start_failed(fetch, plan);
}
