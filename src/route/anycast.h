/* Whether this PoP announces its anycast addresses: from health checks to a file that BIRD includes. What decides is
 * health_after (route/health.h); here is what the file says, as a pure function, and how it gets there. */
#ifndef SK_ROUTE_ANYCAST_H
#define SK_ROUTE_ANYCAST_H

#include "base/buf.h"
#include "io/addr.h"
#include "route/health.h"

#define ANYCAST_PREFIXES_MAX 64

struct anycast_options {
    struct io_prefix prefixes[ANYCAST_PREFIXES_MAX];
    size_t prefix_count;
    const char *file;    /* that BIRD includes */
    const char *command; /* run after each change by /bin/sh; NULL: none */
    struct io_addr edge; /* asked over HTTP */
    sk_str host, path;
    int64_t interval_ms, timeout_ms;
    struct health_rules rules;
};

/* BIRD's language: static routes for the prefixes while UP, and none otherwise, which is a file without routes. SK_ERR_NO_MEMORY. */
sk_err anycast_text(const struct anycast_options *options, bool up, const char *why, struct sk_buf *out);
/* Whether all prefixes are of IPv4 or all of IPv6: a static protocol of BIRD has one of them. */
bool anycast_one_family(const struct anycast_options *options);
/* Checks until SIGTERM or SIGINT, when everything is withdrawn. The file begins withdrawn: what nobody has looked at is not
 * announced. Returns an exit code: 0, or 1 when it cannot begin. */
int anycast_run(const struct anycast_options *options);

#endif
