/* Answers: heads by the lists of wire/stream.h, content by chunks. */
#include <stddef.h>

#include "wire/h3_internal.h"

/* Of one stream, ahead of what was sent; also the most that is borrowed in one piece. */
#define AHEAD_BYTES (16 * 1024)

/* wire/stream.h has the library's own fields under another name. */
static_assert(sizeof(struct wire_nv) == sizeof(nghttp3_nv) &&
              offsetof(struct wire_nv, value) == offsetof(nghttp3_nv, value) &&
              offsetof(struct wire_nv, name_bytes) == offsetof(nghttp3_nv, namelen) &&
              offsetof(struct wire_nv, value_bytes) == offsetof(nghttp3_nv, valuelen) &&
              offsetof(struct wire_nv, flags) == offsetof(nghttp3_nv, flags));
static const nghttp3_nv *nv_of(const struct wire_nv_list *list) { return (const nghttp3_nv *)list->items; }

static sk_err verdict(int result) {
    if (result == NGHTTP3_ERR_NOMEM) return SK_ERR_NO_MEMORY;
    return result < 0 ? SK_ERR_CLOSED : SK_OK;
}

/* --- heads ------------------------------------------------------------------------------------------------ */

sk_err wire_h3_respond(struct wire_h3 *h3, struct wire_stream *stream, uint16_t status, const sk_str *heads,
                       int count, uint64_t length, bool content) {
    struct wire_nv_list list;
    sk_err err = wire_nv_response(&list, stream, status, heads, count, length);
    if (err) return err;
    nghttp3_data_reader reader = {.read_data = h3_read_content};
    err = verdict(nghttp3_conn_submit_response(h3->conn, stream->id, nv_of(&list), list.count,
                                               content ? &reader : NULL));
    if (err) return err;
    stream->answering = true;
    ((struct h3_out *)stream->sent)->eof = !content;
    return SK_OK;
}

sk_err wire_h3_inform(struct wire_h3 *h3, struct wire_stream *stream, uint16_t status,
                      const struct http_fields *fields) {
    struct wire_nv_list list;
    sk_err err = wire_nv_fields(&list, stream, status, fields);
    return err ? err : verdict(nghttp3_conn_submit_info(h3->conn, stream->id, nv_of(&list), list.count));
}

static sk_err submit_trailers(struct wire_h3 *h3, struct h3_out *out) {
    struct wire_nv_list list;
    sk_err err = wire_nv_fields(&list, out->stream, 0, out->trailers);
    return err ? err : verdict(nghttp3_conn_submit_trailers(h3->conn, out->id, nv_of(&list), list.count));
}

/* --- chunks ----------------------------------------------------------------------------------------------- */

static void append(struct h3_out *out, struct h3_chunk *chunk) {
    if (out->last)
        out->last->next = chunk;
    else
        out->first = chunk;
    out->last = chunk;
}

/* SK_ERR_UNSUPPORTED: content is to be copied. */
static sk_err borrow(struct wire_h3 *h3, struct h3_out *out) {
    sk_str piece;
    void *loan;
    bool last = false;
    struct h3_chunk *chunk = sk_pool_get_unset(&h3->room->loans);
    if (!chunk) return SK_ERR_NO_MEMORY;
    sk_err err = h3->events->lend(h3->owner, out->stream, AHEAD_BYTES, &piece, &last, &loan);
    if (err) {
        sk_pool_put(&h3->room->loans, chunk);
        return err;
    }
    *chunk = (struct h3_chunk){.data = piece.data, .bytes = piece.len, .loan = loan};
    append(out, chunk);
    h3->loans++;
    out->content += piece.len;
    if (last) out->eof = true;
    return SK_OK;
}

static sk_err copy(struct wire_h3 *h3, struct h3_out *out, size_t bytes) {
    struct h3_chunk *chunk = sk_pool_get_unset(&h3->room->chunks);
    if (!chunk) return SK_ERR_NO_MEMORY;
    *chunk = (struct h3_chunk){.data = chunk->room, .bytes = bytes};
    append(out, chunk);
    h3->unacked += bytes;
    out->content += bytes;
    return h3->events->take(h3->owner, out->stream, bytes, chunk->room);
}

/* SK_ERR_AGAIN: the owner, or the connection's share, has nothing now. */
static sk_err take_chunk(struct wire_h3 *h3, struct h3_out *out) {
    size_t bytes = 0;
    bool last = false;
    sk_err err = borrow(h3, out);
    if (err != SK_ERR_UNSUPPORTED) return err;
    if (h3->unacked >= WIRE_H3_UNACKED_BYTES) {
        out->starved = true;
        return SK_ERR_AGAIN;
    }
    err = h3->events->content(h3->owner, out->stream, H3_CHUNK_BYTES, &bytes, &last, &out->trailers);
    if (!err && bytes) err = copy(h3, out, bytes);
    if (!err && last) out->eof = true;
    return err;
}

static struct h3_chunk *not_given(const struct h3_out *out) {
    return out->given ? out->given->next : out->first;
}

static size_t ahead(const struct h3_out *out) {
    size_t bytes = 0;
    for (const struct h3_chunk *chunk = not_given(out); chunk; chunk = chunk->next) bytes += chunk->bytes;
    return bytes;
}

static sk_err take_ahead(struct wire_h3 *h3, struct h3_out *out, size_t enough) {
    sk_err err = SK_OK;
    for (size_t bytes = ahead(out); bytes < enough && !out->eof && !err; bytes = ahead(out))
        err = take_chunk(h3, out);
    return err;
}

void wire_h3_pull(struct wire_h3 *h3, struct wire_stream *stream) {
    struct h3_out *out = stream->sent;
    if (!out->stream || !stream->answering || stream->reset) return;
    sk_err err = take_ahead(h3, out, AHEAD_BYTES);
    if (err && err != SK_ERR_AGAIN) wire_h3_reset(h3, stream);
}

static void end_content(struct wire_h3 *h3, struct h3_out *out, uint32_t *flags) {
    *flags |= NGHTTP3_DATA_FLAG_EOF;
    if (out->trailers && out->trailers->count && submit_trailers(h3, out) == SK_OK)
        *flags |= NGHTTP3_DATA_FLAG_NO_END_STREAM;
}

nghttp3_ssize h3_read_content(nghttp3_conn *conn, int64_t stream, nghttp3_vec *vector, size_t count,
                              uint32_t *flags, void *user, void *stream_user) {
    struct wire_h3 *h3 = user;
    struct h3_out *out = stream_user;
    size_t used = 0;
    if (!out->stream || out->stream->reset) return NGHTTP3_ERR_WOULDBLOCK;
    if (!not_given(out)) wire_h3_pull(h3, out->stream);
    if (out->stream->reset) return NGHTTP3_ERR_WOULDBLOCK;
    for (struct h3_chunk *chunk; used < count && (chunk = not_given(out)); used++) {
        vector[used] = (nghttp3_vec){(uint8_t *)(uintptr_t)chunk->data, chunk->bytes};
        out->given = chunk;
    }
    if (out->eof && !not_given(out))
        end_content(h3, out, flags);
    else if (!used)
        return NGHTTP3_ERR_WOULDBLOCK;
    return (nghttp3_ssize)used;
}

static void free_first(struct wire_h3 *h3, struct h3_out *out) {
    struct h3_chunk *chunk = out->first;
    out->first = chunk->next;
    if (out->last == chunk) out->last = NULL;
    if (out->given == chunk) out->given = NULL;
    if (chunk->loan) {
        h3->events->give_back(h3->owner, chunk->loan);
        h3->loans--;
        sk_pool_put(&h3->room->loans, chunk);
    } else {
        h3->unacked -= chunk->bytes;
        sk_pool_put(&h3->room->chunks, chunk);
    }
}

void h3_free_chunks(struct wire_h3 *h3, struct h3_out *out) {
    while (out->first) free_first(h3, out);
}

static void feed_starved(struct wire_h3 *h3) {
    if (h3->unacked >= WIRE_H3_UNACKED_BYTES / 2) return;
    SK_LIST_FOR_EACH(link, &h3->outs) {
        struct h3_out *out = SK_CONTAINER_OF(link, struct h3_out, link);
        if (!out->starved) continue;
        out->starved = false;
        (void)nghttp3_conn_resume_stream(h3->conn, out->id);
    }
}

void h3_acknowledged(struct wire_h3 *h3, struct h3_out *out, uint64_t bytes) {
    bytes += out->first_acked;
    while (out->first && bytes >= out->first->bytes) {
        bytes -= out->first->bytes;
        free_first(h3, out);
    }
    out->first_acked = (size_t)bytes;
    feed_starved(h3);
}

/* --- loans ------------------------------------------------------------------------------------------------ */

bool wire_h3_borrows(const struct wire_h3 *h3) { return h3->loans > 0; }

bool wire_h3_check_loans(struct wire_h3 *h3, sk_time_ns now, sk_time_ns patience) {
    bool good = true;
    SK_LIST_FOR_EACH(link, &h3->outs) {
        struct h3_out *out = SK_CONTAINER_OF(link, struct h3_out, link);
        if (out->stream || !out->first || out->first != out->seen) {
            out->seen = out->first;
            out->seen_at = now;
        } else if (out->first->loan && now - out->seen_at >= patience) {
            good = false;
        }
    }
    return good;
}
