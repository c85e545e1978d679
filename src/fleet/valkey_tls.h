/* TLS to a Valkey that is not our own (`valkeys://`): TLS 1.2 or 1.3, hybrid key exchange first, the server's
 * certificate checked against its name, and one of ours where it asks for it. */
#ifndef SK_FLEET_VALKEY_TLS_H
#define SK_FLEET_VALKEY_TLS_H

#include <openssl/types.h>

#include "fleet/valkey.h"

/* From the files that WHERE names, as they are now; the caller owns it (SSL_CTX_free). SK_ERR_INVALID: one of them
 * cannot be used (logged); SK_ERR_NO_MEMORY. Needs more stack than a fiber has. */
sk_err fleet_valkey_context(const struct fleet_valkey_where *where, SSL_CTX **out_context);
/* From a fiber: the handshake over STREAM, which speaks TLS then. SK_ERR_TLS, SK_ERR_TLS_CERTIFICATE, SK_ERR_INVALID (as
 * above), and as io_stream_wait. */
sk_err fleet_valkey_secure(const struct fleet_valkey_where *where, struct io_stream *stream,
                           sk_time_ns deadline);

#endif
