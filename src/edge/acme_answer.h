/* http-01 (RFC 8555 section 8.3): while an order runs for a host, its challenges are answered here, and never by an
 * origin. */
#ifndef SK_EDGE_ACME_ANSWER_H
#define SK_EDGE_ACME_ANSWER_H

#include "acme/challenge.h"
#include "edge/exchange.h"

/* Worker's thread. False: the request is not for a challenge of ours, and nothing was done. */
bool edge_acme_answer(struct edge_exchange *exchange);

#endif
