/* Zone transfers out (AXFR, RFC 5936) over an open TCP connection: as a generator of messages, so that a large zone
 * costs no more memory than one message. IXFR is answered the same way (RFC 1995 section 4: a full transfer is
 * always allowed). */
#ifndef SK_ROUTE_TRANSFER_H
#define SK_ROUTE_TRANSFER_H

#include "route/plan.h"

struct transfer;

/* Whether QUERY asks for a transfer at all. */
bool transfer_wanted(const struct dns_query *query);
/* TSIG is the request's, found right; NULL: it has none. SK_ERR_DENIED: not this client, or not this key; SK_ERR_NOT_FOUND: no such zone (the answers are REFUSED and NOTAUTH);
 * SK_ERR_NO_MEMORY. Holds a reference to PLAN: a transfer is of one version from end to end. */
sk_err transfer_begin(struct route_plan *plan, const uint8_t *message, const struct dns_query *query,
                      const struct io_addr *client, const struct tsig_request *tsig,
                      struct transfer **out_transfer);
/* The next message in OUT (65535 bytes), signed if the request was; 0 when all were given. SK_ERR_NO_MEMORY. */
sk_err transfer_next(struct transfer *transfer, sk_unix_s now, uint8_t *out, size_t *out_bytes);
void transfer_free(struct transfer *transfer);

#endif
