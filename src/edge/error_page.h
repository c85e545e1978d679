/* Answers that the edge makes itself: small, text/plain, saying what is wrong and (for origins) which phase
 * failed. */
#ifndef SK_EDGE_ERROR_PAGE_H
#define SK_EDGE_ERROR_PAGE_H

#include "edge/exchange.h"

/* Answers EXCHANGE with STATUS. DETAIL is for the client's eyes and for the log: constant or in the
 * exchange's arena; may be empty text but not NULL. Nothing when the client is gone. Without Cache-Status: what is made
 * here, and not of something stored, has none (RFC 9211 section 2). */
void edge_respond_error(struct edge_exchange *exchange, uint16_t status, const char *detail);
/* As above for a request that an origin should have answered: 502 or 504 (503 when all connections
 * to the origin are in use; 408, 413, 400 when it was the client's body that failed). */
void edge_respond_failure(struct edge_exchange *exchange, enum origin_phase phase, sk_err err,
                          const char *detail);
/* The status for a failure. Pure. */
uint16_t edge_failure_status(enum origin_phase phase, sk_err err);

#endif
