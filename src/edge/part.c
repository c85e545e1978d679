/* Asking an origin for a part, and what becomes of its answer. */
#include "base/log.h"
#include "cache/slices.h"
#include "edge/search.h"
#include "edge/slices_private.h"
#include "edge/worker.h"

/* How long an origin whose parts cannot be combined is not asked for parts of this key. */
#define DECLINE_MS 30000

sk_err edge_part_ask(struct edge_fetch *fetch, struct http_fields *fields) {
    char text[HTTP_RANGE_WISH_BYTES];
    sk_str range = {text, http_range_wish_format(&fetch->wish, text)};
    range = sk_arena_copy(&fetch->arena, range);
    if (!range.data) return SK_ERR_NO_MEMORY;
    sk_err err = http_fields_add_id(fields, &fetch->arena, HTTP_FIELD_RANGE, range);
    if (err || !fetch->head) return err;
    sk_str modified = http_fields_value(&fetch->head->fields, HTTP_FIELD_LAST_MODIFIED);
    sk_str value = http_if_range_value(&fetch->head->validators, modified);
    return value.data ? http_fields_add_id(fields, &fetch->arena, HTTP_FIELD_IF_RANGE, value) : SK_OK;
}

/* The response that a request without Range would have got, but for its body. */
static bool as_whole(struct edge_fetch *fetch, const struct http_response *response, uint64_t length,
                     struct http_response *out_whole) {
    uint32_t count = response->fields.count;
    struct http_field *items = sk_arena_alloc(&fetch->arena, (count + 1) * sizeof *items);
    if (!items) return false;
    if (count) memcpy(items, response->fields.items, count * sizeof *items);
    *out_whole = *response;
    out_whole->status = 200;
    out_whole->reason = (sk_str){0};
    out_whole->fields = (struct http_fields){.items = items, .count = count, .capacity = count + 1};
    out_whole->body_kind = HTTP_BODY_LENGTH;
    out_whole->content_length = length;
    http_fields_remove(&out_whole->fields, HTTP_FIELD_CONTENT_RANGE);
    http_fields_remove(&out_whole->fields, HTTP_FIELD_CONTENT_LENGTH);
    return true;
}

bool edge_part_is_whole(struct edge_fetch *fetch, const struct http_response *response,
                        struct http_response *out_whole) {
    struct http_content_range part;
    if (!fetch->wish.wanted || fetch->head || response->status != 206) return false;
    if (!http_partial_parse(response, &part) || part.first != 0 || part.last + 1 != part.length) return false;
    return as_whole(fetch, response, part.length, out_whole);
}

/* --- the first part of something unknown ------------------------------------------------------------------ */

static void decline(struct edge_fetch *fetch, enum http_reason reason, int64_t remember_ms) {
    const struct cache_key *primary = cache_fill_primary_key(fetch->fill);
    fetch->store_reason = reason;
    if (reason == HTTP_REASON_NO_STORE_PARTIAL)
        cache_slices_decline(fetch->worker->cache, primary, DECLINE_MS);
    cache_fill_decline(fetch->fill, remember_ms, reason);
}

/* Its slice's fill is begun before anybody can know of the head, so that all wait for this one. */
static sk_err publish_head(struct edge_fetch *fetch, const struct cache_head *head, uint64_t slice) {
    struct cache_fill *fill;
    sk_err err = edge_slice_begin(fetch, head->slices, slice, &fill);
    if (err) {
        cache_fill_decline(fetch->fill, 0, HTTP_REASON_NO_STORE_NO_MEMORY);
        return err;
    }
    fetch->stored = true;
    err = cache_fill_store(fetch->fill, head);
    if (err) {
        fetch->stored = false;
        fetch->store_reason = HTTP_REASON_NO_STORE_NO_MEMORY;
        cache_fill_release(fill);
        return err;
    }
    cache_fill_release(fetch->fill);
    fetch->fill = fill;
    return SK_OK;
}

static void take_first(struct edge_fetch *fetch, struct origin_exchange *origin,
                       const struct http_response *response, sk_unix_s asked_at) {
    struct http_content_range part;
    struct http_response whole;
    struct http_fields fields;
    struct cache_head head;
    uint64_t slice;
    sk_unix_s now = io_loop_wall_s(fetch->worker->loop);
    if (!http_partial_parse(response, &part) || !http_wish_slice(&fetch->client_request, &part, &slice) ||
        !as_whole(fetch, response, part.length, &whole)) {
        decline(fetch, HTTP_REASON_NO_STORE_PARTIAL, 0);
        return;
    }
    struct http_store_answer answer =
        http_may_store(&fetch->client_request, &whole, asked_at, now, &fetch->rule->cache);
    if (!answer.store) {
        decline(fetch, answer.reason, edge_fetch_remember_ms(answer.reason, response->status));
        return;
    }
    sk_err err = edge_fetch_make_head(fetch, &whole, true, &fields, &head);
    if (!err) err = edge_fetch_tags(fetch, &whole, &head);
    if (err || !http_validators_strong(&head.validators)) { /* RFC 9111 section 3.4 */
        decline(fetch, HTTP_REASON_NO_STORE_PARTIAL, 0);
        return;
    }
    if (!edge_fetch_search(fetch, &whole, &head)) {
        decline(fetch, HTTP_REASON_NO_STORE_SEARCH, 0);
        return;
    }
    head.freshness = answer.freshness;
    head.reason = answer.reason;
    head.part = CACHE_PART_HEAD;
    head.slices = cache_slices_number(fetch->worker->cache);
    struct edge_slice_run run = {.number = head.slices,
                                 .length = part.length,
                                 .slice = slice,
                                 .position = part.first,
                                 .end = part.last + 1,
                                 .origin = origin};
    if (publish_head(fetch, &head, slice) == SK_OK) edge_slice_run(fetch, &run);
}

/* --- slices of something known ----------------------------------------------------------------------------- */

/* Takes the head out of the index, if it is still this one that stands there. */
static void forget_head(struct edge_fetch *fetch) {
    const struct cache_key *primary = &fetch->head_key;
    struct cache_thread *thread = fetch->worker->cache;
    cache_enter(thread);
    const struct cache_object *found = cache_find(thread, primary, &fetch->client_request, NULL);
    bool same =
        found && found->part == CACHE_PART_HEAD && cache_slices_of(found) == cache_slices_of(fetch->head);
    cache_leave(thread);
    if (same) cache_remove(thread, primary);
}

/* Those who wait for the slice begin again. */
static void tell_changed(struct edge_fetch *fetch) { cache_fill_fail(fetch->fill, SK_ERR_STALE, false); }

/* A 200: the representation has changed, and this is the new one, whole. False: somebody else gets it already,
 * or nothing can be had; the slice's fill is told then. */
static bool begin_replacement(struct edge_fetch *fetch) {
    struct cache_fill *fill;
    struct cache_object *object;
    enum cache_role role = cache_fill_begin(fetch->worker->cache, &fetch->head_key, &fetch->client_request,
                                            NULL, &fill, &object);
    tell_changed(fetch);
    if (role == CACHE_FOUND) cache_object_unref(fetch->worker->cache, object);
    if (role == CACHE_FOLLOW || role == CACHE_LEAD) cache_fill_leave(fetch->worker->cache, fill);
    if (role != CACHE_LEAD) return false;
    cache_fill_release(fetch->fill);
    fetch->fill = fill;
    fetch->wish.wanted = false;
    return true;
}

/* RFC 9110 section 15.3.7.3: of the same representation, and of the place that was asked for. */
static bool fits(struct edge_fetch *fetch, const struct http_response *response,
                 struct http_content_range *out_part) {
    struct http_validators fresh;
    http_validators_of(&response->fields, io_loop_wall_s(fetch->worker->loop), &fresh);
    uint64_t length = atomic_load_explicit(&fetch->head->body_length, memory_order_acquire);
    return http_partial_parse(response, out_part) && out_part->length == length &&
           http_validators_combine(&fetch->head->validators, &fresh) &&
           http_part_holds(out_part, fetch->slice);
}

/* Neither the part nor anything that speaks of the object: it stays, and the client hears of the failure. */
static bool is_failure(uint16_t status) { return status >= 500 || status == 429; }

/* False: a 200 that goes the usual way, in another fill. */
static bool take_slices(struct edge_fetch *fetch, struct origin_exchange *origin,
                        const struct http_response *response) {
    struct http_content_range part;
    if (response->status == 206 && fits(fetch, response, &part)) {
        struct edge_slice_run run = {.number = cache_slices_of(fetch->head),
                                     .length = part.length,
                                     .slice = fetch->slice,
                                     .position = part.first,
                                     .end = part.last + 1,
                                     .origin = origin};
        edge_slice_run(fetch, &run);
        return true;
    }
    if (is_failure(response->status)) {
        cache_fill_blame(fetch->fill, ORIGIN_PHASE_HEAD, "the origin failed when asked for a part");
        cache_fill_fail(fetch->fill, SK_ERR_IO, false);
        return true;
    }
    forget_head(fetch);
    if (response->status == 200) return !begin_replacement(fetch);
    SK_LOG_LIMITED(SK_LOG_WARN, "edge", "%.*s: %.*s: a part that does not fit what is stored (status %u)",
                   SK_STR_ARGS(fetch->result.origin), SK_STR_ARGS(fetch->request.target), response->status);
    tell_changed(fetch);
    return true;
}

bool edge_part_take(struct edge_fetch *fetch, struct origin_exchange *origin,
                    const struct http_response *response, sk_unix_s asked_at) {
    if (!fetch->wish.wanted) return false;
    if (fetch->head) return take_slices(fetch, origin, response);
    if (response->status != 206) return false;
    take_first(fetch, origin, response, asked_at);
    return true;
}
