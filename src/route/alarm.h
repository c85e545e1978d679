/* What an operator has to look at, although queries are answered. Each is told in the log when it begins and when it
 * ends, stands in /health meanwhile, and counts in skerry_route_alarms. Main thread. */
#ifndef SK_ROUTE_ALARM_H
#define SK_ROUTE_ALARM_H

#include "route/process.h"

/* Name, text, what becomes of clients. */
#define ROUTE_ALARM_TABLE(X)                                                                                 \
    X(SITES, "all sites look dead", "clients get the last good answers")                                     \
    X(PLACES, "the databases of places cannot be read", "clients stay where the kept table sends them")      \
    X(CONFIG, "the configuration or what it names is refused", "what was loaded before stays in force")      \
    X(SIGNATURES, "signatures are not renewed", "they hold for 14 days from when they were made")            \
    X(TABLE, "the kept routing table is damaged", "a new one was made without it")                           \
    X(KEEP, "the routing table cannot be kept", "a restart will not know it")                                \
    X(CLOCK, "the clock has stepped", "signatures were looked at again")
enum route_alarm {
#define X(name, text, effect) ROUTE_ALARM_##name,
    ROUTE_ALARM_TABLE(X)
#undef X
        ROUTE_ALARMS
};

/* What happens once is an alarm for so long. */
#define ROUTE_ALARM_EVENT_NS (300 * SK_NS_PER_S)

/* Raises or ends ALARM; nothing happens when it is so already. */
void route_alarm_set(struct route_process *process, enum route_alarm alarm, bool on);
/* How many there are. */
unsigned route_alarm_count(const struct route_process *process);
/* The first one's text, or "ok". */
const char *route_alarm_status(const struct route_process *process);
/* All of them as a JSON array of texts. SK_ERR_NO_MEMORY. */
sk_err route_alarm_json(const struct route_process *process, struct sk_buf *out);

#endif
