#include "cache/search.h"

#include "cache/entry.h"
#include "cache/fill_internal.h"
#include "cache/find.h"
#include "cache/index.h"
#include "cache/purge.h"
#include "cache/purge_internal.h"
#include "cache/store.h"
#include "cache/tier_internal.h"
#include "cache/vary.h"
#include "http/no_vary_search.h"

/* Begins the line of a key that holds a list's number and rule; alone it ends the key of a list. */
#define MARK SK_STR("\n?")

bool cache_search_any(const struct cache *cache) {
    /* seq_cst: the purge of an URL comes before it, the making of a list after it (cache_fill_move) */
    return atomic_load(&cache->searches);
}

sk_str cache_search_rule(sk_str key_text) {
    size_t mark = sk_str_find(key_text, MARK);
    sk_str line = sk_str_slice(key_text, mark + MARK.len, key_text.len);
    line.len = sk_str_find_byte(line, '\n');
    size_t digits = 0;
    while (digits < line.len && line.data[digits] >= '0' && line.data[digits] <= '9') digits++;
    return sk_str_slice(line, digits, line.len);
}

/* "site|host|path" of a key. */
static sk_str path_part(sk_str key_text) {
    sk_str primary = cache_key_primary(key_text);
    return sk_str_slice(primary, 0, sk_str_find_byte(primary, '?'));
}

/* ---- lists ------------------------------------------------------------------------------------------------- */

sk_err cache_search_list_key(struct sk_arena *arena, sk_str key_text, struct cache_key *out_key) {
    sk_str text = sk_arena_printf(arena, "%.*s%.*s", SK_STR_ARGS(path_part(key_text)), SK_STR_ARGS(MARK));
    if (!text.data) return SK_ERR_NO_MEMORY;
    *out_key = (struct cache_key){sk_hash128_of(text.data, text.len), text};
    return SK_OK;
}

/* The list's number and its rule, copied; 0: there is none. */
static sk_err read_list(struct cache_thread *thread, struct sk_arena *arena, const struct cache_key *list_key,
                        uint64_t *out_number, sk_str *out_rule) {
    sk_err err = SK_OK;
    *out_number = 0;
    cache_section_begin(thread);
    struct cache_entry *list = cache_index_get(thread->cache, list_key);
    if (list) {
        cache_touch(list);
        *out_number = list->list_number;
        *out_rule = sk_arena_copy(arena, list->object.head);
        if (!out_rule->data) err = SK_ERR_NO_MEMORY;
    }
    cache_section_end(thread);
    return err;
}

static sk_err make_list(struct cache *cache, const struct cache_key *list_key, sk_str rule,
                        uint64_t *out_number) {
    uint64_t number =
        1 + atomic_fetch_add_explicit(&cache->numbers, 1, memory_order_relaxed); /* only unique */
    struct cache_entry *list = cache_entry_create_list(cache, list_key, rule, number);
    if (!list) return SK_ERR_FULL;
    atomic_init(&list->object.verified, cache_verified_make(cache_purge_now(cache), CACHE_PURGE_NONE));
    sk_err err = cache_index_put(cache, list, NULL);
    if (err)
        cache_store_never_indexed(cache, list);
    else
        (void)cache_store_admit(cache, list);
    cache_entry_unref(cache, list);
    if (err) return err;
    cache_tier_overtaken(cache, list_key);
    *out_number = number;
    return SK_OK;
}

/* ---- keys -------------------------------------------------------------------------------------------------- */

/* EXACT's query under the rule; EXACT itself when that is too long for a key. */
sk_err cache_search_key_under(struct sk_arena *arena, const struct cache_key *exact, uint64_t number,
                              sk_str rule, struct cache_key *out_key) {
    sk_str url = cache_key_primary(exact->text), path = path_part(exact->text), normal;
    sk_str query = sk_str_slice(url, path.len + 1, url.len);
    sk_str rest = sk_str_slice(exact->text, url.len, exact->text.len);
    *out_key = *exact;
    sk_err err = http_no_vary_search_query(arena, rule, query, &normal);
    if (err) return err;
    sk_str text =
        sk_arena_printf(arena, "%.*s?%.*s%.*s%.*s%llu%.*s", SK_STR_ARGS(path), SK_STR_ARGS(normal),
                        SK_STR_ARGS(rest), SK_STR_ARGS(MARK), (unsigned long long)number, SK_STR_ARGS(rule));
    if (!text.data) return SK_ERR_NO_MEMORY;
    if (text.len <= CACHE_KEY_MAX_BYTES)
        *out_key = (struct cache_key){sk_hash128_of(text.data, text.len), text};
    return SK_OK;
}

sk_err cache_search_key(struct cache_thread *thread, struct sk_arena *arena, const struct cache_key *exact,
                        struct cache_key *out_key) {
    struct cache_key list_key;
    uint64_t number;
    sk_str rule;
    sk_err err = cache_search_list_key(arena, exact->text, &list_key);
    if (!err) err = read_list(thread, arena, &list_key, &number, &rule);
    if (err) return err;
    *out_key = *exact;
    return number ? cache_search_key_under(arena, exact, number, rule, out_key) : SK_OK;
}

bool cache_search_is_list(sk_str key_text) { return sk_str_ends_with(key_text, MARK); }

/* Two who look at once may both bring it: the second finds the first's. */
bool cache_search_recall(struct cache_thread *thread, struct sk_arena *arena, const struct cache_key *key) {
    struct cache_tier_found found;
    struct cache_key list_key, other;
    uint64_t number;
    sk_str rule;
    if (!cache_search_any(thread->cache) || cache_search_rule(key->text).len) return false;
    if (cache_search_list_key(arena, key->text, &list_key)) return false;
    if (read_list(thread, arena, &list_key, &number, &rule)) return false;
    if (!number && !cache_tier_has(thread->cache, &list_key)) return false;
    if (!number && cache_tier_find(thread, arena, &list_key, NULL, &found) == SK_OK) cache_tier_close(&found);
    return !cache_search_key(thread, arena, key, &other) && other.text.data != key->text.data;
}

/* ---- what a response says ------------------------------------------------------------------------------------ */

/* The path's list is one with this rule. */
static sk_err learn(struct cache_thread *thread, struct sk_arena *arena, const struct cache_key *list_key,
                    sk_str rule, uint64_t *out_number) {
    sk_str present;
    sk_err err = read_list(thread, arena, list_key, out_number, &present);
    if (!err && (!*out_number || !sk_str_eq(present, rule)))
        err = make_list(thread->cache, list_key, rule, out_number);
    if (!err) atomic_store(&thread->cache->searches, true); /* seq_cst: before the fill looks at purges */
    return err;
}

static sk_err settle(struct cache_fill *fill, struct sk_arena *arena, sk_str rule, bool forget,
                     bool *out_differs) {
    sk_str used = cache_search_rule(fill->primary.text);
    struct cache_key list_key, key;
    uint64_t number = 0; /* of no list: no rule, then */
    *out_differs = false;
    if (sk_str_eq(used, rule)) return SK_OK;
    sk_err err = cache_search_list_key(arena, fill->primary.text, &list_key);
    if (!err && rule.len) err = learn(fill->thread, arena, &list_key, rule, &number);
    if (!err && !rule.len && forget) cache_remove(fill->thread, &list_key);
    *out_differs = !err && used.len > 0;
    if (err || used.len > 0) return err;
    err = cache_search_key_under(arena, &fill->primary, number, rule, &key);
    return err ? err : cache_fill_move(fill, &key);
}

sk_err cache_search_settle(struct cache_fill *fill, sk_str rule, bool forget, bool *out_differs) {
    SK_CHECK_MAGIC(fill, CACHE_FILL_MAGIC);
    SK_ASSERT(!fill->private);
    sk_err err = settle(fill, &fill->thread->scratch, rule, forget, out_differs);
    sk_arena_reset(&fill->thread->scratch);
    return err;
}

/* ---- purges -------------------------------------------------------------------------------------------------- */

/* No field can hold such a tag. */
sk_str cache_search_tag(struct sk_arena *arena, sk_str key_text) {
    sk_str path = path_part(key_text);
    return sk_arena_printf(arena, "%.*s%.*s", SK_STR_ARGS(MARK),
                           SK_STR_ARGS(sk_str_slice(path, cache_key_site(path).len, path.len)));
}

sk_err cache_search_purge(struct cache *cache, sk_str key_text, bool soft) {
    struct sk_arena arena;
    if (!cache_search_any(cache)) return SK_OK;
    sk_arena_init(&arena, 512, 0);
    struct cache_purge purge = {.kind = CACHE_PURGE_TAG,
                                .soft = soft,
                                .site = cache_key_site(key_text),
                                .text = cache_search_tag(&arena, key_text)};
    sk_err err = purge.text.data ? cache_purge(cache, &purge, NULL) : SK_ERR_NO_MEMORY;
    sk_arena_free(&arena);
    return err;
}
