#include "route/plan.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Stickiness and the last good answers are of the same sites only. */
static const struct table *usable_previous(const struct route_config *config,
                                           const struct route_plan_input *from) {
    const struct table *table = from->previous ? answer_snapshot_table(from->previous->snapshot) : from->kept;
    uint64_t digest = table_digest_of(config->sites, config->config->site_count);
    return table && table_sites_digest(table) == digest ? table : NULL;
}

static sk_err make_table(const struct route_plan_input *from, struct table **out_table) {
    const struct route_config *config = from->config;
    struct table_input input = {.sites = from->sites,
                                .site_count = config->config->site_count,
                                .overrides = config->overrides,
                                .override_count = config->config->override_count,
                                .geo = config->geo,
                                .weights = &config->weights,
                                .measurements = measure_set_items(from->measured),
                                .explore = from->measured ? config->explore : 0,
                                .explore_round = from->explore_round,
                                .previous = usable_previous(config, from),
                                .stay = from->stay || config->is_lost,
                                .version = from->version};
    *out_table = NULL;
    return input.site_count ? table_build(&input, out_table) : SK_OK;
}

/* The sites, and behind them which of their addresses are up. */
struct table_site *route_sites_copy(const struct table_site *sites, size_t count) {
    size_t addresses = 0;
    for (size_t i = 0; i < count; i++) addresses += sites[i].address_count;
    struct table_site *copy = malloc(count * sizeof *copy + addresses * sizeof(bool) + 1);
    if (!copy) return NULL;
    bool *up = (bool *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        copy[i] = sites[i];
        copy[i].address_up = up;
        for (size_t k = 0; k < sites[i].address_count; k++) *up++ = sites[i].address_up[k];
    }
    return copy;
}

sk_err route_plan_create(const struct route_plan_input *from, struct route_plan **out_plan) {
    struct route_config *config = from->config;
    struct route_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return SK_ERR_NO_MEMORY;
    plan->sites = route_sites_copy(from->sites, config->config->site_count);
    struct answer_snapshot_input input = {.zones = config->zones,
                                          .sites = plan->sites,
                                          .site_count = config->config->site_count,
                                          .options = &config->options,
                                          .memo = from->memo};
    sk_err err = plan->sites ? make_table(from, &input.table) : SK_ERR_NO_MEMORY;
    if (!err) err = answer_snapshot_create(&input, &plan->snapshot);
    if (err) {
        if (input.table) table_free(input.table);
        free(plan->sites);
        free(plan);
        return err;
    }
    atomic_init(&plan->references, 1);
    plan->config = route_config_ref(config);
    plan->measured = measure_set_ref(from->measured);
    *out_plan = plan;
    return SK_OK;
}

void route_plan_overlay(struct route_plan *plan, struct overlay *overlay) {
    overlay_unref(plan->overlay);
    plan->overlay = overlay_ref(overlay);
}

sk_err route_plan_overlaid(const struct route_plan *plan, struct overlay *overlay,
                           struct route_plan **out_plan) {
    struct route_plan *copy = calloc(1, sizeof *copy);
    struct table_site *sites = copy ? route_sites_copy(plan->sites, plan->config->config->site_count) : NULL;
    if (!sites) {
        free(copy);
        return SK_ERR_NO_MEMORY;
    }
    atomic_init(&copy->references, 1);
    copy->config = route_config_ref(plan->config);
    copy->snapshot = answer_snapshot_ref(plan->snapshot);
    copy->measured = measure_set_ref(plan->measured);
    copy->overlay = overlay_ref(overlay);
    copy->sites = sites;
    *out_plan = copy;
    return SK_OK;
}

struct table_input route_plan_table_input(const struct route_plan *plan) {
    const struct route_config *config = plan->config;
    return (struct table_input){.sites = plan->sites,
                                .site_count = config->config->site_count,
                                .overrides = config->overrides,
                                .override_count = config->config->override_count,
                                .geo = config->geo,
                                .weights = &config->weights,
                                .measurements = measure_set_items(plan->measured),
                                .previous = answer_snapshot_table(plan->snapshot)};
}

struct route_plan *route_plan_ref(struct route_plan *plan) {
    /* Whoever refers anew has a reference already: nothing to order. */
    atomic_fetch_add_explicit(&plan->references, 1, memory_order_relaxed);
    return plan;
}

void route_plan_unref(struct route_plan *plan) {
    /* acq_rel: the last one sees all that others did with it before they let go. */
    if (!plan || atomic_fetch_sub_explicit(&plan->references, 1, memory_order_acq_rel) != 1) return;
    answer_snapshot_unref(plan->snapshot);
    overlay_unref(plan->overlay);
    route_config_unref(plan->config);
    measure_set_unref(plan->measured);
    free(plan->sites);
    free(plan);
}

const struct plan_zone *route_plan_zone(const struct route_plan *plan, const struct dns_name *apex) {
    const struct route_config *config = plan->config;
    for (uint32_t i = 0; i < config->config->zone_count; i++)
        if (dns_name_eq(&config->plan_zones[i].apex, apex)) return &config->plan_zones[i];
    return NULL;
}
