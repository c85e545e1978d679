#include "edge/tls_layer.h"

#include <stdlib.h>

#include "fleet/identity.h"

#define INPUT_BYTES (64 * 1024)
#define RECORD_BYTES 16384 /* most that one record holds (RFC 8446 section 5.1) */
/* Plaintext encrypted before the socket is asked again. */
#define TURN_BYTES (4 * RECORD_BYTES)
/* What a peer that reads nothing can make us say (tickets, answers to KeyUpdate). */
#define UNTAKEN_MAX (64 * 1024)

sk_err edge_tls_room_create(struct edge_tls_room *out_room) {
    struct edge_tls_room room = {.input = malloc(INPUT_BYTES), .gather = malloc(RECORD_BYTES)};
    sk_buf_init(&room.output, 0);
    if (!room.input || !room.gather) {
        edge_tls_room_free(&room);
        return SK_ERR_NO_MEMORY;
    }
    *out_room = room;
    return SK_OK;
}

void edge_tls_room_free(struct edge_tls_room *room) {
    free(room->input);
    free(room->gather);
    sk_buf_free(&room->output);
}

/* --- ciphertext ------------------------------------------------------------------------------------------- */

/* Sends what BUF has. SK_ERR_AGAIN: something is left. */
static sk_err send_buf(struct sk_buf *buf, int fd, bool more) {
    while (sk_buf_len(buf)) {
        sk_str text = sk_buf_str(buf);
        struct iovec iov = {(void *)(uintptr_t)text.data, text.len};
        size_t n = 0;
        sk_err err = io_sendv(fd, &iov, 1, more, &n);
        if (err) return err;
        sk_buf_consume(buf, n);
    }
    return SK_OK;
}

/* Sends what was said before, and then what the room holds; the rest of that is kept. */
static sk_err send_out(struct edge_tls_layer *layer, int fd, bool more) {
    struct sk_buf *fresh = &layer->room->output;
    sk_err err = send_buf(&layer->out, fd, false);
    if (!err) {
        sk_buf_shrink(&layer->out);
        err = send_buf(fresh, fd, more);
    }
    if (err == SK_ERR_AGAIN && sk_buf_append(&layer->out, sk_buf_str(fresh)) != SK_OK) err = SK_ERR_NO_MEMORY;
    sk_buf_clear(fresh);
    return err;
}

/* One receive into the room. *OUT_MORE: the socket may have more. */
static sk_err receive(struct edge_tls_layer *layer, int fd, sk_str *out_input, bool *out_more) {
    size_t n = 0;
    sk_err err = io_recv(fd, layer->room->input, INPUT_BYTES, &n);
    if (err) return err;
    *out_input = (sk_str){layer->room->input, n};
    *out_more = n == INPUT_BYTES;
    return SK_OK;
}

/* What is not used up is kept for the next call. */
static sk_err keep_input(struct edge_tls_layer *layer, sk_str rest, bool own) {
    if (own) {
        sk_buf_consume(&layer->in, sk_buf_len(&layer->in) - rest.len);
        if (!rest.len) sk_buf_shrink(&layer->in);
        return SK_OK;
    }
    return rest.len ? sk_buf_append(&layer->in, rest) : SK_OK;
}

/* --- plaintext -------------------------------------------------------------------------------------------- */

/* As much plaintext of INPUT as there is room for. */
static sk_err decrypt(struct edge_tls_layer *layer, sk_str *input, char *data, size_t bytes, size_t *out_n) {
    sk_err err = SK_OK;
    while (*out_n < bytes && !err) {
        size_t n = 0;
        err = wire_tls_conn_read(layer->tls, input, &layer->room->output, data + *out_n, bytes - *out_n, &n);
        if (!err) *out_n += n;
    }
    return err;
}

static sk_err recv_round(struct edge_tls_layer *layer, int fd, char *data, size_t bytes, size_t *out_n) {
    bool own = sk_buf_len(&layer->in) > 0, more = true;
    sk_str input = sk_buf_str(&layer->in);
    if (!own && !wire_tls_conn_has_plaintext(layer->tls)) {
        sk_err err = receive(layer, fd, &input, &more);
        if (err) return err;
    }
    sk_err err = decrypt(layer, &input, data, bytes, out_n);
    sk_err kept = keep_input(layer, input, own);
    layer->layer.drained = err == SK_ERR_AGAIN && !more;
    if (sk_buf_len(&layer->room->output)) {
        sk_err sent = send_out(layer, fd, false);
        if (sent && sent != SK_ERR_AGAIN && !layer->failed) layer->failed = sent;
        if (sk_buf_len(&layer->out) > UNTAKEN_MAX && !layer->claimed) layer->failed = SK_ERR_TLS;
    }
    if (err && err != SK_ERR_AGAIN) layer->failed = err;
    if (SK_UNLIKELY(layer->facts.early)) layer->facts.early = wire_tls_conn_early(layer->tls);
    return kept;
}

static sk_err layer_recv(struct io_layer *io, int fd, void *data, size_t bytes, size_t *out_n) {
    struct edge_tls_layer *layer = edge_tls_layer_of(io);
    size_t n = 0;
    io->drained = false;
    while (!n && !layer->failed && !io->drained) {
        sk_err err = recv_round(layer, fd, data, bytes, &n);
        if (err) return err;
    }
    if (!n) return layer->failed ? layer->failed : SK_ERR_AGAIN;
    *out_n = n;
    return SK_OK;
}

/* The iovec's bytes from *SKIP on, at most one record: in place when they lie together, else gathered. */
static sk_str next_piece(const struct edge_tls_layer *layer, const struct iovec *iov, int count,
                         size_t skip) {
    size_t n = 0;
    for (int i = 0; i < count && n < RECORD_BYTES; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        const char *from = (const char *)iov[i].iov_base + skip;
        size_t bytes = SK_MIN(iov[i].iov_len - skip, RECORD_BYTES - n);
        if (!n && (bytes == RECORD_BYTES || i == count - 1)) return (sk_str){from, bytes};
        memcpy(layer->room->gather + n, from, bytes);
        n += bytes;
        skip = 0;
    }
    return (sk_str){layer->room->gather, n};
}

static size_t total_of(const struct iovec *iov, int count) {
    size_t total = 0;
    for (int i = 0; i < count; i++) total += iov[i].iov_len;
    return total;
}

/* Encrypts up to TURN_BYTES from *AT on. */
static sk_err encrypt(struct edge_tls_layer *layer, const struct iovec *iov, int count, size_t *at) {
    size_t end = *at + TURN_BYTES;
    while (*at < end) {
        sk_str piece = next_piece(layer, iov, count, *at);
        if (!piece.len) return SK_OK;
        sk_err err = wire_tls_conn_write(layer->tls, piece.data, piece.len, &layer->room->output);
        if (err) return err;
        *at += piece.len;
    }
    return SK_OK;
}

static sk_err layer_sendv(struct io_layer *io, int fd, const struct iovec *iov, int count, bool more,
                          size_t *out_n) {
    struct edge_tls_layer *layer = edge_tls_layer_of(io);
    size_t total = total_of(iov, count), at = 0;
    sk_err err = layer->failed == SK_ERR_END ? SK_OK : layer->failed;
    if (!err && sk_buf_len(&layer->out)) err = send_out(layer, fd, false);
    if (err) return err;
    at = SK_MIN(layer->claimed, total);
    layer->claimed -= at;
    while (at < total) {
        size_t from = at;
        err = encrypt(layer, iov, count, &at);
        if (!err) err = send_out(layer, fd, more || at < total);
        if (err == SK_ERR_AGAIN) {
            layer->claimed = at - from;
            at = from;
            break;
        }
        if (err) return layer->failed = err;
    }
    if (!at && total) return SK_ERR_AGAIN;
    *out_n = at;
    return SK_OK;
}

static void layer_flush(struct io_layer *io, int fd) {
    struct edge_tls_layer *layer = edge_tls_layer_of(io);
    if (sk_buf_len(&layer->out)) (void)send_buf(&layer->out, fd, false);
}

static void layer_finish(struct io_layer *io, int fd) {
    struct edge_tls_layer *layer = edge_tls_layer_of(io);
    if (layer->failed && layer->failed != SK_ERR_END) return;
    sk_buf_clear(&layer->room->output);
    wire_tls_conn_close_notify(layer->tls, &layer->room->output);
    (void)send_out(layer, fd, false);
}

static void layer_free(struct io_layer *io) {
    struct edge_tls_layer *layer = edge_tls_layer_of(io);
    wire_tls_conn_free(layer->tls);
    sk_buf_free(&layer->in);
    sk_buf_free(&layer->out);
    free(layer->node);
    free(layer);
}

/* --- the beginning ---------------------------------------------------------------------------------------- */

static const struct io_layer_ops ops = {layer_recv, layer_sendv, layer_flush, layer_finish, layer_free};

sk_err edge_tls_layer_create(struct wire_tls_server *server, struct edge_tls_room *room,
                             struct edge_tls_layer **out_layer) {
    struct edge_tls_layer *layer = calloc(1, sizeof *layer);
    if (!layer) return SK_ERR_NO_MEMORY;
    sk_err err = wire_tls_accept(server, &layer->tls);
    if (err) {
        free(layer);
        return err;
    }
    layer->layer.ops = &ops;
    layer->room = room;
    sk_buf_init(&layer->in, 0);
    sk_buf_init(&layer->out, 0);
    *out_layer = layer;
    return SK_OK;
}

/* Its certificate hangs from our authorities, or the handshake had failed; here it must name a node. */
static sk_err meet_node(struct edge_tls_layer *layer) {
    SSL *inside = (SSL *)(uintptr_t)wire_tls_conn_inside(layer->tls);
    layer->node = calloc(1, sizeof *layer->node);
    if (!layer->node) return SK_ERR_NO_MEMORY;
    sk_err err = fleet_caller_of(inside, layer->node);
    if (err) return SK_ERR_TLS_CERTIFICATE;
    layer->facts.node = layer->node;
    return SK_OK;
}

sk_err edge_tls_layer_handshake(struct edge_tls_layer *layer, int fd) {
    sk_str input = sk_buf_str(&layer->in);
    bool more = true;
    sk_err err = SK_ERR_AGAIN;
    while (err == SK_ERR_AGAIN && more) {
        err = receive(layer, fd, &input, &more);
        if (err) break;
        err = wire_tls_conn_handshake(layer->tls, &input, &layer->room->output);
        sk_err sent = send_out(layer, fd, false); /* the alert of a failure too */
        if (err == SK_ERR_AGAIN && wire_tls_conn_early(layer->tls)) err = SK_OK;
        if (!err && sent && sent != SK_ERR_AGAIN) err = sent;
        if (!err && keep_input(layer, input, false) != SK_OK) err = SK_ERR_NO_MEMORY;
    }
    if (!err) wire_tls_conn_facts(layer->tls, &layer->facts);
    return !err && layer->facts.for_nodes ? meet_node(layer) : err;
}
