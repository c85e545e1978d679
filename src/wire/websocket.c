#include "wire/websocket.h"

#include <openssl/evp.h>

#include "base/random.h"

/* The last byte that it writes is a NUL. */
static void to_text(const unsigned char *bytes, int count, char *out, size_t length) {
    unsigned char text[WIRE_WEBSOCKET_ACCEPT_BYTES + 1];
    int n = EVP_EncodeBlock(text, bytes, count);
    SK_ASSERT(n >= 0 && (size_t)n == length);
    memcpy(out, text, length);
}

void wire_websocket_key(char out[WIRE_WEBSOCKET_KEY_BYTES]) {
    unsigned char random[16];
    sk_random_secret(random, sizeof random);
    to_text(random, sizeof random, out, WIRE_WEBSOCKET_KEY_BYTES);
}

bool wire_websocket_accept(sk_str key, char out[WIRE_WEBSOCKET_ACCEPT_BYTES]) {
    char text[WIRE_WEBSOCKET_KEY_BYTES + 36];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    if (key.len != WIRE_WEBSOCKET_KEY_BYTES) return false;
    memcpy(text, key.data, key.len);
    memcpy(text + key.len, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    if (EVP_Digest(text, sizeof text, digest, &bytes, EVP_sha1(), NULL) != 1 || bytes != 20) return false;
    to_text(digest, 20, out, WIRE_WEBSOCKET_ACCEPT_BYTES);
    return true;
}
