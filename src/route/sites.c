#include "route/sites.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "fleet/admin_json.h"

/* --- making ----------------------------------------------------------------------------------------- */

static const struct sites_edge *find_edge(const struct sites *sites, const struct io_addr *addr) {
    for (uint32_t i = 0; sites && i < sites->edge_count; i++)
        if (io_addr_eq(&sites->edges[i].addr, addr) &&
            io_addr_port(&sites->edges[i].addr) == io_addr_port(addr))
            return &sites->edges[i];
    return NULL;
}

/* A site without any edge that is up is down as a whole. */
static void settle_site(struct sites *sites, uint32_t site) {
    struct table_site *item = &sites->items[site];
    bool any = false;
    for (size_t i = 0; i < item->address_count; i++) any |= item->address_up[i];
    if (any != item->decide.up)
        sk_log(any ? SK_LOG_INFO : SK_LOG_WARN, "route", "site %.*s is %s", SK_STR_ARGS(item->decide.name),
               any ? "up" : "down");
    item->decide.up = any;
}

static void enter_edge(struct sites *sites, uint32_t site, uint32_t index, bool check,
                       const struct sites *old) {
    struct sites_edge *edge = &sites->edges[sites->edge_count++];
    const struct io_addr *addr = &sites->items[site].addresses[index];
    const struct sites_edge *before = find_edge(old, addr);
    *edge = before ? *before : (struct sites_edge){.addr = *addr, .up = true};
    edge->site = site;
    edge->index = index;
    edge->checked &= check;
    if (!edge->checked) edge->own = (struct health_state){0};
    edge->up = health_verdict(edge->checked ? &edge->own : NULL, &edge->votes, sk_time_now());
    sites->items[site].address_up[index] = edge->up;
}

static void carry_site(struct table_site *item, struct shed_state *shed, const struct sites *old) {
    for (uint32_t i = 0; old && i < old->count; i++) {
        const struct decide_site *before = &old->items[i].decide;
        if (!sk_str_eq(before->name, item->decide.name)) continue;
        item->decide.load = before->load;
        item->decide.hit_ratio = before->hit_ratio;
        item->decide.draining = before->draining;
        item->decide.up = before->up;
        item->decide.sheds_in_steps = before->sheds_in_steps;
        item->decide.shed = before->shed;
        *shed = old->sheds[i];
    }
}

static void enter_reports(struct sites *sites, uint32_t site, const struct config_route_site *config) {
    for (uint32_t i = 0; i < config->report_count; i++)
        sites->reports[sites->report_count++] =
            (struct sites_report){.addr = config->reports[i], .site = site, .load = NAN, .hit_ratio = NAN};
}

sk_err sites_create(const struct route_config *config, const struct sites *old, struct sites **out_sites) {
    bool check = config->config->health.check != CONFIG_ROUTE_CHECK_NONE;
    size_t edges = 0, reports = 0, used = 0;
    struct sites *sites = calloc(1, sizeof *sites);
    if (!sites) return SK_ERR_NO_MEMORY;
    sites->count = config->config->site_count;
    for (uint32_t i = 0; i < sites->count; i++) edges += config->sites[i].address_count;
    for (uint32_t i = 0; i < sites->count; i++) reports += config->config->sites[i].report_count;
    sites->items = calloc(SK_MAX(sites->count, 1), sizeof *sites->items);
    sites->sheds = calloc(SK_MAX(sites->count, 1), sizeof *sites->sheds);
    sites->address_up = calloc(SK_MAX(edges, 1), sizeof *sites->address_up);
    sites->edges = calloc(SK_MAX(edges, 1), sizeof *sites->edges);
    sites->reports = calloc(SK_MAX(reports, 1), sizeof *sites->reports);
    if (!sites->items || !sites->sheds || !sites->address_up || !sites->edges || !sites->reports) {
        sites_free(sites);
        return SK_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < sites->count; i++) {
        sites->items[i] = config->sites[i];
        sites->items[i].address_up = sites->address_up + used;
        used += config->sites[i].address_count;
        carry_site(&sites->items[i], &sites->sheds[i], old);
        for (uint32_t k = 0; k < config->sites[i].address_count; k++) enter_edge(sites, i, k, check, old);
        settle_site(sites, i);
        enter_reports(sites, i, &config->config->sites[i]);
    }
    *out_sites = sites;
    return SK_OK;
}

void sites_free(struct sites *sites) {
    if (!sites) return;
    free(sites->items);
    free(sites->sheds);
    free(sites->address_up);
    free(sites->edges);
    free(sites->reports);
    free(sites);
}

/* --- changing --------------------------------------------------------------------------------------- */

static bool settle_edge(struct sites *sites, struct sites_edge *edge, sk_time_ns now) {
    char text[IO_ADDR_TEXT_BYTES];
    bool up = health_verdict(edge->checked ? &edge->own : NULL, &edge->votes, now);
    if (up == edge->up) return false;
    edge->up = up;
    sites->items[edge->site].address_up[edge->index] = up;
    io_addr_format(&edge->addr, text);
    sk_log(up ? SK_LOG_INFO : SK_LOG_WARN, "route", "edge %s of %.*s is %s%s%s", text,
           SK_STR_ARGS(sites->items[edge->site].decide.name), up ? "up" : "down",
           !up && edge->why ? ": " : "", !up && edge->why ? edge->why : "");
    settle_site(sites, edge->site);
    return true;
}

bool sites_checked(struct sites *sites, uint32_t target, const struct health_rules *rules,
                   enum health_result result, const char *why, sk_time_ns now) {
    if (target >= sites->edge_count) return false;
    struct sites_edge *edge = &sites->edges[target];
    edge->checked = true;
    edge->own = health_after(&edge->own, rules, result, now);
    if (why) edge->why = why;
    return settle_edge(sites, edge, now);
}

bool sites_look(struct sites *sites, sk_time_ns now) {
    bool changed = false;
    for (uint32_t i = 0; i < sites->edge_count; i++) changed |= settle_edge(sites, &sites->edges[i], now);
    return changed;
}

static bool report_one(struct sites *sites, uint64_t observer, sk_str address, bool up, sk_time_ns now) {
    struct io_addr addr;
    if (io_addr_parse(address, &addr)) return false;
    struct sites_edge *edge = (struct sites_edge *)(uintptr_t)find_edge(sites, &addr);
    if (!edge) return false;
    health_report(&edge->votes, observer, up, now);
    if (!up && !edge->why) edge->why = "another observer says so";
    return settle_edge(sites, edge, now);
}

sk_err sites_report(struct sites *sites, sk_str json, sk_time_ns now, bool *out_changed) {
    yyjson_doc *doc = yyjson_read(json.data, json.len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *edges = yyjson_obj_get(root, "edges"), *key;
    yyjson_val *observer = yyjson_obj_get(root, "observer");
    yyjson_obj_iter each;
    bool changed = false;
    if (!yyjson_is_str(observer) || !yyjson_is_obj(edges)) {
        yyjson_doc_free(doc);
        return SK_ERR_MALFORMED;
    }
    uint64_t hash = sk_hash64(yyjson_get_str(observer), yyjson_get_len(observer));
    yyjson_obj_iter_init(edges, &each);
    while ((key = yyjson_obj_iter_next(&each))) {
        sk_str address = {yyjson_get_str(key), yyjson_get_len(key)};
        changed |= report_one(sites, hash, address, yyjson_is_true(yyjson_obj_iter_get_val(key)), now);
    }
    yyjson_doc_free(doc);
    *out_changed = changed;
    return SK_OK;
}

/* The mean of what the edges of a site say; what nobody says is as before. */
static void settle_load(struct sites *sites, uint32_t site, const struct decide_weights *weights,
                        sk_time_ns now) {
    struct decide_site *item = &sites->items[site].decide;
    double load = 0, hit_ratio = 0;
    unsigned loads = 0, hit_ratios = 0;
    for (uint32_t i = 0; i < sites->report_count; i++) {
        const struct sites_report *report = &sites->reports[i];
        if (report->site != site || report->at == 0 || now - report->at > SITES_REPORT_NS) continue;
        if (!isnan(report->load)) load += report->load, loads++;
        if (!isnan(report->hit_ratio)) hit_ratio += report->hit_ratio, hit_ratios++;
    }
    if (loads) {
        item->load = load / loads;
        sites->sheds[site] = shed_after(&sites->sheds[site], item->load, weights, now);
        item->shed = sites->sheds[site].share;
        item->sheds_in_steps = true;
    }
    if (hit_ratios) item->hit_ratio = hit_ratio / hit_ratios;
}

void sites_loaded(struct sites *sites, uint32_t index, double load, double hit_ratio,
                  const struct decide_weights *weights, sk_time_ns now) {
    if (index >= sites->report_count) return;
    struct sites_report *report = &sites->reports[index];
    report->at = now;
    report->load = load;
    report->hit_ratio = hit_ratio;
    settle_load(sites, report->site, weights, now);
}

/* --- telling ---------------------------------------------------------------------------------------- */

uint32_t sites_up(const struct sites *sites) {
    uint32_t up = 0;
    for (uint32_t i = 0; i < sites->count; i++)
        up += sites->items[i].decide.up && !sites->items[i].decide.draining;
    return up;
}

static void add_edge(const struct sites_edge *edge, yyjson_mut_doc *doc, yyjson_mut_val *edges,
                     sk_time_ns now) {
    char text[IO_ADDR_TEXT_BYTES];
    uint32_t voices = 0;
    yyjson_mut_val *json = yyjson_mut_arr_add_obj(doc, edges);
    for (uint32_t i = 0; i < edge->votes.count; i++)
        voices += now - edge->votes.items[i].at <= HEALTH_REPORT_NS;
    fleet_json_add(doc, json, "address", (sk_str){text, io_addr_format(&edge->addr, text)});
    yyjson_mut_obj_add_bool(doc, json, "up", edge->up);
    yyjson_mut_obj_add_bool(doc, json, "checked", edge->checked);
    if (edge->checked) yyjson_mut_obj_add_bool(doc, json, "own_check_up", !edge->own.down);
    yyjson_mut_obj_add_uint(doc, json, "falls", edge->own.falls);
    yyjson_mut_obj_add_uint(doc, json, "observers", voices);
    if (edge->why && !edge->up) yyjson_mut_obj_add_str(doc, json, "why", edge->why);
}

yyjson_mut_val *sites_json(const struct sites *sites, yyjson_mut_doc *doc, sk_time_ns now) {
    yyjson_mut_val *all = yyjson_mut_arr(doc);
    for (uint32_t i = 0; i < sites->count; i++) {
        const struct decide_site *site = &sites->items[i].decide;
        yyjson_mut_val *json = yyjson_mut_arr_add_obj(doc, all), *edges = yyjson_mut_arr(doc);
        fleet_json_add(doc, json, "name", site->name);
        yyjson_mut_obj_add_bool(doc, json, "up", site->up);
        yyjson_mut_obj_add_bool(doc, json, "draining", site->draining);
        yyjson_mut_obj_add_real(doc, json, "load", site->load);
        if (!isnan(site->hit_ratio)) yyjson_mut_obj_add_real(doc, json, "hit_ratio", site->hit_ratio);
        for (uint32_t k = 0; k < sites->edge_count; k++)
            if (sites->edges[k].site == i) add_edge(&sites->edges[k], doc, edges, now);
        yyjson_mut_obj_add_val(doc, json, "edges", edges);
    }
    return all;
}
