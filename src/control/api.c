#include "control/api.h"

#include "http/query.h"

const struct fleet_admin_endpoint control_endpoints[] = {
#define X(method, path, handler, who, right, parameters, content, help)                                      \
    {HTTP_METHOD_##method, SK_STR_INIT(path), control_api_##handler, help, .parks = true},
    CONTROL_API_TABLE(X)
#undef X
};
const struct control_row control_rows[] = {
#define X(method, path, handler, who, right, parameters, content, help)                                      \
    {#handler, CONTROL_##who, right, parameters, content},
    CONTROL_API_TABLE(X)
#undef X
};
const size_t control_endpoint_count = SK_COUNT(control_endpoints);

/* --- parameters ---------------------------------------------------------------------------------------------- */

static sk_str decode(struct sk_arena *arena, sk_str text) {
    char *out = sk_arena_alloc(arena, text.len + 1);
    return sk_str_make(out, out ? http_form_decode(text, out) : 0);
}

sk_str control_parameter(struct fleet_admin_request *request, const char *name) {
    sk_str rest = request->http.query, one, key;
    while (sk_str_cut(&rest, '&', &one))
        if (sk_str_cut(&one, '=', &key) && sk_str_eq(key, sk_str_from_c(name)) && one.data)
            return decode(&request->arena, one);
    return (sk_str){0};
}
