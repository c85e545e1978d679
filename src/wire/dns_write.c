/* Writing responses, names compressed against those already written (RFC 1035 4.1.4). */
#include "wire/dns.h"

enum { HEADER_BYTES = 12, POINTER = 0xc000, POINTER_MAX = 0x3fff, OPT_BYTES = 11 };

static void put_u16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put_u32(uint8_t *at, uint32_t value) {
    put_u16(at, (uint16_t)(value >> 16));
    put_u16(at + 2, (uint16_t)value);
}

static void remember_name(struct dns_writer *writer, size_t offset) {
    if (writer->name_count < SK_COUNT(writer->name_offsets) && offset <= POINTER_MAX)
        writer->name_offsets[writer->name_count++] = (uint16_t)offset;
}

void dns_writer_begin(struct dns_writer *writer, uint8_t *buffer, size_t limit, size_t reserve,
                      const uint8_t *message, const struct dns_query *query, uint16_t flags,
                      enum dns_rcode rcode) {
    SK_ASSERT(limit >= HEADER_BYTES + (size_t)query->question_bytes + reserve);
    *writer = (struct dns_writer){.data = buffer, .used = HEADER_BYTES, .limit = limit - reserve};
    memset(buffer, 0, HEADER_BYTES);
    put_u16(buffer, query->id);
    /* The opcode and RD come back as they were. */
    uint16_t echoed = (uint16_t)(query->flags & (0x7800 | DNS_FLAG_RD | DNS_FLAG_CD));
    put_u16(buffer + 2, (uint16_t)(DNS_FLAG_QR | echoed | flags | (rcode & 15)));
    if (query->question_bytes == 0) return;
    put_u16(buffer + 4, 1);
    memcpy(buffer + HEADER_BYTES, message + HEADER_BYTES, query->question_bytes);
    writer->used += query->question_bytes;
    remember_name(writer, HEADER_BYTES);
}

/* Whether the name at OFFSET of the message, pointers followed, equals WIRE; our own output, so no loops. */
static bool name_matches(const struct dns_writer *writer, size_t offset, const uint8_t *wire) {
    for (;;) {
        const uint8_t *label = writer->data + offset;
        if (label[0] >= 0xc0) {
            offset = (size_t)(label[0] & 0x3f) << 8 | label[1];
            continue;
        }
        if (label[0] != wire[0]) return false;
        /* The question keeps its case, which is usually lower. */
        bool equal = memcmp(label + 1, wire + 1, wire[0]) == 0;
        for (uint8_t i = 1; !equal && i <= wire[0]; i++)
            if (sk_ascii_lower_byte((char)label[i]) != (char)wire[i]) return false;
        if (wire[0] == 0) return true;
        offset += 1 + (size_t)wire[0];
        wire += 1 + wire[0];
    }
}

/* The next suffix of the name at *offset; false behind its last label or at a pointer. */
static bool next_suffix(const struct dns_writer *writer, size_t *offset) {
    uint8_t length = writer->data[*offset];
    if (length == 0 || length >= 0xc0) return false;
    *offset += 1 + (size_t)length;
    return writer->data[*offset] != 0 && writer->data[*offset] < 0xc0;
}

/* An offset where WIRE (not the root) stands already, or 0. */
static size_t find_suffix(const struct dns_writer *writer, const uint8_t *wire) {
    for (uint8_t i = 0; i < writer->name_count; i++) {
        size_t offset = writer->name_offsets[i];
        do {
            if (offset <= POINTER_MAX && name_matches(writer, offset, wire)) return offset;
        } while (next_suffix(writer, &offset));
    }
    return 0;
}

static bool put_name(struct dns_writer *writer, const struct dns_name *name) {
    const uint8_t *wire = name->wire;
    size_t begin = writer->used, at = writer->used, pointer = 0;
    while (*wire && (pointer = find_suffix(writer, wire)) == 0) {
        if (writer->limit - at < 1 + (size_t)*wire) return false;
        memcpy(writer->data + at, wire, 1 + (size_t)*wire);
        at += 1 + (size_t)*wire;
        wire += 1 + *wire;
    }
    if (writer->limit - at < 2) return false;
    if (*wire) {
        put_u16(writer->data + at, (uint16_t)(POINTER | pointer));
        at += 2;
    } else {
        writer->data[at++] = 0;
    }
    if (at - begin > 2) remember_name(writer, begin);
    writer->used = at;
    return true;
}

/* What stands behind the owner. */
static bool put_data(struct dns_writer *writer, uint16_t type, uint32_t ttl_s,
                     const struct dns_rdata *rdata) {
    size_t need = 10 + (size_t)rdata->bytes;
    if (writer->limit - writer->used < need) return false;
    uint8_t *at = writer->data + writer->used;
    put_u16(at, type);
    put_u16(at + 2, 1);
    put_u32(at + 4, ttl_s);
    put_u16(at + 8, rdata->bytes);
    memcpy(at + 10, rdata->data, rdata->bytes);
    writer->used += need;
    return true;
}

static bool put_record(struct dns_writer *writer, const struct dns_name *owner, uint16_t type, uint32_t ttl_s,
                       const struct dns_rdata *rdata) {
    return put_name(writer, owner) && put_data(writer, type, ttl_s, rdata);
}

/* Undoes a part of an RRset. */
static sk_err no_room(struct dns_writer *writer, enum dns_section section, size_t used, uint8_t names) {
    writer->used = used;
    writer->name_count = names;
    if (section != DNS_ADDITIONAL) writer->truncated = true;
    return SK_ERR_FULL;
}

sk_err dns_writer_rrset(struct dns_writer *writer, enum dns_section section, const struct dns_name *owner,
                        uint16_t type, uint32_t ttl_s, const struct dns_rdata *records, size_t count) {
    size_t used = writer->used;
    uint8_t names = writer->name_count;
    for (size_t i = 0; i < count; i++)
        if (!put_record(writer, owner, type, ttl_s, &records[i]))
            return no_room(writer, section, used, names);
    writer->counts[section] = (uint16_t)(writer->counts[section] + count);
    return SK_OK;
}

sk_err dns_writer_record_at(struct dns_writer *writer, enum dns_section section, size_t owner_offset,
                            uint16_t type, uint32_t ttl_s, const struct dns_rdata *record) {
    size_t used = writer->used;
    if (writer->limit - used < 2) return no_room(writer, section, used, writer->name_count);
    put_u16(writer->data + used, (uint16_t)(POINTER | owner_offset));
    writer->used += 2;
    if (!put_data(writer, type, ttl_s, record)) return no_room(writer, section, used, writer->name_count);
    writer->counts[section]++;
    return SK_OK;
}

sk_err dns_writer_encoded(struct dns_writer *writer, enum dns_section section, const uint8_t *data,
                          size_t bytes, uint16_t count) {
    if (writer->limit - writer->used < bytes)
        return no_room(writer, section, writer->used, writer->name_count);
    memcpy(writer->data + writer->used, data, bytes);
    writer->used += bytes;
    writer->counts[section] = (uint16_t)(writer->counts[section] + count);
    return SK_OK;
}

static uint8_t *put_option_head(uint8_t *at, uint16_t code, size_t bytes) {
    put_u16(at, code);
    put_u16(at + 2, (uint16_t)bytes);
    return at + 4;
}

static uint8_t *put_subnet(uint8_t *at, const struct dns_client_subnet *subnet, uint8_t scope_bits) {
    size_t bytes = (size_t)(subnet->source_bits + 7) / 8;
    at = put_option_head(at, 8, 4 + bytes);
    put_u16(at, subnet->family);
    at[2] = subnet->source_bits;
    at[3] = scope_bits;
    memcpy(at + 4, subnet->ip, bytes);
    return at + 4 + bytes;
}

size_t dns_opt_bytes(const struct dns_opt *opt) {
    size_t bytes = OPT_BYTES;
    if (opt->subnet) bytes += 8 + (size_t)(opt->subnet->source_bits + 7) / 8;
    if (opt->nsid.len) bytes += 4 + opt->nsid.len;
    if (opt->cookie_length) bytes += 4 + (size_t)opt->cookie_length;
    if (opt->ede >= 0) bytes += 6;
    return bytes;
}

void dns_writer_opt(struct dns_writer *writer, const struct dns_opt *opt) {
    uint8_t *start = writer->data + writer->used, *at = start + OPT_BYTES;
    start[0] = 0;
    put_u16(start + 1, DNS_TYPE_OPT);
    put_u16(start + 3, opt->payload);
    start[5] = opt->extended_rcode;
    start[6] = 0;
    put_u16(start + 7, opt->dnssec_ok ? 0x8000 : 0);
    if (opt->subnet) at = put_subnet(at, opt->subnet, opt->scope_bits);
    if (opt->nsid.len) {
        at = put_option_head(at, 3, opt->nsid.len);
        memcpy(at, opt->nsid.data, opt->nsid.len);
        at += opt->nsid.len;
    }
    if (opt->cookie_length) {
        at = put_option_head(at, 10, opt->cookie_length);
        memcpy(at, opt->cookie, opt->cookie_length);
        at += opt->cookie_length;
    }
    if (opt->ede >= 0) {
        at = put_option_head(at, 15, 2);
        put_u16(at, (uint16_t)opt->ede);
        at += 2;
    }
    put_u16(start + 9, (uint16_t)(at - start - OPT_BYTES));
    writer->used += (size_t)(at - start);
    writer->counts[DNS_ADDITIONAL]++;
}

size_t dns_writer_finish(struct dns_writer *writer) {
    if (writer->truncated) writer->data[2] |= DNS_FLAG_TC >> 8;
    for (int i = 0; i < 3; i++) put_u16(writer->data + 6 + 2 * i, writer->counts[i]);
    return writer->used;
}
