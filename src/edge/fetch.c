#include "edge/fetch.h"

#include <stdlib.h>

#include "base/log.h"
#include "cache/vary.h"
#include "edge/fetch_peer.h"
#include "edge/forward.h"
#include "edge/ring.h"
#include "edge/rules.h"
#include "edge/slices_private.h"
#include "edge/stored_head.h"
#include "edge/tier.h"
#include "edge/worker.h"
#include "wire/h1.h"

#define ARENA_FIRST_BYTES 4096

/* --- life --------------------------------------------------------------------------------------------- */

static void fetch_unref(struct edge_fetch *fetch) {
    if (--fetch->references) return;
    if (fetch->tunnel) origin_exchange_close(fetch->tunnel);
    edge_snapshot_unref(fetch->snapshot);
    edge_peers_unref(fetch->peers);
    if (fetch->head) cache_object_unref(fetch->worker->cache, fetch->head);
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
    if (!fields) return NULL;
    sk_str hop = http_fields_joined(&fetch->client_request.fields, HTTP_FIELD_CONNECTION, &fetch->arena);
    return edge_trailer_fields(&fetch->arena, hop, given, fields) == SK_OK ? fields : NULL;
}

static void on_informational(void *arg, const struct http_response *response) {
    struct edge_fetch *fetch = arg;
    if (!fetch->leader) return;
    struct edge_head_rules rules = {.pseudonym = fetch->snapshot->config->server_name,
                                    .keep_tags = fetch->site->pass_tags,
                                    .now = io_loop_wall_s(fetch->worker->loop)};
    struct http_fields fields;
    if (edge_head_fields(&fetch->arena, response, &rules, &fields) == SK_OK)
        fetch->leader->ops->inform(fetch->leader, response->status, &fields);
}

/* RFC 5861 section 4. */
static bool is_origin_failure(uint16_t status) {
    return status == 500 || status == 502 || status == 503 || status == 504;
}

/* --- the story -------------------------------------------------------------------------------------------- */

static void fail(struct edge_fetch *fetch, sk_err err) {
    fetch->error = err;
    cache_fill_blame(fetch->fill, fetch->result.phase, fetch->result.detail);
    cache_fill_fail(fetch->fill, err, edge_fetch_may_serve_stale(fetch));
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

sk_err edge_fetch_ask(struct edge_fetch *fetch, struct origin_exchange **out_origin,
                      const struct http_response **out_response) {
    sk_err err = edge_fetch_ask_peers(fetch, out_origin, out_response);
    if (err != SK_ERR_NOT_FOUND) return err;
    err = edge_forward_request(fetch);
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
    if (err) return err;
    err = edge_edit_response(&fetch->arena, fetch->rule, *out_response, out_response);
    if (err) origin_exchange_close(*out_origin);
    return err;
}

static void take_response(struct edge_fetch *fetch, struct origin_exchange *origin,
                          const struct http_response *response, sk_unix_s asked_at) {
    sk_err err;
    struct http_response whole;
    fetch->origin_status = response->status;
    if (edge_part_is_whole(fetch, response, &whole)) response = &whole;
    if (edge_part_take(fetch, origin, response, asked_at)) {
        origin_exchange_close(origin);
        return;
    }
    edge_fetch_invalidate(fetch, response);
    if (fetch->pass) edge_fetch_head_effects(fetch, response, asked_at);
    if (fetch->conditional && response->status == 304) {
        err = edge_fetch_freshen(fetch, response, asked_at);
        if (err) fail(fetch, err);
    } else if (is_origin_failure(response->status) && edge_fetch_may_serve_stale(fetch)) {
        fail(fetch, SK_ERR_IO);
    } else if ((err = edge_fetch_publish(fetch, response, asked_at)) == SK_OK) {
        edge_fetch_take_body(fetch, origin, response);
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
        sk_err err = edge_fetch_ask(fetch, &origin, &response);
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
                        !edge_fetch_speaks_of(cache_fill_stale(fetch->fill), response, asked_at);
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
    if (fetch->parts)
        edge_assemble(fetch);
    else if (!edge_tier_take(fetch))
        fetch_story(fetch);
    cache_fill_release(fetch->fill);
    sk_list_remove(&fetch->link);
    fetch->fiber = NULL;
    fetch_unref(fetch);
    edge_worker_check_drained(worker);
}

static sk_err fill_in_client(struct edge_fetch *fetch, const struct edge_fetch_plan *plan) {
    char ip[IO_ADDR_TEXT_BYTES];
    sk_str text =
        plan->client_of ? plan->client_of->client_ip : (sk_str){ip, io_addr_format_ip(plan->client, ip)};
    fetch->client_ip = sk_arena_copy(&fetch->arena, text);
    fetch->client_trusted = plan->client_of
                                ? plan->client_of->client_trusted
                                : plan->by_node || edge_is_trusted(plan->snapshot->config, plan->client);
    return fetch->client_ip.data ? SK_OK : SK_ERR_NO_MEMORY;
}

sk_str edge_fetch_primary(const struct edge_fetch *fetch) {
    return cache_key_primary(fetch->head ? fetch->head_key.text : cache_fill_primary_key(fetch->fill)->text);
}

/* What nobody else could store has no owner. */
static void find_peers(struct edge_fetch *fetch, const struct edge_fetch_plan *plan) {
    fetch->by_node = plan->client_of ? plan->client_of->by_node : plan->by_node;
    bool safe = plan->request->method == HTTP_METHOD_GET || plan->request->method == HTTP_METHOD_HEAD;
    if (plan->passes_peers || !safe || !cache_fill_primary_key(plan->fill)->text.len) return;
    fetch->peers = edge_ring_get(plan->worker->ring);
}

static sk_err copy_key(struct edge_fetch *fetch, const struct cache_key *key) {
    fetch->head_key = (struct cache_key){key->hash, sk_arena_copy(&fetch->arena, key->text)};
    return fetch->head_key.text.data ? SK_OK : SK_ERR_NO_MEMORY;
}

static sk_err fill_in(struct edge_fetch *fetch, const struct edge_fetch_plan *plan) {
    sk_err err = wire_h1_request_copy(&fetch->arena, plan->request, &fetch->client_request);
    if (!err) err = fill_in_client(fetch, plan);
    if (!err && plan->parts) err = edge_assembly_copy(fetch, plan);
    if (!err && plan->head_key) err = copy_key(fetch, plan->head_key);
    if (err) return err;
    if (!plan->pass) { /* HEAD too: the store asks for the whole, and what comes is judged as that */
        fetch->client_request.method = HTTP_METHOD_GET;
        fetch->client_request.method_text = SK_STR("GET");
    }
    fetch->wish = plan->wish;
    fetch->slice = plan->slice;
    fetch->slice_end = plan->slice_end;
    fetch->head = plan->head;
    if (fetch->head) cache_object_ref(fetch->head);
    fetch->has_body = plan->leader && edge_has_content(plan->request);
    struct cache_object *stale = plan->pass ? NULL : cache_fill_stale(plan->fill);
    fetch->conditional = stale && stale->freshness.has_validator;
    return SK_OK;
}

static void start_failed(struct edge_fetch *fetch, const struct edge_fetch_plan *plan) {
    cache_fill_fail(plan->fill, SK_ERR_NO_MEMORY, false);
    cache_fill_release(plan->fill);
    if (!fetch) return;
    if (fetch->head) cache_object_unref(fetch->worker->cache, fetch->head);
    edge_snapshot_unref(fetch->snapshot);
    edge_peers_unref(fetch->peers);
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
    fetch->rule = plan->rule;
    fetch->fill = plan->fill;
    fetch->leader = plan->leader;
    fetch->pass = plan->pass;
    find_peers(fetch, plan);
    sk_arena_init(&fetch->arena, ARENA_FIRST_BYTES, 0);
    sk_err err = fill_in(fetch, plan);
    if (!err && plan->leader) plan->leader->fetch = fetch;
    if (!err) err = io_fiber_spawn(plan->worker->loop, "fetch", fetch_main, fetch, NULL);
    if (!err) return;
    if (plan->leader) plan->leader->fetch = NULL;
    start_failed(fetch, plan);
}
