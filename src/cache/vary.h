/* Vary (RFC 9111 section 4.1): which request fields select among the responses of one primary key, and the
 * key of the one that a request selects. Pure.
 *
 * The index holds, under the primary key, a list of variants: the field names in normal form and a number
 * that no other list ever had. The number is part of each variant's key, so that without its list no
 * variant can be found, and a new list starts empty. */
#ifndef SK_CACHE_VARY_H
#define SK_CACHE_VARY_H

#include "cache/key.h"

#define CACHE_VARY_MAX_NAMES 16
#define CACHE_VARY_MAX_BYTES 1024
/* So many variants stored, and the list starts again under another number: nobody fills the cache with
 * variants of one URL that are all kept reachable. */
#define CACHE_VARY_MAX_VARIANTS 1024

/* The union of the names in two Vary values (B may be empty): lower case, sorted, once each, joined by ",".
 * Empty when neither has any. SK_ERR_TOO_LARGE (too many or too long), SK_ERR_MALFORMED ("*", or no token),
 * SK_ERR_NO_MEMORY. */
sk_err cache_vary_names(struct sk_arena *arena, sk_str a, sk_str b, sk_str *out_names);
/* The key of the variant that REQUEST (NULL: without fields) selects, NAMES as above. Values keep their
 * meaning: lines joined, white space trimmed; Accept-Encoding in its normal form (http/accept.h).
 * SK_ERR_TOO_LARGE, SK_ERR_NO_MEMORY. */
sk_err cache_vary_key(struct sk_arena *arena, const struct cache_key *primary, uint64_t list_number,
                      sk_str names, const struct http_request *request, struct cache_key *out_key);
/* TEXT, then MARK (which no other part of a key begins with) and the request's values of NAMES on lines of their own:
 * what cache_vary_key and cache_key_make are made of. Errors as above. */
sk_err cache_key_append(struct sk_arena *arena, sk_str text, sk_str mark, sk_str names,
                        const struct http_request *request, struct cache_key *out_key);
/* The part of a key's text that an URL gives: without what fields, cookies, a variant or a search rule add. */
static inline sk_str cache_key_primary(sk_str text) {
    return sk_str_slice(text, 0, sk_str_find_byte(text, '\n'));
}

#endif
