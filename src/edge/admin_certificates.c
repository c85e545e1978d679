/* What the admin socket says of certificates. */
#include <stdio.h>

#include "edge/acme.h"
#include "edge/admin.h"
#include "edge/ocsp.h"
#include "fleet/admin_json.h"

static yyjson_mut_val *certificate_json(const struct edge_process *process, yyjson_mut_doc *doc,
                                        const struct wire_tls_certificate *certificate) {
    yyjson_mut_val *json = yyjson_mut_obj(doc), *names = yyjson_mut_arr(doc);
    for (uint32_t i = 0; i < certificate->name_count; i++)
        yyjson_mut_arr_append(names, fleet_json_text(doc, certificate->names[i]));
    fleet_json_add(doc, json, "file", sk_str_from_c(certificate->file));
    yyjson_mut_obj_add_str(doc, json, "key", certificate->kind == WIRE_TLS_RSA ? "rsa" : "ecdsa");
    yyjson_mut_obj_add_val(doc, json, "names", names);
    yyjson_mut_obj_add_int(doc, json, "not_before", certificate->not_before);
    yyjson_mut_obj_add_int(doc, json, "not_after", certificate->not_after);
    yyjson_mut_val *status = edge_ocsp_json(process->ocsp, doc, certificate);
    if (status) yyjson_mut_obj_add_val(doc, json, "ocsp", status);
    return json;
}

sk_err edge_admin_certificates(void *role, struct fleet_admin_request *request,
                               struct fleet_admin_answer *answer) {
    const struct edge_process *process = role;
    const struct wire_tls_store *store = process->snapshot->tls.store;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (!doc) return SK_ERR_NO_MEMORY;
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_int(doc, root, "now", sk_wall_now_s());
    for (uint32_t i = 0; store && i < wire_tls_store_count(store); i++)
        yyjson_mut_arr_append(list, certificate_json(process, doc, wire_tls_store_at(store, i)));
    yyjson_mut_obj_add_val(doc, root, "certificates", list);
    yyjson_mut_obj_add_val(doc, root, "acme", edge_acme_json(process->acme, doc));
    return fleet_json_answer(answer, doc);
}

sk_err edge_admin_certificates_retry(void *role, struct fleet_admin_request *request,
                                     struct fleet_admin_answer *answer) {
    struct edge_process *process = role;
    char text[96];
    uint32_t orders = edge_acme_retry(process->acme), statuses = edge_ocsp_retry(process->ocsp);
    snprintf(text, sizeof text, "orders tried again: %u, statuses asked for again: %u", orders, statuses);
    return fleet_admin_say(answer, 200, text);
}
