/* The routing table on disk (route/table.h), in the folder `state`: a router that starts again sends clients where it
 * sent them before, until it knows better; also when the databases of places are gone. Main thread. */
#ifndef SK_ROUTE_KEEP_H
#define SK_ROUTE_KEEP_H

#include "route/process.h"

/* At most so often. */
#define KEEP_EVERY_NS (5 * SK_NS_PER_S)
/* After a start nobody moves to a site that was not checked yet, for at most so long. */
#define KEEP_SETTLE_NS (10 * SK_NS_PER_S)

/* Whether CONFIG's folder holds a table. */
bool keep_is_there(const struct config_route *config);
/* At the start: sets process->kept to the table of CONFIG's folder, if there is one for CONFIG's sites. One that is damaged
 * is an alarm, and stays beside the new one as "table.damaged". */
void keep_load(struct route_process *process, const struct route_config *config);
/* Writes the table in force, if it is not there yet and NOW or it is time. What fails is an alarm, and tried again. */
void keep_save(struct route_process *process, bool now);

#endif
