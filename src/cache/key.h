/* The cache key: the canonical request as text, and its keyed 128-bit hash. The text is stored with the
 * object and compared on every hit, so a collision can never serve a wrong body. Pure. */
#ifndef SK_CACHE_KEY_H
#define SK_CACHE_KEY_H

#include "base/arena.h"
#include "base/hash.h"
#include "http/message.h"

struct cache_key {
    sk_hash128 hash;
    sk_str text; /* "site|host|path?query", then for a variant "\n" and its normalised request fields */
};

#define CACHE_KEY_MAX_BYTES 16384

/* The primary key of a request on SITE: scheme-less, host lower-cased without a default port, path in
 * normal form, query as it is. Borrows nothing from the request; text in ARENA. SK_ERR_MALFORMED (a bad
 * percent escape), SK_ERR_TOO_LARGE, SK_ERR_NO_MEMORY. */
sk_err cache_key_make(struct sk_arena *arena, sk_str site, const struct http_request *request,
                      struct cache_key *out_key);
/* The key of the variant that this request selects among responses with this Vary value (all lines joined,
 * never "*"). */
sk_err cache_key_vary(struct sk_arena *arena, const struct cache_key *primary, sk_str vary,
                      const struct http_request *request, struct cache_key *out_key);

#endif
