/* Which connection a QUIC packet belongs to, by its connection id. Own thread. */
#ifndef SK_EDGE_QUIC_IDS_H
#define SK_EDGE_QUIC_IDS_H

#include "wire/quic_packet.h"

struct h3_conn;

struct edge_quic_ids {
    struct edge_quic_slot *slots; /* open addressing, linear probing */
    size_t slot_count, used;
};
struct edge_quic_slot {
    struct wire_quic_id id;
    struct h3_conn *conn; /* NULL: free */
};

/* ID is in nobody's use. SK_ERR_EXISTS, SK_ERR_NO_MEMORY. */
sk_err edge_quic_ids_add(struct edge_quic_ids *ids, const struct wire_quic_id *id, struct h3_conn *conn);
/* NULL: unknown. */
struct h3_conn *edge_quic_ids_find(const struct edge_quic_ids *ids, const struct wire_quic_id *id);
void edge_quic_ids_remove(struct edge_quic_ids *ids, const struct wire_quic_id *id);
void edge_quic_ids_free(struct edge_quic_ids *ids);

#endif
