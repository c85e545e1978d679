#include "edge/dictionary.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "cache/vary.h"
#include "edge/coding.h"
#include "edge/whole.h"

#define HEX_BYTES (2 * HTTP_DICTIONARY_HASH_BYTES)
#define HASH_TURN_BYTES (256 * 1024) /* before others get their turn */

/* ---- which ------------------------------------------------------------------------------------------------- */

/* The site's codings, each with a dictionary before any without. */
static size_t offer(const struct config_compress *rules, uint8_t out_offered[]) {
    size_t count = 0;
    for (uint32_t i = 0; i < rules->coding_count; i++) {
        if (rules->codings[i] == HTTP_CODING_ZSTD) out_offered[count++] = HTTP_CODING_DCZ;
        if (rules->codings[i] == HTTP_CODING_BR) out_offered[count++] = HTTP_CODING_DCB;
    }
    for (uint32_t i = 0; i < rules->coding_count; i++) out_offered[count++] = rules->codings[i];
    return count;
}

enum http_coding edge_dictionary_choose(const struct edge_exchange *exchange,
                                        const struct cache_object *object,
                                        uint8_t out_hash[HTTP_DICTIONARY_HASH_BYTES]) {
    const struct config_compress *rules = &exchange->site->compress;
    uint8_t offered[2 * SK_COUNT(rules->codings)];
    struct http_accept_encoding accept;
    if (!(exchange->traits & EDGE_TRAIT_DICTIONARY) || !rules->dictionaries) return HTTP_CODING_IDENTITY;
    if (!edge_coding_may(exchange, object)) return HTTP_CODING_IDENTITY;
    http_accept_encoding_parse(&exchange->request.fields, &accept);
    enum http_coding coding = http_coding_choose(&accept, offered, offer(rules, offered));
    bool with = coding == HTTP_CODING_DCB || coding == HTTP_CODING_DCZ;
    if (!with || !http_dictionary_allowed(&exchange->request, &object->fields)) return HTTP_CODING_IDENTITY;
    return http_dictionary_available(exchange->arena, &exchange->request.fields, out_hash)
               ? coding
               : HTTP_CODING_IDENTITY;
}

/* ---- where ------------------------------------------------------------------------------------------------- */

static char *put(char *at, sk_str text) {
    memcpy(at, text.data, text.len);
    return at + text.len;
}

static char *put_hex(char *at, const uint8_t hash[HTTP_DICTIONARY_HASH_BYTES]) {
    sk_hex_write(hash, HTTP_DICTIONARY_HASH_BYTES, at);
    return at + HEX_BYTES;
}

sk_err edge_dictionary_form_key(struct sk_arena *arena, const struct cache_object *object,
                                enum http_coding coding, const uint8_t hash[HTTP_DICTIONARY_HASH_BYTES],
                                struct cache_key *out_key) {
    char mark[HEX_BYTES + 40], *at = put(mark, SK_STR("form="));
    at = put(at, http_coding_name(coding));
    *at++ = ':';
    at += sk_u64_to_text(object->number, at);
    *at++ = ':';
    at = put_hex(at, hash);
    return cache_key_append(arena, object->key.text, sk_str_make(mark, (size_t)(at - mark)), (sk_str){0},
                            NULL, out_key);
}

/* Under "site|host|/", so that a dictionary is of one host, and its purges and those of everything hit it. */
static sk_err dictionary_key(struct sk_arena *arena, sk_str key_text,
                             const uint8_t hash[HTTP_DICTIONARY_HASH_BYTES], struct cache_key *out_key) {
    char mark[HEX_BYTES + 16], *at = put_hex(put(mark, SK_STR("dictionary=")), hash);
    sk_str host = cache_key_host(key_text);
    sk_str scope = sk_str_make(key_text.data, (size_t)(host.data + host.len - key_text.data));
    sk_str root = sk_arena_printf(arena, "%.*s|/", SK_STR_ARGS(scope));
    if (!root.data) return SK_ERR_NO_MEMORY;
    return cache_key_append(arena, root, sk_str_make(mark, (size_t)(at - mark)), (sk_str){0}, NULL, out_key);
}

static struct cache_object *find(struct edge_worker *worker, const struct cache_key *key) {
    cache_enter(worker->cache);
    struct cache_object *object = cache_find(worker->cache, key, NULL, NULL);
    if (object) cache_object_ref(object);
    cache_leave(worker->cache);
    return object;
}

/* 0: it has not all come, is empty or too large. */
static size_t usable_bytes(const struct cache_object *object) {
    /* acquire: the length came with the end */
    if (atomic_load_explicit(&object->complete, memory_order_acquire) != CACHE_COMPLETE) return 0;
    uint64_t bytes = atomic_load_explicit(&object->body_length, memory_order_relaxed);
    return bytes <= EDGE_DICTIONARY_MAX_BYTES ? (size_t)bytes : 0;
}

bool edge_dictionary_read(struct edge_worker *worker, sk_str key_text,
                          const uint8_t hash[HTTP_DICTIONARY_HASH_BYTES],
                          struct wire_dictionary *out_dictionary) {
    struct sk_arena arena;
    struct cache_key key;
    sk_arena_init(&arena, 1024, 0);
    struct cache_object *object =
        dictionary_key(&arena, key_text, hash, &key) == SK_OK ? find(worker, &key) : NULL;
    sk_arena_free(&arena);
    if (!object) return false;
    size_t bytes = usable_bytes(object);
    char *content = bytes ? edge_whole_read(worker, object, bytes) : NULL;
    cache_object_unref(worker->cache, object);
    if (!content) return false;
    out_dictionary->content = sk_str_make(content, bytes);
    memcpy(out_dictionary->hash, hash, HTTP_DICTIONARY_HASH_BYTES);
    return true;
}

/* ---- learning ---------------------------------------------------------------------------------------------- */

static bool hash_of(sk_str content, uint8_t out_hash[HTTP_DICTIONARY_HASH_BYTES]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    while (good && content.len) {
        size_t turn = SK_MIN(content.len, (size_t)HASH_TURN_BYTES);
        good = EVP_DigestUpdate(context, content.data, turn);
        content = sk_str_slice(content, turn, content.len);
        if (content.len) io_fiber_yield();
    }
    if (good) good = EVP_DigestFinal_ex(context, out_hash, NULL);
    EVP_MD_CTX_free(context);
    return good;
}

static void keep(struct edge_fetch *fetch, const struct cache_object *object, sk_str content) {
    struct cache_thread *cache = fetch->worker->cache;
    uint8_t hash[HTTP_DICTIONARY_HASH_BYTES];
    struct cache_fill *fill;
    struct cache_object *found;
    struct cache_key key;
    if (!hash_of(content, hash) || dictionary_key(&fetch->arena, object->key.text, hash, &key)) return;
    switch (cache_fill_begin(cache, &key, NULL, NULL, &fill, &found)) {
    case CACHE_LEAD:
        cache_fill_leave(cache, fill);
        (void)edge_whole_write(fill, object, content); /* no room: then it is none */
        cache_fill_release(fill);
        break;
    case CACHE_FOLLOW: cache_fill_leave(cache, fill); break;
    case CACHE_FOUND: cache_object_unref(cache, found); break;
    case CACHE_ALONE: break;
    }
}

/* Its hash is that of the content without coding, so what came coded is none for us. */
static bool is_dictionary(struct edge_fetch *fetch, const struct cache_object *object) {
    return object->shared && object->status == 200 && object->part == CACHE_PART_NONE &&
           !http_fields_find(&object->fields, HTTP_FIELD_CONTENT_ENCODING) &&
           http_dictionary_is_one(&fetch->arena, &object->fields);
}

void edge_dictionary_learn(struct edge_fetch *fetch) {
    if (!fetch->stored || !fetch->site->compress.enabled || !fetch->site->compress.dictionaries) return;
    cache_enter(fetch->worker->cache);
    struct cache_object *object =
        cache_find(fetch->worker->cache, cache_fill_key(fetch->fill), &fetch->client_request, NULL);
    if (object) cache_object_ref(object);
    cache_leave(fetch->worker->cache);
    if (!object) return;
    size_t bytes = is_dictionary(fetch, object) ? usable_bytes(object) : 0;
    char *content = bytes ? edge_whole_read(fetch->worker, object, bytes) : NULL;
    if (content) keep(fetch, object, sk_str_make(content, bytes));
    free(content);
    cache_object_unref(fetch->worker->cache, object);
}
