/* The request that selects: as the client sent it, with the fields that the site reduces to classes (`vary` in the
 * configuration) in their normal form. The cache's variants and the origin see this one, the log the client's. */
#ifndef SK_EDGE_SELECTING_H
#define SK_EDGE_SELECTING_H

#include "edge/exchange.h"

/* The exchange's own request where the site reduces nothing, else a copy in its arena; that one is made at each
 * call, since keeping the exchange moves what it points to. Also the own one when out of memory: then it
 * selects a variant of its own, which costs room but is never wrong. */
const struct http_request *edge_selecting(struct edge_exchange *exchange);
/* The same for any REQUEST to SITE. */
const struct http_request *edge_selecting_of(struct sk_arena *arena, const struct config_site *site,
                                             const struct http_request *request);
/* FIELDS in normal form, in a list of its own. A field that is absent stays so. SK_ERR_NO_MEMORY. */
sk_err edge_selecting_fields(struct sk_arena *arena, const struct config_vary *vary,
                             const struct http_fields *fields, struct http_fields *out_fields);

#endif
