/* The sites of a running router kept as they are now: checks, reports and time change them, and a new table follows.
 * Main thread. */
#ifndef SK_ROUTE_WATCH_H
#define SK_ROUTE_WATCH_H

#include "route/process.h"
#include "route/sites.h"

/* SK_ERR_NO_MEMORY. */
sk_err watch_start(struct route_process *process);
/* SITES, of a plan that is put in force next, take the place of process->sites (taken on success) and are checked as
 * CONFIG says. SK_ERR_INVALID (told in the log), SK_ERR_NO_MEMORY. */
sk_err watch_use(struct route_process *process, struct sites *sites, const struct config_route *config);
/* Something may have changed: a new table follows soon. */
void watch_changed(struct route_process *process);
/* Looks at what time alone changes, now and from then on. */
void watch_look(struct route_process *process);
/* When the loop has ended. */
void watch_stop(struct route_process *process);
/* When the loop is gone. */
void watch_free(struct route_process *process);

#endif
