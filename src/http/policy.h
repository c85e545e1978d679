/* What a policy (http/freshness.h) says of a status, and which errors no policy stores by itself. Pure. */
#ifndef SK_HTTP_POLICY_H
#define SK_HTTP_POLICY_H

#include "http/freshness.h"

/* The entry that names STATUS, or NULL. */
const struct http_status_ttl *http_status_ttl_find(const struct http_status_ttls *ttls, uint16_t status);
/* Errors that an odd or oversized request earns, whatever it asks for. Stored, they would answer the requests of all
 * others (cache-poisoned denial of service); 414 is heuristically cacheable by RFC 9110 15.1, but need not be. */
bool http_status_client_error(uint16_t status);

#endif
