#include "route/tsig.h"

const struct dns_tsig_key *tsig_key_named(const struct tsig_keys *keys, const struct dns_name *name) {
    for (size_t i = 0; i < keys->count; i++)
        if (dns_name_eq(&keys->items[i].name, name)) return &keys->items[i];
    return NULL;
}

sk_err tsig_open(const struct tsig_keys *keys, const uint8_t *message, size_t bytes, size_t at, sk_unix_s now,
                 struct tsig_request *out_request) {
    sk_err err = dns_tsig_read(message, bytes, at, &out_request->record);
    if (err) return err;
    const struct dns_tsig_key *key = tsig_key_named(keys, &out_request->record.name);
    if (key && !dns_tsig_is_of(&out_request->record, key)) key = NULL;
    out_request->key = key;
    out_request->chain.mac_bytes = 0;
    out_request->chain.timers_only = false;
    err = dns_tsig_check(message, &out_request->record, key, &out_request->chain, now, &out_request->error);
    if (err || !key) return err;
    /* Checked: it is no longer than a MAC of ours. */
    out_request->chain.mac_bytes = out_request->record.mac_bytes;
    memcpy(out_request->chain.mac, out_request->record.mac, out_request->record.mac_bytes);
    return SK_OK;
}

/* A MAC that was found wrong is not made worth anything by an answer signed over it (section 5.3.2). */
static bool is_signed(const struct tsig_request *request) {
    return request->error == DNS_TSIG_FINE || request->error == DNS_TSIG_BADTIME;
}

size_t tsig_room(const struct tsig_request *request) {
    size_t fixed = 10 + 16, names = (size_t)request->record.name.length + request->record.algorithm.length;
    if (!is_signed(request)) return fixed + names;
    size_t other = request->error == DNS_TSIG_BADTIME ? 6 : 0;
    return fixed + names + dns_tsig_mac_bytes(request->key->algorithm) + other;
}

sk_err tsig_close(struct tsig_request *request, uint8_t *answer, size_t *bytes, size_t capacity,
                  sk_unix_s now) {
    if (!is_signed(request))
        return dns_tsig_refuse(answer, bytes, capacity, &request->record, request->error);
    uint64_t time_s = request->error == DNS_TSIG_BADTIME ? request->record.time_s : (uint64_t)now;
    return dns_tsig_sign(answer, bytes, capacity, request->key, &request->chain, time_s, request->error, now);
}
