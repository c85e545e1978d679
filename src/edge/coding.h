/* Coded forms of stored responses (RFC 9110 section 8.4.1): which one a client gets, where it is kept, and its fields.
 *
 * A form is an entry of its own in the cache, under the key of its parent, the coding, and a number that no other
 * content has. So each is kept at most once, is found by one more look, and cannot be found any more when its
 * parent is replaced, purged or evicted; a 304 that confirms the parent confirms its forms. A form has no fields:
 * age, freshness and fields are always its parent's.
 *
 *   hit: parent --coding wanted--> form there? ---------> answer with it, in the same section
 *                                        \--- not yet --> edge_encode_start, then answer with what it has made
 *
 * What follows a form that is still being made gets its bytes as they come, as from any fill. */
#ifndef SK_EDGE_CODING_H
#define SK_EDGE_CODING_H

#include "edge/exchange.h"
#include "http/accept.h"

/* In which coding this client gets OBJECT: identity unless the object may be coded, the site codes, and the
 * client prefers a coding that the site has. A request for a part, with If-Match, or with no-transform gets
 * identity (RFC 9110 sections 14.2 and 13.1.1, RFC 9111 section 5.2.1.6). Pure. */
enum http_coding edge_coding_choose(const struct edge_exchange *exchange, const struct cache_object *object);
/* Whether it may get any coding at all: what of the above does not depend on Accept-Encoding. Pure. */
bool edge_coding_may(const struct edge_exchange *exchange, const struct cache_object *object);
/* Inside a section: the form of OBJECT, or NULL. Valid as what cache_find gives. */
struct cache_object *edge_coding_find(struct edge_exchange *exchange, const struct cache_object *object,
                                      enum http_coding coding);
/* Outside of a section, OBJECT referenced by the caller: the form, referenced, if need be just begun. NULL when
 * none can be had: answer in identity. */
struct cache_object *edge_coding_get(struct edge_exchange *exchange, struct cache_object *object,
                                     enum http_coding coding);
/* The parent's fields as they are for its form: Content-Encoding, and a strong entity tag made weak, since other
 * bytes may not have the same one (RFC 9110 section 8.8.1). Flat text; data NULL when out of memory. Pure. */
sk_str edge_coding_head(struct sk_arena *arena, const struct http_fields *fields, enum http_coding coding);
/* FIELDS with a strong entity tag made weak, for a 304 that stands for a form: a client finds its own copy by it.
 * In a list of its own. SK_ERR_NO_MEMORY. Pure. */
sk_err edge_coding_weaken(struct sk_arena *arena, const struct http_fields *fields,
                          struct http_fields *out_fields);
/* The key of a form. SK_ERR_TOO_LARGE, SK_ERR_NO_MEMORY. Pure. */
sk_err edge_coding_key(struct sk_arena *arena, const struct cache_object *object, enum http_coding coding,
                       struct cache_key *out_key);

#endif
