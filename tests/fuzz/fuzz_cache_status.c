/* Eight bytes of numbers and flags, a line as the cache's name, the rest as a key: what is written is always one
 * member of a structured list (RFC 9211 section 2), with hit or fwd and never both. */
#include "fuzz.h"
#include "http/cache_status.h"
#include "http/structured.h"

/* Byte for byte, where it may stand in a string. */
static void is_key(const struct http_sf_value *shown, sk_str key) {
    MUST(shown->type == HTTP_SF_STRING && shown->text.len == key.len);
    for (size_t i = 0; i < key.len; i++) {
        bool printable = key.data[i] >= 0x20 && key.data[i] <= 0x7e;
        char byte = shown->text.data[i];
        MUST(printable ? byte == key.data[i] : byte == ' ' || byte == '?');
    }
}

static void check(sk_str written, const struct http_cache_status *status) {
    struct sk_arena arena;
    struct http_sf_member *members;
    uint32_t count;
    sk_arena_init(&arena, 1024, 0);
    MUST(http_sf_parse_list(&arena, written, &members, &count) == SK_OK && count == 1);
    MUST(members[0].value.type == HTTP_SF_TOKEN || members[0].value.type == HTTP_SF_STRING);
    const struct http_sf_value *hit = http_sf_param(members, SK_STR("hit"));
    const struct http_sf_value *fwd = http_sf_param(members, SK_STR("fwd"));
    MUST(!hit == !status->hit && !fwd == status->hit);
    MUST(!hit || (hit->type == HTTP_SF_BOOLEAN && hit->number == 1));
    MUST(!fwd || fwd->type == HTTP_SF_TOKEN);
    const struct http_sf_value *ttl = http_sf_param(members, SK_STR("ttl"));
    MUST(!ttl == !status->has_ttl && (!ttl || ttl->type == HTTP_SF_INTEGER));
    const struct http_sf_value *key = http_sf_param(members, SK_STR("key"));
    if (key) is_key(key, status->key);
    const struct http_sf_value *code = http_sf_param(members, SK_STR("fwd-status"));
    MUST(!code || (!status->hit && code->number == status->fwd_status));
    sk_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char out[HTTP_CACHE_STATUS_MAX];
    sk_str name;
    if (bytes < 8 || bytes > 1000) return 0;
    char *copy = exact_copy(data + 8, bytes - 8);
    sk_str rest = sk_str_make(copy, bytes - 8);
    sk_str_cut(&rest, '\n', &name);
    int64_t ttl = (int64_t)((uint64_t)data[3] << (data[4] % 60)); /* any size */
    struct http_cache_status status = {
        .cache_name = name,
        .reason = (enum http_reason)(data[0] % HTTP_REASON_COUNT_),
        .store_reason = (enum http_reason)(data[1] % HTTP_REASON_COUNT_),
        .hit = data[2] & 1,
        .stored = data[2] & 2,
        .collapsed = data[2] & 4,
        .heuristic = data[2] & 32,
        .has_ttl = data[2] & 8,
        .ttl_s = data[2] & 16 ? -ttl : ttl,
        .fwd_status = (uint16_t)(data[5] << 8 | data[6]),
        .key = rest,
    };
    size_t len = http_cache_status_format(&status, out);
    MUST(len <= sizeof out);
    check(sk_str_make(out, len), &status);
    free(copy);
    return 0;
}
