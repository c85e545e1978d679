/* What a fetch does for partial objects (cache/slices.h): asks an origin for a part (part.c), brings slices into
 * their fills (slice_run.c), puts an answer together from slices (assemble.c), keeps what came of a response
 * that was cut off (cut_off.c). On the fetch's fiber. */
#ifndef SK_EDGE_SLICES_PRIVATE_H
#define SK_EDGE_SLICES_PRIVATE_H

#include "edge/fetch_private.h"

/* --- part.c ------------------------------------------------------------------------------------------ */

/* Adds Range to the request that goes out, and If-Range when slices of a known object are asked for (RFC 9110
 * section 13.1.5). SK_ERR_NO_MEMORY. */
sk_err edge_part_ask(struct edge_fetch *fetch, struct http_fields *fields);
/* A 206 that carries the whole representation is as good as a 200: OUT_WHOLE is that one. */
bool edge_part_is_whole(struct edge_fetch *fetch, const struct http_response *response,
                        struct http_response *out_whole);
/* Takes a response to a request for a part, unless it is one that any request could have got. True: the fill
 * knows its fate, and the body was taken. fetch->fill may be another one then. */
bool edge_part_take(struct edge_fetch *fetch, struct origin_exchange *origin,
                    const struct http_response *response, sk_unix_s asked_at);

/* --- slice_run.c -------------------------------------------------------------------------------------- */

/* A run of slices from one body. */
struct edge_slice_run {
    uint64_t number, length; /* of the partial object */
    uint64_t slice;          /* the first: that of fetch->fill */
    uint64_t position, end;  /* what the body holds of the representation; end exclusive */
    struct origin_exchange *origin;
};
/* Begins the fill of a slice as its fetch, with nobody waiting. SK_ERR_EXISTS: it is there, or on its way. */
sk_err edge_slice_begin(struct edge_fetch *fetch, uint64_t number, uint64_t slice,
                        struct cache_fill **out_fill);
/* The head of a slice that its fill is to bring. */
sk_err edge_slice_store(struct cache_fill *fill, uint64_t slice, uint64_t length);
/* Reads slice after slice into fills until the body ends, the next one is there already, or nobody has wanted
 * any for a while. fetch->fill is the last of them then; it has ended. */
void edge_slice_run(struct edge_fetch *fetch, const struct edge_slice_run *run);

/* --- cut_off.c ------------------------------------------------------------------------------------------ */

/* The body of RESPONSE, which is being stored, has been cut off: what came of it becomes a partial object when
 * that may be completed later (RFC 9111 section 3.3). Before the fill is broken. */
void edge_part_keep(struct edge_fetch *fetch, const struct http_response *response);

/* --- assemble.c ----------------------------------------------------------------------------------------- */

/* Copies PLAN's parts. SK_ERR_NO_MEMORY. */
sk_err edge_assembly_copy(struct edge_fetch *fetch, const struct edge_fetch_plan *plan);
/* Puts fetch->parts together from slices of fetch->head, in the (private) fill; has slices fetched that are
 * missing. Fails with SK_ERR_STALE before the first byte when the representation has changed. */
void edge_assemble(struct edge_fetch *fetch);

#endif
