/* Making a new plan beside the main thread: a large table takes a while, in which the main thread goes on with health, reports
 * and requests. One at a time, on a thread of its own for each. Main thread. */
#ifndef SK_ROUTE_BUILDER_H
#define SK_ROUTE_BUILDER_H

#include "io/loop.h"
#include "route/plan.h"

struct builder;

/* DONE is called on LOOP's thread when a plan has been made (its reference is DONE's) or, with an ERR, could not be. */
typedef void builder_done(void *arg, sk_err err, struct route_plan *plan);
/* SK_ERR_NO_MEMORY. */
sk_err builder_create(struct io_loop *loop, builder_done *done, void *arg, struct builder **out_builder);
/* While it runs, what INPUT of builder_start points to but for the sites must stay. */
bool builder_runs(const struct builder *builder);
/* Of INPUT the configuration, the previous plan and the measurements are referred to and the sites copied; the memo and the kept
 * table are the builder's until it is done. Not while it runs. SK_ERR_NO_MEMORY. */
sk_err builder_start(struct builder *builder, const struct route_plan_input *input);
/* Waits for the one that runs, and drops what it makes. */
void builder_cancel(struct builder *builder);
/* The same, and frees. NULL is allowed. */
void builder_free(struct builder *builder);

#endif
