/* The records of certificate authorities' challenges (route/challenge.h) laid over the zones, so that one that comes or
 * goes reads no file again: for each name the answers are made, and signed, at once. A name that changes what its zone
 * says about others (its parent is not there yet, it is delegated, or it has records of its own) is left to a reload. */
#ifndef SK_ROUTE_OVERLAY_H
#define SK_ROUTE_OVERLAY_H

#include "route/answer.h"
#include "route/challenge.h"

struct answer_node;
struct overlay; /* immutable, counted */

/* Of all CHALLENGES that are not in the zones themselves (in_zone); NULL where none is. SK_ERR_UNSUPPORTED: one needs a
 * reload, and its in_zone is set; SK_ERR_NO_MEMORY. */
sk_err overlay_create(const struct answer_zones *zones, struct challenges *challenges,
                      struct overlay **out_overlay);
/* NULL gives NULL, here and below. */
struct overlay *overlay_ref(struct overlay *overlay);
void overlay_unref(struct overlay *overlay);
/* NULL: not one of these. */
const struct answer_node *overlay_find(const struct overlay *overlay, const struct dns_name *name);

#endif
