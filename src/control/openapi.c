#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

#include "base/version.h"
#include "control/api.h"
#include "fleet/id.h"

static const char *who_text(const struct control_row *row) {
    switch (row->who) {
    case CONTROL_ANY: return "anybody";
    case CONTROL_PERSON: return "a token with the right";
    case CONTROL_NODE: return "a node that may";
    }
    return "";
}

static void add_parameter(yyjson_mut_doc *doc, yyjson_mut_val *list, sk_str text) {
    sk_str name;
    yyjson_mut_val *parameter = yyjson_mut_arr_add_obj(doc, list);
    sk_str_cut(&text, '=', &name);
    bool needed = name.len && name.data[name.len - 1] == '*';
    yyjson_mut_obj_add_strncpy(doc, parameter, "name", name.data, name.len - needed);
    yyjson_mut_obj_add_str(doc, parameter, "in", "query");
    yyjson_mut_obj_add_bool(doc, parameter, "required", needed);
    yyjson_mut_obj_add_strncpy(doc, parameter, "description", text.data, text.len);
    yyjson_mut_val *schema = yyjson_mut_obj_add_obj(doc, parameter, "schema");
    yyjson_mut_obj_add_str(doc, schema, "type", "string");
}

static void add_parameters(yyjson_mut_doc *doc, yyjson_mut_val *operation, const char *parameters) {
    sk_str rest = sk_str_from_c(parameters), one;
    if (!rest.len) return;
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, operation, "parameters");
    while (sk_str_cut(&rest, ';', &one)) add_parameter(doc, list, one);
}

static void add_answer(yyjson_mut_doc *doc, yyjson_mut_val *answers, const char *status, const char *text) {
    yyjson_mut_val *answer = yyjson_mut_obj_add_obj(doc, answers, status);
    yyjson_mut_obj_add_str(doc, answer, "description", text);
}

static void add_operation(yyjson_mut_doc *doc, yyjson_mut_val *path, const char *method, size_t index) {
    const struct control_row *row = &control_rows[index];
    yyjson_mut_val *operation = yyjson_mut_obj_add_obj(doc, path, method);
    char who[96];
    snprintf(who, sizeof who, "For %s%s%s.", who_text(row), row->who == CONTROL_ANY ? "" : " ",
             row->who == CONTROL_PERSON ? control_right_word((enum control_right)row->right)
             : row->who == CONTROL_NODE ? fleet_verb_word((enum fleet_verb)row->right)
                                        : "");
    yyjson_mut_obj_add_str(doc, operation, "operationId", row->name);
    yyjson_mut_obj_add_str(doc, operation, "summary", control_endpoints[index].help);
    yyjson_mut_obj_add_strcpy(doc, operation, "description", who);
    add_parameters(doc, operation, row->parameters);
    if (row->content[0]) {
        yyjson_mut_val *body = yyjson_mut_obj_add_obj(doc, operation, "requestBody");
        yyjson_mut_val *content = yyjson_mut_obj_add_obj(doc, body, "content");
        yyjson_mut_obj_add_bool(doc, body, "required", true);
        yyjson_mut_obj_add_obj(doc, content, row->content);
    }
    if (row->who == CONTROL_PERSON) {
        yyjson_mut_val *need =
            yyjson_mut_arr_add_obj(doc, yyjson_mut_obj_add_arr(doc, operation, "security"));
        yyjson_mut_obj_add_arr(doc, need, "token");
    }
    yyjson_mut_val *answers = yyjson_mut_obj_add_obj(doc, operation, "responses");
    add_answer(doc, answers, "200", "done, or what was asked for");
    add_answer(doc, answers, "400", "the request is wrong: the content says how");
    if (row->who != CONTROL_ANY) {
        add_answer(doc, answers, "401", "who asks is not known");
        add_answer(doc, answers, "403", "who asks may not");
    }
}

static void add_paths(yyjson_mut_doc *doc, yyjson_mut_val *paths) {
    for (size_t i = 0; i < control_endpoint_count; i++) {
        const struct fleet_admin_endpoint *endpoint = &control_endpoints[i];
        yyjson_mut_val *path = yyjson_mut_obj_get(paths, endpoint->path.data);
        if (!path) path = yyjson_mut_obj_add_obj(doc, paths, endpoint->path.data);
        add_operation(doc, path, endpoint->method == HTTP_METHOD_GET ? "get" : "post", i);
    }
}

sk_err control_openapi(struct sk_buf *out) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    size_t len = 0;
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "openapi", "3.1.0");
    yyjson_mut_val *info = yyjson_mut_obj_add_obj(doc, root, "info");
    yyjson_mut_obj_add_str(doc, info, "title", "Skerry control");
    yyjson_mut_obj_add_str(doc, info, "version", SK_VERSION);
    add_paths(doc, yyjson_mut_obj_add_obj(doc, root, "paths"));
    yyjson_mut_val *components = yyjson_mut_obj_add_obj(doc, root, "components");
    yyjson_mut_val *schemes = yyjson_mut_obj_add_obj(doc, components, "securitySchemes");
    yyjson_mut_val *token = yyjson_mut_obj_add_obj(doc, schemes, "token");
    yyjson_mut_obj_add_str(doc, token, "type", "http");
    yyjson_mut_obj_add_str(doc, token, "scheme", "bearer");
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, &len);
    sk_err err = text ? sk_buf_append(out, sk_str_make(text, len)) : SK_ERR_NO_MEMORY;
    if (!err) err = sk_buf_append(out, SK_STR("\n"));
    free(text);
    yyjson_mut_doc_free(doc);
    return err;
}
