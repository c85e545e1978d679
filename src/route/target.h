/* One edge for one client and URL, for routing by HTTP: the sites come from the same table as in DNS, and within a
 * site a URL always goes to the same edge while that one is up (rendezvous hashing), so that its content meets in
 * one cache. Pure; any thread. */
#ifndef SK_ROUTE_TARGET_H
#define SK_ROUTE_TARGET_H

#include "route/plan.h"

#define TARGET_EDGES_MAX 256

struct target {
    uint16_t site;
    enum decide_reason reason;
    char host[256]; /* as it stands in a URL: a name, or an address with its port */
};
/* For the client at IP and the URL's part behind its host. False when there is no site. */
bool target_choose(const struct route_plan *plan, const uint8_t ip[16], sk_str target,
                   struct target *out_target);

#endif
