/* What people ask of control: configurations and nodes. */
#include <stdio.h>
#include <stdlib.h>

#include "control/certificates.h"
#include "control/members.h"
#include "fleet/admin_json.h"
#include "fleet/deep.h"

enum { HISTORY_SHOWN = 100, PUBLISH_TRIES = 5 };

static const struct control_asker *asker_of(const struct fleet_admin_request *request) {
    return request->asker;
}

/* --- configurations ------------------------------------------------------------------------------------------ */

static sk_err describe(struct control_process *process, uint64_t number, struct sk_arena *arena,
                       yyjson_mut_doc *doc, yyjson_mut_val *list) {
    sk_str bytes;
    struct fleet_snapshot snapshot;
    sk_arena_reset(arena);
    sk_err err = control_snapshot(process, number, arena, &bytes);
    if (!err) err = fleet_snapshot_parse(bytes, &snapshot);
    if (err) return err;
    yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, list);
    yyjson_mut_obj_add_uint(doc, item, "number", number);
    yyjson_mut_obj_add_sint(doc, item, "created", snapshot.created);
    fleet_json_add(doc, item, "author", snapshot.author);
    yyjson_mut_obj_add_uint(doc, item, "bytes", snapshot.body.len);
    yyjson_mut_obj_add_strcpy(doc, item, "digest", snapshot.digest);
    return SK_OK;
}

sk_err control_api_history(void *role, struct fleet_admin_request *request,
                           struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_obj_add_arr(doc, root, "configurations");
    uint64_t head = 0;
    yyjson_mut_doc_set_root(doc, root);
    sk_err err = list ? control_head(process, &head) : SK_ERR_NO_MEMORY;
    for (uint64_t i = 0; i < SK_MIN(head, HISTORY_SHOWN) && !err; i++) {
        err = describe(process, head - i, &request->arena, doc, list);
        if (err == SK_ERR_NOT_FOUND) err = SK_OK; /* numbers may be left out */
    }
    if (!err) return fleet_json_answer(answer, doc);
    yyjson_mut_doc_free(doc);
    return err;
}

/* The text of the configuration that the request names, or the newest. SK_ERR_NOT_FOUND, SK_ERR_INVALID. */
static sk_err wanted_body(struct control_process *process, struct fleet_admin_request *request,
                          sk_str *out_body, uint64_t *out_number) {
    sk_str text = control_parameter(request, "number"), bytes;
    struct fleet_snapshot snapshot;
    uint64_t number = process->view.head;
    if (text.len && sk_str_to_u64(text, &number)) return SK_ERR_INVALID;
    sk_err err = control_snapshot(process, number, &request->arena, &bytes);
    if (!err) err = fleet_snapshot_parse(bytes, &snapshot);
    if (err) return err;
    *out_body = snapshot.body;
    *out_number = number;
    return SK_OK;
}

sk_err control_api_configuration(void *role, struct fleet_admin_request *request,
                                 struct fleet_admin_answer *answer) {
    sk_str body;
    uint64_t number;
    sk_err err = wanted_body(role, request, &body, &number);
    if (err == SK_ERR_NOT_FOUND) return fleet_admin_say(answer, 404, "there is no such configuration");
    if (err == SK_ERR_INVALID) return fleet_admin_say(answer, 400, "expected ?number=N");
    answer->type = "application/yaml";
    return err ? err : sk_buf_append(&answer->body, body);
}

static sk_err publish(struct control_process *process, const struct fleet_admin_request *request, sk_str body,
                      bool all, const char *what, struct fleet_admin_answer *answer) {
    uint64_t number = 0;
    sk_err err = control_certificates_known(process, body, &answer->body);
    if (err == SK_ERR_INVALID) {
        answer->status = 400;
        answer->type = "text/plain; charset=utf-8";
        return SK_OK;
    }
    if (!err) err = SK_ERR_BUSY;
    for (int i = 0; i < PUBLISH_TRIES && err == SK_ERR_BUSY; i++)
        err = control_publish(process, body, asker_of(request)->name, all, &number);
    if (err) return err;
    control_record_deed(process, asker_of(request)->name, what, "configuration %llu, %s",
                        (unsigned long long)number, control_stage_word(process->view.rollout.stage));
    return sk_buf_printf(&answer->body, "{\"number\":%llu,\"stage\":\"%s\"}\n", (unsigned long long)number,
                         control_stage_word(process->view.rollout.stage));
}

sk_err control_api_apply(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    sk_str rollout = control_parameter(request, "rollout"), body = sk_buf_str(&request->content);
    bool staged = sk_str_eq(rollout, SK_STR("staged"));
    if (asker_of(request)->site.len) return fleet_admin_say(answer, 403, "this token is for one site only");
    if (rollout.len && !staged && !sk_str_eq(rollout, SK_STR("all")))
        return fleet_admin_say(answer, 400, "rollout: expected all or staged");
    if (!body.len) return fleet_admin_say(answer, 400, "the configuration is empty");
    if (body.len > FLEET_SNAPSHOT_BODY_MAX)
        return fleet_admin_say(answer, 413, "the configuration is over 1 MiB");
    sk_err err = control_check_body(body, &answer->body);
    if (err == SK_ERR_INVALID) {
        answer->status = 400;
        answer->type = "text/plain; charset=utf-8";
        return SK_OK;
    }
    return err ? err : publish(process, request, body, !staged, "apply", answer);
}

sk_err control_api_rollback(void *role, struct fleet_admin_request *request,
                            struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    sk_str body;
    uint64_t number;
    if (asker_of(request)->site.len) return fleet_admin_say(answer, 403, "this token is for one site only");
    if (!control_parameter(request, "number").len) return fleet_admin_say(answer, 400, "expected ?number=N");
    sk_err err = wanted_body(process, request, &body, &number);
    if (err == SK_ERR_NOT_FOUND) return fleet_admin_say(answer, 404, "there is no such configuration");
    if (err == SK_ERR_INVALID) return fleet_admin_say(answer, 400, "expected ?number=N");
    return err ? err : publish(process, request, body, true, "rollback", answer);
}

sk_err control_api_rollout(void *role, struct fleet_admin_request *request,
                           struct fleet_admin_answer *answer) {
    const struct control_process *process = role;
    const struct control_rollout *rollout = &process->view.rollout;
    return sk_buf_printf(
        &answer->body,
        "{\"number\":%llu,\"previous\":%llu,\"stage\":\"%s\",\"since\":%lld,\"canary\":\"%s\","
        "\"pop\":\"%s\"}\n",
        (unsigned long long)rollout->number, (unsigned long long)rollout->previous,
        control_stage_word(rollout->stage), (long long)rollout->since, rollout->canary, rollout->pop);
}

/* --- nodes --------------------------------------------------------------------------------------------------- */

static yyjson_mut_val *add_node(yyjson_mut_doc *doc, yyjson_mut_val *list,
                                const struct control_process *process, const struct control_record *record) {
    yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, list);
    const struct control_node *node = &record->node;
    char text[FLEET_ID_TEXT_BYTES];
    struct fleet_caller caller = {.id = node->id, .issued_at = SK_MAX(record->seen, record->joined)};
    fleet_json_add(doc, item, "id", fleet_id_format(&node->id, text));
    yyjson_mut_obj_add_str(doc, item, "state",
                           fleet_is_expelled(&process->view.expelled, &caller) ? "expelled"
                           : node->alive                                       ? "alive"
                                                                               : "silent");
    yyjson_mut_obj_add_uint(doc, item, "configuration", node->in_force);
    yyjson_mut_obj_add_uint(doc, item, "refused", node->refused);
    fleet_json_add(doc, item, "why", record->why);
    yyjson_mut_obj_add_sint(doc, item, "joined", record->joined);
    yyjson_mut_obj_add_sint(doc, item, "seen", record->seen);
    yyjson_mut_obj_add_sint(doc, item, "certificate_until", record->not_after);
    fleet_json_add(doc, item, "root", record->issuer);
    yyjson_mut_obj_add_uint(doc, item, "requests", node->after.requests);
    yyjson_mut_obj_add_uint(doc, item, "errors", node->after.errors);
    yyjson_mut_obj_add_uint(doc, item, "p99_us", node->after.p99_us);
    fleet_json_add(doc, item, "version", record->version);
    yyjson_mut_obj_add_bool(doc, item, "drained", control_is_drained(process, &node->id));
    return item;
}

/* What it says itself, on the bus; nothing of who has none, or is not believed. */
static void add_beat(yyjson_mut_doc *doc, yyjson_mut_val *item, const struct control_member *member) {
    const struct fleet_heartbeat *beat = &member->beat;
    uint64_t asked = beat->hits + beat->misses;
    yyjson_mut_obj_add_str(doc, item, "serving", fleet_state_word(beat->state));
    fleet_json_add(doc, item, "serving_why", beat->why);
    fleet_json_add(doc, item, "address", beat->address);
    yyjson_mut_obj_add_bool(doc, item, "hears_bus", !beat->silent);
    yyjson_mut_obj_add_uint(doc, item, "connections", beat->connections);
    yyjson_mut_obj_add_real(doc, item, "load", (double)beat->load_permille / 1000);
    if (asked) yyjson_mut_obj_add_real(doc, item, "hit_ratio", (double)beat->hits / (double)asked);
    yyjson_mut_obj_add_uint(doc, item, "used_bytes", beat->used_bytes);
    yyjson_mut_obj_add_uint(doc, item, "budget_bytes", beat->budget_bytes);
    if (member->has_position) yyjson_mut_obj_add_uint(doc, item, "purges_behind", member->behind);
}

static void add_beat_of(yyjson_mut_doc *doc, yyjson_mut_val *item, const struct fleet_id *id,
                        const struct control_member *members, size_t count) {
    char text[FLEET_ID_TEXT_BYTES];
    sk_str name = fleet_id_format(id, text);
    for (size_t i = 0; i < count; i++)
        if (sk_str_eq(members[i].beat.name, name)) add_beat(doc, item, &members[i]);
}

sk_err control_api_nodes(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    struct control_record *records;
    size_t count;
    struct control_member *members;
    size_t member_count;
    sk_err err = control_records(&process->store, sk_wall_now_s(), &request->arena, &records, &count);
    if (!err) err = control_members(process, &request->arena, &members, &member_count);
    if (err) return err;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_obj_add_arr(doc, root, "nodes");
    yyjson_mut_doc_set_root(doc, root);
    for (size_t i = 0; i < count; i++)
        add_beat_of(doc, add_node(doc, list, process, &records[i]), &records[i].node.id, members,
                    member_count);
    return fleet_json_answer(answer, doc);
}

sk_err control_api_expel(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    sk_str node = control_parameter(request, "node"), record;
    struct fleet_id id;
    char text[FLEET_ID_TEXT_BYTES], at[20];
    if (fleet_id_parse(node, &id) || !sk_str_eq(sk_str_from_c(id.fleet), process->config->fleet))
        return fleet_admin_say(answer, 400, "expected ?node=spiffe://FLEET/POP/ROLE/NAME");
    node = fleet_id_format(&id, text);
    sk_err err = control_get(&process->store, CONTROL_TABLE_NODES, node, &request->arena, &record);
    if (err == SK_ERR_NOT_FOUND) return fleet_admin_say(answer, 404, "there is no such node");
    if (!err)
        err = control_put(&process->store, CONTROL_TABLE_EXPELLED, node,
                          sk_str_make(at, sk_u64_to_text((uint64_t)sk_wall_now_s(), at)));
    if (!err) err = control_tickets_renew(process); /* it knows those that there are */
    if (!err) err = control_refresh(process);
    if (err) return err;
    control_record_deed(process, asker_of(request)->name, "expel", "%s", text);
    return sk_buf_printf(&answer->body, "{\"expelled\":\"%s\"}\n", text);
}

/* --- roots --------------------------------------------------------------------------------------------------- */

sk_err control_api_roots(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    const struct control_process *process = role;
    answer->type = "application/x-pem-file";
    return sk_buf_append(&answer->body, fleet_ca_roots(process->ca));
}

static sk_err add_root(void *arg) {
    struct control_process *process = arg;
    sk_err err = fleet_ca_take(process->ca, FLEET_CA_ADD, sk_wall_now_s());
    return err ? err : control_renew_self(process);
}

sk_err control_api_rotate(void *role, struct fleet_admin_request *request,
                          struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    sk_err err = fleet_deeply(add_root, process);
    if (err == SK_ERR_INVALID) return fleet_admin_say(answer, 409, "the roots are changing already");
    if (err) return err;
    control_record_deed(process, asker_of(request)->name, "roots", "a second root is trusted");
    process->view.version++; /* nodes that wait are told within their time */
    return sk_buf_printf(&answer->body, "{\"roots\":%u}\n", fleet_ca_root_count(process->ca));
}
