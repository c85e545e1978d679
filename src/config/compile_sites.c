/* `sites`: each one, and what must not be there twice among them. */
#include <stdio.h>
#include <stdlib.h>

#include "config/compile_private.h"
#include "config/hosts.h"
#include "config/negotiate.h"
#include "config/rule_compile.h"
#include "config/value.h"

/* ---- one site ---- */

static void add_host(struct compile *c, struct config_site *site, const char *text) {
    static const struct config_option option = {.kind = CONFIG_KIND_HOST, .min = "", .max = ""};
    struct config_value value;
    sk_err err = config_value_read(&option, sk_str_from_c(text), &c->config->arena, &value);
    if (err && !c->err) c->err = err;
    if (!err) site->hosts[site->host_count++] = value.text;
}

static void compile_hosts(struct compile *c, const struct config_raw_SITE *raw, struct config_site *site) {
    site->hosts = config_compile_allocate(c, raw->hosts_count + 1, sizeof(*site->hosts));
    if (!site->hosts) return;
    if (raw->host) add_host(c, site, raw->host);
    for (unsigned i = 0; i < raw->hosts_count; i++) add_host(c, site, raw->hosts[i]);
    if (!site->host_count) add_host(c, site, "*");
}

static void compile_rules(struct compile *c, const struct config_section *section,
                          const struct config_raw_SITE *raw, struct config_site *site) {
    struct sk_arena *arena = &c->config->arena;
    char path[CONFIG_PATH_BYTES];
    config_compile_fill(c, config_compile_section(section, "cache"), raw->cache, &site->base.cache);
    config_compile_fill(c, config_compile_section(section, "key"), raw->key, &site->base.key);
    sk_err err = config_base_compile(arena, raw, &site->base);
    site->rules = config_compile_allocate(c, raw->rules_count, sizeof(*site->rules));
    for (uint32_t i = 0; site->rules && i < raw->rules_count && !err; i++) {
        err = config_rule_compile(arena, &raw->rules[i], &site->base, &site->rules[i]);
        site->rules[i].index = i;
        if (err || site->rules[i].path_count) continue;
        snprintf(path, sizeof(path), "sites[%u].rules[%u]", site->index, i);
        config_compile_problem(c, path, "found no path, expected one (example: path: /static/*)");
    }
    site->rule_count = raw->rules_count;
    if (err && !c->err) c->err = err;
}

static void compile_site(struct compile *c, const struct config_section *section,
                         const struct config_raw_SITE *raw, struct config_site *site) {
    config_compile_fill(c, section, raw, site);
    site->purge = c->config->purge;
    config_compile_purge(c, raw->purge, &site->purge);
    compile_hosts(c, raw, site);
    if (!site->name.len && site->host_count) site->name = site->hosts[0];
    config_compile_origins(c, config_compile_section(section, "origins"), raw, site);
    config_compile_origin_options(c, config_compile_section(section, "origin_options"), raw->origin_options,
                                  &site->origin);
    compile_rules(c, section, raw, site);
    config_compile_site_certificates(c, raw, site);
    config_compile_fill(c, config_compile_section(section, "vary"), raw->vary, &site->vary);
    config_compile_fill(c, config_compile_section(section, "compress"), raw->compress, &site->compress);
    sk_err err = config_vary_compile(&c->config->arena, raw->vary, &site->vary);
    if (!err) err = config_compress_compile(&c->config->arena, raw->compress, &site->compress);
    if (err) c->err = err;
}

/* ---- all of them ---- */

/* Where host I of a site was written: `host` comes before what `hosts` lists. */
static void host_path(const struct config_raw_SITE *raw, uint32_t site, uint32_t i,
                      char path[CONFIG_PATH_BYTES]) {
    if (i == 0 && raw->host)
        snprintf(path, CONFIG_PATH_BYTES, "sites[%u].host", site);
    else if (raw->hosts_count)
        snprintf(path, CONFIG_PATH_BYTES, "sites[%u].hosts[%u]", site, i - (raw->host != NULL));
    else
        snprintf(path, CONFIG_PATH_BYTES, "sites[%u]", site); /* "*" by default */
}

static void index_hosts(struct compile *c, const struct config_raw_TOP *raw) {
    char path[CONFIG_PATH_BYTES], quoted[CONFIG_QUOTE_BYTES], other_name[CONFIG_QUOTE_BYTES];
    size_t count = 0;
    for (uint32_t s = 0; s < c->config->site_count; s++) count += c->config->sites[s].host_count;
    sk_err err = config_hosts_create(&c->config->arena, count, &c->config->hosts);
    if (err) {
        c->err = err;
        return;
    }
    for (uint32_t s = 0; s < c->config->site_count; s++) {
        const struct config_site *site = &c->config->sites[s], *other;
        for (uint32_t i = 0; i < site->host_count; i++) {
            if (config_hosts_add(c->config->hosts, site->hosts[i], site, &other) == SK_OK) continue;
            host_path(&raw->sites[s], s, i, path);
            config_compile_problem(c, path, "found host %s again: the site %s (sites[%u]) already serves it",
                                   config_quote(site->hosts[i], quoted),
                                   config_quote(other->name, other_name), other->index);
        }
    }
}

static int by_name(const void *a, const void *b) {
    const struct config_site *x = *(const struct config_site *const *)a,
                             *y = *(const struct config_site *const *)b;
    int order = sk_str_compare(x->name, y->name);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* Logs and metrics tell sites apart by their names. */
static void check_names(struct compile *c, const struct config_raw_TOP *raw) {
    char path[CONFIG_PATH_BYTES], quoted[CONFIG_QUOTE_BYTES];
    uint32_t count = c->config->site_count;
    const struct config_site **sorted = config_compile_allocate(c, count, sizeof(*sorted));
    if (!sorted) return;
    for (uint32_t i = 0; i < count; i++) sorted[i] = &c->config->sites[i];
    qsort(sorted, count, sizeof(*sorted), by_name);
    for (uint32_t i = 1; i < count; i++) {
        /* Sites that take their name from a host they share: that problem is already told. */
        if (!sk_str_eq(sorted[i]->name, sorted[i - 1]->name) || !raw->sites[sorted[i]->index].name) continue;
        snprintf(path, sizeof(path), "sites[%u].name", sorted[i]->index);
        config_compile_problem(c, path, "found name %s again: sites[%u] already has it",
                               config_quote(sorted[i]->name, quoted), sorted[i - 1]->index);
    }
}

void config_compile_sites(struct compile *c, const struct config_raw_TOP *raw) {
    const struct config_section *section = config_compile_section(config_top, "sites");
    if (!raw->sites_count && !c->config->fleet.state.len) /* a fleet's come from control */
        config_compile_problem(c, "sites",
                               "found no sites, expected at least one (example: sites: "
                               "[{origin: \"http://127.0.0.1:9000\"}])");
    c->config->sites = config_compile_allocate(c, raw->sites_count, sizeof(*c->config->sites));
    if (!c->config->sites) return;
    for (uint32_t i = 0; i < raw->sites_count && !c->err; i++) {
        struct config_site *site = &c->config->sites[i];
        site->index = i;
        compile_site(c, section, &raw->sites[i], site);
        c->config->site_count++;
    }
    if (c->err) return;
    index_hosts(c, raw);
    check_names(c, raw);
}
