/* What nodes, and machines that become nodes, ask of control. */
#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

#include "base/log.h"
#include "control/process.h"
#include "fleet/deep.h"

enum { AGAIN_MS = 10000, AGAIN_BUSY_MS = 1000, AGAIN_LEAST_MS = 200, FRESH_MS = 10000 };

static struct control_asker *asker_of(const struct fleet_admin_request *request) { return request->asker; }

sk_err control_api_health(void *role, struct fleet_admin_request *request,
                          struct fleet_admin_answer *answer) {
    const struct control_process *process = role;
    bool fresh = sk_time_now() - process->view.read_at < FRESH_MS * SK_NS_PER_MS;
    bool good = process->view.known && fresh && !process->stopping;
    answer->status = good ? 200 : 503;
    return sk_buf_printf(&answer->body, "{\"status\":\"%s\",\"fleet\":\"%.*s\",\"configuration\":%llu}\n",
                         good ? "ok" : "not ready", SK_STR_ARGS(process->config->fleet),
                         (unsigned long long)process->view.head);
}

sk_err control_api_openapi(void *role, struct fleet_admin_request *request,
                           struct fleet_admin_answer *answer) {
    return control_openapi(&answer->body);
}

sk_err control_api_metrics(void *role, struct fleet_admin_request *request,
                           struct fleet_admin_answer *answer) {
    answer->type = "text/plain; version=0.0.4; charset=utf-8";
    return observe_write_prometheus(&answer->body);
}

/* --- certificates -------------------------------------------------------------------------------------------- */

struct issuing {
    struct control_process *process;
    sk_str request;
    const struct fleet_id *id;
    struct sk_buf certificate;
};

static sk_err issue_now(void *arg) {
    struct issuing *issuing = arg;
    const struct control_process *process = issuing->process;
    return fleet_ca_issue(process->ca, issuing->request, issuing->id, sk_wall_now_s(),
                          SK_MAX(process->config->certificate_life_ms / 1000, 1), &issuing->certificate);
}

/* What the store knows of a node; all empty if nothing. */
static sk_err load_record(struct control_process *process, const struct fleet_id *id, struct sk_arena *arena,
                          struct control_record *out_record) {
    char name[FLEET_ID_TEXT_BYTES];
    sk_str text = fleet_id_format(id, name), json;
    *out_record = (struct control_record){.node.id = *id};
    sk_err err = control_get(&process->store, CONTROL_TABLE_NODES, text, arena, &json);
    if (err) return err == SK_ERR_NOT_FOUND ? SK_OK : err;
    err = control_record_read(text, json, sk_wall_now_s(), arena, out_record);
    if (err == SK_ERR_CORRUPT) *out_record = (struct control_record){.node.id = *id};
    return err == SK_ERR_CORRUPT ? SK_OK : err;
}

static sk_err save_record(struct control_process *process, const struct control_record *record) {
    char name[FLEET_ID_TEXT_BYTES];
    struct sk_buf json;
    sk_buf_init(&json, 0);
    sk_err err = control_record_write(record, &json);
    if (!err)
        err = control_put(&process->store, CONTROL_TABLE_NODES, fleet_id_format(&record->node.id, name),
                          sk_buf_str(&json));
    sk_buf_free(&json);
    return err;
}

static struct fleet_caller issued_to(const struct control_process *process, const struct fleet_id *id) {
    uint8_t root[FLEET_DIGEST_BYTES];
    struct fleet_caller caller = {.id = *id, .issued_at = sk_wall_now_s()};
    caller.not_after = caller.issued_at + process->config->certificate_life_ms / 1000;
    fleet_ca_fingerprint(process->ca, root);
    fleet_hex(root, caller.issuer);
    return caller;
}

/* With which node ID proves what it says on the bus, under the root that issues. */
static sk_str bus_key_for(const struct control_process *process, const struct fleet_id *id,
                          char out[FLEET_HEX_BYTES]) {
    char name[FLEET_ID_TEXT_BYTES];
    struct fleet_bus_key key = fleet_bus_key_of(&process->bus_masters.keys[0], fleet_id_format(id, name));
    fleet_bus_key_format(&key, out);
    return sk_str_make(out, FLEET_HEX_BYTES - 1);
}

/* --- joining ------------------------------------------------------------------------------------------------- */

struct invitation {
    char by[FLEET_ID_TEXT_BYTES], pop[FLEET_WORD_BYTES];
    enum fleet_role role;
};

static sk_err read_invitation(sk_str json, const struct fleet_token *token, struct invitation *out) {
    yyjson_doc *doc = yyjson_read(json.data, json.len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *hash = yyjson_get_str(yyjson_obj_get(root, "hash")),
               *role = yyjson_get_str(yyjson_obj_get(root, "role")),
               *pop = yyjson_get_str(yyjson_obj_get(root, "pop")),
               *by = yyjson_get_str(yyjson_obj_get(root, "by"));
    sk_err err = hash && role && pop && by ? SK_OK : SK_ERR_CORRUPT;
    if (!err && !fleet_token_matches(token, sk_str_from_c(hash))) err = SK_ERR_DENIED;
    if (!err && yyjson_get_sint(yyjson_obj_get(root, "expires")) <= sk_wall_now_s()) err = SK_ERR_TIMEOUT;
    if (!err) err = fleet_role_lookup(sk_str_from_c(role), &out->role);
    if (!err) {
        snprintf(out->by, sizeof out->by, "%s", by);
        snprintf(out->pop, sizeof out->pop, "%s", pop);
    }
    yyjson_doc_free(doc);
    return err;
}

static sk_err refuse_join(struct control_process *process, struct fleet_admin_answer *answer, uint16_t status,
                          const char *name, const char *why) {
    control_record_deed(process, "somebody", "join refused", "%s: %s", name, why);
    return fleet_admin_say(answer, status, why);
}

/* A name is one node's as long as its certificate holds and it was not expelled. */
static bool name_is_taken(const struct control_process *process, const struct control_record *record) {
    struct fleet_caller caller = {.id = record->node.id, .issued_at = SK_MAX(record->seen, record->joined)};
    return record->joined && record->not_after > sk_wall_now_s() &&
           !fleet_is_expelled(&process->view.expelled, &caller);
}

static sk_err let_in(struct control_process *process, const struct fleet_join *join,
                     const struct fleet_id *id, struct control_record *record, struct sk_arena *arena,
                     struct fleet_admin_answer *answer) {
    struct issuing issuing = {.process = process, .request = join->request, .id = id};
    char name[FLEET_ID_TEXT_BYTES], key[FLEET_HEX_BYTES];
    struct fleet_caller *caller = sk_arena_zalloc(arena, sizeof *caller);
    sk_err err = caller ? SK_OK : SK_ERR_NO_MEMORY;
    sk_buf_init(&issuing.certificate, FLEET_PEM_MAX);
    if (!err) err = fleet_deeply(issue_now, &issuing);
    if (err == SK_ERR_MALFORMED || err == SK_ERR_UNSUPPORTED) {
        sk_buf_free(&issuing.certificate);
        return refuse_join(process, answer, 400, id->name, "its request for a certificate is not good");
    }
    if (!err) {
        *caller = issued_to(process, id);
        record->joined = 0; /* it begins anew */
        control_record_issue(record, caller, sk_wall_now_s());
        err = save_record(process, record);
    }
    struct fleet_joined joined = {.id = fleet_id_format(id, name),
                                  .certificate = sk_buf_str(&issuing.certificate),
                                  .roots = fleet_ca_roots(process->ca),
                                  .bus_key = bus_key_for(process, id, key)};
    if (!err) err = fleet_joined_write(&joined, &answer->body);
    sk_buf_free(&issuing.certificate);
    return err;
}

sk_err control_api_join(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    struct fleet_join join;
    struct fleet_token token;
    struct invitation invitation = {0};
    struct control_record record;
    struct fleet_id id;
    uint8_t root[FLEET_DIGEST_BYTES];
    sk_str stored;
    if (fleet_join_parse(sk_buf_str(&request->content), &request->arena, &join))
        return fleet_admin_say(answer, 400, "expected {token, name, request}");
    if (!fleet_word_valid(join.name))
        return fleet_admin_say(answer, 400,
                               "a node's name is of a-z, 0-9, '-', '_' and '.', a letter or digit first");
    const char *name = join.name.data;
    fleet_ca_fingerprint(process->ca, root);
    if (fleet_token_parse(join.token, &token) || token.kind != FLEET_TOKEN_JOIN)
        return refuse_join(process, answer, 403, name, "this is no invitation");
    if (memcmp(token.root, root, sizeof root) != 0)
        return refuse_join(process, answer, 403, name,
                           "the invitation is of another fleet, or of a root before");
    sk_err err = control_get(&process->store, CONTROL_TABLE_INVITES, sk_str_from_c(token.id), &request->arena,
                             &stored);
    if (err == SK_ERR_NOT_FOUND)
        return refuse_join(process, answer, 403, name, "the invitation is not known, or was used before");
    if (!err) err = read_invitation(stored, &token, &invitation);
    if (err == SK_ERR_DENIED)
        return refuse_join(process, answer, 403, name, "the invitation's secret is wrong");
    if (err == SK_ERR_TIMEOUT) {
        (void)!control_remove(&process->store, CONTROL_TABLE_INVITES, sk_str_from_c(token.id));
        return refuse_join(process, answer, 403, name, "the invitation has expired");
    }
    if (!err)
        err = fleet_id_make(process->config->fleet, sk_str_from_c(invitation.pop), invitation.role, join.name,
                            &id);
    if (!err) err = load_record(process, &id, &request->arena, &record);
    if (err) return err;
    if (name_is_taken(process, &record))
        return refuse_join(process, answer, 409, name,
                           "there is a node of this name: expel it first, or take another");
    /* Of several that come with one invitation, one takes it out. */
    err = control_remove(&process->store, CONTROL_TABLE_INVITES, sk_str_from_c(token.id));
    if (err == SK_ERR_NOT_FOUND)
        return refuse_join(process, answer, 403, name, "the invitation is not known, or was used before");
    if (!err) err = let_in(process, &join, &id, &record, &request->arena, answer);
    if (!err && answer->status == 200) {
        char text[FLEET_ID_TEXT_BYTES];
        fleet_id_format(&id, text);
        control_record_deed(process, text, "join", "invited by %s", invitation.by);
    }
    return err;
}

sk_err control_api_renew(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    struct issuing issuing = {
        .process = process, .request = sk_buf_str(&request->content), .id = &request->caller.id};
    struct control_record record;
    sk_buf_init(&issuing.certificate, FLEET_PEM_MAX);
    sk_err err = fleet_deeply(issue_now, &issuing);
    if (err == SK_ERR_MALFORMED || err == SK_ERR_UNSUPPORTED) {
        sk_buf_free(&issuing.certificate);
        return fleet_admin_say(answer, 400, "the request for a certificate is not good");
    }
    if (!err) err = load_record(process, issuing.id, &request->arena, &record);
    if (!err) {
        struct fleet_caller caller = issued_to(process, issuing.id);
        control_record_issue(&record, &caller, sk_wall_now_s());
        err = save_record(process, &record);
    }
    char name[FLEET_ID_TEXT_BYTES], key[FLEET_HEX_BYTES];
    struct fleet_joined joined = {.id = fleet_id_format(issuing.id, name),
                                  .certificate = sk_buf_str(&issuing.certificate),
                                  .roots = fleet_ca_roots(process->ca),
                                  .bus_key = bus_key_for(process, issuing.id, key)};
    if (!err) err = fleet_joined_write(&joined, &answer->body);
    if (!err) sk_log(SK_LOG_INFO, "control", "%s: has another certificate", asker_of(request)->name);
    sk_buf_free(&issuing.certificate);
    return err;
}

/* --- reports ------------------------------------------------------------------------------------------------- */

/* Until a node is to ask for another certificate: it must not be kept waiting beyond that. */
static int64_t renew_in_ms(const struct fleet_caller *caller) {
    sk_unix_s at = caller->issued_at + (caller->not_after - caller->issued_at) / 3 * 2;
    return (at - sk_wall_now_s()) * 1000;
}

/* The digest of their list, for who may have it. */
static sk_str secrets_for(const struct control_process *process, const struct fleet_caller *caller) {
    bool may = fleet_check(caller, process->config->fleet, FLEET_VERB_READ_SECRETS, NULL) == FLEET_ALLOWED;
    return may && process->secrets ? sk_str_from_c(process->secrets->digest) : (sk_str){0};
}

static struct fleet_orders orders_for(const struct control_process *process,
                                      const struct fleet_admin_request *request) {
    const struct control_view *view = &process->view;
    char newest[FLEET_HEX_BYTES];
    uint8_t root[FLEET_DIGEST_BYTES];
    bool busy = view->rollout.number && view->rollout.stage != CONTROL_STAGE_ALL;
    int64_t again_ms = busy || fleet_ca_root_count(process->ca) > 1 ? AGAIN_BUSY_MS : AGAIN_MS;
    fleet_ca_fingerprint(process->ca, root);
    fleet_hex(root, newest);
    return (struct fleet_orders){
        .number = control_rollout_target(&view->rollout, &request->caller.id),
        .renew = strcmp(newest, request->caller.issuer) != 0,
        .roots = fleet_ca_roots(process->ca),
        .expelled = sk_buf_str(&view->expelled_text),
        .drain = control_is_drained(process, &request->caller.id),
        .again_ms = (uint64_t)SK_MAX(SK_MIN(again_ms, renew_in_ms(&request->caller)), AGAIN_LEAST_MS),
        .secrets = secrets_for(process, &request->caller),
    };
}

/* Whether there is anything that the node does not have, or refuses. */
static bool has_news(const struct control_process *process, const struct fleet_orders *orders,
                     const struct fleet_report *report) {
    return (orders->number > report->in_force && orders->number > report->refused) || orders->renew ||
           orders->drain != report->drained ||
           (orders->secrets.len && report->secrets.data && !sk_str_eq(orders->secrets, report->secrets)) ||
           !sk_str_eq(report->roots, sk_str_from_c(fleet_ca_roots_digest(process->ca))) ||
           !sk_str_eq(report->expelled, sk_str_from_c(process->view.expelled_digest));
}

static sk_err note_report(struct control_process *process, struct fleet_admin_request *request,
                          const struct fleet_report *report) {
    struct control_record record;
    struct fleet_caller *caller = &request->caller;
    sk_err err = load_record(process, &caller->id, &request->arena, &record);
    if (err) return err;
    if (report->refused > record.node.refused && report->refused > report->in_force) {
        char name[FLEET_ID_TEXT_BYTES];
        fleet_id_format(&caller->id, name);
        control_record_deed(process, name, "refuses", "configuration %llu: %.*s",
                            (unsigned long long)report->refused, SK_STR_ARGS(report->why));
    }
    control_numbers_seen(process, report->in_force);
    control_record_issue(&record, caller, sk_wall_now_s());
    control_record_note(&record, report, sk_wall_now_s());
    return save_record(process, &record);
}

/* Whether who asks has not been expelled while it waited. */
static bool still_allowed(const struct control_process *process, const struct fleet_admin_request *request) {
    return fleet_check(&request->caller, process->config->fleet, FLEET_VERB_REPORT,
                       &process->view.expelled) == FLEET_ALLOWED;
}

sk_err control_api_report(void *role, struct fleet_admin_request *request,
                          struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    struct fleet_report report;
    if (fleet_report_parse(sk_buf_str(&request->content), &request->arena, &report))
        return fleet_admin_say(answer, 400, "this is no report");
    sk_err err = note_report(process, request, &report);
    if (err) return err;
    struct fleet_orders orders = orders_for(process, request);
    sk_time_ns deadline = sk_time_now() + (sk_time_ns)orders.again_ms * SK_NS_PER_MS;
    while (!has_news(process, &orders, &report) && !process->stopping) {
        err = control_wait(process, process->view.version, deadline);
        if (!still_allowed(process, request)) return fleet_admin_say(answer, 403, "was expelled");
        orders = orders_for(process, request);
        if (err == SK_ERR_TIMEOUT) break;
        if (err) return err;
    }
    return fleet_orders_write(&orders, &answer->body);
}

sk_err control_api_node_snapshot(void *role, struct fleet_admin_request *request,
                                 struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    uint64_t number;
    sk_str bytes;
    if (sk_str_to_u64(control_parameter(request, "number"), &number))
        return fleet_admin_say(answer, 400, "expected ?number=N");
    sk_err err = control_snapshot(process, number, &request->arena, &bytes);
    if (err == SK_ERR_NOT_FOUND) return fleet_admin_say(answer, 404, "there is no such configuration");
    answer->type = "application/octet-stream";
    return err ? err : sk_buf_append(&answer->body, bytes);
}
