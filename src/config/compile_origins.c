/* `origin`, `origins` and `origin_options` of a site. */
#include <stdio.h>

#include "config/compile_private.h"

static void set_url(struct compile *c, struct config_origin *origin) {
    if (http_uri_parse_absolute(origin->url, &origin->uri)) {
        if (!c->err) c->err = SK_ERR_INVALID;
        return;
    }
    origin->tls = sk_str_ieq(origin->uri.scheme, SK_STR("https"));
    origin->port = origin->uri.port ? origin->uri.port : origin->tls ? 443 : 80;
}

static void compile_origin(struct compile *c, const struct config_section *section,
                           const struct config_raw_ORIGIN *raw, const char *path,
                           struct config_origin *origin) {
    config_compile_fill(c, section, raw, origin);
    if (!origin->url.len) {
        config_compile_problem(c, path, "found no url, expected one (example: url: http://10.0.0.1:9000)");
        return;
    }
    set_url(c, origin);
    config_compile_origin_tls(c, path, raw, origin);
}

static bool same_origin(const struct config_origin *a, const struct config_origin *b) {
    return a->tls == b->tls && a->port == b->port && sk_str_ieq(a->uri.host, b->uri.host) &&
           sk_str_eq(a->host, b->host);
}

static void check_origins(struct compile *c, const struct config_site *site, bool has_short) {
    char path[CONFIG_PATH_BYTES], quoted[CONFIG_QUOTE_BYTES];
    for (uint32_t i = 1; i < site->origin_count; i++)
        for (uint32_t j = 0; j < i; j++) {
            if (!site->origins[i].url.len || !same_origin(&site->origins[i], &site->origins[j])) continue;
            snprintf(path, sizeof(path), "sites[%u].origins[%u].url", site->index, i - has_short);
            config_compile_problem(
                c, path, "found %s again: this site already has it; give one of them more weight instead",
                config_quote(site->origins[i].url, quoted));
            break;
        }
}

void config_compile_origins(struct compile *c, const struct config_section *section,
                            const struct config_raw_SITE *raw, struct config_site *site) {
    char path[CONFIG_PATH_BYTES];
    uint32_t count = raw->origins_count + (raw->origin != NULL), n = 0;
    site->origins = config_compile_allocate(c, count, sizeof(*site->origins));
    if (!site->origins) return;
    if (raw->origin) {
        struct config_raw_ORIGIN one = {.url = raw->origin};
        snprintf(path, sizeof(path), "sites[%u].origin", site->index);
        compile_origin(c, section, &one, path, &site->origins[n++]);
    }
    for (unsigned i = 0; i < raw->origins_count; i++) {
        snprintf(path, sizeof(path), "sites[%u].origins[%u]", site->index, i);
        compile_origin(c, section, &raw->origins[i], path, &site->origins[n++]);
    }
    site->origin_count = n;
    snprintf(path, sizeof(path), "sites[%u]", site->index);
    if (!n)
        config_compile_problem(c, path,
                               "found no origin, expected one (example: origin: \"http://127.0.0.1:9000\")");
    check_origins(c, site, raw->origin != NULL);
}

void config_compile_origin_options(struct compile *c, const struct config_section *section,
                                   const struct config_raw_ORIGIN_OPTIONS *raw,
                                   struct config_origin_options *options) {
    const struct config_raw_HEALTH_CHECK *health = raw ? raw->health_check : NULL;
    config_compile_fill(c, section, raw, options);
    config_compile_fill(c, config_compile_section(section, "health_check"), health, &options->health);
    options->health.enabled = health && config_compile_flag(health->enabled, true);
}
