/* Requests on a role's admin socket, each read whole. On a fiber of the loop that owns the stream. */
#ifndef SK_FLEET_ADMIN_REQUEST_H
#define SK_FLEET_ADMIN_REQUEST_H

#include <openssl/types.h>

#include "base/buf.h"
#include "fleet/id.h"
#include "http/message.h"
#include "io/stream.h"

/* What a visitor sent. */
struct fleet_admin_request {
    struct io_addr peer;
    struct http_request http; /* borrows from `head` and `arena` */
    struct sk_buf head, raw, content;
    struct sk_arena arena; /* for the handler too */
    /* of the connection */
    bool local;   /* by a Unix socket */
    bool is_node; /* with a certificate of the fleet: CALLER */
    struct fleet_caller caller;
    void *asker; /* for the role's own notes about who asks; cleared for each request */
};

void fleet_admin_request_init(struct fleet_admin_request *request);
void fleet_admin_request_free(struct fleet_admin_request *request);
/* Forgets the request that was read, but not what came behind it: ready for the next of the connection. */
void fleet_admin_request_next(struct fleet_admin_request *request);

/* Reads head and content within TIMEOUT_MS. SK_ERR_MALFORMED with the status to answer in *out_status;
 * SK_ERR_TIMEOUT, SK_ERR_END (nothing came), SK_ERR_TOO_LARGE and what reading gives. */
sk_err fleet_admin_request_read(struct fleet_admin_request *request, struct io_stream *stream,
                                int64_t timeout_ms, uint16_t *out_status);

#endif
