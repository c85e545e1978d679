/* Purges as they come in, whatever the way: applied, counted, timed, and told in the log. */
#ifndef SK_EDGE_PURGE_H
#define SK_EDGE_PURGE_H

#include "edge/purge_target.h"
#include "observe/metrics.h"

struct edge_purge_done {
    uint64_t number; /* of the last one: the purge clock's tick */
    int64_t took_ns; /* all of them together */
};

/* In force when it returns. METRICS are the calling thread's. WHO asks stands in the log ("admin", "192.0.2.1").
 * SK_ERR_INVALID, SK_ERR_TOO_LARGE: one of them is none (never when it comes from edge_purge_resolve); those before it
 * are in force. */
sk_err edge_purge_apply(struct cache *cache, struct observe_thread *metrics,
                        const struct edge_purge_list *list, sk_str who, struct edge_purge_done *out_done);

/* {"purge":7,"purges":1,"kind":"tag","soft":false,"applied_us":0.4} and a line feed. */
sk_err edge_purge_write(const struct edge_purge_list *list, const struct edge_purge_done *done,
                        struct sk_buf *out);

#endif
