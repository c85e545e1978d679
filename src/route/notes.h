/* What a thread that answers notes about a few of its queries: the query log and the busiest clients and names. All of it
 * costs the other queries one comparison. */
#ifndef SK_ROUTE_NOTES_H
#define SK_ROUTE_NOTES_H

#include "route/plan.h"
#include "route/query_log.h"
#include "route/top.h"

/* Own thread, but for `top`, which any thread reads. */
struct route_notes {
    struct query_log log;
    struct top *top;
};
/* For a thread that begins: LOG as in query_log_join. SK_ERR_NO_MEMORY. */
sk_err route_notes_start(struct route_notes *notes, struct access_log *log, struct observe_thread *metrics);
void route_notes_end(struct route_notes *notes);
/* PLAN is in force from now on. */
void route_notes_use(struct route_notes *notes, const struct route_plan *plan);

struct route_note {
    enum answer_transport transport;
    const struct io_addr *client;
    const struct answer_log *answer;
    size_t bytes;    /* of the answer */
    bool is_logged;  /* query_log_wants said so */
    uint32_t weight; /* of top_due; 0: not for `top` */
};
void route_notes_take(struct route_notes *notes, const struct route_plan *plan, const struct route_note *note,
                      sk_time_ns now);

#endif
