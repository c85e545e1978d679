/* The query log: for one query of so many a line of JSON, with the reason of its answer, to a file or stdout. Threads format
 * into rings of their own, one writer writes (observe/access_log.h): nothing here blocks a query. A thread writes so
 * many lines a second at most. */
#ifndef SK_ROUTE_QUERY_LOG_H
#define SK_ROUTE_QUERY_LOG_H

#include "config/route.h"
#include "observe/access_log.h"
#include "route/answer.h"

/* Why an answer is as it is, where the routing table did not decide; there it is a reason of decide.h, in lower case. */
#define QUERY_REASON_TABLE(X)                                                                                \
    X(ZONE, "zone", "the zone's own records")                                                                \
    X(NO_DATA, "no_data", "the name has no record of the type")                                              \
    X(NO_NAME, "no_name", "the name does not exist")                                                         \
    X(REFERRAL, "referral", "the name is delegated to others")                                               \
    X(RATE_LIMITED, "rate_limited", "held back, or truncated, by `rate_limit`")                              \
    X(REFUSED, "refused", "in none of the zones, or not for this client")                                    \
    X(MALFORMED, "malformed", "cannot be read")                                                              \
    X(UNKNOWN, "unknown", "an opcode, type or version that is not served")                                   \
    X(BAD_COOKIE, "bad_cookie", "under load, without a good cookie")                                         \
    X(NOT_SIGNED, "not_signed", "its signature (TSIG) is wrong")                                             \
    X(FAILED, "failed", "something went wrong here")

/* One a thread. */
struct query_log {
    /* set once at start */
    struct access_log_ring *ring;
    struct observe_thread *metrics;
    /* own thread */
    uint32_t left; /* queries until the next line */
    uint64_t random;
    int64_t second; /* of the lines counted in `lines` */
    uint32_t lines;
};
/* LOG may be one of no file, which is turned on later. SK_ERR_NO_MEMORY. */
sk_err query_log_join(struct access_log *log, struct observe_thread *metrics, struct query_log *out_log);

/* How many queries pass until the next line; UINT32_MAX while there is no log. */
void query_log_begin(struct query_log *log, const struct config_route_query_log *rules);
/* Whether this query is one to log; so little is done for the others. */
static inline bool query_log_wants(struct query_log *log) {
    return SK_UNLIKELY(log->left == 0) || (log->left != UINT32_MAX && --log->left == 0);
}

struct query_log_entry {
    enum answer_transport transport;
    const struct io_addr *client;
    const struct answer_log *answer;
    sk_str site;  /* name; empty: none */
    size_t bytes; /* of the answer; 0: none was sent */
};
/* And draws when the next one is due. */
void query_log_write(struct query_log *log, const struct config_route_query_log *rules,
                     const struct query_log_entry *entry, int64_t wall_ns);
/* The line of ENTRY; pure. OUT has QUERY_LOG_LINE_MAX bytes. */
#define QUERY_LOG_LINE_MAX 4096
size_t query_log_format(const struct query_log_entry *entry, int64_t wall_ns, char *out);

#endif
