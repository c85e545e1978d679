/* From a query's bytes to an answer's bytes: the whole of authoritative service as one function without I/O. The
 * server (UDP and TCP), the tests, the fuzzers and the benchmarks call the same. Threads each have an
 * answerer of their own; the data (zones, tables) is an immutable snapshot that is swapped by pointer. */
#ifndef SK_ROUTE_ANSWER_H
#define SK_ROUTE_ANSWER_H

#include "io/addr.h"
#include "route/table.h"
#include "route/zone.h"

struct answer_snapshot; /* zones + routing table + keys; referenced */
struct answerer;        /* one a thread: counters, rate limits, scratch */

enum answer_transport { ANSWER_UDP, ANSWER_TCP };

struct answer_log { /* for the query log and explain */
    uint16_t type;
    struct dns_name name;
    enum dns_rcode rcode;
    bool routed, truncated, rate_limited;
    enum decide_reason reason;
    uint16_t site;
    uint8_t scope_bits;
};

/* Writes at most CAPACITY bytes to OUT; returns the length, 0 when nothing may be sent (not a query, rate
 * limited). Never longer than three times what was asked over UDP without a valid cookie beyond 1232 bytes. */
size_t answer_query(struct answerer *answerer, const struct answer_snapshot *snapshot,
                    enum answer_transport transport, const struct io_addr *client, const uint8_t *query,
                    size_t query_bytes, sk_time_ns now, sk_unix_s wall_s, uint8_t *out, size_t capacity,
                    struct answer_log *out_log);

#endif
