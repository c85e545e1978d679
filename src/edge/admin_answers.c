/* What the admin socket answers. */
#include <unistd.h>

#include "base/version.h"
#include "edge/admin.h"
#include "edge/explain.h"
#include "edge/explain_query.h"
#include "edge/health.h"
#include "edge/reload.h"
#include "edge/ring.h"
#include "fleet/admin_json.h"

static yyjson_mut_val *describe_origins(yyjson_mut_doc *doc, const struct origin_group *group) {
    struct sk_buf text;
    sk_buf_init(&text, 0);
    yyjson_mut_val *value = NULL;
    if (origin_group_describe(group, &text) == SK_OK) {
        sk_str json = sk_buf_str(&text);
        value = yyjson_mut_rawncpy(doc, json.data, json.len);
    }
    sk_buf_free(&text);
    return value ? value : yyjson_mut_null(doc);
}

static yyjson_mut_val *cache_json(yyjson_mut_doc *doc, const struct edge_process *process) {
    struct cache_usage usage;
    cache_usage(process->cache, &usage);
    yyjson_mut_val *cache = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_uint(doc, cache, "budget_bytes", usage.budget_bytes);
    yyjson_mut_obj_add_uint(doc, cache, "used_bytes", usage.used_bytes);
    yyjson_mut_obj_add_uint(doc, cache, "objects", usage.objects);
    yyjson_mut_obj_add_uint(doc, cache, "fills", usage.fills);
    return cache;
}

sk_err edge_admin_health(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    const struct edge_process *process = role;
    const struct edge_snapshot *snapshot = process->snapshot;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (!doc) return SK_ERR_NO_MEMORY;
    yyjson_mut_val *root = yyjson_mut_obj(doc), *sites = yyjson_mut_arr(doc);
    bool running = process->stage == EDGE_RUNNING && !edge_withdrawn_why();
    answer->status = running ? 200 : 503;
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "status", running ? "ok" : "draining");
    yyjson_mut_obj_add_str(doc, root, "version", SK_VERSION);
    yyjson_mut_obj_add_int(doc, root, "pid", getpid());
    yyjson_mut_obj_add_int(doc, root, "uptime_s", (sk_time_now() - process->started) / SK_NS_PER_S);
    yyjson_mut_obj_add_uint(doc, root, "config_number", snapshot->config->number);
    yyjson_mut_obj_add_uint(doc, root, "connections", edge_limits_count(process->limits));
    yyjson_mut_obj_add_val(doc, root, "cache", cache_json(doc, process));
    yyjson_mut_obj_add_val(doc, root, "sites", sites);
    for (uint32_t i = 0; i < snapshot->config->site_count; i++) {
        yyjson_mut_val *site = yyjson_mut_arr_add_obj(doc, sites);
        fleet_json_add(doc, site, "name", snapshot->config->sites[i].name);
        yyjson_mut_obj_add_val(doc, site, "origins", describe_origins(doc, snapshot->groups[i]));
    }
    return fleet_json_answer(answer, doc);
}

sk_err edge_admin_rtt(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    answer->type = "text/plain; charset=utf-8";
    return edge_load_write(role, &answer->body);
}

sk_err edge_admin_drain(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    edge_withdraw(EDGE_WITHDRAWN_BY_OPERATOR, true);
    return fleet_admin_say(answer, 200, "draining: " EDGE_HEALTH_PATH " answers 503");
}

sk_err edge_admin_undrain(void *role, struct fleet_admin_request *request,
                          struct fleet_admin_answer *answer) {
    edge_withdraw(EDGE_WITHDRAWN_BY_OPERATOR, false);
    return fleet_admin_say(answer, 200, "taking clients again");
}

sk_err edge_admin_metrics(void *role, struct fleet_admin_request *request,
                          struct fleet_admin_answer *answer) {
    answer->type = "text/plain; version=0.0.4; charset=utf-8";
    return observe_write_prometheus(&answer->body);
}

static yyjson_mut_val *site_json(yyjson_mut_doc *doc, const struct config_site *site) {
    yyjson_mut_val *json = yyjson_mut_obj(doc), *hosts = yyjson_mut_arr(doc), *origins = yyjson_mut_arr(doc);
    fleet_json_add(doc, json, "name", site->name);
    for (uint32_t i = 0; i < site->host_count; i++)
        yyjson_mut_arr_append(hosts, fleet_json_text(doc, site->hosts[i]));
    for (uint32_t i = 0; i < site->origin_count; i++)
        yyjson_mut_arr_append(origins, fleet_json_text(doc, site->origins[i].url));
    yyjson_mut_obj_add_val(doc, json, "hosts", hosts);
    yyjson_mut_obj_add_val(doc, json, "origins", origins);
    yyjson_mut_obj_add_bool(doc, json, "cache", site->base.enabled);
    return json;
}

sk_err edge_admin_config(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    const struct edge_process *process = role;
    const struct config *config = process->snapshot->config;
    char text[IO_ADDR_TEXT_BYTES + 8];
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (!doc) return SK_ERR_NO_MEMORY;
    yyjson_mut_val *root = yyjson_mut_obj(doc), *listeners = yyjson_mut_arr(doc),
                   *sites = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_uint(doc, root, "number", config->number);
    fleet_json_add(doc, root, "file", config->path);
    for (unsigned i = 0; i < process->listeners.count; i++) {
        const struct edge_listener *listener = &process->listeners.items[i];
        size_t len =
            edge_listener_text(listener, edge_snapshot_tls(process->snapshot, &listener->addr), text);
        yyjson_mut_arr_append(listeners, fleet_json_text(doc, (sk_str){text, len}));
    }
    yyjson_mut_obj_add_val(doc, root, "listen", listeners);
    fleet_json_add(doc, root, "admin", config->admin);
    yyjson_mut_obj_add_uint(doc, root, "threads", config->threads);
    yyjson_mut_obj_add_uint(doc, root, "memory_bytes", config->memory_bytes);
    fleet_json_add(doc, root, "server_name", config->server_name);
    fleet_json_add(doc, root, "access_log", config->access_log);
    for (uint32_t i = 0; i < config->site_count; i++)
        yyjson_mut_arr_append(sites, site_json(doc, &config->sites[i]));
    yyjson_mut_obj_add_val(doc, root, "sites", sites);
    return fleet_json_answer(answer, doc);
}

sk_err edge_admin_reload(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    struct edge_process *process = role;
    struct sk_buf report;
    sk_buf_init(&report, 0);
    sk_err err = edge_reload(process, &report);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (doc) {
        yyjson_mut_val *root = yyjson_mut_obj(doc), *lines = yyjson_mut_arr(doc);
        sk_str text = sk_buf_str(&report), line;
        answer->status = err ? 422 : 200;
        yyjson_mut_doc_set_root(doc, root);
        yyjson_mut_obj_add_bool(doc, root, "reloaded", err == SK_OK);
        yyjson_mut_obj_add_uint(doc, root, "config_number", process->snapshot->config->number);
        while (text.len && sk_str_cut(&text, '\n', &line))
            if (line.len) yyjson_mut_arr_append(lines, fleet_json_text(doc, line));
        yyjson_mut_obj_add_val(doc, root, err ? "problems" : "notes", lines);
    }
    sk_buf_free(&report);
    return doc ? fleet_json_answer(answer, doc) : SK_ERR_NO_MEMORY;
}

static sk_err explain(struct edge_process *process, const struct http_request *asked, struct sk_arena *arena,
                      struct fleet_admin_answer *answer) {
    struct cache_thread *thread;
    struct edge_explanation explanation;
    yyjson_mut_doc *doc = NULL;
    sk_err err = cache_thread_join(process->cache, process->loop, &thread);
    if (err) return err;
    cache_enter(thread);
    err = edge_explain_look(thread, process->snapshot->config, asked, io_loop_wall_s(process->loop), arena,
                            &explanation);
    if (!err) edge_ring_explain(process->ring, arena, &explanation);
    if (!err) doc = edge_explain_json(&explanation, arena);
    cache_leave(thread);
    cache_thread_leave(thread);
    if (err) return err;
    return doc ? fleet_json_answer(answer, doc) : SK_ERR_NO_MEMORY;
}

sk_err edge_admin_explain(void *role, struct fleet_admin_request *request,
                          struct fleet_admin_answer *answer) {
    struct edge_process *process = role;
    struct http_request asked;
    const char *problem = "";
    sk_err err = edge_explain_query(&request->arena, request->http.query, &process->snapshot->head_limits,
                                    &asked, &problem);
    if (err == SK_ERR_INVALID) return fleet_admin_say(answer, 400, problem);
    return err ? err : explain(process, &asked, &request->arena, answer);
}
