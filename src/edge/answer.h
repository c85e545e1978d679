/* From an object of the cache to the response for one request: conditions, ranges, Age, Cache-Status. */
#ifndef SK_EDGE_ANSWER_H
#define SK_EDGE_ANSWER_H

#include "edge/exchange.h"
#include "grid/peer_field.h"
#include "http/cache_status.h"

/* Room for Age, Cache-Status, Content-Range and their names. */
#define EDGE_EXTRA_BYTES (HTTP_CACHE_STATUS_MAX + 512 + GRID_WORD_BYTES + 20)

/* Answers EXCHANGE with OBJECT, whose reference is taken over, also when the client is gone. Outside of a section.
 * exchange->outcome says what to tell in Cache-Status. */
void edge_answer_object(struct edge_exchange *exchange, struct cache_object *object);
/* The hit's way: inside of the section that holds OBJECT. False: not answered, since a coded form must be made
 * first, which a section does not allow; reference OBJECT and call the other one after the section. */
bool edge_answer_borrowed(struct edge_exchange *exchange, struct cache_object *object);

/* True when the request has an If-Match or If-Unmodified-Since that OBJECT does not satisfy: whether that is a
 * 412 only the origin can say (RFC 9111 section 4.3.2). */
bool edge_is_for_origin(const struct edge_exchange *exchange, const struct cache_object *object);
/* Answers when no byte of the body is needed: a condition decides (304, 412), HEAD, a range beyond the end (416).
 * False: nothing was done, and the reference is still the caller's. */
bool edge_answer_without_body(struct edge_exchange *exchange, struct cache_object *object, bool borrowed);
/* Which ranges of OBJECT, whose length is known, EXCHANGE asks for. */
struct http_range_answer edge_ranges_of(const struct edge_exchange *exchange,
                                        const struct cache_object *object);
#define EDGE_BOUNDARY_BYTES 24
/* The parts of a multipart/byteranges answer, one more than there are ranges, in ARENA; its boundary and its bytes.
 * NULL when out of memory. */
struct edge_part *edge_multipart(struct sk_arena *arena, const struct cache_object *object,
                                 const struct http_range_answer *ranges, char boundary[EDGE_BOUNDARY_BYTES],
                                 uint64_t *out_bytes);

/* "Age: ...", "Cache-Status: ..." from the outcome, in OUT (EDGE_EXTRA_BYTES); OBJECT NULL: no Age. */
sk_str edge_status_fields(const struct edge_exchange *exchange, const struct cache_object *object, char *out);

/* The fields of a 304 made from a stored response, as flat text (RFC 9110 section 15.4.5). data NULL when
 * out of memory. Pure. */
sk_str edge_not_modified_head(struct sk_arena *arena, const struct http_fields *stored);
/* All fields but Content-Type, for multipart/byteranges. Pure. */
sk_str edge_head_without_type(struct sk_arena *arena, const struct http_fields *stored);

#endif
