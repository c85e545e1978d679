/* One query between its parsing and its sending: answer.c takes it from end to end, answer_exchange.c says what it is
 * answered with. One thread. */
#ifndef SK_ROUTE_ANSWER_EXCHANGE_H
#define SK_ROUTE_ANSWER_EXCHANGE_H

#include "route/answer_private.h"

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

/* One query and what becomes of it. */
struct answer_exchange {
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

static inline void answer_count(const struct answer_exchange *x, enum observe_counter counter) {
    if (x->answerer->metrics) observe_count(x->answerer->metrics, counter);
}

/* Begins an answer: WRITER is behind the question, and leaves room for OPT. */
void answer_begin(struct answer_exchange *x, struct dns_writer *writer, uint16_t flags, enum dns_rcode rcode);
/* Ends what was begun, with OPT. The bytes of the whole. */
size_t answer_finish(struct answer_exchange *x, struct dns_writer *writer);
/* An answer without records, with an info code or EDE_NONE. */
size_t answer_bare(struct answer_exchange *x, enum dns_rcode rcode, int ede);
/* The answer to X's query, but for its signature and the limits on how many may be sent; its length, 0: it has none. */
size_t answer_respond(struct answer_exchange *x);

#endif
