/* Heads and chunk framing as bytes. A head is sized first and then copied, so that the buffer is reserved
 * once and never holds a part of one. */
#include "wire/h1.h"

/* Bytes for all that is not a field: start line, Host and framing fields; their variable parts are added. */
#define FIXED_BYTES 256

static void put(char **at, sk_str s) {
    if (s.len > 0) memcpy(*at, s.data, s.len);
    *at += s.len;
}

static void put_field(char **at, sk_str name, sk_str value) {
    put(at, name);
    put(at, SK_STR(": "));
    put(at, value);
    put(at, SK_STR("\r\n"));
}

static void put_number(char **at, uint64_t value) { *at += sk_u64_to_text(value, *at); }

/* Fields that speak of one connection: written from the message's own members instead. */
static bool written_apart(enum http_field_id id) {
    switch (id) {
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_KEEP_ALIVE:
    case HTTP_FIELD_PROXY_CONNECTION: return true;
    default: return false;
    }
}

static size_t fields_bytes(const struct http_fields *fields) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        bytes += fields->items[i].name.len + fields->items[i].value.len + 4;
    return bytes;
}

/* All fields but those written apart, SKIP and SKIP_TOO. */
static void put_fields(char **at, const struct http_fields *fields, enum http_field_id skip,
                       enum http_field_id skip_too) {
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        bool apart = field->id != HTTP_FIELD_UNKNOWN && (field->id == skip || field->id == skip_too ||
                                                         written_apart((enum http_field_id)field->id));
        if (!apart) put_field(at, field->name, field->value);
    }
}

static void put_length(char **at, uint64_t length) {
    put(at, SK_STR("Content-Length: "));
    put_number(at, length);
    put(at, SK_STR("\r\n"));
}

/* Connection with those of the options that are set; nothing when none is. */
static void put_connection(char **at, bool close, bool keep_alive, bool upgrade, bool te) {
    sk_str separator = SK_STR("Connection: ");
    const struct {
        bool set;
        sk_str text;
    } options[] = {{close, SK_STR("close")},
                   {keep_alive, SK_STR("keep-alive")},
                   {upgrade, SK_STR("upgrade")},
                   {te, SK_STR("TE")}};
    for (size_t i = 0; i < SK_COUNT(options); i++) {
        if (!options[i].set) continue;
        put(at, separator);
        put(at, options[i].text);
        separator = SK_STR(", ");
    }
    if (separator.len == 2) put(at, SK_STR("\r\n"));
}

/* ---- requests ---------------------------------------------------------------------------------------- */

/* RFC 9110 8.6: methods that anticipate content say that there is none. */
static bool anticipates_content(enum http_method method) {
    return method == HTTP_METHOD_POST || method == HTTP_METHOD_PUT || method == HTTP_METHOD_PATCH ||
           method == HTTP_METHOD_QUERY;
}

static void put_request_framing(char **at, const struct http_request *request) {
    bool empty = request->body_kind == HTTP_BODY_NONE && anticipates_content(request->method);
    if (request->body_kind == HTTP_BODY_CHUNKED)
        put(at, SK_STR("Transfer-Encoding: chunked\r\n"));
    else if (request->body_kind == HTTP_BODY_LENGTH || empty)
        put_length(at, empty ? 0 : request->content_length);
    bool upgrade = request->upgrade.data != NULL;
    bool te = http_fields_find(&request->fields, HTTP_FIELD_TE) != NULL; /* RFC 9110 10.1.4 */
    put_connection(at, !request->keep_alive, false, upgrade, te);
    if (upgrade) put_field(at, SK_STR("Upgrade"), request->upgrade);
}

sk_err wire_h1_write_request(struct sk_buf *out, const struct http_request *request) {
    size_t bytes = FIXED_BYTES + request->method_text.len + request->target.len + request->authority.len +
                   request->upgrade.len + fields_bytes(&request->fields);
    sk_err err = sk_buf_reserve(out, bytes);
    if (err) return err;
    char *start = sk_buf_space(out), *at = start;
    put(&at, request->method_text);
    put(&at, SK_STR(" "));
    put(&at, request->target);
    put(&at, SK_STR(" HTTP/1.1\r\n"));
    put_field(&at, SK_STR("Host"), request->authority);
    put_fields(&at, &request->fields, HTTP_FIELD_HOST, HTTP_FIELD_UPGRADE);
    put_request_framing(&at, request);
    put(&at, SK_STR("\r\n"));
    sk_buf_commit(out, (size_t)(at - start));
    return SK_OK;
}

/* ---- responses --------------------------------------------------------------------------------------- */

static void put_status_line(char **at, const struct http_response *response) {
    put(at, SK_STR("HTTP/1.1 "));
    put_number(at, response->status);
    put(at, SK_STR(" "));
    put(at, response->reason);
    put(at, SK_STR("\r\n"));
}

static void put_response_framing(char **at, const struct http_response *response) {
    bool interim = response->status < 200;
    bool framed = !interim && response->status != 204;
    if (framed && response->body_kind == HTTP_BODY_CHUNKED) put(at, SK_STR("Transfer-Encoding: chunked\r\n"));
    if (framed && response->body_kind == HTTP_BODY_LENGTH) put_length(at, response->content_length);
    bool close = !interim && (!response->keep_alive || response->body_kind == HTTP_BODY_CLOSE);
    bool keep_alive = !interim && !close && response->version == HTTP_1_0;
    put_connection(at, close, keep_alive, response->status == 101, false);
}

sk_err wire_h1_write_response(struct sk_buf *out, const struct http_response *response) {
    SK_ASSERT(response->status >= 100 && response->status <= 999);
    sk_err err = sk_buf_reserve(out, FIXED_BYTES + response->reason.len + fields_bytes(&response->fields));
    if (err) return err;
    char *start = sk_buf_space(out), *at = start;
    put_status_line(&at, response);
    enum http_field_id upgrade = response->status == 101 ? HTTP_FIELD_UNKNOWN : HTTP_FIELD_UPGRADE;
    put_fields(&at, &response->fields, upgrade, upgrade);
    put_response_framing(&at, response);
    put(&at, SK_STR("\r\n"));
    sk_buf_commit(out, (size_t)(at - start));
    return SK_OK;
}

/* ---- chunks ------------------------------------------------------------------------------------------ */

size_t wire_h1_chunk_head(uint64_t bytes, char out[20]) {
    static const char digits[] = "0123456789abcdef";
    int shift = 60;
    while (shift > 0 && (bytes >> shift) == 0) shift -= 4;
    size_t len = 0;
    for (; shift >= 0; shift -= 4) out[len++] = digits[bytes >> shift & 15];
    out[len++] = '\r';
    out[len++] = '\n';
    return len;
}

sk_err wire_h1_write_last_chunk(struct sk_buf *out, const struct http_fields *trailers) {
    sk_err err = sk_buf_reserve(out, 8 + (trailers ? fields_bytes(trailers) : 0));
    if (err) return err;
    char *start = sk_buf_space(out), *at = start;
    put(&at, SK_STR("0\r\n"));
    if (trailers) put_fields(&at, trailers, HTTP_FIELD_UNKNOWN, HTTP_FIELD_UNKNOWN);
    put(&at, SK_STR("\r\n"));
    sk_buf_commit(out, (size_t)(at - start));
    return SK_OK;
}
