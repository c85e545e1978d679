/* What nodes tell each other beside HTTP, in one field of requests and one of responses, both named Skerry-Peer. It is
 * read only where a node's certificate was shown, and removed from all that clients and origins send. Pure.
 *
 *     request    hop=POP/NAME ...  [fresh=soft | fresh=hard]  [only]
 *     response   held=MICROSECONDS [tags=HEX.HEX... | tags=?] | failed
 *
 * Purges and peers. An edge that has applied a purge must not give out what an owner has that has not: so the owner tells
 * for how long it has held what it answers with (since it began to ask the origin for it), and the tags that it is
 * stored under. The edge that asked counts back by its own clock from the moment when it asked, which makes the content
 * older than it is and never younger, and holds all purges since then against it, as if it had stored it itself. If one
 * covers it, the edge asks again with `fresh`: the owner then validates (soft) or fetches anew (hard). No wall clock, no
 * position on the bus and no order between nodes is needed, and purges that one edge alone knows hold as well.
 *
 * An edge that starts again knows the purges of its former life no more, whose positions on the bus would not name those
 * that came by another way. It keeps one moment instead, until when it has applied any (edge/past.h): what an owner has held
 * since before that is asked for with `fresh=soft`, once, for then the owner has held it since a moment ago. Whoever cannot
 * prove that moment takes its own start for it. */
#ifndef SK_GRID_PEER_FIELD_H
#define SK_GRID_PEER_FIELD_H

#include "base/str.h"

#define GRID_FIELD "Skerry-Peer"
#define GRID_HOPS_MAX 4  /* nodes that a request may come through */
#define GRID_TAGS_MAX 48 /* told of one response */
#define GRID_NODE_BYTES 130
#define GRID_ASK_BYTES (GRID_HOPS_MAX * (GRID_NODE_BYTES + 5) + 32)
#define GRID_WORD_BYTES (GRID_TAGS_MAX * 17 + 40)

enum grid_fresh {
    GRID_AS_STORED,
    GRID_VALIDATED, /* only when the origin agrees */
    GRID_ANEW,      /* what is stored is not to be used */
};

struct grid_ask {
    sk_str hops[GRID_HOPS_MAX]; /* who has asked, the first node first */
    uint32_t hop_count;
    enum grid_fresh fresh;
    bool only_stored; /* nobody is to be asked for it */
};
/* Writes the value, without NUL; returns its length. */
size_t grid_ask_format(const struct grid_ask *ask, char out[GRID_ASK_BYTES]);
/* SK_ERR_MALFORMED: too many hops as well. Texts are borrowed. */
sk_err grid_ask_parse(sk_str value, struct grid_ask *out_ask);

struct grid_word {
    uint64_t held_us;
    bool failed;      /* it has no answer but its own: the origin failed */
    bool tags_untold; /* there are more than can be told */
    uint64_t tags[GRID_TAGS_MAX];
    uint32_t tag_count;
};
size_t grid_word_format(const struct grid_word *word, char out[GRID_WORD_BYTES]);
/* SK_ERR_MALFORMED. */
sk_err grid_word_parse(sk_str value, struct grid_word *out_word);

#endif
