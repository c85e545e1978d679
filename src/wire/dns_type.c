/* Record types by name (RFC 3597 section 5 for the unknown ones). */
#include "wire/dns.h"

static const struct {
    sk_str name;
    uint16_t number;
} types[] = {
#define X(name, number) {SK_STR_INIT(#name), number},
    DNS_TYPE_TABLE(X)
#undef X
};

sk_str dns_type_text(uint16_t type, char out[12]) {
    for (size_t i = 0; i < SK_COUNT(types); i++)
        if (types[i].number == type) return types[i].name;
    char digits[20];
    size_t count = sk_u64_to_text(type, digits);
    memcpy(out, "TYPE", 4);
    memcpy(out + 4, digits, count);
    return sk_str_make(out, 4 + count);
}

sk_err dns_type_parse(sk_str text, uint16_t *out_type) {
    for (size_t i = 0; i < SK_COUNT(types); i++) {
        if (!sk_str_ieq(types[i].name, text)) continue;
        *out_type = types[i].number;
        return SK_OK;
    }
    uint64_t number;
    if (!sk_str_istarts_with(text, SK_STR("TYPE"))) return SK_ERR_MALFORMED;
    if (sk_str_to_u64(sk_str_slice(text, 4, text.len), &number) != SK_OK || number > UINT16_MAX)
        return SK_ERR_MALFORMED;
    *out_type = (uint16_t)number;
    return SK_OK;
}
