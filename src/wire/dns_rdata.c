/* Record data from presentation form to wire form (RFC 1035 section 5.1, RFC 3597 section 5, RFC 9460 section 2.1).
 * Each type is one row of a table: the fields that its data consists of. */
#include <arpa/inet.h>

#include "wire/dns.h"

/* Where the words come from and where the bytes go. */
struct rdata {
    sk_str rest;
    const struct dns_name *origin;
    uint8_t *out;
    size_t used, capacity;
};

static bool space(char c) { return c == ' ' || c == '\t'; }

/* Steps over white space; false at the end. */
static bool skip_space(struct rdata *r) {
    while (r->rest.len && space(r->rest.data[0])) r->rest = sk_str_slice(r->rest, 1, r->rest.len);
    return r->rest.len > 0;
}

/* The next word; a quoted one with its quotes cut off. Escapes stay for whoever reads it. */
static bool next_word(struct rdata *r, sk_str *out_word) {
    if (!skip_space(r)) return false;
    bool quoted = r->rest.data[0] == '"';
    size_t begin = quoted ? 1 : 0, at = begin;
    while (at < r->rest.len && (quoted ? r->rest.data[at] != '"' : !space(r->rest.data[at])))
        at += r->rest.data[at] == '\\' ? 2 : 1;
    if (at > r->rest.len || (quoted && at == r->rest.len)) return false;
    *out_word = sk_str_slice(r->rest, begin, at);
    r->rest = sk_str_slice(r->rest, at + begin, r->rest.len);
    return true;
}

static sk_err put(struct rdata *r, const void *data, size_t bytes) {
    if (r->capacity - r->used < bytes) return SK_ERR_TOO_LARGE;
    memcpy(r->out + r->used, data, bytes);
    r->used += bytes;
    return SK_OK;
}

static sk_err put_number(struct rdata *r, uint64_t value, size_t bytes) {
    uint8_t wire[8];
    if (bytes < 8 && value >> (8 * bytes)) return SK_ERR_MALFORMED;
    for (size_t i = 0; i < bytes; i++) wire[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    return put(r, wire, bytes);
}

static sk_err number_field(struct rdata *r, size_t bytes) {
    sk_str word;
    uint64_t value;
    if (!next_word(r, &word) || sk_str_to_u64(word, &value) != SK_OK) return SK_ERR_MALFORMED;
    return put_number(r, value, bytes);
}

/* Seconds, also as "1h30m" in the usual way of master files. */
static sk_err time_field(struct rdata *r) {
    static const struct {
        char unit;
        uint32_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    sk_str word;
    uint64_t total = 0, part = 0;
    bool digits = false;
    if (!next_word(r, &word)) return SK_ERR_MALFORMED;
    for (size_t i = 0; i < word.len; i++) {
        char c = sk_ascii_lower_byte(word.data[i]);
        if (c >= '0' && c <= '9') {
            part = part * 10 + (uint64_t)(c - '0');
            digits = true;
            if (part > UINT32_MAX) return SK_ERR_MALFORMED;
            continue;
        }
        size_t unit = 0;
        while (unit < SK_COUNT(units) && units[unit].unit != c) unit++;
        if (unit == SK_COUNT(units) || !digits) return SK_ERR_MALFORMED;
        total += part * units[unit].seconds;
        part = 0;
        digits = false;
        if (total > UINT32_MAX) return SK_ERR_MALFORMED;
    }
    return put_number(r, total + part, 4);
}

static sk_err name_field(struct rdata *r) {
    sk_str word;
    struct dns_name name;
    if (!next_word(r, &word)) return SK_ERR_MALFORMED;
    sk_err err = dns_name_parse(word, r->origin, &name);
    return err ? err : put(r, name.wire, name.length);
}

static sk_err address_field(struct rdata *r, int family, size_t bytes) {
    sk_str word;
    char text[64];
    uint8_t ip[16];
    if (!next_word(r, &word) || word.len >= sizeof text) return SK_ERR_MALFORMED;
    memcpy(text, word.data, word.len);
    text[word.len] = 0;
    return inet_pton(family, text, ip) == 1 ? put(r, ip, bytes) : SK_ERR_MALFORMED;
}

/* One byte of text with its escape (\X or \DDD). */
static bool text_byte(sk_str word, size_t *at, uint8_t *out_byte) {
    char c = word.data[(*at)++];
    if (c != '\\') {
        *out_byte = (uint8_t)c;
        return true;
    }
    const char *p = word.data + *at;
    size_t left = word.len - *at;
    if (left == 0) return false;
    if (p[0] < '0' || p[0] > '9') {
        *out_byte = (uint8_t)p[0];
        *at += 1;
        return true;
    }
    uint64_t value;
    if (left < 3 || sk_str_to_u64(sk_str_make(p, 3), &value) != SK_OK || value > 255) return false;
    *out_byte = (uint8_t)value;
    *at += 3;
    return true;
}

/* The bytes of WORD; at most LIMIT. */
static sk_err put_text(struct rdata *r, sk_str word, size_t limit) {
    size_t count = 0;
    for (size_t at = 0; at < word.len; count++) {
        uint8_t byte;
        if (!text_byte(word, &at, &byte) || count == limit) return SK_ERR_MALFORMED;
        sk_err err = put(r, &byte, 1);
        if (err) return err;
    }
    return SK_OK;
}

/* A character-string: its length before it. */
static sk_err put_string(struct rdata *r, sk_str word) {
    size_t length_at = r->used;
    sk_err err = put(r, "", 1);
    if (!err) err = put_text(r, word, 255);
    if (!err) r->out[length_at] = (uint8_t)(r->used - length_at - 1);
    return err;
}

static sk_err string_field(struct rdata *r) {
    sk_str word;
    return next_word(r, &word) ? put_string(r, word) : SK_ERR_MALFORMED;
}

static sk_err strings_field(struct rdata *r) {
    sk_err err = string_field(r);
    while (!err && skip_space(r)) err = string_field(r);
    return err;
}

/* The rest of the line as hex, white space between allowed; at least one byte. */
static sk_err hex_field(struct rdata *r) {
    sk_str word;
    size_t begin = r->used;
    while (next_word(r, &word)) {
        if (word.len % 2) return SK_ERR_MALFORMED;
        for (size_t i = 0; i < word.len; i += 2) {
            uint64_t byte;
            if (sk_str_hex_to_u64(sk_str_slice(word, i, i + 2), &byte) != SK_OK) return SK_ERR_MALFORMED;
            sk_err err = put_number(r, byte, 1);
            if (err) return err;
        }
    }
    return r->used > begin ? SK_OK : SK_ERR_MALFORMED;
}

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The rest of the line as base64 (RFC 4648 section 4). */
static sk_err base64_field(struct rdata *r) {
    sk_str word;
    uint32_t bits = 0;
    size_t digits = 0, padding = 0;
    while (next_word(r, &word)) {
        for (size_t i = 0; i < word.len; i++) {
            int digit = base64_digit(word.data[i]);
            if (word.data[i] == '=' && ++padding <= 2) continue;
            if (digit < 0 || padding) return SK_ERR_MALFORMED;
            bits = bits << 6 | (uint32_t)digit;
            sk_err err = digits % 4 ? put_number(r, bits >> (6 - 2 * (digits % 4)) & 0xff, 1) : SK_OK;
            if (err) return err;
            digits++;
        }
    }
    return digits && (digits + padding) % 4 == 0 ? SK_OK : SK_ERR_MALFORMED;
}

/* CAA: flags, tag, value without a length (RFC 8659 section 4). */
static sk_err caa_fields(struct rdata *r) {
    sk_str value;
    sk_err err = number_field(r, 1);
    if (!err) err = string_field(r);
    if (err) return err;
    return next_word(r, &value) ? put_text(r, value, SIZE_MAX) : SK_ERR_MALFORMED;
}

/* --- SVCB and HTTPS (RFC 9460) ---------------------------------------------------------------------- */

enum {
    SVC_MANDATORY,
    SVC_ALPN,
    SVC_NO_DEFAULT_ALPN,
    SVC_PORT,
    SVC_IPV4HINT,
    SVC_ECH,
    SVC_IPV6HINT,
    SVC_COUNT
};
static const sk_str svc_names[SVC_COUNT] = {
    SK_STR_INIT("mandatory"), SK_STR_INIT("alpn"), SK_STR_INIT("no-default-alpn"), SK_STR_INIT("port"),
    SK_STR_INIT("ipv4hint"),  SK_STR_INIT("ech"),  SK_STR_INIT("ipv6hint")};

static bool svc_key(sk_str name, uint64_t *out_key) {
    for (uint64_t key = 0; key < SVC_COUNT; key++) {
        if (!sk_str_eq(name, svc_names[key])) continue;
        *out_key = key;
        return true;
    }
    return sk_str_starts_with(name, SK_STR("key")) &&
           sk_str_to_u64(sk_str_slice(name, 3, name.len), out_key) == SK_OK && *out_key < 65535;
}

/* Runs FIELD over one element of a comma-separated value. */
static sk_err svc_element(struct rdata *r, uint64_t key, sk_str element) {
    struct rdata inner = {element, r->origin, r->out, r->used, r->capacity};
    sk_err err = SK_ERR_MALFORMED;
    uint64_t mandatory;
    if (key == SVC_ALPN && element.len) err = string_field(&inner);
    if (key == SVC_IPV4HINT) err = address_field(&inner, AF_INET, 4);
    if (key == SVC_IPV6HINT) err = address_field(&inner, AF_INET6, 16);
    if (key == SVC_MANDATORY && svc_key(element, &mandatory)) err = put_number(&inner, mandatory, 2);
    r->used = inner.used;
    return err;
}

static sk_err svc_value(struct rdata *r, uint64_t key, sk_str value) {
    struct rdata whole = {value, r->origin, r->out, r->used, r->capacity};
    sk_err err = SK_OK;
    sk_str element;
    switch (key) {
    case SVC_NO_DEFAULT_ALPN: return value.len ? SK_ERR_MALFORMED : SK_OK;
    case SVC_PORT: err = number_field(&whole, 2); break;
    case SVC_ECH: err = base64_field(&whole); break;
    case SVC_MANDATORY:
    case SVC_ALPN:
    case SVC_IPV4HINT:
    case SVC_IPV6HINT:
        while (!err && sk_str_cut(&value, ',', &element)) err = svc_element(&whole, key, element);
        break;
    default: err = put_text(&whole, value, UINT16_MAX); break;
    }
    r->used = whole.used;
    return err;
}

/* key=value or key="value" in ascending order of keys; *last_key is the one before, -1 at first. */
static sk_err svc_param(struct rdata *r, int64_t *last_key) {
    size_t name_end = 0;
    while (name_end < r->rest.len && r->rest.data[name_end] != '=' && !space(r->rest.data[name_end]))
        name_end++;
    sk_str name = sk_str_slice(r->rest, 0, name_end), value = {0};
    bool has_value = name_end < r->rest.len && r->rest.data[name_end] == '=';
    r->rest = sk_str_slice(r->rest, name_end + has_value, r->rest.len);
    uint64_t key;
    if (!svc_key(name, &key) || (int64_t)key <= *last_key) return SK_ERR_MALFORMED;
    if (has_value && !next_word(r, &value)) return SK_ERR_MALFORMED;
    *last_key = (int64_t)key;
    sk_err err = put_number(r, key, 2);
    size_t length_at = r->used;
    if (!err) err = put(r, "\0\0", 2);
    if (!err) err = svc_value(r, key, value);
    size_t bytes = r->used - length_at - 2;
    if (!err && bytes > UINT16_MAX) err = SK_ERR_TOO_LARGE;
    if (err) return err;
    r->out[length_at] = (uint8_t)(bytes >> 8);
    r->out[length_at + 1] = (uint8_t)bytes;
    return SK_OK;
}

static sk_err svcb_fields(struct rdata *r) {
    int64_t last_key = -1;
    sk_err err = number_field(r, 2);
    if (!err) err = name_field(r);
    while (!err && skip_space(r)) err = svc_param(r, &last_key);
    return err;
}

/* \# LENGTH HEX (RFC 3597 section 5). */
static sk_err generic_fields(struct rdata *r) {
    sk_str word;
    uint64_t bytes;
    if (!next_word(r, &word) || sk_str_to_u64(word, &bytes) != SK_OK) return SK_ERR_MALFORMED;
    if (bytes == 0) return skip_space(r) ? SK_ERR_MALFORMED : SK_OK;
    sk_err err = hex_field(r);
    return !err && r->used != bytes ? SK_ERR_MALFORMED : err;
}

/* The fields of each type: 1, 2, 4 are numbers of so many bytes, t a time, n a name, A and Q IPv4 and IPv6
 * addresses, s a string, S strings to the end, x hex and b base64 to the end; C and V the whole of a CAA or SVCB. */
static const struct {
    uint16_t type;
    const char *fields;
} layouts[] = {
    {DNS_TYPE_A, "A"},       {DNS_TYPE_AAAA, "Q"},      {DNS_TYPE_NS, "n"},
    {DNS_TYPE_CNAME, "n"},   {DNS_TYPE_PTR, "n"},       {DNS_TYPE_DNAME, "n"},
    {DNS_TYPE_MX, "2n"},     {DNS_TYPE_SOA, "nn4tttt"}, {DNS_TYPE_TXT, "S"},
    {DNS_TYPE_HINFO, "ss"},  {DNS_TYPE_SRV, "222n"},    {DNS_TYPE_NAPTR, "22sssn"},
    {DNS_TYPE_DS, "211x"},   {DNS_TYPE_CDS, "211x"},    {DNS_TYPE_SSHFP, "11x"},
    {DNS_TYPE_TLSA, "111x"}, {DNS_TYPE_DNSKEY, "211b"}, {DNS_TYPE_CDNSKEY, "211b"},
    {DNS_TYPE_CAA, "C"},     {DNS_TYPE_SVCB, "V"},      {DNS_TYPE_HTTPS, "V"},
};

static sk_err field(struct rdata *r, char kind) {
    switch (kind) {
    case '1': return number_field(r, 1);
    case '2': return number_field(r, 2);
    case '4': return number_field(r, 4);
    case 't': return time_field(r);
    case 'n': return name_field(r);
    case 'A': return address_field(r, AF_INET, 4);
    case 'Q': return address_field(r, AF_INET6, 16);
    case 's': return string_field(r);
    case 'S': return strings_field(r);
    case 'x': return hex_field(r);
    case 'b': return base64_field(r);
    case 'C': return caa_fields(r);
    default: return svcb_fields(r);
    }
}

sk_err dns_rdata_parse(uint16_t type, sk_str text, const struct dns_name *origin, uint8_t *out,
                       size_t capacity, size_t *out_bytes) {
    struct rdata r = {sk_str_trim(text), origin, out, 0, SK_MIN(capacity, UINT16_MAX)};
    sk_err err = SK_ERR_UNSUPPORTED;
    if (sk_str_starts_with(r.rest, SK_STR("\\#"))) {
        r.rest = sk_str_slice(r.rest, 2, r.rest.len);
        err = generic_fields(&r);
    } else {
        for (size_t i = 0; i < SK_COUNT(layouts); i++) {
            if (layouts[i].type != type) continue;
            err = SK_OK;
            for (const char *kind = layouts[i].fields; *kind && !err; kind++) err = field(&r, *kind);
        }
    }
    if (!err && skip_space(&r)) err = SK_ERR_MALFORMED;
    if (!err) *out_bytes = r.used;
    return err;
}
