/* Compression dictionaries (RFC 9842) at the edge. A stored response that clients may use as one is kept once more
 * under its host and the SHA-256 of its content, in the cache as everything else: there it is found by the hash that a
 * client names, also when another content has taken its place at its URL, and only for answers of the same host. What
 * is coded with it is a form as those of edge/coding.h, made in the background (edge/improve.h); until it is there, the
 * client gets another coding. A hit looks for the form alone. */
#ifndef SK_EDGE_DICTIONARY_H
#define SK_EDGE_DICTIONARY_H

#include "edge/fetch.h"
#include "http/dictionary.h"
#include "wire/coding.h"

/* Larger ones are none for us: they would be copied whole, beside the cache's memory. */
#define EDGE_DICTIONARY_MAX_BYTES (8u << 20)

/* The coding with a dictionary for this client and OBJECT, and the dictionary's hash; identity where none is to be
 * used: the site has none, the client names none or prefers a coding without, or the answer is not for it
 * (http/dictionary.h). Pure. */
enum http_coding edge_dictionary_choose(const struct edge_exchange *exchange,
                                        const struct cache_object *object,
                                        uint8_t out_hash[HTTP_DICTIONARY_HASH_BYTES]);
/* The key of the form. SK_ERR_TOO_LARGE, SK_ERR_NO_MEMORY. Pure. */
sk_err edge_dictionary_form_key(struct sk_arena *arena, const struct cache_object *object,
                                enum http_coding coding, const uint8_t hash[HTTP_DICTIONARY_HASH_BYTES],
                                struct cache_key *out_key);
/* On a fiber: the dictionary with this HASH of the host of KEY_TEXT, whole; the caller frees the content. False: there
 * is none. */
bool edge_dictionary_read(struct edge_worker *worker, sk_str key_text,
                          const uint8_t hash[HTTP_DICTIONARY_HASH_BYTES],
                          struct wire_dictionary *out_dictionary);
/* On the fiber of a fetch that has brought all of a response that is stored: keeps it if it is a dictionary. */
void edge_dictionary_learn(struct edge_fetch *fetch);

#endif
