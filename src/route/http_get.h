/* One GET over HTTP/1.1, plain or TLS, on its own connection: health checks and reports of edges. On a fiber of the
 * calling thread's loop; bounded in time and bytes. */
#ifndef SK_ROUTE_HTTP_GET_H
#define SK_ROUTE_HTTP_GET_H

#include "base/buf.h"
#include "io/addr.h"
#include "io/loop.h"
#include "wire/tls.h"

struct http_get {
    struct io_loop *loop;
    struct io_addr addr;
    struct wire_tls_context *tls; /* NULL: plain */
    sk_str host;                  /* Host, and what a certificate is for; empty: the address */
    sk_str target;                /* "/path?query" */
    sk_str token;                 /* of a bearer; empty: none */
    sk_time_ns deadline;
};

/* *OUT_STATUS is the final answer's; its content is appended to OUT_BODY up to its limit. OUT_BODY NULL: only the
 * head is read. SK_ERR_TLS and SK_ERR_TLS_CERTIFICATE; SK_ERR_MALFORMED: no HTTP/1.1; SK_ERR_CLOSED: cut off;
 * SK_ERR_TOO_LARGE, SK_ERR_NO_MEMORY, and what io_stream_connect and io_stream_read give. */
sk_err http_get(const struct http_get *get, uint16_t *out_status, struct sk_buf *out_body);

#endif
