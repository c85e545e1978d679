/* A request's body on its way to an origin, on a fiber of its own: the exchange meanwhile listens for the
 * response, which may come before the body's end. Own thread. */
#ifndef SK_ORIGIN_UPLOAD_H
#define SK_ORIGIN_UPLOAD_H

#include "origin/session.h"

struct origin_upload {
    /* set by start */
    struct io_loop *loop;
    struct origin_connection *connection; /* HTTP/1.1, or NULL ... */
    struct origin_call *call;             /* ... HTTP/2 */
    const struct origin_request *request;
    int64_t timeout_ms;     /* for the origin to take each piece */
    struct io_fiber *fiber; /* while running */
    struct io_fiber *owner; /* woken at the end */
    /* the upload's own */
    bool running;
    bool begun;         /* a piece was taken from the source: the request cannot be sent again */
    bool source_failed; /* `error` is the client's, not the origin's */
    sk_err error;       /* at the end; SK_OK when all was sent */
    sk_time_ns ended;
};

/* SK_ERR_NO_MEMORY. The upload may have ended when this returns. */
sk_err origin_upload_start(struct origin_upload *upload, struct origin_thread *thread,
                           struct origin_connection *connection, struct origin_call *call,
                           const struct origin_request *request, int64_t timeout_ms);
/* Ends it, if it has not by itself; after it neither source nor connection is touched. */
void origin_upload_stop(struct origin_upload *upload);

#endif
