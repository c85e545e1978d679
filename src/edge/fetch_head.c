/* What becomes of a response's head: stored, passed to one client, or laid over what is stored. */
#include "edge/codable.h"
#include "edge/fetch_peer.h"
#include "edge/search.h"
#include "edge/stored_head.h"
#include "edge/worker.h"

/* How long a key whose response was not shareable is remembered as such. */
#define REMEMBER_MS 30000

uint64_t edge_fetch_body_length(const struct http_response *response) {
    switch (response->body_kind) {
    case HTTP_BODY_NONE: return 0;
    case HTTP_BODY_LENGTH: return response->content_length;
    default: return CACHE_LENGTH_UNKNOWN;
    }
}

sk_err edge_fetch_make_head(struct edge_fetch *fetch, const struct http_response *response, bool store,
                            struct http_fields *out_fields, struct cache_head *out_head) {
    sk_unix_s now = io_loop_wall_s(fetch->worker->loop);
    struct edge_head_rules rules = {
        .pseudonym = fetch->snapshot->config->server_name,
        .shared = store,
        .drop_set_cookie = store && fetch->rule->cache.ignore_set_cookie,
        .drop_cache_status = fetch->site->cache_status == CONFIG_CACHE_STATUS_OFF,
        .keep_tags = fetch->site->pass_tags,
        .keep_length = !store && response->body_kind == HTTP_BODY_NONE,
        .now = now,
    };
    sk_err err = edge_head_fields(&fetch->arena, response, &rules, out_fields);
    if (!err && store) err = edge_coded_vary(&fetch->arena, out_fields);
    if (err) return err;
    *out_head = (struct cache_head){
        .status = response->status,
        .fields = out_fields,
        .body_length = edge_fetch_body_length(response),
        .vary = http_fields_joined(out_fields, HTTP_FIELD_VARY, &fetch->arena),
        .request = &fetch->client_request,
    };
    http_validators_of(out_fields, now, &out_head->validators);
    return SK_OK;
}

/* How long the next requests of this key go on their own. What concerns only this request, or passes by
 * itself, is not remembered. */
int64_t edge_fetch_remember_ms(enum http_reason reason, uint16_t status) {
    switch (reason) {
    case HTTP_REASON_NO_STORE_SEARCH:
    case HTTP_REASON_NO_STORE_REQUEST:
    case HTTP_REASON_NO_STORE_AUTHORIZATION: return 0;
    default: return status >= 500 || status == 416 || status == 425 ? 0 : REMEMBER_MS;
    }
}

sk_err edge_fetch_publish(struct edge_fetch *fetch, const struct http_response *response,
                          sk_unix_s asked_at) {
    struct http_fields fields;
    struct cache_head head;
    struct http_store_answer answer = {.reason = HTTP_REASON_NONE};
    if (!fetch->pass)
        answer = http_may_store(&fetch->client_request, response, asked_at,
                                io_loop_wall_s(fetch->worker->loop), &fetch->rule->cache);
    edge_fetch_judge_foreign(fetch, response, &answer);
    sk_err err = edge_fetch_make_head(fetch, response, answer.store, &fields, &head);
    if (err) return err;
    fetch->trailer_names = edge_trailer_names(&fetch->arena, response);
    if (answer.store) err = edge_fetch_tags(fetch, response, &head);
    if (err && err != SK_ERR_TOO_LARGE) return err;
    if (err) answer = (struct http_store_answer){.reason = HTTP_REASON_NO_STORE_TAGS};
    if (answer.store && !edge_fetch_search(fetch, response, &head))
        answer = (struct http_store_answer){.reason = HTTP_REASON_NO_STORE_SEARCH};
    head.freshness = answer.freshness;
    head.reason = fetch->store_reason = answer.reason;
    err = SK_OK;
    if (answer.store) err = edge_codable_mark(&fetch->arena, &fetch->site->compress, &fields, &head);
    if (err) return err;
    fetch->stored = answer.store;
    fetch->published = true;
    if (!answer.store) {
        /* What went alone from the start says nothing about a request that the cache looks at. */
        int64_t remember = fetch->pass ? 0 : edge_fetch_remember_ms(answer.reason, response->status);
        return cache_fill_pass(fetch->fill, &head, remember);
    }
    err = cache_fill_store(fetch->fill, &head);
    if (fetch->foreign) edge_fetch_tell_foreign(fetch);
    if (err == SK_ERR_TOO_LARGE || err == SK_ERR_FULL) {
        fetch->stored = false;
        fetch->store_reason =
            err == SK_ERR_FULL ? HTTP_REASON_NO_STORE_NO_MEMORY : HTTP_REASON_NO_STORE_TOO_LARGE;
        err = SK_OK;
    }
    return err;
}

bool edge_fetch_speaks_of(const struct cache_object *stale, const struct http_response *response,
                          sk_unix_s now) {
    struct http_validators fresh;
    http_validators_of(&response->fields, now, &fresh);
    return http_not_modified_means(&fresh, &stale->validators);
}

/* With what the 304 says it may not be kept, or not under its key: it is the leader's alone, and the others ask
 * for themselves. REASON NONE: the next response may well be kept. */
static void give_unkept(struct edge_fetch *fetch, const struct cache_head *head, enum http_reason reason) {
    fetch->store_reason = reason;
    sk_err err =
        cache_fill_pass(fetch->fill, head, reason ? edge_fetch_remember_ms(reason, head->status) : 0);
    cache_remove(fetch->worker->cache, cache_fill_key(fetch->fill));
    if (!err) edge_fetch_copy_stale(fetch);
}

static bool varies_by(const struct http_fields *fields, sk_str name) {
    for (const struct http_field *f = NULL; (f = http_fields_next(fields, HTTP_FIELD_VARY, f));) {
        sk_str rest = f->value, element;
        while (http_list_next(&rest, &element))
            if (sk_str_ieq(element, name)) return true;
    }
    return false;
}

/* The 304's Vary names a field that the stored response was not selected by: its key does not tell apart what it
 * now should (RFC 9111 section 4.1). */
static bool varies_by_more(const struct http_fields *stored, const struct http_fields *of_304) {
    for (const struct http_field *f = NULL; (f = http_fields_next(of_304, HTTP_FIELD_VARY, f));) {
        sk_str rest = f->value, element;
        while (http_list_next(&rest, &element))
            if (!varies_by(stored, element)) return true;
    }
    return false;
}

sk_err edge_fetch_freshen(struct edge_fetch *fetch, const struct http_response *response,
                          sk_unix_s asked_at) {
    struct cache_object *stale = cache_fill_stale(fetch->fill);
    struct http_fields fresh, fields;
    struct cache_head head;
    sk_err err = edge_fetch_make_head(fetch, response, true, &fresh, &head);
    if (!err) err = edge_head_update(&fetch->arena, &stale->fields, &fresh, &fields);
    if (err) return err;
    /* Judged as if the stored response had come anew. Age is of the 304 itself (section 4.2.3). */
    struct http_response renewed = *response;
    renewed.status = stale->status;
    renewed.fields = fields;
    if (stale->freshness.unframed) renewed.body_kind = HTTP_BODY_CLOSE; /* of the stored body */
    sk_str age = http_fields_value(&response->fields, HTTP_FIELD_AGE);
    if (age.data) err = http_fields_add_id(&renewed.fields, &fetch->arena, HTTP_FIELD_AGE, age);
    if (err) return err;
    sk_unix_s now = io_loop_wall_s(fetch->worker->loop);
    struct http_store_answer answer =
        http_may_store(&fetch->client_request, &renewed, asked_at, now, &fetch->rule->cache);
    err = edge_fetch_tags(fetch, response, &head);
    if (err == SK_ERR_NO_MEMORY) return err;
    answer.store &= !err;
    head.status = stale->status;
    head.fields = &fields;
    head.body_length = atomic_load_explicit(&stale->body_length, memory_order_acquire);
    head.vary = http_fields_joined(&fields, HTTP_FIELD_VARY, &fetch->arena);
    edge_fetch_search_renewed(fetch, &fields);
    head.reason = HTTP_REASON_HIT_REVALIDATED;
    http_validators_of(&fields, now, &head.validators);
    fetch->validated = true;
    fetch->store_reason = answer.reason;
    fetch->stored = answer.store && !varies_by_more(&stale->fields, &response->fields);
    bool whole = stale->part == CACHE_PART_NONE;
    head.freshness = answer.store ? answer.freshness
                                  : (struct http_freshness){.response_time = now,
                                                            .always_revalidate = true,
                                                            .must_revalidate = true,
                                                            .has_validator = true};
    if (whole && !fetch->stored) {
        give_unkept(fetch, &head, answer.store ? HTTP_REASON_NONE : answer.reason);
        return SK_OK;
    }
    if (whole) err = edge_codable_mark(&fetch->arena, &fetch->site->compress, &fields, &head);
    if (err) return err;
    err = cache_fill_freshen(fetch->fill, &head);
    if (!fetch->stored) cache_remove(fetch->worker->cache, cache_fill_key(fetch->fill));
    return err == SK_ERR_FULL || err == SK_ERR_NO_MEMORY ? SK_OK : err; /* everybody has the stale one then */
}

bool edge_fetch_may_serve_stale(const struct edge_fetch *fetch) {
    const struct cache_object *stale = cache_fill_stale(fetch->fill);
    struct http_cache_control control;
    if (!stale) return false;
    http_request_cache_control(&fetch->client_request, &control);
    return http_may_serve_on_error(&stale->freshness, &control, io_loop_wall_s(fetch->worker->loop));
}
