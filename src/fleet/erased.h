/* What became of an erasure on the bus (bus_entry.h) at each edge: beside the position (applied.h), because a disk may open
 * later than the purge is in force, may not be encrypted, and because an edge of before knows of no erasures. An edge says
 * it in a hash of that one purge, under its own key; who asked looks until all whom it names have said something. Fibers. */
#ifndef SK_FLEET_ERASED_H
#define SK_FLEET_ERASED_H

#include "fleet/bus_entry.h"
#include "fleet/bus_key.h"
#include "fleet/valkey.h"

#define FLEET_BUS_ERASED "skerry:erased:" /* and PUBLISHER:EPOCH:SEQUENCE: a hash of edge to "WORD:CODE" */
#define FLEET_BUS_ERASED_KEEP_MS (INT64_C(24) * 60 * 60 * 1000)

/* Outcome, word. */
#define FLEET_ERASED_TABLE(X)                                                                                \
    X(SILENT, "silent") /* it has said nothing, or nothing that it can prove */                              \
    X(DONE, "erased")                                                                                        \
    X(NOTHING, "nothing") /* the site has no key there */                                                    \
    X(PLAIN, "plain")     /* its disk is not encrypted: what lies there can be read */
enum fleet_erased {
#define X(name, word) FLEET_ERASED_##name,
    FLEET_ERASED_TABLE(X)
#undef X
        FLEET_ERASED_COUNT_
};

/* Which erasure, and whose. */
struct fleet_erasure {
    sk_str publisher;
    struct fleet_bus_mark mark;
};

/* What EDGE says of ERASURE. KEY NULL: unproven, which counts for nothing. Text is ARENA's; empty: no memory. */
sk_str fleet_erased_text(const struct fleet_erasure *erasure, sk_str edge, enum fleet_erased what,
                         const struct fleet_bus_key *key, struct sk_arena *arena);
/* What TEXT says under one of KEYS. */
enum fleet_erased fleet_erased_read(sk_str text, const struct fleet_erasure *erasure, sk_str edge,
                                    const struct fleet_bus_keys *keys);

/* EDGE says it to the server, which keeps it for a day. Errors as fleet_valkey_call. */
sk_err fleet_erased_tell(struct fleet_valkey *valkey, const struct fleet_erasure *erasure, sk_str edge,
                         enum fleet_erased what, const struct fleet_bus_key *key, sk_time_ns deadline,
                         struct sk_arena *arena);

struct fleet_erased_question {
    struct fleet_valkey *valkey;
    struct fleet_erasure erasure;
    const sk_str *edges;
    size_t count;
    /* The keys of EDGE. */
    struct fleet_bus_keys (*keys)(void *arg, sk_str edge);
    void *arg;
};
/* Looks until each of the edges has said something, or DEADLINE: OUT has as many. Parks. SK_OK also at the deadline; else
 * what asking the server gives. */
sk_err fleet_erased_wait(const struct fleet_erased_question *question, sk_time_ns deadline,
                         enum fleet_erased *out);

#endif
