/* Reading queries: one question, at most one OPT, nothing else that we would act on (RFC 1035 4.1, RFC 6891). */
#include "wire/dns.h"

/* A cursor over the message; a read past the end fails and leaves it where it is. */
struct cursor {
    const uint8_t *data;
    size_t at, end;
};

static bool read_u8(struct cursor *c, uint8_t *out) {
    if (c->end - c->at < 1) return false;
    *out = c->data[c->at++];
    return true;
}

static bool read_u16(struct cursor *c, uint16_t *out) {
    if (c->end - c->at < 2) return false;
    *out = (uint16_t)(c->data[c->at] << 8 | c->data[c->at + 1]);
    c->at += 2;
    return true;
}

static bool skip(struct cursor *c, size_t bytes) {
    if (c->end - c->at < bytes) return false;
    c->at += bytes;
    return true;
}

/* An uncompressed name, lower-cased. */
static bool read_name(struct cursor *c, struct dns_name *name) {
    size_t used = 0;
    name->labels = 0;
    for (;;) {
        uint8_t length;
        if (!read_u8(c, &length) || length > DNS_LABEL_MAX || used + 1 + length > DNS_NAME_MAX ||
            c->end - c->at < length) {
            name->length = 1;
            name->labels = name->wire[0] = 0;
            return false;
        }
        name->wire[used++] = length;
        if (length == 0) break;
        sk_ascii_lower((char *)name->wire + used, (const char *)c->data + c->at, length);
        used += length;
        c->at += length;
        name->labels++;
    }
    name->length = (uint8_t)used;
    return true;
}

/* The owner of an additional record: a name that may be compressed; only its extent matters. */
static bool skip_name(struct cursor *c, bool *out_root) {
    *out_root = c->at < c->end && c->data[c->at] == 0;
    for (;;) {
        uint8_t length;
        if (!read_u8(c, &length)) return false;
        if (length == 0) return true;
        if (length >= 0xc0) return skip(c, 1);
        if (length > DNS_LABEL_MAX || !skip(c, length)) return false;
    }
}

/* RFC 7871 section 6: family, source prefix, scope 0, just the bytes that the prefix needs, the rest zero. */
static bool read_subnet(struct cursor c, struct dns_client_subnet *subnet) {
    uint16_t family;
    uint8_t source, scope;
    if (!read_u16(&c, &family) || !read_u8(&c, &source) || !read_u8(&c, &scope)) return false;
    uint8_t widest = family == 1 ? 32 : family == 2 ? 128 : 0;
    size_t bytes = (size_t)(source + 7) / 8;
    if (family < 1 || family > 2 || source > widest || scope != 0 || c.end - c.at != bytes) return false;
    *subnet = (struct dns_client_subnet){.present = true, .family = (uint8_t)family, .source_bits = source};
    memcpy(subnet->ip, c.data + c.at, bytes);
    return source % 8 == 0 || (subnet->ip[bytes - 1] & (0xff >> source % 8)) == 0;
}

static void read_cookie(struct cursor c, struct dns_edns *edns) {
    size_t bytes = c.end - c.at;
    edns->cookie_malformed = bytes != 8 && (bytes < 16 || bytes > 40);
    if (edns->cookie_malformed) return;
    edns->cookie_length = (uint8_t)bytes;
    memcpy(edns->cookie, c.data + c.at, bytes);
}

enum { OPTION_NSID = 3, OPTION_SUBNET = 8, OPTION_COOKIE = 10, OPTION_KEEPALIVE = 11, OPTION_PADDING = 12 };

static bool read_option(uint16_t code, struct cursor c, struct dns_edns *edns) {
    switch (code) {
    case OPTION_NSID: edns->nsid = true; return true;
    case OPTION_SUBNET: return !edns->subnet.present && read_subnet(c, &edns->subnet);
    case OPTION_COOKIE: read_cookie(c, edns); return !edns->cookie_malformed;
    case OPTION_KEEPALIVE: edns->keepalive = true; return true;
    case OPTION_PADDING: edns->padding = true; return true;
    default: return true;
    }
}

static bool read_options(struct cursor c, struct dns_edns *edns) {
    while (c.at < c.end) {
        uint16_t code, bytes;
        if (!read_u16(&c, &code) || !read_u16(&c, &bytes) || c.end - c.at < bytes) return false;
        struct cursor option = {c.data, c.at, c.at + bytes};
        if (!read_option(code, option, edns)) return false;
        c.at += bytes;
    }
    return true;
}

enum { OPTIONS_MAX = 4096, ADDITIONAL_MAX = 4 };

/* One additional record: an OPT is taken, the place of a TSIG is noted, others are only stepped over. */
static bool read_additional(struct cursor *c, struct dns_query *query) {
    struct dns_edns *edns = &query->edns;
    size_t start = c->at;
    bool root;
    uint16_t type, class_, flags, bytes;
    uint8_t extended, version;
    if (!skip_name(c, &root) || !read_u16(c, &type) || !read_u16(c, &class_)) return false;
    if (!read_u8(c, &extended) || !read_u8(c, &version) || !read_u16(c, &flags) || !read_u16(c, &bytes))
        return false;
    if (c->end - c->at < bytes) return false;
    struct cursor data = {c->data, c->at, c->at + bytes};
    c->at += bytes;
    if (type == DNS_TYPE_TSIG) {
        query->tsig_at = (uint16_t)start;
        return c->at == c->end; /* RFC 8945 section 5.1 */
    }
    if (type != DNS_TYPE_OPT) return true;
    if (edns->present || !root || bytes > OPTIONS_MAX) return false;
    edns->present = true;
    edns->version = version;
    edns->payload = SK_MAX(class_, 512);
    edns->dnssec_ok = (flags & 0x8000) != 0;
    edns->compact_ok = (flags & 0x4000) != 0;
    /* Options of a version that we do not know are not read: the answer is BADVERS. */
    return version != 0 || read_options(data, edns);
}

static enum dns_rcode read_sections(struct cursor *c, struct dns_query *query) {
    uint16_t counts[4];
    for (int i = 0; i < 4; i++)
        if (!read_u16(c, &counts[i])) return DNS_FORMERR;
    if (query->opcode != 0 && query->opcode != 4) return DNS_NOTIMP;
    if (counts[0] != 1 || !read_name(c, &query->name)) return DNS_FORMERR;
    if (!read_u16(c, &query->type) || !read_u16(c, &query->class_)) return DNS_FORMERR;
    query->question_bytes = (uint16_t)(c->at - 12);
    /* A NOTIFY may carry an SOA and an IXFR the client's one (RFC 1996, 1995); we act on neither. */
    size_t records = (size_t)counts[1] + counts[2] + counts[3];
    if (records > ADDITIONAL_MAX) return DNS_FORMERR;
    for (size_t i = 0; i < records; i++)
        if (!read_additional(c, query)) return DNS_FORMERR;
    if (c->at != c->end || (query->tsig_at && counts[3] == 0)) return DNS_FORMERR;
    return query->edns.version != 0 ? DNS_BADVERS : DNS_NOERROR;
}

sk_err dns_query_parse(const uint8_t *message, size_t bytes, struct dns_query *out_query,
                       enum dns_rcode *out_rcode) {
    struct cursor c = {message, 0, bytes};
    uint16_t id, flags;
    if (bytes < 12 || bytes > UINT16_MAX) return SK_ERR_INVALID;
    if (!read_u16(&c, &id) || !read_u16(&c, &flags)) return SK_ERR_INVALID;
    if (flags & DNS_FLAG_QR) return SK_ERR_INVALID;
    /* Field by field: clearing and copying the room for the longest name would cost more than reading the query. */
    out_query->id = id;
    out_query->flags = flags;
    out_query->opcode = flags >> 11 & 15;
    out_query->type = out_query->class_ = out_query->question_bytes = 0;
    out_query->name.length = 1;
    out_query->name.labels = out_query->name.wire[0] = 0;
    out_query->edns = (struct dns_edns){0};
    out_query->tsig_at = 0;
    *out_rcode = read_sections(&c, out_query);
    return *out_rcode == DNS_NOERROR ? SK_OK : SK_ERR_MALFORMED;
}
