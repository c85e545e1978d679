/* Invitations and tokens: made here, told once, kept as hashes. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/process.h"
#include "fleet/admin_json.h"

enum { LIFE_S = 30 * 86400, LIFE_MAX_S = 3650 * 86400 };

static const struct control_asker *asker_of(const struct fleet_admin_request *request) {
    return request->asker;
}

static void make(const struct control_process *process, enum fleet_token_kind kind,
                 struct fleet_token *out_token) {
    uint8_t root[FLEET_DIGEST_BYTES];
    fleet_ca_fingerprint(process->ca, root);
    fleet_token_make(kind, root, out_token);
}

struct member {
    const char *key;
    sk_str text;
};

/* Keeps the token's hash and what else is known of it. */
static sk_err keep(struct control_process *process, const char *table, const struct fleet_token *token,
                   sk_unix_s expires, const struct member *members, size_t count) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char hash[FLEET_HEX_BYTES];
    size_t len = 0;
    fleet_token_hash(token, hash);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_strcpy(doc, root, "hash", hash);
    yyjson_mut_obj_add_sint(doc, root, "expires", expires);
    for (size_t i = 0; i < count; i++) fleet_json_add(doc, root, members[i].key, members[i].text);
    char *json = yyjson_mut_write(doc, 0, &len);
    sk_err err = json ? control_add(&process->store, table, sk_str_from_c(token->id), sk_str_make(json, len))
                      : SK_ERR_NO_MEMORY;
    free(json);
    yyjson_mut_doc_free(doc);
    return err;
}

static sk_err answer_token(struct fleet_admin_answer *answer, const struct fleet_token *token,
                           sk_unix_s expires) {
    char text[FLEET_TOKEN_TEXT_BYTES];
    fleet_token_format(token, text);
    sk_err err = sk_buf_printf(&answer->body, "{\"token\":\"%s\",\"id\":\"%s\",\"expires\":%lld}\n", text,
                               token->id, (long long)expires);
    OPENSSL_cleanse(text, sizeof text);
    return err;
}

sk_err control_api_invite(void *role, struct fleet_admin_request *request,
                          struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    sk_str word = control_parameter(request, "role"), pop = control_parameter(request, "pop");
    enum fleet_role what;
    struct fleet_token token;
    sk_unix_s expires = sk_wall_now_s() + SK_MAX(process->config->invite_life_ms / 1000, 1);
    if (fleet_role_lookup(word, &what) || what == FLEET_ROLE_CONTROL)
        return fleet_admin_say(answer, 400, "role: expected edge or route");
    if (!fleet_word_valid(pop))
        return fleet_admin_say(answer, 400, "pop: expected a name of a-z, 0-9, '-', '_' and '.', at most 64");
    make(process, FLEET_TOKEN_JOIN, &token);
    const struct member members[] = {
        {"role", word}, {"pop", pop}, {"by", sk_str_from_c(asker_of(request)->name)}};
    sk_err err = keep(process, CONTROL_TABLE_INVITES, &token, expires, members, SK_COUNT(members));
    if (err) return err;
    control_record_deed(process, asker_of(request)->name, "invite", "%s for %.*s/%.*s", token.id,
                        SK_STR_ARGS(pop), SK_STR_ARGS(word));
    return answer_token(answer, &token, expires);
}

static bool is_one_line(sk_str text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < 0x20) return false;
    return true;
}

sk_err control_api_token_make(void *role, struct fleet_admin_request *request,
                              struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    sk_str name = control_parameter(request, "name"), rights = control_parameter(request, "rights"),
           site = control_parameter(request, "site"), life = control_parameter(request, "life_s");
    struct fleet_token token;
    uint64_t life_s = LIFE_S;
    unsigned wanted;
    if (!fleet_word_valid(name))
        return fleet_admin_say(answer, 400,
                               "name: expected a name of a-z, 0-9, '-', '_' and '.', at most 64");
    if (control_rights_parse(rights, &wanted))
        return fleet_admin_say(answer, 400,
                               "rights: expected some of read,apply,purge,nodes,tokens,audit,certificates");
    if (wanted & ~asker_of(request)->rights)
        return fleet_admin_say(answer, 403, "nobody gives what they have not");
    if (asker_of(request)->site.len && !sk_str_eq(site, asker_of(request)->site))
        return fleet_admin_say(answer, 403, "nobody gives what they have not");
    if (!is_one_line(site)) return fleet_admin_say(answer, 400, "site: expected a site's name");
    if (life.len && (sk_str_to_u64(life, &life_s) || !life_s || life_s > LIFE_MAX_S))
        return fleet_admin_say(answer, 400, "life_s: expected seconds, at most ten years");
    sk_unix_s expires = sk_wall_now_s() + (sk_unix_s)life_s;
    make(process, FLEET_TOKEN_ASK, &token);
    const struct member members[] = {
        {"name", name}, {"rights", rights}, {"site", site}, {"by", sk_str_from_c(asker_of(request)->name)}};
    sk_err err = keep(process, CONTROL_TABLE_TOKENS, &token, expires, members, SK_COUNT(members));
    if (err) return err;
    control_record_deed(process, asker_of(request)->name, "token", "%.*s (%s): %.*s", SK_STR_ARGS(name),
                        token.id, SK_STR_ARGS(rights));
    return answer_token(answer, &token, expires);
}

static void add_text(yyjson_mut_doc *doc, yyjson_mut_val *item, yyjson_val *root, const char *key) {
    fleet_json_add(doc, item, key, sk_str_from_c(yyjson_get_str(yyjson_obj_get(root, key))));
}

sk_err control_api_tokens(void *role, struct fleet_admin_request *request,
                          struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    struct fleet_pair *pairs;
    size_t count;
    sk_err err = control_all(&process->store, CONTROL_TABLE_TOKENS, &request->arena, &pairs, &count);
    if (err) return err;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_obj_add_arr(doc, root, "tokens");
    yyjson_mut_doc_set_root(doc, root);
    for (size_t i = 0; i < count; i++) {
        yyjson_doc *stored = yyjson_read(pairs[i].value.data, pairs[i].value.len, 0);
        yyjson_val *token = yyjson_doc_get_root(stored);
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, list);
        fleet_json_add(doc, item, "id", pairs[i].name);
        add_text(doc, item, token, "name");
        add_text(doc, item, token, "rights");
        add_text(doc, item, token, "site");
        add_text(doc, item, token, "by");
        yyjson_mut_obj_add_sint(doc, item, "expires", yyjson_get_sint(yyjson_obj_get(token, "expires")));
        yyjson_doc_free(stored);
    }
    return fleet_json_answer(answer, doc);
}

sk_err control_api_token_revoke(void *role, struct fleet_admin_request *request,
                                struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    sk_str id = control_parameter(request, "id");
    sk_err err = id.len ? control_remove(&process->store, CONTROL_TABLE_TOKENS, id) : SK_ERR_NOT_FOUND;
    if (err == SK_ERR_NOT_FOUND) return fleet_admin_say(answer, 404, "there is no such token");
    if (err) return err;
    control_record_deed(process, asker_of(request)->name, "token taken back", "%.*s", SK_STR_ARGS(id));
    return sk_buf_printf(&answer->body, "{\"revoked\":true}\n");
}
