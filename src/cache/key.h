/* The cache key: the canonical request as text, and its keyed 128-bit hash. The text is stored with the
 * object and compared on every hit, so a collision can never serve a wrong body. Pure. */
#ifndef SK_CACHE_KEY_H
#define SK_CACHE_KEY_H

#include "base/arena.h"
#include "base/hash.h"
#include "http/message.h"
#include "http/query.h"

struct cache_key {
    sk_hash128 hash;
    /* "site|host|path?query", the primary part of an URL; then lines of their own for what the site's rules add to it
     * ("\n@..."), and for a variant its number and its normalised request fields */
    sk_str text;
};

#define CACHE_KEY_MAX_BYTES 16384

/* The primary key of a request on SITE under RULES (NULL: the default ones): without the scheme unless they say so,
 * host lower-cased without a default port, path in normal form, query as the rules say, then the fields and cookies
 * that they name. Borrows nothing from the request; text in ARENA. SK_ERR_MALFORMED (a bad percent escape),
 * SK_ERR_TOO_LARGE (the URL), SK_ERR_FULL (the fields and cookies: there can be no key), SK_ERR_NO_MEMORY. */
sk_err cache_key_make(struct sk_arena *arena, sk_str site, const struct http_key_rules *rules,
                      const struct http_request *request, struct cache_key *out_key);
/* The site that it is of: what stands before the first '|'. Borrowed. */
static inline sk_str cache_key_site(sk_str text) {
    return sk_str_slice(text, 0, sk_str_find_byte(text, '|'));
}
/* The "path?query" that a key's text holds: what an origin is asked for, so that nothing outside of the key changes
 * its answer. Borrowed. */
sk_str cache_key_target(sk_str text);
/* The host that it holds, with the port where that is not the scheme's. Borrowed. */
sk_str cache_key_host(sk_str text);
/* The key of the variant that this request selects among responses with this Vary value (all lines joined,
 * never "*"). */
sk_err cache_key_vary(struct sk_arena *arena, const struct cache_key *primary, sk_str vary,
                      const struct http_request *request, struct cache_key *out_key);

#endif
