/* Compression dictionaries (RFC 9842) as far as a server takes part: which response is one, which one a client has, and
 * whether it may be used for an answer. Pure. */
#ifndef SK_HTTP_DICTIONARY_H
#define SK_HTTP_DICTIONARY_H

#include "http/message.h"

#define HTTP_DICTIONARY_HASH_BYTES 32 /* SHA-256 */

/* Use-As-Dictionary says that clients may use this content: a Dictionary with a String as match that is not empty, and
 * the type raw or none (section 2.1). False for anything else, also when out of memory. ARENA is for parsing. */
bool http_dictionary_is_one(struct sk_arena *arena, const struct http_fields *fields);
/* The hash that Available-Dictionary names (section 2.2). False when there is none, or no Byte Sequence of that
 * length. */
bool http_dictionary_available(struct sk_arena *arena, const struct http_fields *fields,
                               uint8_t out_hash[HTTP_DICTIONARY_HASH_BYTES]);
/* Whether a dictionary may be used for the answer with FIELDS to REQUEST: only over https (section 8), and not where
 * the size could tell something to a page of another origin that may not read the answer (section 9.3.3). */
bool http_dictionary_allowed(const struct http_request *request, const struct http_fields *fields);

#endif
