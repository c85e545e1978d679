/* Tokens that people carry: to join (once) and to ask control (until they expire). A token names the fleet's root
 * by its fingerprint, so that who uses it knows whom it talks to before it has any certificate:
 *
 *     skj1.FINGERPRINT.ID.SECRET    to join      (43, 11 and 43 characters of base64url, RFC 4648 5)
 *     ska1.FINGERPRINT.ID.SECRET    to ask
 *
 * Control keeps ID and the SHA-256 of SECRET, which is 256 random bits: there is nothing to guess or to slow down.
 * Pure but for the randomness of a new one. */
#ifndef SK_FLEET_TOKEN_H
#define SK_FLEET_TOKEN_H

#include "base/str.h"

enum fleet_token_kind { FLEET_TOKEN_JOIN, FLEET_TOKEN_ASK };

#define FLEET_DIGEST_BYTES 32
#define FLEET_TOKEN_ID_BYTES 12    /* 11 and NUL */
#define FLEET_TOKEN_TEXT_BYTES 105 /* with NUL */

struct fleet_token {
    enum fleet_token_kind kind;
    uint8_t root[FLEET_DIGEST_BYTES]; /* SHA-256 of the root's certificate in DER */
    char id[FLEET_TOKEN_ID_BYTES];
    uint8_t secret[32];
};

/* Another one, from the kernel's randomness. */
void fleet_token_make(enum fleet_token_kind kind, const uint8_t root[FLEET_DIGEST_BYTES],
                      struct fleet_token *out_token);
/* SK_ERR_MALFORMED: not one form of those two, to the last bit. */
sk_err fleet_token_parse(sk_str text, struct fleet_token *out_token);
/* NUL-terminated. */
sk_str fleet_token_format(const struct fleet_token *token, char out[FLEET_TOKEN_TEXT_BYTES]);
/* What control keeps of it: SHA-256 of the secret, in hexadecimal with NUL. */
#define FLEET_HEX_BYTES (2 * FLEET_DIGEST_BYTES + 1)
void fleet_token_hash(const struct fleet_token *token, char out[FLEET_HEX_BYTES]);
/* Compared in constant time. */
bool fleet_token_matches(const struct fleet_token *token, sk_str hash);

/* As lower-case digits, with NUL. */
void fleet_hex(const uint8_t digest[FLEET_DIGEST_BYTES], char out[FLEET_HEX_BYTES]);
/* SHA-256. */
void fleet_digest(sk_str bytes, uint8_t out[FLEET_DIGEST_BYTES]);

#endif
