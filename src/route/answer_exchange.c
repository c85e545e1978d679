#include "route/answer_exchange.h"

#include "base/hash.h"
#include "route/overlay.h"

enum { CLASS_IN = 1, CLASS_CHAOS = 3, OPCODE_QUERY = 0 };

/* --- the frame of an answer ------------------------------------------------------------------------- */

static size_t opt_bytes(const struct answer_exchange *x) {
    return x->query.edns.present ? dns_opt_bytes(&x->opt) : 0;
}

void answer_begin(struct answer_exchange *x, struct dns_writer *writer, uint16_t flags,
                  enum dns_rcode rcode) {
    dns_writer_begin(writer, x->out, x->limit, opt_bytes(x), x->message, &x->query, flags, rcode);
}

size_t answer_finish(struct answer_exchange *x, struct dns_writer *writer) {
    /* The room was reserved. */
    writer->limit += opt_bytes(x);
    if (x->query.edns.present) dns_writer_opt(writer, &x->opt);
    x->log.truncated = writer->truncated;
    return dns_writer_finish(writer);
}

size_t answer_bare(struct answer_exchange *x, enum dns_rcode rcode, int ede) {
    struct dns_writer writer;
    x->kind = RATE_ERROR;
    x->opt.ede = ede;
    x->opt.extended_rcode = (uint8_t)(rcode >> 4);
    x->log.rcode = rcode;
    answer_begin(x, &writer, 0, rcode);
    return answer_finish(x, &writer);
}

/* --- cookies (RFC 7873 section 5.2) ------------------------------------------------------------------ */

static bool busy(struct answer_exchange *x) {
    struct answerer *answerer = x->answerer;
    int64_t second = x->now / SK_NS_PER_S;
    if (answerer->second != second) {
        answerer->second = second;
        answerer->queries = 0;
    }
    uint32_t above = x->snapshot->options.badcookie_above;
    return above && ++answerer->queries > above;
}

/* Puts our cookie into the answer. False: the query deserves BADCOOKIE only. */
static bool take_cookie(struct answer_exchange *x) {
    const struct answer_options *options = &x->snapshot->options;
    const struct dns_edns *edns = &x->query.edns;
    bool wanted = !busy(x) || x->transport != ANSWER_UDP;
    if (!options->cookies || edns->cookie_length == 0) return true;
    enum cookie_state state =
        cookie_check(&options->secrets, edns->cookie, edns->cookie_length, x->client, x->wall_s);
    x->cookie_good |= state == COOKIE_GOOD || state == COOKIE_RENEW;
    if (state == COOKIE_GOOD)
        memcpy(x->cookie, edns->cookie, COOKIE_BYTES);
    else
        cookie_make(&options->secrets, edns->cookie, x->client, x->wall_s, x->cookie);
    x->opt.cookie = x->cookie;
    x->opt.cookie_length = COOKIE_BYTES;
    return x->cookie_good || wanted;
}

/* --- answers ---------------------------------------------------------------------------------------- */

static size_t copy_body(struct answer_exchange *x, const struct answer_body *body) {
    struct dns_writer writer;
    answer_begin(x, &writer, body->flags, body->rcode);
    memcpy(x->out + writer.used, body->data, body->bytes);
    writer.used += body->bytes;
    memcpy(writer.counts, body->counts, sizeof writer.counts);
    x->kind = body->rate_kind;
    x->log.rcode = body->rcode;
    return answer_finish(x, &writer);
}

static bool fits(const struct answer_exchange *x, const struct answer_body *body) {
    return 12 + (size_t)x->query.question_bytes + body->bytes + opt_bytes(x) <= x->limit;
}

/* The address whose place counts: the subnet that the resolver tells, else the resolver's own. A source of /0
 * tells nothing (RFC 7871 section 7.1.2), so the answer holds for everybody: scope 0. */
static void client_ip(const struct answer_exchange *x, uint8_t ip[16]) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const struct dns_client_subnet *subnet = &x->query.edns.subnet;
    if (!subnet->present || subnet->source_bits == 0) {
        if (!io_addr_ip16(x->client, ip)) memset(ip, 0, 16);
    } else if (subnet->family == 1) {
        memcpy(ip, mapped, 12);
        memcpy(ip + 12, subnet->ip, 4);
    } else {
        memcpy(ip, subnet->ip, 16);
    }
}

/* From the 128-bit space of the tree to the family of the question. */
static uint8_t scope_of(const struct dns_client_subnet *subnet, uint8_t bits) {
    if (subnet->source_bits == 0) return 0;
    if (subnet->family == 2) return bits;
    return bits > 96 ? (uint8_t)(bits - 96) : 0;
}

static uint32_t choose_list(void *arg) {
    struct answer_exchange *x = arg;
    uint8_t ip[16];
    if (x->snapshot->list_count == 0) return 0;
    client_ip(x, ip);
    struct table_choice choice = table_find(x->snapshot->table, ip);
    x->opt.scope_bits = scope_of(&x->query.edns.subnet, choice.scope_bits);
    x->log.scope_bits = choice.scope_bits;
    x->log.reason = choice.answer->reason;
    x->log.site = choice.answer->count ? choice.answer->sites[0] : 0;
    return choice.list;
}

static size_t compose(struct answer_exchange *x, const struct zone *zone) {
    struct dns_writer writer;
    answer_begin(x, &writer, 0, DNS_NOERROR);
    struct answer_compose c = {.zone = zone,
                               .dnssec_ok = x->query.edns.dnssec_ok,
                               .snapshot = x->snapshot,
                               .writer = &writer,
                               .compact_ok = x->query.edns.compact_ok,
                               .memo = x->answerer->memo,
                               .choose = choose_list,
                               .choose_arg = x};
    answer_compose(&c, &x->query.name, x->query.type);
    if (!c.tailored) x->opt.scope_bits = 0; /* the same for every client */
    x->log.routed = c.routed;
    x->log.rcode = c.rcode;
    x->kind = c.kind;
    if (c.kind == RATE_NO_NAME) x->subject = sk_hash64(zone_apex(zone)->wire, zone_apex(zone)->length);
    /* Flags and rcode are known only now. */
    x->out[2] |= (uint8_t)(c.flags >> 8);
    x->out[3] |= (uint8_t)c.rcode;
    return answer_finish(x, &writer);
}

/* A name that was encoded beforehand; 0 when it has to be composed. */
static size_t answer_node(struct answer_exchange *x, const struct answer_node *node) {
    uint16_t type = x->query.type;
    bool dnssec_ok = x->query.edns.dnssec_ok;
    if (type == DNS_TYPE_DS || type == DNS_TYPE_ANY) return 0;
    enum answer_routed_type routed = answer_routed_type(type);
    if (node->routed >= 0 && routed != ROUTED_TYPES) {
        if (x->snapshot->list_count == 0) return 0;
        const struct answer_set *set =
            answer_set_of(x->snapshot, (size_t)node->routed, choose_list(x), routed);
        if (!set->rrset || !fits(x, set->body[dnssec_ok])) return 0;
        x->log.routed = true;
        return copy_body(x, set->body[dnssec_ok]);
    }
    for (uint16_t i = 0; i < node->body_count; i++)
        if (node->bodies[i][0]->type == type)
            return fits(x, node->bodies[i][dnssec_ok]) ? copy_body(x, node->bodies[i][dnssec_ok]) : 0;
    if (!node->has_other || !fits(x, node->other[dnssec_ok])) return 0;
    return copy_body(x, node->other[dnssec_ok]);
}

/* Nothing but what was encoded: where it does not fit, TC says so. */
static size_t answer_overlaid(struct answer_exchange *x, const struct answer_node *node) {
    uint16_t type = x->query.type;
    bool dnssec_ok = x->query.edns.dnssec_ok;
    bool positive = type == DNS_TYPE_TXT || type == DNS_TYPE_ANY;
    const struct answer_body *body = positive ? node->bodies[0][dnssec_ok] : node->other[dnssec_ok];
    if (fits(x, body)) return copy_body(x, body);
    struct dns_writer writer;
    answer_begin(x, &writer, DNS_FLAG_AA, DNS_NOERROR);
    writer.truncated = true;
    return answer_finish(x, &writer);
}

static size_t answer_internet(struct answer_exchange *x) {
    const struct answer_zones *zones = x->snapshot->zones;
    x->subject = sk_hash64(x->query.name.wire, x->query.name.length);
    const struct answer_node *node = answer_node_find(zones, &x->query.name, x->subject);
    size_t bytes = node ? answer_node(x, node) : 0;
    if (bytes) return bytes;
    if (!node && x->answerer->overlay) {
        node = overlay_find(x->answerer->overlay, &x->query.name);
        if (node) return answer_overlaid(x, node);
    }
    const struct zone *zone = node && x->query.type != DNS_TYPE_DS
                                  ? node->zone
                                  : answer_zone_for(zones, &x->query.name, x->query.type);
    return zone ? compose(x, zone) : answer_bare(x, DNS_REFUSED, EDE_NOT_AUTHORITATIVE);
}

/* version.bind, id.server and the like (RFC 4892), when the operator wants to tell. */
static size_t answer_chaos(struct answer_exchange *x) {
    static const struct {
        uint8_t bytes;
        const char *wire;
        bool version;
    } names[] = {{14, "\7version\4bind", true},
                 {16, "\7version\6server", true},
                 {11, "\2id\6server", false},
                 {15, "\10hostname\4bind", false}};
    const struct answer_options *options = &x->snapshot->options;
    for (size_t i = 0; i < SK_COUNT(names); i++) {
        sk_str text = names[i].version ? options->version : options->identity;
        if (x->query.name.length != names[i].bytes ||
            memcmp(x->query.name.wire, names[i].wire, names[i].bytes) != 0 || x->query.type != DNS_TYPE_TXT ||
            text.len == 0)
            continue;
        uint8_t data[12 + 256] = {0xc0, 12, 0, DNS_TYPE_TXT, 0, CLASS_CHAOS};
        data[11] = (uint8_t)(text.len + 1);
        data[12] = (uint8_t)text.len;
        data[10] = (uint8_t)((text.len + 1) >> 8);
        memcpy(data + 13, text.data, text.len);
        struct dns_writer writer;
        answer_begin(x, &writer, DNS_FLAG_AA, DNS_NOERROR);
        (void)!dns_writer_encoded(&writer, DNS_ANSWER, data, 13 + text.len, 1);
        return answer_finish(x, &writer);
    }
    return answer_bare(x, DNS_REFUSED, EDE_NONE);
}

/* Types that ask for something else than records (RFC 6895 3.1). */
static size_t refuse_meta_type(struct answer_exchange *x) {
    uint16_t type = x->query.type;
    if (type == DNS_TYPE_OPT || type == DNS_TYPE_NXNAME || type == 0)
        return answer_bare(x, DNS_FORMERR, EDE_INVALID_QUERY_TYPE);
    if (type == DNS_TYPE_IXFR && x->transport == ANSWER_UDP) return 0; /* as SOA (RFC 1995 section 2) */
    if (type == DNS_TYPE_AXFR || type == DNS_TYPE_IXFR) return answer_bare(x, DNS_REFUSED, EDE_NONE);
    bool meta = type > DNS_TYPE_NXNAME && type < DNS_TYPE_ANY;
    return meta ? answer_bare(x, DNS_NOTIMP, EDE_NONE) : 0;
}

size_t answer_respond(struct answer_exchange *x) {
    if (x->query.opcode != OPCODE_QUERY) return answer_bare(x, DNS_NOTIMP, EDE_NONE);
    if (!take_cookie(x)) return answer_bare(x, DNS_BADCOOKIE, EDE_NONE);
    if (x->query.class_ == CLASS_CHAOS) return answer_chaos(x);
    if (x->query.class_ != CLASS_IN) return answer_bare(x, DNS_REFUSED, EDE_NONE);
    size_t bytes = refuse_meta_type(x);
    if (bytes) return bytes;
    if (x->query.type == DNS_TYPE_IXFR) x->query.type = DNS_TYPE_SOA;
    return answer_internet(x);
}
