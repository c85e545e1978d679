#include "route/answer.h"

#include <stdlib.h>

#include "base/hash.h"
#include "route/answer_private.h"
#include "route/overlay.h"

/* Of 16 and of 80 bytes each, a thread. */
enum { RATE_BUCKETS = 65536, SIGNATURES_KEPT = 8192 };
enum { CLASS_IN = 1, CLASS_CHAOS = 3, UDP_PLAIN = 512, OPCODE_QUERY = 0 };
/* Info codes of extended errors (RFC 8914; 30 of RFC 9824). */
enum { EDE_NONE = -1, EDE_NOT_AUTHORITATIVE = 20, EDE_INVALID_QUERY_TYPE = 30 };

struct answerer {
    struct rate_table *rates;
    struct dnssec_memo *memo;
    const struct overlay *overlay;  /* NULL: none */
    struct observe_thread *metrics; /* NULL: none */
    /* queries of the present second, for answer_options.badcookie_above */
    int64_t second;
    uint32_t queries;
};

void answerer_use_overlay(struct answerer *answerer, const struct overlay *overlay) {
    answerer->overlay = overlay;
}

/* One query and what becomes of it. */
struct exchange {
    struct answerer *answerer;
    const struct answer_snapshot *snapshot;
    enum answer_transport transport;
    const struct io_addr *client;
    const uint8_t *message;
    size_t message_bytes;
    sk_time_ns now;
    sk_unix_s wall_s;
    uint8_t *out;
    size_t limit; /* of the whole answer */
    struct dns_query query;
    struct dns_opt opt;
    struct tsig_request *tsig; /* NULL: the query is not signed */
    uint8_t cookie[COOKIE_BYTES];
    bool cookie_good;
    enum rate_kind kind;
    uint64_t subject;
    struct { /* of answer_log, without the room for the longest name */
        enum dns_rcode rcode;
        bool routed, truncated, rate_limited;
        enum decide_reason reason;
        uint16_t site;
        uint8_t scope_bits;
    } log;
};

sk_err answerer_create(struct observe_thread *metrics, struct answerer **out_answerer) {
    struct answerer *answerer = calloc(1, sizeof *answerer);
    if (!answerer) return SK_ERR_NO_MEMORY;
    answerer->metrics = metrics;
    sk_err err = rate_table_create(RATE_BUCKETS, &answerer->rates);
    if (!err) err = dnssec_memo_create(SIGNATURES_KEPT, &answerer->memo);
    if (err)
        answerer_free(answerer);
    else
        *out_answerer = answerer;
    return err;
}

void answerer_free(struct answerer *answerer) {
    if (!answerer) return;
    rate_table_free(answerer->rates);
    dnssec_memo_free(answerer->memo);
    free(answerer);
}

static void count(const struct exchange *x, enum observe_counter counter) {
    if (x->answerer->metrics) observe_count(x->answerer->metrics, counter);
}

/* --- the frame of an answer ------------------------------------------------------------------------- */

static size_t opt_bytes(const struct exchange *x) {
    return x->query.edns.present ? dns_opt_bytes(&x->opt) : 0;
}

static void begin(struct exchange *x, struct dns_writer *writer, uint16_t flags, enum dns_rcode rcode) {
    dns_writer_begin(writer, x->out, x->limit, opt_bytes(x), x->message, &x->query, flags, rcode);
}

static size_t finish(struct exchange *x, struct dns_writer *writer) {
    /* The room was reserved. */
    writer->limit += opt_bytes(x);
    if (x->query.edns.present) dns_writer_opt(writer, &x->opt);
    x->log.truncated = writer->truncated;
    return dns_writer_finish(writer);
}

/* An answer without records. */
static size_t bare(struct exchange *x, enum dns_rcode rcode, int ede) {
    struct dns_writer writer;
    x->kind = RATE_ERROR;
    x->opt.ede = ede;
    x->opt.extended_rcode = (uint8_t)(rcode >> 4);
    x->log.rcode = rcode;
    begin(x, &writer, 0, rcode);
    return finish(x, &writer);
}

/* --- cookies (RFC 7873 section 5.2) ------------------------------------------------------------------ */

static bool busy(struct exchange *x) {
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
static bool take_cookie(struct exchange *x) {
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

static size_t copy_body(struct exchange *x, const struct answer_body *body) {
    struct dns_writer writer;
    begin(x, &writer, body->flags, body->rcode);
    memcpy(x->out + writer.used, body->data, body->bytes);
    writer.used += body->bytes;
    memcpy(writer.counts, body->counts, sizeof writer.counts);
    x->kind = body->rate_kind;
    x->log.rcode = body->rcode;
    return finish(x, &writer);
}

static bool fits(const struct exchange *x, const struct answer_body *body) {
    return 12 + (size_t)x->query.question_bytes + body->bytes + opt_bytes(x) <= x->limit;
}

/* A resolver asks the same name for each of its clients' networks. */
static uint64_t subject_of(const struct exchange *x) {
    const struct dns_client_subnet *subnet = &x->query.edns.subnet;
    return subnet->present ? x->subject ^ sk_hash64(subnet->ip, sizeof subnet->ip) : x->subject;
}

/* The address whose place counts: the subnet that the resolver tells, else the resolver's own. A source of /0
 * tells nothing (RFC 7871 section 7.1.2), so the answer holds for everybody: scope 0. */
static void client_ip(const struct exchange *x, uint8_t ip[16]) {
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
    struct exchange *x = arg;
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

static size_t compose(struct exchange *x, const struct zone *zone) {
    struct dns_writer writer;
    begin(x, &writer, 0, DNS_NOERROR);
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
    return finish(x, &writer);
}

/* A name that was encoded beforehand; 0 when it has to be composed. */
static size_t answer_node(struct exchange *x, const struct answer_node *node) {
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
static size_t answer_overlaid(struct exchange *x, const struct answer_node *node) {
    uint16_t type = x->query.type;
    bool dnssec_ok = x->query.edns.dnssec_ok;
    bool positive = type == DNS_TYPE_TXT || type == DNS_TYPE_ANY;
    const struct answer_body *body = positive ? node->bodies[0][dnssec_ok] : node->other[dnssec_ok];
    if (fits(x, body)) return copy_body(x, body);
    struct dns_writer writer;
    begin(x, &writer, DNS_FLAG_AA, DNS_NOERROR);
    writer.truncated = true;
    return finish(x, &writer);
}

static size_t answer_internet(struct exchange *x) {
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
    return zone ? compose(x, zone) : bare(x, DNS_REFUSED, EDE_NOT_AUTHORITATIVE);
}

/* version.bind, id.server and the like (RFC 4892), when the operator wants to tell. */
static size_t answer_chaos(struct exchange *x) {
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
        begin(x, &writer, DNS_FLAG_AA, DNS_NOERROR);
        (void)!dns_writer_encoded(&writer, DNS_ANSWER, data, 13 + text.len, 1);
        return finish(x, &writer);
    }
    return bare(x, DNS_REFUSED, EDE_NONE);
}

/* Types that ask for something else than records (RFC 6895 3.1). */
static size_t refuse_meta_type(struct exchange *x) {
    uint16_t type = x->query.type;
    if (type == DNS_TYPE_OPT || type == DNS_TYPE_NXNAME || type == 0)
        return bare(x, DNS_FORMERR, EDE_INVALID_QUERY_TYPE);
    if (type == DNS_TYPE_IXFR && x->transport == ANSWER_UDP) return 0; /* as SOA (RFC 1995 section 2) */
    if (type == DNS_TYPE_AXFR || type == DNS_TYPE_IXFR) return bare(x, DNS_REFUSED, EDE_NONE);
    bool meta = type > DNS_TYPE_NXNAME && type < DNS_TYPE_ANY;
    return meta ? bare(x, DNS_NOTIMP, EDE_NONE) : 0;
}

static size_t answer(struct exchange *x) {
    if (x->query.opcode != OPCODE_QUERY) return bare(x, DNS_NOTIMP, EDE_NONE);
    if (!take_cookie(x)) return bare(x, DNS_BADCOOKIE, EDE_NONE);
    if (x->query.class_ == CLASS_CHAOS) return answer_chaos(x);
    if (x->query.class_ != CLASS_IN) return bare(x, DNS_REFUSED, EDE_NONE);
    size_t bytes = refuse_meta_type(x);
    if (bytes) return bytes;
    if (x->query.type == DNS_TYPE_IXFR) x->query.type = DNS_TYPE_SOA;
    return answer_internet(x);
}

/* --- from end to end -------------------------------------------------------------------------------- */

/* What OPT says whatever the answer is. */
static void prepare_opt(struct exchange *x) {
    const struct dns_edns *edns = &x->query.edns;
    x->opt = (struct dns_opt){.payload = DNS_UDP_PAYLOAD, .ede = EDE_NONE};
    if (!edns->present || edns->version != 0) return;
    x->opt.dnssec_ok = edns->dnssec_ok;
    if (edns->subnet.present) x->opt.subnet = &edns->subnet;
    if (edns->nsid) x->opt.nsid = x->snapshot->options.nsid;
}

static size_t limit_of(const struct exchange *x, size_t capacity) {
    if (x->transport == ANSWER_TCP) return SK_MIN(capacity, UINT16_MAX);
    size_t payload = x->query.edns.present ? SK_MIN(x->query.edns.payload, DNS_UDP_PAYLOAD) : UDP_PLAIN;
    return SK_MIN(capacity, payload);
}

static enum rate_verdict charge(struct exchange *x, enum rate_kind kind, uint64_t subject) {
    const struct rate_options *options = &x->snapshot->options.rate;
    if (options->per_second[kind] == 0) return RATE_SEND;
    return rate_charge(x->answerer->rates, options, x->client, kind, subject, x->now);
}

/* By name, so that no resolver suffers for another's flood; and what is worth forging also by network alone, since a
 * forger has many names and client subnets to ask with. */
static enum rate_verdict judge(struct exchange *x, size_t bytes) {
    uint64_t subject = x->kind == RATE_ERROR ? 0 : x->kind == RATE_NO_NAME ? x->subject : subject_of(x);
    enum rate_verdict verdict = charge(x, x->kind, subject);
    bool large = bytes > RATE_LARGE_TIMES * x->message_bytes;
    return verdict == RATE_SEND && large ? charge(x, RATE_LARGE, 0) : verdict;
}

/* RRL: what goes out in place of the answer. */
static size_t limit_rate(struct exchange *x, size_t bytes) {
    if (x->transport != ANSWER_UDP || x->cookie_good || bytes == 0) return bytes;
    enum rate_verdict verdict = judge(x, bytes);
    if (verdict == RATE_SEND) return bytes;
    x->log.rate_limited = true;
    count(x, OBSERVE_DNS_RATE_LIMITED);
    if (verdict == RATE_DROP) return 0;
    struct dns_writer writer;
    x->opt.ede = EDE_NONE;
    begin(x, &writer, 0, DNS_NOERROR);
    writer.truncated = true;
    return finish(x, &writer);
}

static void count_answer(const struct exchange *x, size_t bytes) {
    if (!x->answerer->metrics) return;
    count(x, x->transport == ANSWER_UDP ? OBSERVE_DNS_QUERIES_UDP : OBSERVE_DNS_QUERIES_TCP);
    if (bytes == 0) return;
    enum dns_rcode rcode = x->log.rcode;
    count(x, rcode == DNS_NOERROR    ? OBSERVE_DNS_NOERROR
             : rcode == DNS_NXDOMAIN ? OBSERVE_DNS_NXDOMAIN
             : rcode == DNS_REFUSED  ? OBSERVE_DNS_REFUSED
             : rcode == DNS_FORMERR  ? OBSERVE_DNS_FORMERR
                                     : OBSERVE_DNS_OTHER);
    if (x->log.routed) count(x, OBSERVE_DNS_ROUTED);
    if (x->log.truncated) count(x, OBSERVE_DNS_TRUNCATED);
}

static void tell_log(const struct exchange *x, struct answer_log *out_log) {
    *out_log = (struct answer_log){.type = x->query.type,
                                   .name = x->query.name,
                                   .rcode = x->log.rcode,
                                   .kind = x->kind,
                                   .dnssec_ok = x->query.edns.dnssec_ok,
                                   .subnet = x->query.edns.subnet,
                                   .scope_sent = x->opt.scope_bits,
                                   .routed = x->log.routed,
                                   .truncated = x->log.truncated,
                                   .rate_limited = x->log.rate_limited,
                                   .reason = x->log.reason,
                                   .site = x->log.site,
                                   .scope_bits = x->log.scope_bits};
}

/* --- signed queries (RFC 8945) ---------------------------------------------------------------------- */

/* The answer without its signature, for which there is room behind it. */
static size_t answer_signed(struct exchange *x) {
    sk_err err = tsig_open(&x->snapshot->options.tsig, x->message, x->message_bytes, x->query.tsig_at,
                           x->wall_s, x->tsig);
    size_t least = 12 + (size_t)x->query.question_bytes + dns_opt_bytes(&x->opt);
    if (!err && least + tsig_room(x->tsig) > x->limit) err = SK_ERR_FULL; /* absurdly long names */
    if (err) {
        x->tsig = NULL;
        return bare(x, err == SK_ERR_NO_MEMORY ? DNS_SERVFAIL : DNS_FORMERR, EDE_NONE);
    }
    x->limit -= tsig_room(x->tsig);
    if (x->tsig->error) return bare(x, DNS_NOTAUTH, EDE_NONE);
    x->cookie_good = true; /* it has shown who it is */
    return answer(x);
}

static size_t sign(struct exchange *x, size_t bytes, size_t capacity) {
    return tsig_close(x->tsig, x->out, &bytes, capacity, x->wall_s) ? 0 : bytes;
}

/* NOLINTNEXTLINE(readability-function-size): its parameters are what a query is */
size_t answer_query(struct answerer *answerer, const struct answer_snapshot *snapshot,
                    enum answer_transport transport, const struct io_addr *client, const uint8_t *query,
                    size_t query_bytes, sk_time_ns now, sk_unix_s wall_s, uint8_t *out, size_t capacity,
                    struct answer_log *out_log) {
    struct exchange x;
    struct tsig_request tsig; /* left as it is but for signed queries */
    enum dns_rcode rcode;
    SK_ASSERT(capacity >= UDP_PLAIN);
    sk_err err = dns_query_parse(query, query_bytes, &x.query, &rcode);
    if (err == SK_ERR_INVALID) return 0;
    x.answerer = answerer;
    x.snapshot = snapshot;
    x.transport = transport;
    x.client = client;
    x.message = query;
    x.message_bytes = query_bytes;
    x.now = now;
    x.wall_s = wall_s;
    x.out = out;
    x.tsig = err || !x.query.tsig_at ? NULL : &tsig;
    x.cookie_good = false;
    x.subject = 0;
    x.kind = RATE_ANSWER;
    memset(&x.log, 0, sizeof x.log);
    x.limit = limit_of(&x, capacity);
    prepare_opt(&x);
    size_t bytes = err ? bare(&x, rcode, EDE_NONE) : x.tsig ? answer_signed(&x) : answer(&x);
    bytes = limit_rate(&x, bytes);
    if (SK_UNLIKELY(x.tsig) && bytes) bytes = sign(&x, bytes, capacity);
    count_answer(&x, bytes);
    if (out_log) tell_log(&x, out_log);
    return bytes;
}
