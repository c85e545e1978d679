/* What a response says about others: the tags it is stored under, and what it makes invalid. */
#include "cache/purge.h"
#include "cache/search.h"
#include "cache/vary.h"
#include "edge/fetch_peer.h"
#include "edge/purge_target.h"
#include "edge/worker.h"

/* One stored response answers for http and https alike (cache/key.h), so it is in the groups of both origins: the
 * key's host, with its port, stands for them (RFC 9875 section 2.1). */
static sk_str group_scope(const struct edge_fetch *fetch) {
    return cache_key_host(cache_fill_key(fetch->fill)->text);
}

sk_err edge_fetch_tags(struct edge_fetch *fetch, const struct http_response *response,
                       struct cache_head *head) {
    struct http_tags *tags = sk_arena_alloc(&fetch->arena, sizeof *tags);
    if (!tags) return SK_ERR_NO_MEMORY;
    if (fetch->word) return edge_fetch_take_tags(fetch, head);
    sk_err err = http_tags_of(&response->fields, group_scope(fetch), &fetch->arena, tags);
    if (err) return err;
    head->tags = tags->items;
    head->tag_count = tags->count;
    head->tag_parts = &tags->parts;
    return SK_OK;
}

/* ---- what becomes invalid ----------------------------------------------------------------------------------- */

/* All that is stored under this URI and all that is on its way. A purge is recorded only where one URI has several
 * keys, by fields or cookies: removal needs no record, and records are few and precious. */
static void invalidate_key(struct edge_fetch *fetch, const struct cache_key *key) {
    sk_str primary = cache_key_primary(key->text);
    struct cache_purge purge = {.kind = CACHE_PURGE_KEY, .text = primary};
    cache_remove(fetch->worker->cache, key);
    if (primary.len < key->text.len) (void)!cache_purge(cache_of(fetch->worker->cache), &purge, NULL);
    (void)!cache_search_purge(cache_of(fetch->worker->cache), key->text, false);
}

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
    invalidate_key(fetch, &key);
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
    sk_err err = http_groups_of(fields, HTTP_FIELD_CACHE_GROUP_INVALIDATION, group_scope(fetch),
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
    struct cache_key key;
    if (http_method_safe(fetch->client_request.method)) return;
    if (response->status < 200 || response->status >= 400) return;
    if (own->text.len) {
        invalidate_key(fetch, own);
        invalidate_groups(fetch, fields);
    }
    if (!target_uri(fetch, &base)) return;
    /* Its fields may have been too long for a key; what is stored for others of this URI goes all the same. */
    if (!own->text.len && !edge_key_of_uri(fetch->site, &fetch->arena, &base, &key))
        invalidate_key(fetch, &key);
    invalidate_reference(fetch, &base, http_fields_value(fields, HTTP_FIELD_LOCATION));
    invalidate_reference(fetch, &base, http_fields_value(fields, HTTP_FIELD_CONTENT_LOCATION));
}
