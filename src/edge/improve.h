/* Forms that are made in the background: better ones for popular objects, and those with a dictionary (edge/dictionary.h).
 *
 * Better forms for popular objects: a coded form that many ask for is made once more, as small as the site wants
 * it, on a thread of its own at low priority, and takes the place of the quick one when it is smaller. One at a
 * time in the process, so that at most one core does it. */
#ifndef SK_EDGE_IMPROVE_H
#define SK_EDGE_IMPROVE_H

#include "edge/exchange.h"
#include "http/accept.h"
#include "http/dictionary.h"

/* Larger objects keep their quick forms: the whole content is copied meanwhile, beside the cache's memory. */
#define EDGE_IMPROVE_MAX_BYTES (8u << 20)

/* FORM of OBJECT was just given out, both still held. In or out of a section; never waits. Begins an improvement
 * when the form is popular, complete, was not improved before, and nobody improves another one. */
void edge_improve_consider(struct edge_exchange *exchange, struct cache_object *object,
                           struct cache_object *form, enum http_coding coding);

/* The form of OBJECT with the dictionary of this HASH was asked for and is not there; begins to make it under KEY, when
 * there is such a dictionary, nobody makes another one, and it was not found to be of no use lately. As above. */
void edge_improve_with_dictionary(struct edge_exchange *exchange, struct cache_object *object,
                                  enum http_coding coding, const struct cache_key *key,
                                  const uint8_t hash[HTTP_DICTIONARY_HASH_BYTES]);

#endif
