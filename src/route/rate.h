/* Response rate limiting: how many answers of one kind a network gets per second, so that a flood of forged
 * queries is not reflected at whom it names. Token buckets in a table of fixed size; a bucket that is needed
 * for another network is simply taken over, the least recently used of four. One thread. */
#ifndef SK_ROUTE_RATE_H
#define SK_ROUTE_RATE_H

#include "base/time.h"
#include "io/addr.h"

struct rate_table;

enum rate_kind {
    RATE_ANSWER,
    RATE_NO_DATA,
    RATE_NO_NAME,
    RATE_REFERRAL,
    RATE_ERROR,
    RATE_LARGE, /* besides its kind: an answer of more than RATE_LARGE_TIMES its query's length */
    RATE_KIND_COUNT
};
#define RATE_LARGE_TIMES 3

struct rate_options {
    uint32_t per_second[RATE_KIND_COUNT]; /* answers a second of one kind; 0: no limit */
    uint32_t slip; /* every how-many-th answer over the limit goes out, truncated; 0: none, 1: all */
};
void rate_options_default(struct rate_options *out_options);

enum rate_verdict { RATE_SEND, RATE_SLIP, RATE_DROP };

/* BUCKETS is rounded up to a power of two (16 bytes each). SK_ERR_NO_MEMORY. */
sk_err rate_table_create(size_t buckets, struct rate_table **out_table);
void rate_table_free(struct rate_table *table);
/* Charges one answer to CLIENT's network (/24 or /56). SUBJECT tells answers of a kind apart: a hash of the
 * name for real answers, of the zone for denials, 0 for errors and for large ones. */
enum rate_verdict rate_charge(struct rate_table *table, const struct rate_options *options,
                              const struct io_addr *client, enum rate_kind kind, uint64_t subject,
                              sk_time_ns now);

#endif
