/* Making coded forms: a fiber reads the stored response, codes it slice by slice and fills the form, which can be
 * read from its first byte on. The parent may still be arriving: then what has come is flushed whenever more is
 * waited for. The fiber yields after half a millisecond, so nobody else on its thread waits longer. */
#ifndef SK_EDGE_ENCODE_H
#define SK_EDGE_ENCODE_H

#include "edge/exchange.h"
#include "http/accept.h"

/* So many forms are made at a time by one thread; beyond it answers stay in identity. */
#define EDGE_ENCODES_MAX 16

/* Outside of a section. Begins to make the form of OBJECT (which the caller references) at the site's level,
 * unless somebody does already. False when it cannot: too many at work, no memory, the edge stops. When true, the
 * form can usually be found; a small one is complete. */
bool edge_encode_start(struct edge_exchange *exchange, struct cache_object *object, enum http_coding coding);
/* The edge stops: ends all that THREAD's own worker is making at their next park. */
void edge_encode_cancel_all(struct edge_worker *worker);

#endif
