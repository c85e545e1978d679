#include <math.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "io/file.h"
#include "route/plan_private.h"

#define EXPLORE_MOST 0.01
#define TSIG_SECRET_LEAST 16

sk_err plan_problem(struct plan_making *m, const char *what, sk_str name, const char *text) {
    (void)!sk_buf_printf(m->problems, "%s %.*s: %s\n", what, SK_STR_ARGS(name), text);
    return SK_ERR_INVALID;
}

/* --- routed names ----------------------------------------------------------------------------------- */

/* "h3,h2" in the form of SvcParams: each with its length before it. */
static sk_err read_alpn(struct plan_making *m, sk_str text, sk_str *out) {
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
static sk_err read_ech(struct plan_making *m, sk_str path, sk_str *out) {
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

static sk_err make_routed(struct plan_making *m) {
    const struct config_route *config = m->config;
    m->routed = sk_arena_zalloc(&m->arena, SK_MAX(config->name_count, 1) * sizeof *m->routed);
    if (!m->routed) return SK_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < config->name_count; i++) {
        const struct config_route_name *from = &config->names[i];
        struct answer_routed *to = &m->routed[i];
        struct dns_name name;
        if (dns_name_parse(from->name, NULL, &name))
            return plan_problem(m, "name", from->name, "not a domain name");
        answer_routed_default(&name, to);
        to->ttl_s = (uint32_t)(from->ttl_ms / 1000);
        to->first_addresses = (uint16_t)from->first_addresses;
        to->other_addresses = (uint16_t)from->other_addresses;
        to->alpn = SK_STR("");
        if (from->https && read_alpn(m, from->alpn, &to->alpn))
            return plan_problem(m, "name", from->name, "alpn must be protocol names separated by commas");
        if (from->https && read_ech(m, from->ech_file, &to->ech))
            return plan_problem(m, "name", from->name,
                                "the ECH file does not hold an ECHConfigList in base64");
    }
    return SK_OK;
}

/* --- sites ------------------------------------------------------------------------------------------ */

/* TEXT was checked to be a decimal when it was read. */
static double decimal(sk_str text, double otherwise) {
    return text.len ? strtod(text.data, NULL) : otherwise;
}

static sk_err make_sites(struct plan_making *m) {
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

static sk_err make_override(struct plan_making *m, const struct config_route_override *from,
                            struct table_override *to) {
    const struct config_route *config = m->config;
    *to = (struct table_override){.as_number = from->as_number};
    if ((from->prefix.len > 0) + (from->country.len > 0) + (from->as_number > 0) != 1)
        return plan_problem(m, "override", from->prefix, "needs one of prefix, country and as_number");
    if (from->prefix.len) {
        to->by_prefix = true;
        if (io_prefix_parse(from->prefix, &to->prefix))
            return plan_problem(m, "override", from->prefix, "not a prefix");
    }
    for (size_t i = 0; i < from->country.len && i < 2; i++)
        to->country[i] = (char)(from->country.data[i] & ~0x20);
    if (from->country.len && from->country.len != 2)
        return plan_problem(m, "override", from->country, "a country has two letters");
    for (uint32_t i = 0; i < from->site_count && i < DECIDE_ANSWER_MAX; i++) {
        uint32_t site = site_named(config, from->sites[i]);
        if (site == config->site_count) return plan_problem(m, "override", from->sites[i], "no such site");
        to->sites[to->site_count++] = (uint16_t)site;
    }
    return SK_OK;
}

static sk_err make_overrides(struct plan_making *m) {
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

static void make_weights(struct plan_making *m) {
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

static sk_err load_databases(struct plan_making *m) {
    const char *paths[16];
    const struct config_route *config = m->config;
    if (config->database_count == 0) return SK_OK;
    if (config->database_count > SK_COUNT(paths))
        return plan_problem(m, "databases", SK_STR(""), "more than 16");
    for (uint32_t i = 0; i < config->database_count; i++) paths[i] = config->databases[i].data;
    sk_err err = geo_load(paths, config->database_count, &m->out->geo, m->problems);
    m->databases_failed = err != SK_OK;
    return err;
}

/* --- options ---------------------------------------------------------------------------------------- */

static sk_err read_secret(struct plan_making *m, sk_str hex, uint8_t out[SIPHASH_KEY_BYTES]) {
    if (sk_str_hex_to_bytes(hex, out, SIPHASH_KEY_BYTES) == SK_OK) return SK_OK;
    return plan_problem(m, "cookie_secret", SK_STR(""), "must be 32 hexadecimal digits");
}

/* BASE64 as OpenSSL reads it: whole groups of four. */
static sk_err read_base64(sk_str text, uint8_t *out, size_t capacity, uint16_t *out_bytes) {
    if (text.len == 0 || text.len % 4 || text.len / 4 * 3 > capacity) return SK_ERR_INVALID;
    int bytes = EVP_DecodeBlock(out, (const unsigned char *)text.data, (int)text.len);
    for (size_t i = text.len; bytes > 0 && i-- > text.len - 2 && text.data[i] == '=';) bytes--;
    if (bytes <= 0) return SK_ERR_INVALID;
    *out_bytes = (uint16_t)bytes;
    return SK_OK;
}

static sk_err make_tsig_key(struct plan_making *m, const struct config_route_tsig_key *from,
                            struct dns_tsig_key *to) {
    if (dns_name_parse(from->name, NULL, &to->name))
        return plan_problem(m, "tsig_key", from->name, "not a domain name");
    to->algorithm = from->algorithm == CONFIG_ROUTE_TSIG_SHA256 ? DNS_TSIG_SHA256 : DNS_TSIG_SHA512;
    if (read_base64(from->secret, to->secret, sizeof to->secret, &to->secret_bytes))
        return plan_problem(m, "tsig_key", from->name, "the secret must be base64, of at most 256 bytes");
    if (to->secret_bytes < TSIG_SECRET_LEAST)
        return plan_problem(m, "tsig_key", from->name, "the secret must have 16 bytes at least");
    return SK_OK;
}

static sk_err make_tsig_keys(struct plan_making *m) {
    const struct config_route *config = m->config;
    struct dns_tsig_key *keys =
        sk_arena_zalloc(&m->out->arena, SK_MAX(config->tsig_key_count, 1) * sizeof *keys);
    struct tsig_keys *known = &m->out->options.tsig;
    if (!keys) return SK_ERR_NO_MEMORY;
    known->items = keys;
    for (uint32_t i = 0; i < config->tsig_key_count; i++) {
        sk_err err = make_tsig_key(m, &config->tsig_keys[i], &keys[i]);
        if (err) return err;
        if (tsig_key_named(known, &keys[i].name))
            return plan_problem(m, "tsig_key", config->tsig_keys[i].name, "is there twice");
        known->count = i + 1;
    }
    return SK_OK;
}

static sk_err make_options(struct plan_making *m, const struct cookie_secrets *secrets) {
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
    struct plan_making m = {.config = input->config,
                            .problems = input->problems,
                            .challenges = input->challenges,
                            .now = input->now};
    m.out = calloc(1, sizeof *m.out);
    if (!m.out) return SK_ERR_NO_MEMORY;
    atomic_init(&m.out->references, 1);
    sk_arena_init(&m.arena, 4096, 0);
    sk_arena_init(&m.out->arena, 1024, 0);
    sk_err err = make_options(&m, input->secrets);
    if (!err) err = make_tsig_keys(&m);
    if (!err) err = make_routed(&m);
    if (!err) err = plan_name_zones(&m);
    if (!err) err = plan_load_zones(&m);
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

struct route_config *route_config_ref(struct route_config *config) {
    /* Whoever refers anew has a reference already: nothing to order. */
    atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    return config;
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
