/* Round trip times of clients as their connections show them, by network: what routers learn from. Each thread has a
 * table of its own with its own lock, which nobody else wants but a reader every few seconds; a sample is taken when a
 * connection ends, never on a hit's way. Networks are /24 and /48; when a table is full the quietest become part of
 * wider ones. Counts halve every ten minutes. Bounded: OBSERVE_RTT_ENTRIES networks a thread. */
#ifndef SK_OBSERVE_RTT_H
#define SK_OBSERVE_RTT_H

#include "base/buf.h"
#include "base/time.h"

#define OBSERVE_RTT_ENTRIES 1024 /* of 160 bytes */

struct observe_rtt;

/* A table for the calling thread; it lives as long as the process. SK_ERR_NO_MEMORY. */
sk_err observe_rtt_join(struct observe_rtt **out_table);
/* A sample: the address as 16 bytes (IPv4 mapped). Owner's thread. */
void observe_rtt_add(struct observe_rtt *table, const uint8_t ip[16], uint32_t rtt_us, sk_time_ns now);
/* Networks in one table. Any thread. */
uint32_t observe_rtt_count(struct observe_rtt *table);
/* A line for each network of all tables: "203.0.113.0/24 COUNT P50 P90" in milliseconds. Any thread. SK_ERR_NO_MEMORY,
 * SK_ERR_TOO_LARGE (OUT's limit). */
sk_err observe_rtt_write(sk_time_ns now, struct sk_buf *out);

#endif
