/* Asking a role's admin socket: one request, one answer, one connection. For commands: it blocks the calling
 * thread, so it is never called on a loop. */
#ifndef SK_FLEET_ADMIN_CLIENT_H
#define SK_FLEET_ADMIN_CLIENT_H

#include <openssl/types.h>

#include "base/buf.h"
#include "fleet/id.h"

/* Where a role's admin socket is when nobody says otherwise. */
#define FLEET_ADMIN_DEFAULT "unix:/run/skerry/admin.sock"
/* For the whole call: connecting, sending, the answer to its end. */
#define FLEET_ADMIN_TIMEOUT_MS 30000

/* Asks METHOD TARGET ("/explain?url=...") at ADDRESS ("unix:PATH", or an IP address with port) with TOKEN (empty:
 * none) and BODY (JSON; empty: none). On SK_OK *out_status is whatever the other end answered, and OUT_BODY (the
 * caller's; its limit bounds the answer) has the answer's content appended.
 *
 * SK_ERR_INVALID: an address or target of no valid form. SK_ERR_NOT_FOUND: there is no such socket.
 * SK_ERR_REFUSED, SK_ERR_DENIED, SK_ERR_UNREACHABLE, SK_ERR_BUSY: nobody answers there, or not to us.
 * SK_ERR_TIMEOUT; SK_ERR_CLOSED: it ended before the answer did; SK_ERR_MALFORMED: what came is no HTTP/1.1;
 * SK_ERR_TOO_LARGE: the answer is over OUT_BODY's limit; SK_ERR_NO_MEMORY; SK_ERR_IO. */
sk_err fleet_admin_call(sk_str address, sk_str token, sk_str method, sk_str target, sk_str body,
                        uint16_t *out_status, struct sk_buf *out_body);

/* As above, of control and with more to say. */
struct fleet_ask {
    sk_str address; /* "unix:PATH", "https://HOST[:PORT]" (port 7443 unless said), "IP:PORT" */
    SSL_CTX *tls;   /* NULL: none is spoken */
    sk_str token;   /* empty: none */
    sk_str method, target, body;
    sk_str type; /* of the body; empty: application/json */
    /* with TLS: the other end must be a control of this fleet that was not expelled; empty: the context says enough */
    sk_str fleet;
    const struct fleet_expelled *expelled;
    int64_t timeout_ms; /* 0: FLEET_ADMIN_TIMEOUT_MS */
    int cancel_fd;      /* readable: give up; -1: none */
};
#define FLEET_CONTROL_PORT 7443
/* Errors as above, and SK_ERR_TLS, SK_ERR_TLS_CERTIFICATE (the other end is not who it must be),
 * SK_ERR_NAME_NOT_FOUND, SK_ERR_CANCELLED. */
sk_err fleet_ask(const struct fleet_ask *ask, uint16_t *out_status, struct sk_buf *out_body);

#endif
