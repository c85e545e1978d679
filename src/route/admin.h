/* What the router answers on its admin socket (fleet/admin_server.h). Main thread. */
#ifndef SK_ROUTE_ADMIN_H
#define SK_ROUTE_ADMIN_H

#include "fleet/admin_server.h"
#include "route/process.h"

/* METHOD, path, handler, help. */
#define ROUTE_ADMIN_TABLE(X)                                                                                 \
    X(GET, "/health", health, "whether it answers, and from what: JSON")                                     \
    X(GET, "/metrics", metrics, "counters: Prometheus text")                                                 \
    X(GET, "/route", route, "the decision for a client, with every term: ?client=IP&name=NAME or &url=URL")  \
    X(GET, "/top", top, "the busiest clients' networks and names of the last minutes: ?count=N; JSON")       \
    X(GET, "/sites", sites, "each site and edge as it is now: JSON")                                         \
    X(POST, "/acme-challenge", acme_challenge,                                                               \
      "a TXT record for a certificate authority: {\"name\": NAME, \"value\": TEXT, \"ttl\": SECONDS}")       \
    X(POST, "/ds-seen", ds_seen,                                                                             \
      "the parent has the DS of a new key signing key: {\"zone\": NAME, \"tag\": NUMBER}")                   \
    X(POST, "/health-report", health_report,                                                                 \
      "what another observer sees: {\"observer\": NAME, \"edges\": {\"ADDRESS:PORT\": true}}")               \
    X(POST, "/config/reload", reload, "reads the file and the zones again")

/* Listens where the configuration says, and sets process->admin; nothing happens when it says nothing. As
 * fleet_admin_start. */
sk_err route_admin_start(struct route_process *process);

#endif
