/* Who may ask what of control. Whoever is refused is told little and logged in full. */
#include <stdio.h>
#include <yyjson.h>

#include "base/log.h"
#include "control/process.h"

static bool refuse(struct fleet_admin_answer *answer, uint16_t status, const char *text) {
    if (fleet_admin_say(answer, status, text) != SK_OK) answer->status = status;
    return false;
}

static bool refuse_logged(const struct fleet_admin_endpoint *endpoint, const char *who, const char *why,
                          struct fleet_admin_answer *answer, uint16_t status) {
    SK_LOG_LIMITED(SK_LOG_WARN, "control", "refused: %s asks for %.*s: %s", who, SK_STR_ARGS(endpoint->path),
                   why);
    return refuse(answer, status, why);
}

static struct control_asker *new_asker(struct fleet_admin_request *request) {
    request->asker = sk_arena_zalloc(&request->arena, sizeof(struct control_asker));
    return request->asker;
}

/* --- nodes --------------------------------------------------------------------------------------------------- */

static bool allow_node(struct control_process *process, const struct fleet_admin_endpoint *endpoint,
                       const struct control_row *row, struct fleet_admin_request *request,
                       struct fleet_admin_answer *answer) {
    struct control_asker *asker = new_asker(request);
    if (!request->is_node)
        return refuse_logged(endpoint, "somebody without a certificate", "only nodes may", answer, 401);
    if (!asker) return refuse(answer, 503, "out of memory");
    fleet_id_format(&request->caller.id, asker->name);
    if (!process->view.known) return refuse(answer, 503, "the store was not read yet");
    enum fleet_verdict verdict = fleet_check(&request->caller, process->config->fleet,
                                             (enum fleet_verb)row->right, &process->view.expelled);
    if (verdict == FLEET_ALLOWED) {
        /* a connection may outlive its certificate */
        if (request->caller.not_after > sk_wall_now_s()) return true;
        return refuse_logged(endpoint, asker->name, "its certificate has expired", answer, 403);
    }
    return refuse_logged(endpoint, asker->name, fleet_verdict_text(verdict), answer, 403);
}

/* --- people -------------------------------------------------------------------------------------------------- */

/* What is stored of a token: rights, name, site, end. */
static bool read_token(sk_str json, const struct fleet_token *token, struct control_asker *asker,
                       struct sk_arena *arena) {
    yyjson_doc *doc = yyjson_read(json.data, json.len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *hash = yyjson_get_str(yyjson_obj_get(root, "hash")),
               *name = yyjson_get_str(yyjson_obj_get(root, "name")),
               *site = yyjson_get_str(yyjson_obj_get(root, "site")),
               *rights = yyjson_get_str(yyjson_obj_get(root, "rights"));
    bool good = hash && name && rights && fleet_token_matches(token, sk_str_from_c(hash)) &&
                yyjson_get_sint(yyjson_obj_get(root, "expires")) > sk_wall_now_s() &&
                control_rights_parse(sk_str_from_c(rights), &asker->rights) == SK_OK;
    if (good) {
        snprintf(asker->name, sizeof asker->name, "token %s (%s)", name, token->id);
        if (site && *site) asker->site = sk_arena_copy(arena, sk_str_from_c(site));
        good = !site || !*site || asker->site.data;
    }
    yyjson_doc_free(doc);
    return good;
}

static sk_str bearer(const struct fleet_admin_request *request) {
    sk_str given = http_fields_value(&request->http.fields, HTTP_FIELD_AUTHORIZATION);
    if (!sk_str_istarts_with(given, SK_STR("Bearer "))) return (sk_str){0};
    return sk_str_trim(sk_str_slice(given, 7, given.len));
}

static bool allow_token(struct control_process *process, const struct fleet_admin_endpoint *endpoint,
                        const struct control_row *row, struct fleet_admin_request *request,
                        struct fleet_admin_answer *answer) {
    struct control_asker *asker = new_asker(request);
    struct fleet_token token;
    sk_str stored, given = bearer(request);
    if (!asker) return refuse(answer, 503, "out of memory");
    if (!given.len)
        return refuse_logged(endpoint, "somebody without a token", "a token is needed", answer, 401);
    sk_err err = fleet_token_parse(given, &token);
    if (err || token.kind != FLEET_TOKEN_ASK)
        return refuse_logged(endpoint, "somebody", "this is no token for asking", answer, 401);
    err =
        control_get(&process->store, CONTROL_TABLE_TOKENS, sk_str_from_c(token.id), &request->arena, &stored);
    if (err && err != SK_ERR_NOT_FOUND) return refuse(answer, 503, "the store cannot be asked");
    if (err || !read_token(stored, &token, asker, &request->arena))
        return refuse_logged(endpoint, "somebody", "this token is not known, or has expired", answer, 401);
    if (asker->rights >> row->right & 1) return true;
    control_record_deed(process, asker->name, "refused", "%.*s: the right is missing",
                        SK_STR_ARGS(endpoint->path));
    return refuse_logged(endpoint, asker->name, "the token does not have that right", answer, 403);
}

bool control_allow(void *role, const struct fleet_admin_endpoint *endpoint,
                   struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    const struct control_row *row = &control_rows[endpoint - control_endpoints];
    switch (row->who) {
    case CONTROL_ANY: return true;
    case CONTROL_NODE: return allow_node(process, endpoint, row, request, answer);
    case CONTROL_PERSON: break;
    }
    if (!request->local) return allow_token(process, endpoint, row, request, answer);
    struct control_asker *asker = new_asker(request);
    if (!asker) return refuse(answer, 503, "out of memory");
    snprintf(asker->name, sizeof asker->name, "on this machine");
    asker->rights = ~0u;
    return true;
}
