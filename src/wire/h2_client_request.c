/* Requests into frames. */
#include <stdlib.h>

#include "wire/h2_client_internal.h"

#define FIELDS_OURS 5 /* pseudo fields and content-length */

struct nv {
    nghttp2_nv *items; /* ours to free */
    size_t count;
};

static sk_err make_room(struct nv *nv, const struct http_fields *fields) {
    *nv = (struct nv){calloc(fields->count + FIELDS_OURS, sizeof *nv->items), 0};
    return nv->items ? SK_OK : SK_ERR_NO_MEMORY;
}

/* The library copies names and values, and writes names in lower case. */
static void put(struct nv *nv, sk_str name, sk_str value) {
    nv->items[nv->count++] =
        (nghttp2_nv){(uint8_t *)(uintptr_t)name.data, (uint8_t *)(uintptr_t)(value.data ? value.data : ""),
                     name.len, value.len, NGHTTP2_NV_FLAG_NONE};
}

/* RFC 9113 section 8.2.2; Host is :authority, and the length is said by body_kind. */
static bool left_out(const struct http_field *field) {
    switch (field->id) {
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_KEEP_ALIVE:
    case HTTP_FIELD_PROXY_CONNECTION:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_UPGRADE:
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_CONTENT_LENGTH: return true;
    case HTTP_FIELD_TE: return !sk_str_ieq(sk_str_trim(field->value), SK_STR("trailers"));
    default: return false;
    }
}

static void put_fields(struct nv *nv, const struct http_fields *fields) {
    for (uint32_t i = 0; i < fields->count; i++)
        if (!left_out(&fields->items[i])) put(nv, fields->items[i].name, fields->items[i].value);
}

/* RFC 9110 8.6: methods that anticipate content say that there is none. */
static bool says_length(const struct http_request *request) {
    if (request->body_kind == HTTP_BODY_LENGTH) return true;
    return request->body_kind == HTTP_BODY_NONE &&
           (request->method == HTTP_METHOD_POST || request->method == HTTP_METHOD_PUT ||
            request->method == HTTP_METHOD_PATCH || request->method == HTTP_METHOD_QUERY);
}

static struct wire_h2_call *call_of(nghttp2_session *session, int32_t id) {
    return nghttp2_session_get_stream_user_data(session, id);
}

static nghttp2_ssize read_content(nghttp2_session *session, int32_t id, uint8_t *data, size_t most,
                                  uint32_t *flags, nghttp2_data_source *source, void *user) {
    struct wire_h2_client *client = user;
    struct wire_h2_call *call = call_of(session, id);
    const struct http_fields *trailers = NULL;
    size_t bytes = 0;
    bool last = false;
    if (!call) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    sk_err err = client->events->content(client->owner, call, (char *)data, most, &bytes, &last, &trailers);
    if (err == SK_ERR_AGAIN) return NGHTTP2_ERR_DEFERRED;
    if (err) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (last) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (last && trailers && trailers->count && h2_client_submit_trailers(client, id, trailers) == SK_OK)
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return (nghttp2_ssize)bytes;
}

sk_err wire_h2_client_request(struct wire_h2_client *client, struct wire_h2_call *call,
                              const struct http_request *request, sk_str scheme, bool content) {
    struct nv nv;
    char length[24];
    if (client->leaving || client->toll.denied) return SK_ERR_CLOSED;
    sk_err err = make_room(&nv, &request->fields);
    if (err) return err;
    put(&nv, SK_STR(":method"), request->method_text);
    put(&nv, SK_STR(":scheme"), scheme);
    put(&nv, SK_STR(":authority"), request->authority);
    put(&nv, SK_STR(":path"), request->target);
    uint64_t bytes = request->body_kind == HTTP_BODY_LENGTH ? request->content_length : 0;
    if (says_length(request))
        put(&nv, SK_STR("content-length"), (sk_str){length, sk_u64_to_text(bytes, length)});
    put_fields(&nv, &request->fields);
    nghttp2_data_provider2 provider = {.read_callback = read_content};
    int32_t id =
        nghttp2_submit_request2(client->session, NULL, nv.items, nv.count, content ? &provider : NULL, call);
    free(nv.items);
    if (id < 0) return id == NGHTTP2_ERR_NOMEM ? SK_ERR_NO_MEMORY : SK_ERR_CLOSED;
    call->id = id;
    call->method = request->method;
    sk_list_push_back(&client->calls, &call->link);
    client->call_count++;
    return SK_OK;
}

sk_err h2_client_submit_trailers(struct wire_h2_client *client, int32_t id,
                                 const struct http_fields *trailers) {
    struct nv nv;
    sk_err err = make_room(&nv, trailers);
    if (err) return err;
    put_fields(&nv, trailers);
    int result = nghttp2_submit_trailer(client->session, id, nv.items, nv.count);
    free(nv.items);
    return result ? SK_ERR_NO_MEMORY : SK_OK;
}
