/* Heads of answers over HTTP/1.1: status line, framing and Connection (RFC 9112 sections 4, 6 and 9). */
#include "edge/h1.h"

#define STATUS_LINE_BYTES 64
#define FRAMING_BYTES 128

static sk_str status_line(uint16_t status, char out[STATUS_LINE_BYTES]) {
    if (SK_LIKELY(status == 200)) return SK_STR("HTTP/1.1 200 OK\r\n");
    sk_str reason = sk_str_slice(http_status_reason(status), 0, STATUS_LINE_BYTES - 16);
    memcpy(out, "HTTP/1.1 ", 9);
    out[9] = (char)('0' + status / 100 % 10);
    out[10] = (char)('0' + status / 10 % 10);
    out[11] = (char)('0' + status % 10);
    out[12] = ' ';
    memcpy(out + 13, reason.data, reason.len);
    memcpy(out + 13 + reason.len, "\r\n", 2);
    return (sk_str){out, 15 + reason.len};
}

static char *put(char *at, sk_str text) {
    memcpy(at, text.data, text.len);
    return at + text.len;
}

/* Content-Length or Transfer-Encoding, Connection, and the empty line (RFC 9112 sections 6 and 9). */
static sk_str framing(struct h1_conn *conn, const struct edge_response *response, char out[FRAMING_BYTES]) {
    char *at = out;
    /* Trailers have a place behind chunks only, also where the length is known by now. */
    bool trailers = conn->exchange.request.version >= HTTP_1_1 && !response->head_only &&
                    h1_wanted_trailers(&conn->exchange);
    bool known = response->body_length != CACHE_LENGTH_UNKNOWN;
    if (!response->own_length && known && !trailers) {
        at = put(at, SK_STR("Content-Length: "));
        at += sk_u64_to_text(response->body_length, at);
        at = put(at, SK_STR("\r\n"));
    } else if (!response->own_length && !response->head_only) {
        if (conn->exchange.request.version >= HTTP_1_1) {
            conn->writer.chunked = true;
            at = put(at, SK_STR("Transfer-Encoding: chunked\r\n"));
        } else {
            conn->close_after = true;
        }
    }
    if (conn->close_after)
        at = put(at, SK_STR("Connection: close\r\n\r\n"));
    else if (conn->exchange.request.version < HTTP_1_1)
        at = put(at, SK_STR("Connection: keep-alive\r\n\r\n"));
    else
        at = put(at, SK_STR("\r\n"));
    return (sk_str){out, (size_t)(at - out)};
}

static void open_body(struct h1_conn *conn, const struct edge_response *response) {
    struct h1_writer *writer = &conn->writer;
    struct edge_worker *worker = conn->worker;
    writer->promised =
        response->own_length || response->head_only ? CACHE_LENGTH_UNKNOWN : response->body_length;
    if (!response->object) return;
    if (response->head_only || !response->part_count) {
        if (!response->borrowed) cache_object_unref(worker->cache, response->object);
        return;
    }
    writer->parts = response->parts;
    writer->part_count = response->part_count;
    const struct edge_part *part = &response->parts[0];
    if (response->borrowed)
        cache_reader_borrow(&writer->reader, worker->cache, response->object, part->first, part->end);
    else
        cache_reader_open(&writer->reader, worker->cache, response->object, part->first, part->end);
}

void h1_respond(struct edge_exchange *exchange, const struct edge_response *response) {
    struct h1_conn *conn = h1_of(exchange);
    struct h1_writer *writer = &conn->writer;
    char line[STATUS_LINE_BYTES], frame[FRAMING_BYTES];
    exchange->responded = true;
    exchange->outcome.status = response->status;
    /* Without its body the request's end is not known: nothing may follow (RFC 9112 section 9.3). */
    if (response->close || edge_worker_lets_go(conn->worker)) conn->close_after = true;
    if (h1_body_unread(conn) && !h1_body_discard(conn)) conn->close_after = conn->linger = true;
    open_body(conn, response);
    sk_str head[H1_HEAD_PIECES] = {status_line(response->status, line), response->head, response->extra_head,
                                   framing(conn, response, frame)};
    int count = 4;
    if (!response->head_only) {
        if (response->part_count) head[count++] = response->parts[0].text;
        head[count++] = response->small_body;
        exchange->outcome.body_bytes += response->small_body.len;
        if (writer->promised != CACHE_LENGTH_UNKNOWN)
            writer->promised -=
                response->small_body.len + (response->part_count ? response->parts[0].text.len : 0);
    }
    h1_send_head(conn, head, count);
}

void h1_inform(struct edge_exchange *exchange, uint16_t status, const struct http_fields *fields) {
    struct h1_conn *conn = h1_of(exchange);
    struct http_response response = {.status = status,
                                     .version = HTTP_1_1,
                                     .reason = http_status_reason(status),
                                     .keep_alive = true,
                                     .body_kind = HTTP_BODY_NONE};
    if (exchange->client_gone || exchange->responded || exchange->request.version < HTTP_1_1) return;
    if (fields) response.fields = *fields;
    size_t n = 0;
    bool first = !sk_buf_len(&conn->writer.text);
    if (wire_h1_write_response(&conn->writer.text, &response) != SK_OK || !first) return;
    /* What the socket does not take now goes out before the final response. */
    sk_str text = sk_buf_str(&conn->writer.text);
    struct iovec iov = {(void *)(uintptr_t)text.data, text.len};
    if (io_layer_sendv(conn->layer, conn->watch.fd, &iov, 1, false, &n) == SK_OK)
        sk_buf_consume(&conn->writer.text, n);
}
