/* Names in wire form (RFC 1035 3.1, 5.1; canonical order of RFC 4034 6.1). */
#include "wire/dns.h"

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* One character of a label, with its escape; *at is moved behind it. */
static bool label_byte(sk_str text, size_t *at, uint8_t *out_byte) {
    char c = text.data[(*at)++];
    if (c != '\\') {
        *out_byte = (uint8_t)sk_ascii_lower_byte(c);
        return true;
    }
    size_t left = text.len - *at;
    if (left == 0) return false;
    const char *p = text.data + *at;
    if (!digit(p[0])) {
        *out_byte = (uint8_t)sk_ascii_lower_byte(p[0]);
        *at += 1;
        return true;
    }
    if (left < 3 || !digit(p[1]) || !digit(p[2])) return false;
    int value = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
    if (value > 255) return false;
    *out_byte = (uint8_t)sk_ascii_lower_byte((char)value);
    *at += 3;
    return true;
}

/* One label up to an unescaped dot or the end; *at is behind the dot. */
static bool label_parse(sk_str text, size_t *at, struct dns_name *name, bool *out_dot) {
    uint8_t *length = &name->wire[name->length];
    size_t used = (size_t)name->length + 1;
    *out_dot = false;
    *length = 0;
    while (*at < text.len) {
        if (text.data[*at] == '.') {
            *at += 1;
            *out_dot = true;
            break;
        }
        uint8_t byte;
        /* One byte must stay for the root. */
        if (!label_byte(text, at, &byte) || *length == DNS_LABEL_MAX || used >= DNS_NAME_MAX - 1)
            return false;
        name->wire[used++] = byte;
        *length += 1;
    }
    if (*length == 0) return false;
    name->length = (uint8_t)used;
    name->labels++;
    return true;
}

sk_err dns_name_parse(sk_str text, const struct dns_name *origin, struct dns_name *out_name) {
    static const struct dns_name root = {.length = 1};
    struct dns_name name = {0};
    if (!origin) origin = &root;
    if (text.len == 0) return SK_ERR_MALFORMED;
    if (sk_str_eq(text, SK_STR("@"))) {
        *out_name = *origin;
        return SK_OK;
    }
    if (sk_str_eq(text, SK_STR("."))) {
        *out_name = root;
        return SK_OK;
    }
    bool dot = false;
    for (size_t at = 0; at < text.len;)
        if (!label_parse(text, &at, &name, &dot)) return SK_ERR_MALFORMED;
    const struct dns_name *rest = dot ? &root : origin;
    if (name.length + rest->length > DNS_NAME_MAX) return SK_ERR_MALFORMED;
    memcpy(name.wire + name.length, rest->wire, rest->length);
    name.length = (uint8_t)(name.length + rest->length);
    name.labels = (uint8_t)(name.labels + rest->labels);
    *out_name = name;
    return SK_OK;
}

static size_t format_byte(uint8_t byte, char *out) {
    if (byte <= ' ' || byte >= 0x7f) {
        out[0] = '\\';
        out[1] = (char)('0' + byte / 100);
        out[2] = (char)('0' + byte / 10 % 10);
        out[3] = (char)('0' + byte % 10);
        return 4;
    }
    size_t n = 0;
    if (strchr(".\\\"();@$", byte)) out[n++] = '\\';
    out[n++] = (char)byte;
    return n;
}

size_t dns_name_format(const struct dns_name *name, char out[1024]) {
    size_t n = 0;
    for (const uint8_t *label = name->wire; *label; label += 1 + *label) {
        for (uint8_t i = 1; i <= *label; i++) n += format_byte(label[i], out + n);
        out[n++] = '.';
    }
    if (n == 0) out[n++] = '.';
    out[n] = 0;
    return n;
}

bool dns_name_eq(const struct dns_name *a, const struct dns_name *b) {
    return a->length == b->length && memcmp(a->wire, b->wire, a->length) == 0;
}

bool dns_name_in(const struct dns_name *name, const struct dns_name *zone) {
    if (name->labels < zone->labels) return false;
    uint8_t at = 0;
    for (int above = name->labels - zone->labels; above > 0; above--) at = (uint8_t)(at + 1 + name->wire[at]);
    return name->length - at == zone->length && memcmp(name->wire + at, zone->wire, zone->length) == 0;
}

/* Offsets of the labels, the leftmost first. */
static uint8_t label_offsets(const struct dns_name *name, uint8_t offsets[128]) {
    uint8_t count = 0;
    for (uint8_t at = 0; name->wire[at]; at = (uint8_t)(at + 1 + name->wire[at])) offsets[count++] = at;
    return count;
}

int dns_name_compare(const struct dns_name *a, const struct dns_name *b) {
    uint8_t a_offsets[128], b_offsets[128];
    uint8_t a_left = label_offsets(a, a_offsets), b_left = label_offsets(b, b_offsets);
    while (a_left && b_left) {
        const uint8_t *x = a->wire + a_offsets[--a_left], *y = b->wire + b_offsets[--b_left];
        int order = memcmp(x + 1, y + 1, SK_MIN(x[0], y[0]));
        if (order == 0) order = x[0] - y[0];
        if (order != 0) return order;
    }
    return a_left - b_left;
}

void dns_name_parent(const struct dns_name *name, uint8_t count, struct dns_name *out_name) {
    SK_ASSERT(count <= name->labels);
    uint8_t at = 0;
    for (uint8_t i = 0; i < count; i++) at = (uint8_t)(at + 1 + name->wire[at]);
    struct dns_name parent = {.length = (uint8_t)(name->length - at),
                              .labels = (uint8_t)(name->labels - count)};
    memcpy(parent.wire, name->wire + at, parent.length);
    *out_name = parent;
}
