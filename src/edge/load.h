/* How busy this edge is, for routers: looked at each second, smoothed over some. And what it tells them of its clients'
 * round trip times. Main thread, but for what is said to be a worker's. */
#ifndef SK_EDGE_LOAD_H
#define SK_EDGE_LOAD_H

#include "base/buf.h"
#include "io/addr.h"
#include "io/loop.h"

struct edge_process;
struct edge_worker;

struct edge_load {
    struct io_timer timer;
    sk_time_ns at; /* of the last look */
    double cpu_s, requests, hits, misses;
    double load; /* 1 is all that it can; smoothed */
    double recent_hits, recent_asked;
    double hit_ratio; /* of them; NAN: nothing was asked yet */
};

void edge_load_start(struct edge_process *process);
/* What routers ask for: "load L", "hit_ratio R" (without it when unknown) and a line for each network of clients
 * (observe/rtt.h). SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE. */
sk_err edge_load_write(const struct edge_process *process, struct sk_buf *out);

/* Worker's thread: a client's connection is about to be closed; its round trip time is noted. */
void edge_load_note(struct edge_worker *worker, int fd, const struct io_addr *client);
/* The same for one whose least round trip time is known already; 0: unknown. */
void edge_load_note_rtt(struct edge_worker *worker, const struct io_addr *client, uint32_t rtt_us);

#endif
