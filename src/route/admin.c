#include "route/admin.h"

#include <stdlib.h>
#include <unistd.h>

#include "fleet/admin_json.h"
#include "route/alarm.h"
#include "route/explain.h"
#include "route/upgrade.h"
#include "route/watch.h"

static sk_err answer_health(void *role, struct fleet_admin_request *request,
                            struct fleet_admin_answer *answer) {
    const struct route_process *process = role;
    const struct config_route *config = process->plan->config->config;
    const struct table *table = answer_snapshot_table(process->plan->snapshot);
    sk_err err = sk_buf_printf(
        &answer->body,
        "{\"status\":\"%s\",\"pid\":%d,\"zones\":%u,\"sites\":%u,\"sites_up\":%u,\"names\":%u,\"table\":%llu,\"lists\":%u,"
        "\"threads\":%u,\"signed\":%s,\"alarms\":",
        route_alarm_status(process), (int)getpid(), config->zone_count, config->site_count,
        sites_up(process->sites), config->name_count, table ? (unsigned long long)table_version(table) : 0,
        table ? table_list_count(table) : 0, process->worker_count,
        process->plan->config->is_signed ? "true" : "false");
    if (!err) err = route_alarm_json(process, &answer->body);
    return err ? err : sk_buf_printf(&answer->body, "}\n");
}

static sk_err answer_metrics(void *role, struct fleet_admin_request *request,
                             struct fleet_admin_answer *answer) {
    answer->type = "text/plain; version=0.0.4; charset=utf-8";
    return observe_write_prometheus(&answer->body);
}

static sk_err answer_route(void *role, struct fleet_admin_request *request,
                           struct fleet_admin_answer *answer) {
    const struct route_process *process = role;
    return route_explain(process->plan, request->http.query, answer);
}

/* ?count=N; what is no number, or too much, is 20 or the most. */
static size_t read_count(sk_str query) {
    uint64_t count;
    if (!sk_str_starts_with(query, SK_STR("count="))) return 20;
    if (sk_str_to_u64(sk_str_slice(query, 6, query.len), &count)) return 20;
    return (size_t)SK_MIN(count, TOP_SHOWN_MAX);
}

static sk_err answer_top(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    const struct route_process *process = role;
    size_t count = 0;
    struct top **tops = calloc(process->udp_running + process->running + 1, sizeof *tops);
    yyjson_mut_doc *doc = tops ? yyjson_mut_doc_new(NULL) : NULL;
    for (unsigned i = 0; doc && i < process->udp_running; i++) tops[count++] = process->udp[i].notes.top;
    for (unsigned i = 0; doc && i < process->running; i++) tops[count++] = process->workers[i].notes.top;
    yyjson_mut_val *root =
        doc ? top_json(tops, count, read_count(request->http.query), sk_time_now(), doc) : NULL;
    free(tops);
    if (!root) {
        yyjson_mut_doc_free(doc);
        return SK_ERR_NO_MEMORY;
    }
    yyjson_mut_doc_set_root(doc, root);
    return fleet_json_answer(answer, doc);
}

static sk_err answer_sites(void *role, struct fleet_admin_request *request,
                           struct fleet_admin_answer *answer) {
    const struct route_process *process = role;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (!doc) return SK_ERR_NO_MEMORY;
    yyjson_mut_doc_set_root(doc, sites_json(process->sites, doc, sk_time_now()));
    return fleet_json_answer(answer, doc);
}

static sk_err answer_health_report(void *role, struct fleet_admin_request *request,
                                   struct fleet_admin_answer *answer) {
    struct route_process *process = role;
    bool changed;
    sk_err err = sites_report(process->sites, sk_buf_str(&request->content), sk_time_now(), &changed);
    if (err)
        return fleet_admin_say(answer, 400,
                               "expected {\"observer\": \"NAME\", \"edges\": {\"ADDRESS:PORT\": true}}");
    if (changed) watch_changed(process);
    return fleet_admin_say(answer, 200, "noted");
}

/* The newest challenge, if it is in none of our zones, is of no use. */
static bool is_ours(const struct route_process *process) {
    const struct route_config *config = process->plan->config;
    const struct challenges *challenges = &process->challenges;
    bool ours = challenges->count == 0;
    for (uint32_t i = 0; !ours && i < config->config->zone_count; i++)
        ours = dns_name_in(&challenges->items[challenges->count - 1].name, &config->plan_zones[i].apex);
    return ours;
}

static sk_err answer_acme_challenge(void *role, struct fleet_admin_request *request,
                                    struct fleet_admin_answer *answer) {
    struct route_process *process = role;
    if (process->upgrade || process->handed_over)
        return fleet_admin_say(answer, 503, "another process takes over: ask it in a moment");
    sk_err err = challenge_take(&process->challenges, sk_buf_str(&request->content), sk_time_now());
    if (err == SK_ERR_FULL) return fleet_admin_say(answer, 503, "too many records are there already");
    if (err)
        return fleet_admin_say(answer, 400,
                               "expected {\"name\": \"_acme-challenge.NAME\", \"value\": \"TEXT\", "
                               "\"ttl\": SECONDS}; ttl 0 takes it away");
    if (!is_ours(process)) {
        process->challenges.count--;
        return fleet_admin_say(answer, 404, "the name is in none of the zones");
    }
    err = route_process_challenges(process);
    return fleet_admin_say(answer, err ? 422 : 200,
                           err ? "not in force: what is wrong stands in the log" : "in force");
}

/* The zone that {"zone": NAME, "tag": NUMBER} names, with keys; NULL: none. */
static const struct plan_zone *read_ds(const struct route_process *process, yyjson_val *root,
                                       uint16_t *out_tag) {
    yyjson_val *name = yyjson_obj_get(root, "zone"), *tag = yyjson_obj_get(root, "tag");
    struct dns_name apex;
    if (!yyjson_is_str(name) || !yyjson_is_uint(tag) || yyjson_get_uint(tag) > UINT16_MAX) return NULL;
    if (dns_name_parse(sk_str_make(yyjson_get_str(name), yyjson_get_len(name)), NULL, &apex)) return NULL;
    const struct plan_zone *zone = route_plan_zone(process->plan, &apex);
    *out_tag = (uint16_t)yyjson_get_uint(tag);
    return zone && zone->config->keys.len ? zone : NULL;
}

static sk_err answer_ds_seen(void *role, struct fleet_admin_request *request,
                             struct fleet_admin_answer *answer) {
    struct route_process *process = role;
    uint16_t tag;
    sk_str json = sk_buf_str(&request->content);
    yyjson_doc *doc = yyjson_read(json.data, json.len, 0);
    const struct plan_zone *zone = read_ds(process, yyjson_doc_get_root(doc), &tag);
    yyjson_doc_free(doc);
    if (!zone)
        return fleet_admin_say(answer, 400, "expected {\"zone\": NAME, \"tag\": NUMBER} of a signed zone");
    sk_err err = dnssec_ds_seen(zone->config->keys.data, tag, sk_wall_now_s());
    if (err == SK_ERR_NOT_FOUND) return fleet_admin_say(answer, 404, "the zone has no such key signing key");
    if (!err) err = route_process_reload(process);
    return fleet_admin_say(answer, err ? 500 : 200, err ? sk_err_text(err) : "noted");
}

static sk_err answer_reload(void *role, struct fleet_admin_request *request,
                            struct fleet_admin_answer *answer) {
    sk_err err = route_process_reload(role);
    return fleet_admin_say(answer, err ? 422 : 200,
                           err ? "refused: what is wrong stands in the log" : "in force");
}

static const struct fleet_admin_endpoint endpoints[] = {
#define X(method, path, handler, help) {HTTP_METHOD_##method, SK_STR_INIT(path), answer_##handler, help},
    ROUTE_ADMIN_TABLE(X)
#undef X
};

static sk_str token_in_force(void *role) {
    const struct route_process *process = role;
    return process->plan->config->config->admin_token;
}

sk_err route_admin_start(struct route_process *process) {
    struct fleet_admin_options options = {
        .role_name = "route",
        .where = process->plan->config->config->admin,
        .inherited_fd = route_upgrade_take_admin(),
        .endpoints = endpoints,
        .endpoint_count = SK_COUNT(endpoints),
        .role = process,
        .token = token_in_force,
    };
    return options.where.len ? fleet_admin_start(process->loop, &options, &process->admin) : SK_OK;
}
