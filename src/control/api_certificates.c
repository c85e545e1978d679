/* Certificates of sites: people give them, edges fetch them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/certificates.h"
#include "control/process.h"
#include "fleet/admin_json.h"
#include "fleet/deep.h"
#include "http/date.h"

static const struct control_asker *asker_of(const struct fleet_admin_request *request) {
    return request->asker;
}

static bool may_touch(const struct control_asker *asker, const struct control_certificate *certificate) {
    return !asker->site.len || sk_str_eq(asker->site, certificate->site);
}

/* --- giving one ---------------------------------------------------------------------------------------------- */

struct judging {
    struct control_certificate_question question;
    struct control_certificate *certificate;
    struct sk_arena *arena;
    char why[CONTROL_CERTIFICATE_WHY_BYTES];
};
static sk_err judge_now(void *arg) {
    struct judging *judging = arg;
    sk_err err = control_certificate_judge(&judging->question, judging->why);
    return err ? err : control_certificate_facts(judging->certificate, judging->arena);
}

static sk_err judge(struct control_process *process, struct fleet_admin_request *request,
                    struct control_certificate *certificate, const struct control_certificate *old,
                    struct judging *judging) {
    struct config *config = NULL;
    *judging = (struct judging){.certificate = certificate, .arena = &request->arena};
    judging->question = (struct control_certificate_question){.name = certificate->name,
                                                              .pem = certificate->pem,
                                                              .site = asker_of(request)->site,
                                                              .now = sk_wall_now_s()};
    /* before anything parks: what is old lives with the view */
    if (old) judging->question.old_pem = sk_arena_copy(&request->arena, old->pem);
    sk_err err = control_configuration_of(process, process->view.head, &config);
    if (err == SK_ERR_NOT_FOUND) err = SK_OK;
    judging->question.config = config;
    if (!err) err = fleet_deeply(judge_now, judging);
    config_unref(config);
    return err;
}

static const char *no_room(const struct control_process *process, sk_str pem,
                           const struct control_certificate *old) {
    const struct control_secrets *secrets = process->secrets;
    if (pem.len > FLEET_CERTIFICATE_MAX) return "the certificate is over 32 KiB";
    if (old) return NULL;
    if (secrets->certificate_count >= FLEET_CERTIFICATES_MAX) return "there are 1000 certificates already";
    bool full = secrets->certificate_bytes + pem.len > CONTROL_CERTIFICATES_BYTES;
    return full ? "all certificates together would be over 6 MiB" : NULL;
}

static sk_err keep(struct control_process *process, struct fleet_admin_request *request,
                   struct control_certificate *certificate, struct fleet_admin_answer *answer) {
    char date[HTTP_DATE_BYTES];
    sk_err err = control_secrets_put(process, certificate);
    if (!err) err = control_refresh(process);
    if (err) return err;
    http_date_format(certificate->not_after, date);
    control_record_deed(process, asker_of(request)->name, "certificate", "%.*s: for %.*s, until %.*s",
                        SK_STR_ARGS(certificate->name), SK_STR_ARGS(certificate->names), HTTP_DATE_BYTES,
                        date);
    return sk_buf_printf(&answer->body, "{\"certificate\":\"%.*s\",\"names\":\"%.*s\",\"not_after\":%lld}\n",
                         SK_STR_ARGS(certificate->name), SK_STR_ARGS(certificate->names),
                         (long long)certificate->not_after);
}

sk_err control_api_certificate_put(void *role, struct fleet_admin_request *request,
                                   struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    const struct control_asker *asker = asker_of(request);
    struct control_certificate certificate = {.name = control_parameter(request, "name"),
                                              .site = asker->site,
                                              .by = sk_str_from_c(asker->name),
                                              .changed = (uint64_t)sk_wall_now_ns() / SK_NS_PER_MS,
                                              .pem = sk_buf_str(&request->content)};
    struct judging judging;
    if (!fleet_word_valid(certificate.name))
        return fleet_admin_say(answer, 400,
                               "name: expected a name of a-z, 0-9, '-', '_' and '.', at most 64");
    sk_err err = control_refresh(process);
    if (err) return err;
    const struct control_certificate *old = control_secrets_find(process->secrets, certificate.name);
    if (old && !may_touch(asker, old))
        return fleet_admin_say(answer, 403, "this certificate is not of the token's site");
    const char *full = no_room(process, certificate.pem, old);
    if (full) return fleet_admin_say(answer, 413, full);
    if (old) { /* it must not be older to those who have it, whatever a clock did */
        certificate.changed = SK_MAX(certificate.changed, old->changed + 1);
        certificate.site = sk_arena_copy(&request->arena, old->site);
    }
    err = judge(process, request, &certificate, old, &judging);
    if (err == SK_ERR_INVALID) return fleet_admin_say(answer, 400, judging.why);
    return err ? err : keep(process, request, &certificate, answer);
}

/* --- taking one away ----------------------------------------------------------------------------------------- */

/* The name of the site that uses NAME in configuration NUMBER, in ARENA; empty: none does. */
static sk_err find_user(struct control_process *process, uint64_t number, sk_str name, struct sk_arena *arena,
                        sk_str *out_site) {
    struct config *config;
    uint32_t at = 0;
    sk_err err = control_configuration_of(process, number, &config);
    if (err) return err == SK_ERR_NOT_FOUND ? SK_OK : err;
    const struct config_site *user = control_certificate_user(config, name, &at);
    if (user) *out_site = sk_arena_copy(arena, user->name);
    config_unref(config);
    return SK_OK;
}

sk_err control_api_certificate_remove(void *role, struct fleet_admin_request *request,
                                      struct fleet_admin_answer *answer) {
    struct control_process *process = role;
    sk_str name = control_parameter(request, "name"), user = {0};
    sk_err err = control_refresh(process);
    if (err) return err;
    const struct control_certificate *certificate = control_secrets_find(process->secrets, name);
    if (!certificate) return fleet_admin_say(answer, 404, "there is no such certificate");
    if (!may_touch(asker_of(request), certificate))
        return fleet_admin_say(answer, 403, "this certificate is not of the token's site");
    /* while a new one is on its way, the one before may yet be needed */
    const struct control_rollout *rollout = &process->view.rollout;
    uint64_t previous = rollout->stage == CONTROL_STAGE_ALL ? 0 : rollout->previous;
    err = find_user(process, process->view.head, name, &request->arena, &user);
    if (!err && !user.len) err = find_user(process, previous, name, &request->arena, &user);
    if (err) return err;
    if (user.len) {
        answer->status = 409;
        answer->type = "text/plain; charset=utf-8";
        return sk_buf_printf(&answer->body, "the configuration uses it, for the site %.*s\n",
                             SK_STR_ARGS(user));
    }
    err = control_secrets_remove(process, name);
    if (err == SK_ERR_NOT_FOUND) return fleet_admin_say(answer, 404, "there is no such certificate");
    if (!err) err = control_refresh(process);
    if (err) return err;
    control_record_deed(process, asker_of(request)->name, "certificate taken away", "%.*s",
                        SK_STR_ARGS(name));
    return sk_buf_printf(&answer->body, "{\"removed\":true}\n");
}

/* --- seeing them --------------------------------------------------------------------------------------------- */

sk_err control_api_certificates(void *role, struct fleet_admin_request *request,
                                struct fleet_admin_answer *answer) {
    const struct control_process *process = role;
    const struct control_secrets *secrets = process->secrets;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_obj_add_arr(doc, root, "certificates");
    yyjson_mut_doc_set_root(doc, root);
    for (size_t i = 0; secrets && i < secrets->certificate_count; i++) {
        const struct control_certificate *certificate = &secrets->certificates[i];
        if (!may_touch(asker_of(request), certificate)) continue;
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, list);
        fleet_json_add(doc, item, "name", certificate->name);
        fleet_json_add(doc, item, "names", certificate->names);
        fleet_json_add(doc, item, "site", certificate->site);
        fleet_json_add(doc, item, "by", certificate->by);
        yyjson_mut_obj_add_sint(doc, item, "not_before", certificate->not_before);
        yyjson_mut_obj_add_sint(doc, item, "not_after", certificate->not_after);
        yyjson_mut_obj_add_sint(doc, item, "changed", (int64_t)(certificate->changed / 1000));
    }
    return fleet_json_answer(answer, doc);
}

/* --- edges --------------------------------------------------------------------------------------------------- */

sk_err control_api_node_secrets(void *role, struct fleet_admin_request *request,
                                struct fleet_admin_answer *answer) {
    const struct control_process *process = role;
    if (!process->secrets) return fleet_admin_say(answer, 503, "the store was not read yet");
    answer->type = "text/plain; charset=utf-8";
    return sk_buf_append(&answer->body, sk_buf_str(&process->secrets->list));
}

sk_err control_api_node_certificate(void *role, struct fleet_admin_request *request,
                                    struct fleet_admin_answer *answer) {
    const struct control_process *process = role;
    const struct control_certificate *certificate =
        control_secrets_find(process->secrets, control_parameter(request, "name"));
    if (!certificate) return fleet_admin_say(answer, 404, "there is no such certificate");
    answer->type = "application/x-pem-file";
    return sk_buf_append(&answer->body, certificate->pem);
}
