/* Responses out of header sections: what nghttp2 leaves to us (it has checked order and number of pseudo fields,
 * lower case, fields of connections, and content-length against DATA). */
#include "wire/h1_internal.h"
#include "wire/h2_client_internal.h"

#define FIELD_OVERHEAD 32 /* RFC 9113 section 6.5.2 */

void h2_client_begin(struct wire_h2_call *call) {
    call->head_bytes = call->head_fields = 0;
    call->in_trailer = call->final;
    if (call->final) return;
    sk_arena_reset(call->arena);
    call->response = (struct http_response){.version = HTTP_2, .keep_alive = true};
}

static sk_err refuse(struct wire_h2_call *call, sk_err err, const char *why) {
    call->why = why;
    return err;
}

static sk_err take_status(struct wire_h2_call *call, sk_str value) {
    uint64_t status;
    if (value.len != 3 || sk_str_to_u64(value, &status) || status < 100)
        return refuse(call, SK_ERR_MALFORMED, "invalid :status");
    call->response.status = (uint16_t)status;
    return SK_OK;
}

static sk_err keep(struct wire_h2_call *call, struct http_fields *fields, sk_str name, sk_str value) {
    sk_str name_copy = sk_arena_copy(call->arena, name), value_copy = sk_arena_copy(call->arena, value);
    if (!name_copy.data || !value_copy.data) return SK_ERR_NO_MEMORY;
    return http_fields_add(fields, call->arena, name_copy, value_copy);
}

sk_err h2_client_field(const struct wire_h2_client *client, struct wire_h2_call *call, sk_str name,
                       sk_str value) {
    value = sk_str_trim(value);
    call->head_bytes += (uint32_t)SK_MIN(name.len + value.len + FIELD_OVERHEAD, (size_t)1 << 20);
    if (call->head_bytes > client->limits.head_bytes)
        return refuse(call, SK_ERR_TOO_LARGE, "header section over the limit");
    if (name.len && name.data[0] == ':')
        return sk_str_eq(name, SK_STR(":status")) ? take_status(call, value) : SK_OK;
    if (++call->head_fields > client->limits.field_count)
        return refuse(call, SK_ERR_TOO_LARGE, "more fields than the limit");
    if (!http_token_valid(name) || !http_field_value_valid(value))
        return refuse(call, SK_ERR_MALFORMED, "invalid field");
    if (!call->in_trailer) return keep(call, &call->response.fields, name, value);
    return h1_allowed_in_trailer(name) ? keep(call, &call->trailers, name, value) : SK_OK;
}

static sk_err set_length(struct wire_h2_call *call, bool end) {
    struct http_response *response = &call->response;
    const struct http_field *length = http_fields_find(&response->fields, HTTP_FIELD_CONTENT_LENGTH);
    uint64_t bytes = 0;
    if (length && (length->value.len > 18 || sk_str_to_u64(length->value, &bytes)))
        return refuse(call, SK_ERR_MALFORMED, "malformed Content-Length");
    if (!http_response_has_body(call->method, response->status)) {
        response->body_kind = HTTP_BODY_NONE;
        return SK_OK;
    }
    if (end && bytes) return refuse(call, SK_ERR_MALFORMED, "Content-Length without content");
    response->body_kind = length || end ? HTTP_BODY_LENGTH : HTTP_BODY_CHUNKED;
    response->content_length = bytes;
    return SK_OK;
}

sk_err h2_client_finish(struct wire_h2_call *call, bool end) {
    uint16_t status = call->response.status;
    if (status == 101) /* RFC 9113 section 8.6 */
        return refuse(call, SK_ERR_MALFORMED, "101 Switching Protocols over HTTP/2");
    if (status < 200) {
        if (end) return refuse(call, SK_ERR_MALFORMED, "the response ends with a 1xx");
        if (++call->informational > WIRE_H2_CLIENT_INFORMATIONAL)
            return refuse(call, SK_ERR_MALFORMED, "too many informational responses");
        return SK_OK;
    }
    call->final = true;
    call->ended = end;
    return set_length(call, end);
}
