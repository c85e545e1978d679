/* RFC 9111 section 4.3.5: what an answer to a HEAD that passed tells about the stored answer to GET. */
#include "edge/fetch_private.h"
#include "edge/worker.h"

static bool same_length(const struct cache_object *stored, const struct http_response *response) {
    sk_str text = http_fields_value(&response->fields, HTTP_FIELD_CONTENT_LENGTH);
    uint64_t length;
    if (!text.data) return true;
    return sk_str_to_u64(text, &length) == SK_OK &&
           length == atomic_load_explicit(&stored->body_length, memory_order_acquire);
}

/* Every validator that came is the stored one. */
static bool same_validators(const struct cache_object *stored, const struct http_response *response,
                            sk_unix_s now) {
    struct http_validators fresh;
    http_validators_of(&response->fields, now, &fresh);
    const struct http_validators *own = &stored->validators;
    if (fresh.etag.opaque.data && !http_etag_strong_match(fresh.etag, own->etag) &&
        !(fresh.etag.weak && own->etag.weak && http_etag_weak_match(fresh.etag, own->etag)))
        return false;
    return !fresh.has_last_modified || (own->has_last_modified && own->last_modified == fresh.last_modified);
}

/* As a 304 would: a GET of the same target is judged anew, on a fill of its own. Nothing when somebody asks the
 * origin about it already. */
static void update(const struct edge_fetch *fetch, struct cache_object *stored,
                   const struct http_response *response, sk_unix_s asked_at) {
    struct cache_thread *cache = fetch->worker->cache;
    struct edge_fetch get = *fetch;
    struct cache_object *found;
    get.client_request.method = HTTP_METHOD_GET;
    get.client_request.body_kind = HTTP_BODY_NONE;
    enum cache_role role =
        cache_fill_begin(cache, cache_fill_key(fetch->fill), &get.client_request, stored, &get.fill, &found);
    if (role == CACHE_FOUND) cache_object_unref(cache, found);
    if (role == CACHE_LEAD || role == CACHE_FOLLOW) cache_fill_leave(cache, get.fill);
    if (role != CACHE_LEAD) return;
    sk_arena_init(&get.arena, 4096, 0);
    sk_err err = cache_fill_stale(get.fill) ? edge_fetch_freshen(&get, response, asked_at) : SK_ERR_INVALID;
    if (err) cache_fill_fail(get.fill, err, true);
    cache_fill_release(get.fill);
    sk_arena_free(&get.arena);
}

void edge_fetch_head_effects(struct edge_fetch *fetch, const struct http_response *response,
                             sk_unix_s asked_at) {
    struct cache_thread *cache = fetch->worker->cache;
    const struct cache_key *key = cache_fill_key(fetch->fill);
    if (fetch->client_request.method != HTTP_METHOD_HEAD || response->status != 200 || !key->text.len) return;
    cache_enter(cache);
    struct cache_object *stored = cache_find(cache, key, &fetch->client_request, NULL);
    if (stored) cache_object_ref(stored);
    cache_leave(cache);
    if (!stored) return;
    if (same_length(stored, response) && same_validators(stored, response, asked_at))
        update(fetch, stored, response, asked_at);
    else
        cache_remove(cache, key);
    cache_object_unref(cache, stored);
}
