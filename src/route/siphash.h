/* SipHash-2-4 (Aumasson and Bernstein 2012) with a 128-bit key and a 64-bit result: what RFC 9018 prescribes for
 * server cookies, so that name servers of different makers behind one address accept each other's. Pure. */
#ifndef SK_ROUTE_SIPHASH_H
#define SK_ROUTE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_BYTES 16

uint64_t siphash24(const uint8_t key[SIPHASH_KEY_BYTES], const uint8_t *data, size_t bytes);

#endif
