/* Everything that a worker needs to know at one moment: the snapshot it answers from and the configuration that it
 * was made of. Immutable, counted, swapped by pointer. */
#ifndef SK_ROUTE_PLAN_H
#define SK_ROUTE_PLAN_H

#include "config/route.h"
#include "route/answer.h"
#include "route/challenge.h"
#include "route/dnssec.h"
#include "route/measure.h"
#include "route/overlay.h"

struct plan_zone { /* of config->zones[] by index */
    struct dns_name apex;
    const struct config_route_zone *config;
    const struct dns_tsig_key *tsig_key; /* of transfers and NOTIFY; NULL: none */
};

struct route_config;

struct route_plan {
    _Atomic uint32_t references;
    struct route_config *config; /* a reference */
    struct answer_snapshot *snapshot;
    struct measure_set *measured; /* a reference; NULL: nothing was */
    struct overlay *overlay;      /* a reference; NULL: none */
    struct table_site *sites;     /* as they were when it was made; config->site_count of them */
};

/* The configuration with what is made from it once: counted, since tables change more often than files. */
struct route_config {
    _Atomic uint32_t references;
    struct sk_arena arena;
    struct config_route *config;
    struct answer_zones *zones;
    struct plan_zone *plan_zones; /* config->zone_count of them */
    struct answer_options options;
    struct table_site *sites; /* config->site_count of them; addresses up, load unknown: as they begin */
    struct table_override *overrides;
    struct decide_weights weights;
    double explore;  /* share of networks at a time, when something is measured */
    struct geo *geo; /* NULL: none */
    bool is_signed;  /* a zone is */
    bool is_lost;    /* the databases could not be read, and it does without */
};

struct route_config_input {
    struct config_route *config; /* taken on success */
    const struct cookie_secrets *secrets;
    const struct challenges *challenges;
    sk_unix_s now;
    bool without_places;     /* databases that cannot be read are a problem, but no error */
    struct sk_buf *problems; /* gets a line for everything that is wrong */
};
/* Loads the zones (with the marks of routed names and the challenges), databases and keys that the configuration names.
 * SK_ERR_INVALID, SK_ERR_NO_MEMORY. */
sk_err route_config_create(const struct route_config_input *input, struct route_config **out_config);
struct route_config *route_config_ref(struct route_config *config);
void route_config_unref(struct route_config *config);

/* A copy of COUNT sites with what is up of them; one piece of memory, names and addresses stay the configuration's. NULL without
 * memory. */
struct table_site *route_sites_copy(const struct table_site *sites, size_t count);

struct route_plan_input {
    struct route_config *config;       /* a reference is taken */
    const struct table_site *sites;    /* as they are now, in the configuration's order; copied */
    const struct route_plan *previous; /* for stickiness and last good answers; NULL at first */
    const struct table *kept;          /* takes the place of the previous one's table; NULL: none */
    bool stay;                         /* as in table_input; also where the databases were lost */
    uint64_t version;                  /* of the table */
    struct measure_set *measured;      /* a reference is taken; NULL: nothing was measured */
    uint64_t explore_round;            /* says which networks explore */
    struct dnssec_memo *memo;          /* keeps the signatures of routed names from one table to the next */
};
/* A plan with the routing table that the sites give. SK_ERR_NO_MEMORY. */
sk_err route_plan_create(const struct route_plan_input *from, struct route_plan **out_plan);
/* PLAN with another OVERLAY, a reference to which is taken. SK_ERR_NO_MEMORY. */
sk_err route_plan_overlaid(const struct route_plan *plan, struct overlay *overlay,
                           struct route_plan **out_plan);
/* The same for a plan that nobody else has yet. */
void route_plan_overlay(struct route_plan *plan, struct overlay *overlay);
/* What a table made now of PLAN would be made of; PLAN's. */
struct table_input route_plan_table_input(const struct route_plan *plan);
struct route_plan *route_plan_ref(struct route_plan *plan);
void route_plan_unref(struct route_plan *plan);
/* The zone of the plan with this apex, or NULL. */
const struct plan_zone *route_plan_zone(const struct route_plan *plan, const struct dns_name *apex);

#endif
