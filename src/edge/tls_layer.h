/* TLS between a client's socket and its connection. Owner thread only. */
#ifndef SK_EDGE_TLS_LAYER_H
#define SK_EDGE_TLS_LAYER_H

#include "io/layer.h"
#include "wire/tls_server.h"

/* Room that all layers of a thread use in turn, each within one call. */
struct edge_tls_room {
    char *input, *gather;
    struct sk_buf output;
};
/* SK_ERR_NO_MEMORY. */
sk_err edge_tls_room_create(struct edge_tls_room *out_room);
void edge_tls_room_free(struct edge_tls_room *room);

struct fleet_caller;

struct edge_tls_layer {
    struct io_layer layer;
    struct edge_tls_room *room;
    struct wire_tls_conn *tls;
    struct wire_tls_facts facts; /* after the handshake */
    struct fleet_caller *node;   /* of a node's connection; NULL: a client's */
    struct sk_buf in;            /* ciphertext received and not used */
    struct sk_buf out;           /* ciphertext that the socket has not taken */
    size_t claimed;              /* plaintext bytes that are in OUT or beyond it, but not told as taken */
    sk_err failed;               /* nothing more comes */
};

/* SK_ERR_NO_MEMORY. */
sk_err edge_tls_layer_create(struct wire_tls_server *server, struct edge_tls_room *room,
                             struct edge_tls_layer **out_layer);
/* Reads, goes on, answers. SK_OK: done, or there is early data to be read (facts.early); layer.facts are there; SK_ERR_AGAIN: at the next event; others: it has
 * failed (SK_ERR_TLS, SK_ERR_END, SK_ERR_RESET, ...). */
sk_err edge_tls_layer_handshake(struct edge_tls_layer *layer, int fd);
static inline struct edge_tls_layer *edge_tls_layer_of(struct io_layer *layer) {
    return SK_CONTAINER_OF(layer, struct edge_tls_layer, layer);
}

#endif
