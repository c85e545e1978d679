#include "route/challenge.h"

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
    challenges->zones_differ |= challenges->items[index].in_zone;
    challenges->items[index] = challenges->items[--challenges->count];
}

static sk_err take(struct challenges *challenges, yyjson_val *root, sk_time_ns now) {
    struct challenge challenge = {0};
    uint64_t life_s = 0;
    sk_err err = read_challenge(root, &challenge, &life_s);
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

sk_err challenge_take(struct challenges *challenges, sk_str json, sk_time_ns now) {
    yyjson_doc *doc = yyjson_read(json.data, json.len, 0);
    sk_err err = take(challenges, yyjson_doc_get_root(doc), now);
    yyjson_doc_free(doc);
    return err;
}

bool challenges_write(const struct challenges *challenges, yyjson_mut_doc *doc, yyjson_mut_val *object,
                      const char *key, sk_time_ns now) {
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, object, key);
    for (size_t i = 0; array && i < challenges->count; i++) {
        const struct challenge *challenge = &challenges->items[i];
        char name[1024];
        size_t name_bytes = dns_name_format(&challenge->name, name);
        if (challenge->expires <= now) continue;
        uint64_t left_s = (uint64_t)((challenge->expires - now + SK_NS_PER_S - 1) / SK_NS_PER_S);
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, array);
        if (!item || !yyjson_mut_obj_add_strncpy(doc, item, "name", name, name_bytes) ||
            !yyjson_mut_obj_add_strncpy(doc, item, "value", (const char *)challenge->data + 1,
                                        challenge->data[0]) ||
            !yyjson_mut_obj_add_uint(doc, item, "ttl", left_s))
            return false;
    }
    return array != NULL;
}

sk_err challenges_read(struct challenges *challenges, yyjson_val *array, sk_time_ns now) {
    size_t index, count;
    yyjson_val *item;
    if (!yyjson_is_arr(array)) return SK_ERR_MALFORMED;
    yyjson_arr_foreach(array, index, count, item) {
        sk_err err = take(challenges, item, now);
        if (err) return err;
    }
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
