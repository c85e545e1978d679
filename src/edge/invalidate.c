#include "edge/invalidate.h"

#include "base/log.h"
#include "cache/purge.h"
#include "cache/search.h"
#include "cache/vary.h"
#include "edge/fetch_private.h"
#include "edge/purge_target.h"
#include "edge/ring.h"
#include "edge/worker.h"

/* A purge is recorded only where one URI has several keys, by fields or cookies: removal needs no record, and records are
 * few and precious. */
void edge_invalidate_key(struct cache_thread *cache, const struct cache_key *key) {
    sk_str primary = cache_key_primary(key->text);
    struct cache_purge purge = {.kind = CACHE_PURGE_KEY, .text = primary};
    cache_remove(cache, key);
    if (primary.len < key->text.len) (void)!cache_purge(cache_of(cache), &purge, NULL);
    (void)!cache_search_purge(cache_of(cache), key->text, false);
}

/* ---- the ring as one cache -------------------------------------------------------------------------------------- */

/* RFC 9112 section 3.2: where the URI is stored, as a request for it. */
static sk_err make_word(struct edge_fetch *fetch, const struct edge_peers *peers, const struct http_uri *uri,
                        struct http_request *out) {
    char text[GRID_ASK_BYTES];
    struct grid_ask ask = {.hops = {peers->label}, .hop_count = 1};
    sk_str value = sk_arena_copy(&fetch->arena, (sk_str){text, grid_ask_format(&ask, text)});
    *out = (struct http_request){
        .method = HTTP_METHOD_PURGE,
        .method_text = SK_STR("PURGE"),
        .version = HTTP_1_1,
        .keep_alive = true,
        .scheme = uri->scheme,
        .authority = fetch->client_request.authority,
        .path = uri->path,
        .query = uri->query,
        .target = sk_arena_printf(&fetch->arena, uri->query.data ? "%.*s?%.*s" : "%.*s",
                                  SK_STR_ARGS(uri->path), SK_STR_ARGS(uri->query)),
    };
    if (!value.data || !out->target.data) return SK_ERR_NO_MEMORY;
    sk_err err = http_fields_add_id(&out->fields, &fetch->arena, HTTP_FIELD_HOST, out->authority);
    return err ? err : http_fields_add(&out->fields, &fetch->arena, SK_STR(GRID_FIELD), value);
}

static sk_err tell(struct edge_fetch *fetch, const struct edge_peers *peers, const struct edge_peer *owner,
                   const struct http_uri *uri) {
    struct http_request word;
    struct origin_exchange *exchange;
    const struct http_response *response;
    struct origin_result result;
    if (origin_group_is_out(owner->group)) return SK_ERR_BUSY;
    sk_err err = make_word(fetch, peers, uri, &word);
    struct origin_request request = {
        .group = owner->group, .request = &word, .within_ms = fetch->snapshot->config->peers.patience_ms};
    if (!err) err = origin_exchange_open(fetch->worker->origins, &request, &exchange, &response, &result);
    if (err) return err;
    err = response->status == 204 ? SK_OK : SK_ERR_DENIED;
    origin_exchange_close(exchange);
    return err;
}

/* The key's owner must not answer with it any more either, before the client hears that its request has worked. The request
 * itself goes to the origin from here and not by way of the owner: it could not be repeated if the owner went amid it. An
 * owner that cannot be told is gone, as far as we can know, and the key another's. */
static void tell_owner(struct edge_fetch *fetch, const struct http_uri *uri, const struct cache_key *key) {
    struct edge_peers *peers = edge_ring_get(fetch->worker->ring);
    if (!peers) return;
    const struct edge_peer *owner = edge_peers_owner(peers, cache_key_primary(key->text), 0);
    sk_err err = owner && !owner->self ? tell(fetch, peers, owner, uri) : SK_OK;
    if (err) {
        observe_count(fetch->worker->metrics, OBSERVE_PEER_UNTOLD);
        SK_LOG_LIMITED(SK_LOG_WARN, "peers", "%.*s was not told that %.*s has changed: %s",
                       SK_STR_ARGS(owner->label), SK_STR_ARGS(uri->path), sk_err_text(err));
    }
    edge_peers_unref(peers);
}

/* ---- what becomes invalid --------------------------------------------------------------------------------------- */

/* RFC 6454 section 5, RFC 9110 section 4.3.1. */
static bool same_origin(const struct http_uri *a, const struct http_uri *b) {
    uint16_t usual = sk_str_ieq(a->scheme, SK_STR("https")) ? 443 : 80;
    return sk_str_ieq(a->scheme, b->scheme) && sk_str_ieq(a->host, b->host) &&
           (a->port ? a->port : usual) == (b->port ? b->port : usual);
}

static void invalidate_reference(struct edge_fetch *fetch, const struct http_uri *base, sk_str reference) {
    struct http_uri uri;
    struct cache_key key;
    if (!reference.len || http_uri_resolve(&fetch->arena, base, reference, &uri)) return;
    if (!same_origin(base, &uri) || edge_key_of_uri(fetch->site, &fetch->arena, &uri, &key)) return;
    edge_invalidate_key(fetch->worker->cache, &key);
    tell_owner(fetch, &uri, &key);
}

/* The request's own URI; false when it has none ("*", HTTP/1.0 without Host). */
static bool target_uri(struct edge_fetch *fetch, struct http_uri *out_uri) {
    const struct http_request *request = &fetch->client_request;
    if (!request->authority.len || !sk_str_starts_with(request->path, SK_STR("/"))) return false;
    sk_str text = sk_arena_printf(&fetch->arena, "%.*s://%.*s%.*s%s%.*s", SK_STR_ARGS(request->scheme),
                                  SK_STR_ARGS(request->authority), SK_STR_ARGS(request->path),
                                  request->query.data ? "?" : "", SK_STR_ARGS(request->query));
    return text.data && http_uri_parse_absolute(text, out_uri) == SK_OK;
}

/* RFC 9875 section 3. A purge and not a mark: they must not be used before the origin was asked again, not even when
 * it fails. */
static void invalidate_groups(struct edge_fetch *fetch, const struct http_fields *fields) {
    sk_str *groups;
    uint32_t count = 0;
    if (!http_fields_find(fields, HTTP_FIELD_CACHE_GROUP_INVALIDATION)) return;
    sk_err err = http_groups_of(fields, HTTP_FIELD_CACHE_GROUP_INVALIDATION, edge_fetch_group_scope(fetch),
                                &fetch->arena, &groups, &count);
    for (uint32_t i = 0; i < count && !err; i++) {
        struct cache_purge purge = {.kind = CACHE_PURGE_TAG, .site = fetch->site->name, .text = groups[i]};
        err = cache_purge(cache_of(fetch->worker->cache), &purge, NULL);
        if (!err) observe_count(fetch->worker->metrics, OBSERVE_GROUPS_INVALIDATED);
    }
}

void edge_fetch_invalidate(struct edge_fetch *fetch, const struct http_response *response) {
    const struct cache_key *own = cache_fill_key(fetch->fill);
    const struct http_fields *fields = &response->fields;
    struct http_uri base;
    struct cache_key key = *own;
    if (http_method_safe(fetch->client_request.method)) return;
    if (response->status < 200 || response->status >= 400) return;
    if (own->text.len) {
        edge_invalidate_key(fetch->worker->cache, own);
        invalidate_groups(fetch, fields);
    }
    if (!target_uri(fetch, &base)) return;
    /* Its fields may have been too long for a key; what is stored for others of this URI goes all the same. */
    bool keyed = own->text.len || !edge_key_of_uri(fetch->site, &fetch->arena, &base, &key);
    if (keyed && !own->text.len) edge_invalidate_key(fetch->worker->cache, &key);
    if (keyed) tell_owner(fetch, &base, &key);
    invalidate_reference(fetch, &base, http_fields_value(fields, HTTP_FIELD_LOCATION));
    invalidate_reference(fetch, &base, http_fields_value(fields, HTTP_FIELD_CONTENT_LOCATION));
}
