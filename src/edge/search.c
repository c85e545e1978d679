#include "edge/search.h"

#include "cache/search.h"
#include "edge/worker.h"
#include "http/no_vary_search.h"

bool edge_search_key(struct cache_thread *thread, const struct config_rule *rule,
                     const struct http_request *request, struct sk_arena *arena, struct cache_key *key) {
    struct cache_key searched;
    bool safe = request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD;
    if (SK_LIKELY(!cache_search_any(cache_of(thread))) || !safe || !rule->cache.no_vary_search) return false;
    if (!key->text.len || cache_search_key(thread, arena, key, &searched)) return false;
    bool other = searched.text.data != key->text.data;
    *key = searched;
    return other;
}

void edge_search_again(struct edge_exchange *exchange) {
    if (!cache_search_rule(exchange->key.text).len)
        edge_search_key(exchange->worker->cache, exchange->rule, &exchange->request, exchange->arena,
                        &exchange->key);
}

static sk_str key_rule(const struct edge_fetch *fetch) {
    return cache_search_rule(cache_fill_key(fetch->fill)->text);
}

/* Out of memory a response has no rule: then it is found by fewer. */
static sk_str rule_of(struct edge_fetch *fetch, const struct http_fields *fields) {
    sk_str rule = SK_STR("");
    if (!fetch->rule->cache.no_vary_search) return rule;
    sk_err err = http_no_vary_search_rule(&fetch->arena, fields, &rule);
    return err ? SK_STR("") : rule;
}

/* What is stored under a rule goes with a purge of any URL of its path. */
static sk_err add_tag(struct edge_fetch *fetch, struct cache_head *head) {
    sk_str *tags = sk_arena_alloc(&fetch->arena, (head->tag_count + 1) * sizeof *tags);
    struct http_tag_parts *parts = sk_arena_zalloc(&fetch->arena, sizeof *parts);
    sk_str tag = cache_search_tag(&fetch->arena, cache_fill_key(fetch->fill)->text);
    if (!tags || !parts || !tag.data) return SK_ERR_NO_MEMORY;
    if (head->tag_count) memcpy(tags, head->tags, head->tag_count * sizeof *tags);
    if (head->tag_parts) *parts = *head->tag_parts;
    parts->counts[HTTP_TAG_SEARCH] = 1; /* the last source */
    parts->present |= 1u << HTTP_TAG_SEARCH;
    tags[head->tag_count++] = tag;
    head->tags = tags;
    head->tag_parts = parts;
    return SK_OK;
}

/* A good answer without a rule says that its path has none any more; an error says nothing about that. */
static bool forgets(uint16_t status) { return status >= 200 && status < 300; }

bool edge_fetch_search(struct edge_fetch *fetch, const struct http_response *response,
                       struct cache_head *head) {
    sk_str rule = rule_of(fetch, &response->fields);
    bool differs = false;
    if (!rule.len && !key_rule(fetch).len) return true;
    sk_err err = cache_search_settle(fetch->fill, rule, forgets(response->status), &differs);
    if (err) differs = key_rule(fetch).len > 0;
    if (differs) return false;
    return !key_rule(fetch).len || add_tag(fetch, head) == SK_OK;
}

void edge_fetch_search_renewed(struct edge_fetch *fetch, const struct http_fields *fields) {
    bool differs;
    if (key_rule(fetch).len) (void)!cache_search_settle(fetch->fill, rule_of(fetch, fields), true, &differs);
}
