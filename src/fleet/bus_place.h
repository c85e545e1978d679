/* Where a reader of the purge bus stands, as bytes in a file beside what it has stored: a node that starts again goes on
 * from there, instead of asking about everything. The file may be older than what is stored (purges are then read twice,
 * which costs a fetch), never newer. What makes it so is its writer's part (edge/bus_keep.h). Pure.
 *
 *     "SKPLACE1"  tick u64   flags u8   heard u64   boot (u8, bytes)   server (u8, bytes)   read u64 u64   count u8
 *     each publisher: (u16, bytes)   epoch u64   sequence u64   serial u64   heard u64   ended u8
 *     sum u64 of all before it (sk_hash64: under the secret of what is stored, so that it fits nothing else)
 *
 * All numbers big-endian; nothing may follow. */
#ifndef SK_FLEET_BUS_PLACE_H
#define SK_FLEET_BUS_PLACE_H

#include "fleet/bus_follow.h"

#define FLEET_BUS_BOOT_MAX 40
#define FLEET_BUS_PLACE_MAX_BYTES (32 * 1024)

struct fleet_bus_place {
    struct fleet_bus_follow follow; /* never in the middle of reading again */
    uint64_t tick;                  /* of the purge clock: what is stored must have come that far */
    bool unresolved;                /* a purge meant nothing under the configuration then */
    sk_str boot;      /* the machine's, and by its clock since then: when somebody was heard last; */
    int64_t heard_ns; /* 0: nobody yet */
};

/* Appends it. SK_ERR_INVALID: while reading again, or it is nowhere yet; SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE. */
sk_err fleet_bus_place_write(const struct fleet_bus_place *place, struct sk_buf *out);
/* `boot` borrows from BYTES. SK_ERR_MALFORMED. */
sk_err fleet_bus_place_read(sk_str bytes, struct fleet_bus_place *out_place);

#endif
