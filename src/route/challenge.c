#include "route/challenge.h"

#include <yyjson.h>

static bool is_challenge_name(const struct dns_name *name) {
    static const char label[] = "_acme-challenge";
    return name->wire[0] == sizeof label - 1 && memcmp(name->wire + 1, label, sizeof label - 1) == 0;
}

static sk_err read_challenge(yyjson_val *root, struct challenge *out, uint64_t *out_life_s) {
    yyjson_val *name = yyjson_obj_get(root, "name"), *value = yyjson_obj_get(root, "value"),
               *ttl = yyjson_obj_get(root, "ttl");
    if (!yyjson_is_str(name) || !yyjson_is_str(value) || (ttl && !yyjson_is_uint(ttl)))
        return SK_ERR_MALFORMED;
    size_t bytes = yyjson_get_len(value);
    if (bytes == 0 || bytes > 255) return SK_ERR_MALFORMED;
    if (dns_name_parse((sk_str){yyjson_get_str(name), yyjson_get_len(name)}, NULL, &out->name))
        return SK_ERR_MALFORMED;
    out->data[0] = (uint8_t)bytes;
    memcpy(out->data + 1, yyjson_get_str(value), bytes);
    out->bytes = (uint16_t)(bytes + 1);
    *out_life_s = ttl ? yyjson_get_uint(ttl) : CHALLENGE_LIFE_DEFAULT_S;
    return is_challenge_name(&out->name) && *out_life_s <= CHALLENGE_LIFE_MAX_S ? SK_OK : SK_ERR_MALFORMED;
}

static bool same(const struct challenge *a, const struct challenge *b) {
    return dns_name_eq(&a->name, &b->name) && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

static void drop(struct challenges *challenges, size_t index) {
    challenges->items[index] = challenges->items[--challenges->count];
}

sk_err challenge_take(struct challenges *challenges, sk_str json, sk_time_ns now) {
    struct challenge challenge = {0};
    uint64_t life_s = 0;
    yyjson_doc *doc = yyjson_read(json.data, json.len, 0);
    sk_err err = read_challenge(yyjson_doc_get_root(doc), &challenge, &life_s);
    yyjson_doc_free(doc);
    if (err) return err;
    (void)challenge_expire(challenges, now);
    for (size_t i = 0; i < challenges->count; i++)
        if (same(&challenges->items[i], &challenge)) drop(challenges, i--);
    if (life_s == 0) return SK_OK;
    if (challenges->count == CHALLENGES_MAX) return SK_ERR_FULL;
    challenge.expires = now + (sk_time_ns)life_s * SK_NS_PER_S;
    challenges->items[challenges->count++] = challenge;
    return SK_OK;
}

bool challenge_expire(struct challenges *challenges, sk_time_ns now) {
    size_t before = challenges->count;
    for (size_t i = challenges->count; i-- > 0;)
        if (challenges->items[i].expires <= now) drop(challenges, i);
    return challenges->count != before;
}

struct zone_extra challenge_extra(const struct challenge *challenge) {
    return (struct zone_extra){
        challenge->name, DNS_TYPE_TXT, CHALLENGE_TTL_S, {challenge->data, challenge->bytes}};
}
