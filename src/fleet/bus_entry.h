/* An entry of the purge bus as bytes: what a publisher says once, numbered, to every edge. Purges travel as they were
 * asked for (purge_request.h); each edge finds their keys under its own configuration. Who made an entry is shown by the
 * signature beside it (bus_seal.h), never by the entry itself. Pure.
 *
 *     "SKB1"  kind u8   publisher (u16, bytes)   epoch u64   sequence u64   serial u64   made_ms u64   purges u32
 *     each purge: kind u8, with 0x80 when soft   text (u16, bytes)   site (u16, bytes)
 *
 * All numbers big-endian; nothing may follow. What is purged by site names no other in its last field, so "erase" there
 * says that the site's key is to be erased too (erased.h); such a purge is alone in its entry, and never soft. Readers of
 * before look at no last field of this kind: to them it is the purge, in force at once, and as they say nothing of an
 * erasure, who asked knows that they made none. */
#ifndef SK_FLEET_BUS_ENTRY_H
#define SK_FLEET_BUS_ENTRY_H

#include "base/buf.h"
#include "fleet/purge_request.h"

#define FLEET_BUS_ENTRY_MAX_BYTES (256 * 1024)
#define FLEET_BUS_PURGES_MAX 2000   /* of one entry; a request with more becomes several */
#define FLEET_BUS_TEXT_MAX 8192     /* of a purge's text */
#define FLEET_BUS_PUBLISHER_MAX 279 /* a node's id */

enum fleet_bus_kind {
    FLEET_BUS_PURGES = 1,
    FLEET_BUS_BEAT = 2, /* the publisher lives; SEQUENCE is the last that it used */
    FLEET_BUS_END = 3,  /* its epoch is over, SEQUENCE was the last */
};

/* An epoch is one life of a publisher; sequences count its entries with purges from 1, without holes. */
struct fleet_bus_mark {
    uint64_t epoch, sequence;
};

struct fleet_bus_entry {
    enum fleet_bus_kind kind;
    sk_str publisher;
    struct fleet_bus_mark mark;
    uint64_t serial;  /* of the epoch's entries of every kind: an old one sent again is no sign of life */
    uint64_t made_ms; /* the publisher's wall clock, for figures only */
    const struct fleet_purge_wish *wishes; /* of PURGES: at least one; their `item` counts from 0 */
    uint32_t wish_count;
};

/* Appends it. SK_ERR_TOO_LARGE: over a limit above, or OUT's; SK_ERR_INVALID: a kind that is none, or wishes where there
 * must be none or some; SK_ERR_NO_MEMORY. OUT may hold part of it then. */
sk_err fleet_bus_write(const struct fleet_bus_entry *entry, struct sk_buf *out);
/* Texts borrow from BYTES, wishes are ARENA's. SK_ERR_MALFORMED; SK_ERR_NO_MEMORY (ARENA's limit). */
sk_err fleet_bus_read(sk_str bytes, struct sk_arena *arena, struct fleet_bus_entry *out_entry);

#endif
