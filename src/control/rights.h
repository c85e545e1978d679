/* What people's tokens may do. Pure. */
#ifndef SK_CONTROL_RIGHTS_H
#define SK_CONTROL_RIGHTS_H

#include "base/str.h"

/* Right, word, what it allows. */
#define CONTROL_RIGHT_TABLE(X)                                                                               \
    X(READ, "read", "see configurations, nodes and the rollout")                                             \
    X(APPLY, "apply", "change the configuration, go back to an older one")                                   \
    X(PURGE, "purge", "make what edges have stored invalid")                                                 \
    X(NODES, "nodes", "invite and expel nodes, change the roots")                                            \
    X(TOKENS, "tokens", "make and take back tokens")                                                         \
    X(AUDIT, "audit", "read the record of what was done")                                                    \
    X(CERTIFICATES, "certificates", "give certificates of sites to edges, and take them away")
enum control_right {
#define X(name, word, help) CONTROL_RIGHT_##name,
    CONTROL_RIGHT_TABLE(X)
#undef X
        CONTROL_RIGHT_COUNT_
};
const char *control_right_word(enum control_right right);
/* "read,apply" as a set of bits (1 << right). SK_ERR_NOT_FOUND: a word that is none, or no word at all. */
sk_err control_rights_parse(sk_str text, unsigned *out_rights);

#endif
