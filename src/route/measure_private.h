/* The reports as they are kept: measure.c keeps them, measure_set.c makes of them what tables take. */
#ifndef SK_ROUTE_MEASURE_PRIVATE_H
#define SK_ROUTE_MEASURE_PRIVATE_H

#include "route/measure.h"

#define MEASURE_SITE_BYTES 64 /* of a site's name */

struct source {
    struct io_addr addr;
    char site[MEASURE_SITE_BYTES];
    size_t site_len;
    sk_time_ns at;
    struct measure_report report;
};

struct measure {
    size_t count, capacity;
    struct source *sources;
};

#endif
