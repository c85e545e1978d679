#include "route/answer.h"

#include <stdlib.h>

#include "base/hash.h"
#include "route/answer_exchange.h"

/* Of 16 and of 80 bytes each, a thread. */
enum { RATE_BUCKETS = 65536, SIGNATURES_KEPT = 8192 };
enum { UDP_PLAIN = 512 };
enum { LATER_OPTIONS = 4 + 24 + 4 + 2 }; /* of OPT, known while answering: a cookie, a reason */

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

void answerer_use_overlay(struct answerer *answerer, const struct overlay *overlay) {
    answerer->overlay = overlay;
}

/* --- from end to end -------------------------------------------------------------------------------- */

/* What OPT says whatever the answer is. */
static void prepare_opt(struct answer_exchange *x) {
    const struct dns_edns *edns = &x->query.edns;
    x->opt = (struct dns_opt){.payload = DNS_UDP_PAYLOAD, .ede = EDE_NONE};
    if (!edns->present || edns->version != 0) return;
    x->opt.dnssec_ok = edns->dnssec_ok;
    if (edns->subnet.present) x->opt.subnet = &edns->subnet;
    if (edns->nsid) x->opt.nsid = x->snapshot->options.nsid;
    /* A server's name may be longer than what the client takes leaves beside the question and the other options. */
    size_t least = 12 + (size_t)x->query.question_bytes + dns_opt_bytes(&x->opt) + LATER_OPTIONS;
    if (least > x->limit) x->opt.nsid = SK_STR("");
}

static size_t limit_of(const struct answer_exchange *x, size_t capacity) {
    if (x->transport == ANSWER_TCP) return SK_MIN(capacity, UINT16_MAX);
    size_t payload = x->query.edns.present ? SK_MIN(x->query.edns.payload, DNS_UDP_PAYLOAD) : UDP_PLAIN;
    return SK_MIN(capacity, payload);
}

static enum rate_verdict charge(struct answer_exchange *x, enum rate_kind kind, uint64_t subject) {
    const struct rate_options *options = &x->snapshot->options.rate;
    if (options->per_second[kind] == 0) return RATE_SEND;
    return rate_charge(x->answerer->rates, options, x->client, kind, subject, x->now);
}

/* A resolver asks the same name for each of its clients' networks. */
static uint64_t subject_of(const struct answer_exchange *x) {
    const struct dns_client_subnet *subnet = &x->query.edns.subnet;
    return subnet->present ? x->subject ^ sk_hash64(subnet->ip, sizeof subnet->ip) : x->subject;
}

/* By name, so that no resolver suffers for another's flood; and what is worth forging also by network alone, since a
 * forger has many names and client subnets to ask with. */
static enum rate_verdict judge(struct answer_exchange *x, size_t bytes) {
    uint64_t subject = x->kind == RATE_ERROR ? 0 : x->kind == RATE_NO_NAME ? x->subject : subject_of(x);
    enum rate_verdict verdict = charge(x, x->kind, subject);
    bool large = bytes > RATE_LARGE_TIMES * x->message_bytes;
    return verdict == RATE_SEND && large ? charge(x, RATE_LARGE, 0) : verdict;
}

/* RRL: what goes out in place of the answer. */
static size_t limit_rate(struct answer_exchange *x, size_t bytes) {
    if (x->transport != ANSWER_UDP || x->cookie_good || bytes == 0) return bytes;
    enum rate_verdict verdict = judge(x, bytes);
    if (verdict == RATE_SEND) return bytes;
    x->log.rate_limited = true;
    answer_count(x, OBSERVE_DNS_RATE_LIMITED);
    if (verdict == RATE_DROP) return 0;
    struct dns_writer writer;
    x->opt.ede = EDE_NONE;
    answer_begin(x, &writer, 0, DNS_NOERROR);
    writer.truncated = true;
    return answer_finish(x, &writer);
}

static void count_answer(const struct answer_exchange *x, size_t bytes) {
    if (!x->answerer->metrics) return;
    answer_count(x, x->transport == ANSWER_UDP ? OBSERVE_DNS_QUERIES_UDP : OBSERVE_DNS_QUERIES_TCP);
    if (bytes == 0) return;
    enum dns_rcode rcode = x->log.rcode;
    answer_count(x, rcode == DNS_NOERROR    ? OBSERVE_DNS_NOERROR
                    : rcode == DNS_NXDOMAIN ? OBSERVE_DNS_NXDOMAIN
                    : rcode == DNS_REFUSED  ? OBSERVE_DNS_REFUSED
                    : rcode == DNS_FORMERR  ? OBSERVE_DNS_FORMERR
                                            : OBSERVE_DNS_OTHER);
    if (x->log.routed) answer_count(x, OBSERVE_DNS_ROUTED);
    if (x->log.truncated) answer_count(x, OBSERVE_DNS_TRUNCATED);
}

static void tell_log(const struct answer_exchange *x, struct answer_log *out_log) {
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
static size_t answer_signed(struct answer_exchange *x) {
    sk_err err = tsig_open(&x->snapshot->options.tsig, x->message, x->message_bytes, x->query.tsig_at,
                           x->wall_s, x->tsig);
    size_t least = 12 + (size_t)x->query.question_bytes + dns_opt_bytes(&x->opt);
    if (!err && least + tsig_room(x->tsig) > x->limit) err = SK_ERR_FULL; /* absurdly long names */
    if (err) {
        x->tsig = NULL;
        return answer_bare(x, err == SK_ERR_NO_MEMORY ? DNS_SERVFAIL : DNS_FORMERR, EDE_NONE);
    }
    x->limit -= tsig_room(x->tsig);
    if (x->tsig->error) return answer_bare(x, DNS_NOTAUTH, EDE_NONE);
    x->cookie_good = true; /* it has shown who it is */
    return answer_respond(x);
}

static size_t sign(struct answer_exchange *x, size_t bytes, size_t capacity) {
    return tsig_close(x->tsig, x->out, &bytes, capacity, x->wall_s) ? 0 : bytes;
}

/* NOLINTNEXTLINE(readability-function-size): its parameters are what a query is */
size_t answer_query(struct answerer *answerer, const struct answer_snapshot *snapshot,
                    enum answer_transport transport, const struct io_addr *client, const uint8_t *query,
                    size_t query_bytes, sk_time_ns now, sk_unix_s wall_s, uint8_t *out, size_t capacity,
                    struct answer_log *out_log) {
    struct answer_exchange x;
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
    size_t bytes = err ? answer_bare(&x, rcode, EDE_NONE) : x.tsig ? answer_signed(&x) : answer_respond(&x);
    bytes = limit_rate(&x, bytes);
    if (SK_UNLIKELY(x.tsig) && bytes) bytes = sign(&x, bytes, capacity);
    count_answer(&x, bytes);
    if (out_log) tell_log(&x, out_log);
    return bytes;
}
