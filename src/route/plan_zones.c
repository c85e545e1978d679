#include <stdlib.h>

#include "route/plan_private.h"

/* The deepest zone that holds NAME, or config->zone_count. */
static uint32_t zone_of(const struct plan_making *m, const struct dns_name *name) {
    uint32_t best = m->config->zone_count;
    for (uint32_t i = 0; i < m->config->zone_count; i++)
        if (dns_name_in(name, &m->out->plan_zones[i].apex) &&
            (best == m->config->zone_count ||
             m->out->plan_zones[i].apex.labels > m->out->plan_zones[best].apex.labels))
            best = i;
    return best;
}

sk_err plan_name_zones(struct plan_making *m) {
    const struct config_route *config = m->config;
    m->out->plan_zones = calloc(SK_MAX(config->zone_count, 1), sizeof *m->out->plan_zones);
    if (!m->out->plan_zones) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < config->zone_count; i++) {
        struct plan_zone *zone = &m->out->plan_zones[i];
        zone->config = &config->zones[i];
        if (dns_name_parse(config->zones[i].name, NULL, &zone->apex))
            return plan_problem(m, "zone", config->zones[i].name, "not a domain name");
        struct dns_name key;
        if (config->zones[i].tsig_key.len &&
            (dns_name_parse(config->zones[i].tsig_key, NULL, &key) ||
             !(zone->tsig_key = tsig_key_named(&m->out->options.tsig, &key))))
            return plan_problem(m, "zone", config->zones[i].name, "tsig_key is not among the tsig_keys");
        for (uint32_t j = 0; j < i; j++)
            if (dns_name_eq(&zone->apex, &m->out->plan_zones[j].apex))
                return plan_problem(m, "zone", config->zones[i].name, "is there twice");
    }
    for (uint32_t i = 0; i < config->name_count; i++)
        if (zone_of(m, &m->routed[i].name) == config->zone_count)
            return plan_problem(m, "name", config->names[i].name, "is in none of the zones");
    return SK_OK;
}

static struct dnssec_policy policy_of(const struct config_route_zone *config) {
    struct dnssec_policy policy;
    dnssec_policy_default(&policy);
    policy.ksk_lifetime_s = config->ksk_lifetime_ms / 1000;
    return policy;
}

/* The file with EXTRAS, signed when there are KEYS (which are taken). */
static sk_err load_with_keys(struct plan_making *m, uint32_t index, const struct zone_extra *extras,
                             size_t count, struct dnssec_keys *keys) {
    const struct plan_zone *zone = &m->out->plan_zones[index];
    struct dnssec_signer *signer = NULL;
    struct dnssec_policy policy = policy_of(zone->config);
    sk_err err = keys ? dnssec_signer_create(keys, &zone->apex, &policy, m->now, &signer) : SK_OK;
    if (err) {
        dnssec_keys_free(keys);
        return plan_problem(m, "zone", zone->config->name, "no key signs");
    }
    err = zone_load_with(zone->config->file.data, &zone->apex, extras, count, &m->zones[index], m->problems);
    if (err) {
        dnssec_signer_free(signer);
        return err;
    }
    err = signer ? zone_sign(m->zones[index], signer) : SK_OK;
    return err ? plan_problem(m, "zone", zone->config->name, "cannot be signed") : SK_OK;
}

static sk_err load_keys(struct plan_making *m, const struct plan_zone *zone, struct dnssec_keys **out_keys) {
    struct dnssec_policy policy = policy_of(zone->config);
    if (zone->config->keys.len == 0) return SK_OK;
    sk_err err = dnssec_keys_load(zone->config->keys.data, &policy, m->now, out_keys);
    if (err) return plan_problem(m, "keys", zone->config->keys, sk_err_text(err));
    m->out->is_signed = true;
    return SK_OK;
}

struct extras {
    struct zone_extra *items;
    size_t count;
    uint8_t (*marks)[4];
    uint8_t keys[DNSSEC_KEYS_MAX][DNSSEC_DNSKEY_BYTES];
};

static sk_err load_zone(struct plan_making *m, uint32_t index) {
    const struct config_route *config = m->config;
    const struct plan_zone *zone = &m->out->plan_zones[index];
    struct extras extras = {
        .items = calloc(config->name_count + DNSSEC_EXTRAS_MAX + CHALLENGES_MAX, sizeof *extras.items),
        .marks = calloc(SK_MAX(config->name_count, 1), 4)};
    struct dnssec_keys *keys = NULL;
    sk_err err = extras.items && extras.marks ? load_keys(m, zone, &keys) : SK_ERR_NO_MEMORY;
    if (keys) extras.count = dnssec_extras(keys, &zone->apex, extras.keys, extras.items);
    for (uint32_t i = 0; !err && i < config->name_count; i++)
        if (zone_of(m, &m->routed[i].name) == index)
            extras.items[extras.count++] = answer_routed_mark(&m->routed[i], i, extras.marks[i]);
    for (size_t i = 0; !err && i < m->challenges->count; i++)
        if (m->challenges->items[i].in_zone && zone_of(m, &m->challenges->items[i].name) == index)
            extras.items[extras.count++] = challenge_extra(&m->challenges->items[i]);
    if (!err) err = load_with_keys(m, index, extras.items, extras.count, keys);
    free(extras.items);
    free(extras.marks);
    return err;
}

sk_err plan_load_zones(struct plan_making *m) {
    sk_err result = SK_OK;
    m->zones = calloc(SK_MAX(m->config->zone_count, 1), sizeof *m->zones);
    if (!m->zones) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < m->config->zone_count; i++) {
        sk_err err = load_zone(m, i);
        if (err) result = err;
    }
    if (!result)
        result = answer_zones_create(m->zones, m->config->zone_count, m->routed, m->config->name_count,
                                     &m->out->zones);
    for (uint32_t i = 0; result && i < m->config->zone_count; i++) zone_free(m->zones[i]);
    return result;
}
