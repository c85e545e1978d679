/* One request on a role's admin socket: what every role's small admin server begins with. On a fiber of the
 * loop that owns the stream. */
#ifndef SK_FLEET_ADMIN_REQUEST_H
#define SK_FLEET_ADMIN_REQUEST_H

#include "base/buf.h"
#include "http/message.h"
#include "io/stream.h"

/* Reads a head within TIMEOUT_MS. OUT_REQUEST borrows from IN and ARENA. SK_ERR_MALFORMED with the status to answer in
 * *out_status; SK_ERR_TIMEOUT, SK_ERR_END (nothing came), SK_ERR_TOO_LARGE and what reading gives. */
sk_err fleet_admin_read_request(struct io_stream *stream, struct sk_buf *in, struct sk_arena *arena,
                                int64_t timeout_ms, struct http_request *out_request, uint16_t *out_status);

#endif
