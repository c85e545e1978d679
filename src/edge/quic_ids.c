#include "edge/quic_ids.h"

#include <stdlib.h>

#include "base/hash.h"

#define FIRST_SLOTS 64

/* Keyed, because clients choose ids too (RFC 9000 section 7.2). */
static size_t home_of(const struct wire_quic_id *id, size_t slot_count) {
    return sk_hash64(id->data, id->bytes) & (slot_count - 1);
}

static size_t slot_of(const struct edge_quic_slot *slots, size_t slot_count, const struct wire_quic_id *id) {
    size_t at = home_of(id, slot_count);
    while (slots[at].conn && !wire_quic_id_eq(&slots[at].id, id)) at = (at + 1) & (slot_count - 1);
    return at;
}

static sk_err grow(struct edge_quic_ids *ids) {
    if (ids->slots && ids->used * 2 < ids->slot_count) return SK_OK;
    size_t slot_count = ids->slots ? ids->slot_count * 2 : FIRST_SLOTS;
    struct edge_quic_slot *slots = calloc(slot_count, sizeof *slots);
    if (!slots) return SK_ERR_NO_MEMORY;
    for (size_t i = 0; i < ids->slot_count; i++)
        if (ids->slots[i].conn) slots[slot_of(slots, slot_count, &ids->slots[i].id)] = ids->slots[i];
    free(ids->slots);
    ids->slots = slots;
    ids->slot_count = slot_count;
    return SK_OK;
}

sk_err edge_quic_ids_add(struct edge_quic_ids *ids, const struct wire_quic_id *id, struct h3_conn *conn) {
    sk_err err = grow(ids);
    if (err) return err;
    struct edge_quic_slot *slot = &ids->slots[slot_of(ids->slots, ids->slot_count, id)];
    if (slot->conn) return SK_ERR_EXISTS;
    *slot = (struct edge_quic_slot){*id, conn};
    ids->used++;
    return SK_OK;
}

struct h3_conn *edge_quic_ids_find(const struct edge_quic_ids *ids, const struct wire_quic_id *id) {
    return ids->slots ? ids->slots[slot_of(ids->slots, ids->slot_count, id)].conn : NULL;
}

/* Backward shift: what was displaced by the slot that became free moves up, so no tombstones are needed. */
void edge_quic_ids_remove(struct edge_quic_ids *ids, const struct wire_quic_id *id) {
    if (!edge_quic_ids_find(ids, id)) return;
    size_t mask = ids->slot_count - 1, hole = slot_of(ids->slots, ids->slot_count, id);
    ids->slots[hole].conn = NULL;
    ids->used--;
    for (size_t at = (hole + 1) & mask; ids->slots[at].conn; at = (at + 1) & mask) {
        size_t home = home_of(&ids->slots[at].id, ids->slot_count);
        if (((at - home) & mask) < ((at - hole) & mask)) continue;
        ids->slots[hole] = ids->slots[at];
        ids->slots[at].conn = NULL;
        hole = at;
    }
}

void edge_quic_ids_free(struct edge_quic_ids *ids) {
    free(ids->slots);
    *ids = (struct edge_quic_ids){0};
}
