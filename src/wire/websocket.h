/* The opening handshake of a WebSocket (RFC 6455 section 4) as a client of HTTP/1.1 makes it. Pure but for the key. */
#ifndef SK_WIRE_WEBSOCKET_H
#define SK_WIRE_WEBSOCKET_H

#include "base/str.h"

#define WIRE_WEBSOCKET_KEY_BYTES 24
#define WIRE_WEBSOCKET_ACCEPT_BYTES 28

/* A fresh Sec-WebSocket-Key: 16 random bytes as text (section 4.1). */
void wire_websocket_key(char out[WIRE_WEBSOCKET_KEY_BYTES]);
/* The Sec-WebSocket-Accept that has to answer KEY (section 4.2.2). False: the library cannot hash. */
bool wire_websocket_accept(sk_str key, char out[WIRE_WEBSOCKET_ACCEPT_BYTES]);

#endif
