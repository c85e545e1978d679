/* Which fields of an origin's response are kept, and how a 304 changes them (RFC 9111 sections 3.1 and 3.2).
 * Pure. */
#ifndef SK_EDGE_STORED_HEAD_H
#define SK_EDGE_STORED_HEAD_H

#include "base/time.h"
#include "http/message.h"

struct edge_head_rules {
    sk_str pseudonym; /* our name in Via */
    bool shared;      /* for the store: Age goes (it is part of the freshness then), else it stays */
    bool drop_set_cookie;
    bool drop_cache_status;
    bool keep_tags;   /* Surrogate-Key, Cache-Tag and xkey go on to the client */
    bool keep_length; /* a HEAD's or a 304's Content-Length speaks of a body that is not here */
    sk_unix_s now;    /* Date, where the origin gave none */
};
/* The end-to-end fields of RESPONSE with Via, in a list of its own (names and values borrowed or in ARENA).
 * SK_ERR_NO_MEMORY. */
sk_err edge_head_fields(struct sk_arena *arena, const struct http_response *response,
                        const struct edge_head_rules *rules, struct http_fields *out_fields);
#define EDGE_TRAILER_NAMES_MAX 200
/* The names of RESPONSE's Trailer that may be passed on, as below, joined; empty when there is none, they are more
 * bytes than EDGE_TRAILER_NAMES_MAX, or when out of memory: nobody has to announce them (RFC 9110 section 6.6.2). */
sk_str edge_trailer_names(struct sk_arena *arena, const struct http_response *response);
/* Those of TRAILERS that may be passed on: none that concerns framing, routing, caching or the handling of the
 * message (RFC 9110 section 6.5.1), which is all that we know by name, and none that CONNECTION, the joined value
 * of that field in the message's head, names (7.6.1). Deep copies. */
sk_err edge_trailer_fields(struct sk_arena *arena, sk_str connection, const struct http_fields *trailers,
                           struct http_fields *out_fields);
/* STORED with everything that FRESH (made by edge_head_fields from a 304) says anew; what describes the stored
 * body itself stays (RFC 9111 section 3.2). */
sk_err edge_head_update(struct sk_arena *arena, const struct http_fields *stored,
                        const struct http_fields *fresh, struct http_fields *out_fields);

#endif
