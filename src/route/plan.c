#include "route/plan.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "io/file.h"

#define EXPLORE_MOST 0.01

/* While a configuration is being made. */
struct making {
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

static sk_err problem(struct making *m, const char *what, sk_str name, const char *text) {
    (void)!sk_buf_printf(m->problems, "%s %.*s: %s\n", what, SK_STR_ARGS(name), text);
    return SK_ERR_INVALID;
}

/* --- routed names ----------------------------------------------------------------------------------- */

/* "h3,h2" in the form of SvcParams: each with its length before it. */
static sk_err read_alpn(struct making *m, sk_str text, sk_str *out) {
    char *wire = sk_arena_alloc(&m->arena, text.len + 1);
    sk_str rest = text, word;
    size_t used = 0;
    if (!wire) return SK_ERR_NO_MEMORY;
    while (text.len && sk_str_cut(&rest, ',', &word)) {
        word = sk_str_trim(word);
        if (word.len == 0 || word.len > 255) return SK_ERR_INVALID;
        wire[used++] = (char)word.len;
        memcpy(wire + used, word.data, word.len);
        used += word.len;
    }
    *out = sk_str_make(wire, used);
    return SK_OK;
}

/* A whole HTTPS record's "ech=" reader is the one that master files use. */
static sk_err read_ech(struct making *m, sk_str path, sk_str *out) {
    enum { PREFIX = 3 + 4 };
    uint8_t wire[2048];
    size_t bytes;
    struct sk_buf file;
    if (path.len == 0) return SK_OK;
    sk_buf_init(&file, 4096);
    sk_err err = io_file_load(path.data, 2048, &file);
    sk_str text = sk_arena_printf(&m->arena, "1 . ech=%.*s", SK_STR_ARGS(sk_str_trim(sk_buf_str(&file))));
    while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r')) text.len--;
    if (!err && !text.data) err = SK_ERR_NO_MEMORY;
    if (!err) err = dns_rdata_parse(DNS_TYPE_HTTPS, text, NULL, wire, sizeof wire, &bytes);
    if (!err) *out = sk_arena_copy(&m->arena, sk_str_make((const char *)wire + PREFIX, bytes - PREFIX));
    sk_buf_free(&file);
    return err;
}

static sk_err make_routed(struct making *m) {
    const struct config_route *config = m->config;
    m->routed = sk_arena_zalloc(&m->arena, SK_MAX(config->name_count, 1) * sizeof *m->routed);
    if (!m->routed) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < config->name_count; i++) {
        const struct config_route_name *from = &config->names[i];
        struct answer_routed *to = &m->routed[i];
        struct dns_name name;
        if (dns_name_parse(from->name, NULL, &name))
            return problem(m, "name", from->name, "not a domain name");
        answer_routed_default(&name, to);
        to->ttl_s = (uint32_t)(from->ttl_ms / 1000);
        to->first_addresses = (uint16_t)from->first_addresses;
        to->other_addresses = (uint16_t)from->other_addresses;
        to->alpn = SK_STR("");
        if (from->https && read_alpn(m, from->alpn, &to->alpn))
            return problem(m, "name", from->name, "alpn must be protocol names separated by commas");
        if (from->https && read_ech(m, from->ech_file, &to->ech))
            return problem(m, "name", from->name, "the ECH file does not hold an ECHConfigList in base64");
    }
    return SK_OK;
}

/* --- zones ------------------------------------------------------------------------------------------ */

/* The deepest zone that holds NAME, or config->zone_count. */
static uint32_t zone_of(const struct making *m, const struct dns_name *name) {
    uint32_t best = m->config->zone_count;
    for (uint32_t i = 0; i < m->config->zone_count; i++)
        if (dns_name_in(name, &m->out->plan_zones[i].apex) &&
            (best == m->config->zone_count ||
             m->out->plan_zones[i].apex.labels > m->out->plan_zones[best].apex.labels))
            best = i;
    return best;
}

static sk_err name_zones(struct making *m) {
    const struct config_route *config = m->config;
    m->out->plan_zones = calloc(SK_MAX(config->zone_count, 1), sizeof *m->out->plan_zones);
    if (!m->out->plan_zones) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < config->zone_count; i++) {
        struct plan_zone *zone = &m->out->plan_zones[i];
        zone->config = &config->zones[i];
        if (dns_name_parse(config->zones[i].name, NULL, &zone->apex))
            return problem(m, "zone", config->zones[i].name, "not a domain name");
        for (uint32_t j = 0; j < i; j++)
            if (dns_name_eq(&zone->apex, &m->out->plan_zones[j].apex))
                return problem(m, "zone", config->zones[i].name, "is there twice");
    }
    for (uint32_t i = 0; i < config->name_count; i++)
        if (zone_of(m, &m->routed[i].name) == config->zone_count)
            return problem(m, "name", config->names[i].name, "is in none of the zones");
    return SK_OK;
}

static struct dnssec_policy policy_of(const struct config_route_zone *config) {
    struct dnssec_policy policy;
    dnssec_policy_default(&policy);
    policy.ksk_lifetime_s = config->ksk_lifetime_ms / 1000;
    return policy;
}

/* The file with EXTRAS, signed when there are KEYS (which are taken). */
static sk_err load_with_keys(struct making *m, uint32_t index, const struct zone_extra *extras, size_t count,
                             struct dnssec_keys *keys) {
    const struct plan_zone *zone = &m->out->plan_zones[index];
    struct dnssec_signer *signer = NULL;
    struct dnssec_policy policy = policy_of(zone->config);
    sk_err err = keys ? dnssec_signer_create(keys, &zone->apex, &policy, m->now, &signer) : SK_OK;
    if (err) {
        dnssec_keys_free(keys);
        return problem(m, "zone", zone->config->name, "no key signs");
    }
    err = zone_load_with(zone->config->file.data, &zone->apex, extras, count, &m->zones[index], m->problems);
    if (err) {
        dnssec_signer_free(signer);
        return err;
    }
    err = signer ? zone_sign(m->zones[index], signer) : SK_OK;
    return err ? problem(m, "zone", zone->config->name, "cannot be signed") : SK_OK;
}

static sk_err load_keys(struct making *m, const struct plan_zone *zone, struct dnssec_keys **out_keys) {
    struct dnssec_policy policy = policy_of(zone->config);
    if (zone->config->keys.len == 0) return SK_OK;
    sk_err err = dnssec_keys_load(zone->config->keys.data, &policy, m->now, out_keys);
    if (err) return problem(m, "keys", zone->config->keys, sk_err_text(err));
    m->out->is_signed = true;
    return SK_OK;
}

struct extras {
    struct zone_extra *items;
    size_t count;
    uint8_t (*marks)[4];
    uint8_t keys[DNSSEC_KEYS_MAX][DNSSEC_DNSKEY_BYTES];
};

static sk_err load_zone(struct making *m, uint32_t index) {
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
        if (zone_of(m, &m->challenges->items[i].name) == index)
            extras.items[extras.count++] = challenge_extra(&m->challenges->items[i]);
    if (!err) err = load_with_keys(m, index, extras.items, extras.count, keys);
    free(extras.items);
    free(extras.marks);
    return err;
}

/* All of them, so that all problems are told at once. */
static sk_err load_zones(struct making *m) {
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

/* --- sites ------------------------------------------------------------------------------------------ */

/* TEXT was checked to be a decimal when it was read. */
static double decimal(sk_str text, double otherwise) {
    return text.len ? strtod(text.data, NULL) : otherwise;
}

static sk_err make_sites(struct making *m) {
    const struct config_route *config = m->config;
    m->out->sites = sk_arena_zalloc(&m->out->arena, SK_MAX(config->site_count, 1) * sizeof *m->out->sites);
    if (!m->out->sites) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < config->site_count; i++) {
        const struct config_route_site *from = &config->sites[i];
        bool *up = sk_arena_alloc(&m->out->arena, SK_MAX(from->address_count, 1) * sizeof *up);
        if (!up) return SK_ERR_NO_MEMORY;
        memset(up, true, from->address_count * sizeof *up);
        m->out->sites[i] = (struct table_site){.decide = {.name = from->name,
                                                          .latitude = decimal(from->latitude, NAN),
                                                          .longitude = decimal(from->longitude, NAN),
                                                          .up = true,
                                                          .hit_ratio = NAN,
                                                          .cost = decimal(from->cost, 1),
                                                          .capacity = decimal(from->capacity, 1)},
                                               .addresses = from->addresses,
                                               .address_up = up,
                                               .address_count = from->address_count};
    }
    return SK_OK;
}

static uint32_t site_named(const struct config_route *config, sk_str name) {
    uint32_t i = 0;
    while (i < config->site_count && !sk_str_eq(config->sites[i].name, name)) i++;
    return i;
}

static sk_err make_override(struct making *m, const struct config_route_override *from,
                            struct table_override *to) {
    const struct config_route *config = m->config;
    *to = (struct table_override){.as_number = from->as_number};
    if ((from->prefix.len > 0) + (from->country.len > 0) + (from->as_number > 0) != 1)
        return problem(m, "override", from->prefix, "needs one of prefix, country and as_number");
    if (from->prefix.len) {
        to->by_prefix = true;
        if (io_prefix_parse(from->prefix, &to->prefix))
            return problem(m, "override", from->prefix, "not a prefix");
    }
    for (size_t i = 0; i < from->country.len && i < 2; i++)
        to->country[i] = (char)(from->country.data[i] & ~0x20);
    if (from->country.len && from->country.len != 2)
        return problem(m, "override", from->country, "a country has two letters");
    for (uint32_t i = 0; i < from->site_count && i < DECIDE_ANSWER_MAX; i++) {
        uint32_t site = site_named(config, from->sites[i]);
        if (site == config->site_count) return problem(m, "override", from->sites[i], "no such site");
        to->sites[to->site_count++] = (uint16_t)site;
    }
    return SK_OK;
}

static sk_err make_overrides(struct making *m) {
    const struct config_route *config = m->config;
    m->out->overrides =
        sk_arena_zalloc(&m->out->arena, SK_MAX(config->override_count, 1) * sizeof *m->out->overrides);
    if (!m->out->overrides) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < config->override_count; i++) {
        sk_err err = make_override(m, &config->overrides[i], &m->out->overrides[i]);
        if (err) return err;
    }
    return SK_OK;
}

static void make_weights(struct making *m) {
    const struct config_route_weights *from = &m->config->weights;
    struct decide_weights *to = &m->out->weights;
    decide_weights_default(to);
    to->distance = decimal(from->distance, to->distance);
    to->load = decimal(from->load, to->load);
    to->hit_ratio = decimal(from->hit_ratio, to->hit_ratio);
    to->cost = decimal(from->cost, to->cost);
    to->low_watermark = decimal(from->low_watermark, to->low_watermark);
    to->high_watermark = decimal(from->high_watermark, to->high_watermark);
    to->hysteresis = decimal(from->hysteresis, to->hysteresis);
    to->max_step = decimal(from->max_step, to->max_step);
    if (from->answer_sites) to->answer_count = from->answer_sites;
    m->out->explore = fmin(decimal(m->config->reports.explore, EXPLORE_MOST), EXPLORE_MOST);
}

static sk_err load_databases(struct making *m) {
    const char *paths[16];
    const struct config_route *config = m->config;
    if (config->database_count == 0) return SK_OK;
    if (config->database_count > SK_COUNT(paths)) return problem(m, "databases", SK_STR(""), "more than 16");
    for (uint32_t i = 0; i < config->database_count; i++) paths[i] = config->databases[i].data;
    sk_err err = geo_load(paths, config->database_count, &m->out->geo, m->problems);
    m->databases_failed = err != SK_OK;
    return err;
}

/* --- options ---------------------------------------------------------------------------------------- */

static sk_err read_secret(struct making *m, sk_str hex, uint8_t out[SIPHASH_KEY_BYTES]) {
    uint64_t half[2];
    if (hex.len != 2 * SIPHASH_KEY_BYTES || sk_str_hex_to_u64(sk_str_slice(hex, 0, 16), &half[0]) ||
        sk_str_hex_to_u64(sk_str_slice(hex, 16, 32), &half[1]))
        return problem(m, "cookie_secret", SK_STR(""), "must be 32 hexadecimal digits");
    for (int i = 0; i < SIPHASH_KEY_BYTES; i++) out[i] = (uint8_t)(half[i / 8] >> (56 - 8 * (i % 8)));
    return SK_OK;
}

static sk_err make_options(struct making *m, const struct cookie_secrets *secrets) {
    const struct config_route *config = m->config;
    struct answer_options *options = &m->out->options;
    answer_options_default(options);
    options->nsid = config->nsid;
    options->version = config->version;
    options->identity = config->identity;
    options->cookies = config->cookies;
    options->badcookie_above = config->badcookie_above;
    options->secrets = *secrets;
    const struct config_route_rate *rate = &config->rate;
    options->rate = (struct rate_options){
        {rate->answers, rate->no_data, rate->no_name, rate->referrals, rate->errors, rate->large},
        rate->slip};
    if (config->cookie_secret.len == 0) return SK_OK;
    sk_err err = read_secret(m, config->cookie_secret, options->secrets.current);
    options->secrets.has_previous = config->cookie_secret_previous.len > 0;
    if (!err && options->secrets.has_previous)
        err = read_secret(m, config->cookie_secret_previous, options->secrets.previous);
    return err;
}

/* --- from the outside ------------------------------------------------------------------------------- */

sk_err route_config_create(const struct route_config_input *input, struct route_config **out_config) {
    struct making m = {.config = input->config,
                       .problems = input->problems,
                       .challenges = input->challenges,
                       .now = input->now};
    m.out = calloc(1, sizeof *m.out);
    if (!m.out) return SK_ERR_NO_MEMORY;
    atomic_init(&m.out->references, 1);
    sk_arena_init(&m.arena, 4096, 0);
    sk_arena_init(&m.out->arena, 1024, 0);
    sk_err err = make_options(&m, input->secrets);
    if (!err) err = make_routed(&m);
    if (!err) err = name_zones(&m);
    if (!err) err = load_zones(&m);
    if (!err) err = make_sites(&m);
    if (!err) err = make_overrides(&m);
    if (!err) err = load_databases(&m);
    if (err == SK_ERR_INVALID && m.databases_failed && input->without_places) {
        m.out->is_lost = true;
        err = SK_OK;
    }
    make_weights(&m);
    sk_arena_free(&m.arena);
    free(m.zones);
    if (!err) m.out->config = input->config;
    if (err)
        route_config_unref(m.out);
    else
        *out_config = m.out;
    return err;
}

void route_config_unref(struct route_config *config) {
    /* acq_rel: the last one sees all that others did with it before they let go. */
    if (!config || atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) != 1) return;
    answer_zones_unref(config->zones);
    geo_free(config->geo);
    free(config->plan_zones);
    sk_arena_free(&config->arena);
    if (config->config) config_route_free(config->config);
    free(config);
}

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

/* One piece of memory: the sites, and behind them which of their addresses are up. */
static struct table_site *copy_sites(const struct table_site *sites, size_t count) {
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
    plan->sites = copy_sites(from->sites, config->config->site_count);
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
    /* Whoever refers anew has a reference already: nothing to order. */
    atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    plan->config = config;
    plan->measured = measure_set_ref(from->measured);
    *out_plan = plan;
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
    /* As above. */
    atomic_fetch_add_explicit(&plan->references, 1, memory_order_relaxed);
    return plan;
}

void route_plan_unref(struct route_plan *plan) {
    /* acq_rel: the last one sees all that others did with it before they let go. */
    if (!plan || atomic_fetch_sub_explicit(&plan->references, 1, memory_order_acq_rel) != 1) return;
    answer_snapshot_unref(plan->snapshot);
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
