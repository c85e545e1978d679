/* Who a node is and what it may do. Pure: names and tables, no keys, no clock. A node's name is its SPIFFE id,
 * spiffe://FLEET/POP/ROLE/NAME, which its certificate carries (identity.h). */
#ifndef SK_FLEET_ID_H
#define SK_FLEET_ID_H

#include "base/buf.h"
#include "base/time.h"

#define FLEET_WORD_BYTES 65      /* 64 and NUL */
#define FLEET_ID_TEXT_BYTES 280  /* of a whole id, with NUL */
#define FLEET_EXPELLED_MAX 10000 /* nodes in a list of expelled ones */

/* Name, word in the id. */
#define FLEET_ROLE_TABLE(X)                                                                                  \
    X(CONTROL, "control")                                                                                    \
    X(EDGE, "edge")                                                                                          \
    X(ROUTE, "route")

enum fleet_role {
#define X(name, word) FLEET_ROLE_##name,
    FLEET_ROLE_TABLE(X)
#undef X
        FLEET_ROLE_COUNT_
};
const char *fleet_role_word(enum fleet_role role);
/* SK_ERR_NOT_FOUND. */
sk_err fleet_role_lookup(sk_str word, enum fleet_role *out_role);

/* What one node may ask of another: name, word in logs, and whether control, edge, route may. What has no row is
 * refused. */
#define FLEET_VERB_TABLE(X)                                                                                  \
    X(REPORT, "report", 0, 1, 1)              /* to control: how I am, and what is new for me */             \
    X(RENEW, "renew", 1, 1, 1)                /* to control: another certificate of the same name */         \
    X(READ_SNAPSHOT, "snapshot", 1, 1, 1)     /* to control: the configuration */                            \
    X(READ_SECRETS, "secrets", 0, 1, 0)       /* to control: certificates of sites, keys of tickets */       \
    X(SIGN_SNAPSHOT, "sign", 1, 0, 0)         /* signatures under configurations are its own */              \
    X(SERVE_CONTROL, "control", 1, 0, 0)      /* to be asked as control at all */                            \
    X(PUBLISH_PURGE, "publish", 1, 0, 0)      /* on the bus */                                               \
    X(REPORT_POSITION, "position", 0, 1, 0)   /* on the bus: what it has applied */                          \
    X(BEAT, "beat", 0, 1, 1)                  /* in the members' table: how it is */                         \
    X(FETCH_PEER, "fetch", 0, 1, 0)           /* to an edge: what it has in its cache */                     \
    X(SERVE_PEER, "peer", 0, 1, 0)            /* to be asked as a peer at all */                             \
    X(INVALIDATE_PEER, "invalidate", 0, 1, 0) /* to an edge: an unsafe request has changed this */

enum fleet_verb {
#define X(name, word, control, edge, route) FLEET_VERB_##name,
    FLEET_VERB_TABLE(X)
#undef X
        FLEET_VERB_COUNT_
};
const char *fleet_verb_word(enum fleet_verb verb);

struct fleet_id {
    char fleet[FLEET_WORD_BYTES], pop[FLEET_WORD_BYTES], name[FLEET_WORD_BYTES];
    enum fleet_role role;
};

/* A fleet's, PoP's or node's name: 1 to 64 of a-z, 0-9, '-', '_' and '.', a letter or digit first. */
bool fleet_word_valid(sk_str word);
/* SK_ERR_MALFORMED: no id of ours (SPIFFE-ID 2: one form only, no port, query or escapes). */
sk_err fleet_id_parse(sk_str text, struct fleet_id *out_id);
/* From its parts; SK_ERR_INVALID: one of them is not valid. */
sk_err fleet_id_make(sk_str fleet, sk_str pop, enum fleet_role role, sk_str name, struct fleet_id *out_id);
/* NUL-terminated; returns the text. */
sk_str fleet_id_format(const struct fleet_id *id, char out[FLEET_ID_TEXT_BYTES]);
bool fleet_id_eq(const struct fleet_id *a, const struct fleet_id *b);

/* --- who asks ------------------------------------------------------------------------------------------------ */

/* What the certificate at the other end of a connection says, after it was found good. */
struct fleet_caller {
    struct fleet_id id;
    sk_unix_s issued_at, not_after;
    char issuer[65]; /* SHA-256 of the root it hangs from, hexadecimal */
};

/* Nodes that were expelled: certificates of that name issued up to then are of no use any more. */
struct fleet_expelled_one {
    struct fleet_id id;
    sk_unix_s at;
};
struct fleet_expelled {
    struct fleet_expelled_one *ones;
    uint32_t count;
};
/* A line a node, "UNIX-SECONDS ID". SK_ERR_MALFORMED (nothing is taken), SK_ERR_TOO_LARGE, SK_ERR_NO_MEMORY. */
sk_err fleet_expelled_parse(sk_str text, struct fleet_expelled *out_expelled);
sk_err fleet_expelled_format(const struct fleet_expelled *expelled, struct sk_buf *out);
void fleet_expelled_free(struct fleet_expelled *expelled);
bool fleet_is_expelled(const struct fleet_expelled *expelled, const struct fleet_caller *caller);

enum fleet_verdict {
    FLEET_ALLOWED,
    FLEET_FOREIGN,   /* of another fleet */
    FLEET_EXPELLED,  /* removed from this one */
    FLEET_NOT_YOURS, /* the verb is not its role's */
};
/* Default deny. EXPELLED may be NULL: nobody is. */
enum fleet_verdict fleet_check(const struct fleet_caller *caller, sk_str fleet, enum fleet_verb verb,
                               const struct fleet_expelled *expelled);
/* For people: "is of another fleet". */
const char *fleet_verdict_text(enum fleet_verdict verdict);

#endif
