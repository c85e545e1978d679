/* What the parts that make a configuration share: plan_config.c (all but zones) and plan_zones.c. */
#ifndef SK_ROUTE_PLAN_PRIVATE_H
#define SK_ROUTE_PLAN_PRIVATE_H

#include "route/plan.h"

/* While a configuration is being made. */
struct plan_making {
    struct route_config *out;
    struct config_route *config;
    struct sk_buf *problems;
    const struct challenges *challenges;
    sk_unix_s now;
    struct sk_arena arena;
    struct answer_routed *routed;
    struct zone **zones;
    size_t zones_loaded;
    bool databases_failed;
};

/* Notes a line about NAME; SK_ERR_INVALID. */
sk_err plan_problem(struct plan_making *m, const char *what, sk_str name, const char *text);
/* The zones' names and keys, and in which of them each routed name is. SK_ERR_INVALID, SK_ERR_NO_MEMORY. */
sk_err plan_name_zones(struct plan_making *m);
/* All of them, so that all problems are told at once; then m->out->zones. SK_ERR_INVALID, SK_ERR_NO_MEMORY. */
sk_err plan_load_zones(struct plan_making *m);

#endif
