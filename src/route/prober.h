/* Asks every edge, again and again, whether it can serve: a thread of its own with a loop and a fiber for each edge,
 * so that neither the answering nor the making of a large table delays a check. Results go to the main loop. */
#ifndef SK_ROUTE_PROBER_H
#define SK_ROUTE_PROBER_H

#include "config/route.h"
#include "io/loop.h"
#include "route/health.h"

struct prober;

struct probe_result {
    uint32_t target; /* index in the list that was given */
    enum health_result result;
    const char *why; /* constant; NULL: good */
};
/* Main thread. Only of the list that was given last. */
typedef void prober_told(void *arg, const struct probe_result *result);

/* MAIN_LOOP runs TOLD. Starts the thread, which checks nothing yet. SK_ERR_NO_MEMORY. */
sk_err prober_start(struct io_loop *main_loop, prober_told *told, void *arg, struct prober **out_prober);
/* From now on checks the COUNT addresses of TARGETS as HEALTH says (both are copied), and nothing else. Without a
 * check in HEALTH: nothing. SK_ERR_INVALID: the file of certificates; SK_ERR_NO_MEMORY. Then all is as before. */
sk_err prober_use(struct prober *prober, const struct config_route_health *health,
                  const struct io_addr *targets, size_t count);
/* Ends the thread; TOLD is not called any more. When the main loop has ended. NULL is allowed. */
void prober_stop(struct prober *prober);
/* After it, and after the main loop is gone with what was posted to it. NULL is allowed. */
void prober_free(struct prober *prober);

#endif
