/* DNS server cookies (RFC 7873) in the interoperable form of RFC 9018: version, time and a SipHash of the
 * client's cookie and address under a secret. Two secrets, so that one can be rolled without a client noticing.
 * Pure; any thread. */
#ifndef SK_ROUTE_COOKIE_H
#define SK_ROUTE_COOKIE_H

#include "base/time.h"
#include "io/addr.h"
#include "route/siphash.h"

#define COOKIE_CLIENT_BYTES 8
#define COOKIE_BYTES 24 /* client and server part, as sent in the option */

struct cookie_secrets {
    uint8_t current[SIPHASH_KEY_BYTES];
    uint8_t previous[SIPHASH_KEY_BYTES]; /* accepted, never given out */
    bool has_previous;
};

enum cookie_state {
    COOKIE_NONE,   /* a client part alone */
    COOKIE_GOOD,   /* ours, and fresh enough to be given back as it is */
    COOKIE_RENEW,  /* ours, but half an hour old or made with the previous secret */
    COOKIE_FOREIGN /* not ours, for another address, or too old or new (RFC 9018 4.3) */
};

/* COOKIE is the option's content, 8 or 16 to 40 bytes. */
enum cookie_state cookie_check(const struct cookie_secrets *secrets, const uint8_t *cookie, size_t bytes,
                               const struct io_addr *client, sk_unix_s now);
/* The client's part of COOKIE with a new server part behind it. */
void cookie_make(const struct cookie_secrets *secrets, const uint8_t client_part[COOKIE_CLIENT_BYTES],
                 const struct io_addr *client, sk_unix_s now, uint8_t out[COOKIE_BYTES]);

#endif
