/* The tags that a response is stored under. */
#include "edge/fetch_peer.h"
#include "edge/worker.h"

/* One stored response answers for http and https alike (cache/key.h), so it is in the groups of both origins: the
 * key's host, with its port, stands for them (RFC 9875 section 2.1). */
sk_str edge_fetch_group_scope(const struct edge_fetch *fetch) {
    return cache_key_host(cache_fill_key(fetch->fill)->text);
}

sk_err edge_fetch_tags(struct edge_fetch *fetch, const struct http_response *response,
                       struct cache_head *head) {
    struct http_tags *tags = sk_arena_alloc(&fetch->arena, sizeof *tags);
    if (!tags) return SK_ERR_NO_MEMORY;
    if (fetch->word) return edge_fetch_take_tags(fetch, head);
    sk_err err = http_tags_of(&response->fields, edge_fetch_group_scope(fetch), &fetch->arena, tags);
    if (err) return err;
    head->tags = tags->items;
    head->tag_count = tags->count;
    head->tag_parts = &tags->parts;
    return SK_OK;
}
