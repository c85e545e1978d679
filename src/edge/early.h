/* Requests that came in TLS early data (0-RTT, RFC 8446 section 2.3), where a listener allows it: an eavesdropper may send
 * a copy of them. Each copy is refused where the first one went (wire/tls_early.h), so what is left is a copy that reaches
 * another edge before, or instead of, the first one; and RFC 8470 says what may be done then. */
#ifndef SK_EDGE_EARLY_H
#define SK_EDGE_EARLY_H

#include "edge/exchange.h"

/* RFC 8470 section 3: safe (RFC 9110 section 9.2.1), without content, and nothing that turns into something else. Pure. */
bool edge_early_is_safe(const struct http_request *request);
/* True: it may be served, and carries Early-Data: 1 for whoever is asked next (section 5.1). False: it was answered, with
 * 425 (section 5.2) or 503. */
bool edge_early_admit(struct edge_exchange *exchange);

#endif
