/* Asks every edge, again and again, whether it can serve, and what its clients measure: a thread of its own with a loop and a fiber for each edge,
 * so that neither the answering nor the making of a large table delays a check. Results go to the main loop. */
#ifndef SK_ROUTE_PROBER_H
#define SK_ROUTE_PROBER_H

#include "config/route.h"
#include "io/loop.h"
#include "route/health.h"

struct prober;

struct probe_result {
    uint32_t target;           /* index in the list that was given */
    bool is_report;            /* in the list of reports; else in that of edges */
    enum health_result result; /* of a check */
    const char *why;           /* constant; NULL: good */
    sk_str report;             /* what came, during the call only */
};
/* Main thread. Only of the lists that were given last. */
typedef void prober_told(void *arg, const struct probe_result *result);

struct prober_work {                          /* read during the call only */
    const struct config_route_health *health; /* without a check: no edge is asked */
    const struct io_addr *edges;
    size_t edge_count;
    const struct config_route_reports *reports;
    const struct io_addr *report_addrs;
    size_t report_count;
    size_t report_bytes; /* longer ones are dropped */
};

/* MAIN_LOOP runs TOLD. Starts the thread, which checks nothing yet. SK_ERR_NO_MEMORY. */
sk_err prober_start(struct io_loop *main_loop, prober_told *told, void *arg, struct prober **out_prober);
/* From now on does WORK, and nothing else. SK_ERR_INVALID: the file of certificates; SK_ERR_NO_MEMORY. Then all is as
 * before. */
sk_err prober_use(struct prober *prober, const struct prober_work *work);
/* Ends the thread; TOLD is not called any more. When the main loop has ended. NULL is allowed. */
void prober_stop(struct prober *prober);
/* After it, and after the main loop is gone with what was posted to it. NULL is allowed. */
void prober_free(struct prober *prober);

#endif
