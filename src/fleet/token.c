#include "fleet/token.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/random.h"

enum { ID_RAW_BYTES = 8 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const sk_str prefixes[] = {
    [FLEET_TOKEN_JOIN] = SK_STR_INIT("skj1"), [FLEET_TOKEN_ASK] = SK_STR_INIT("ska1")};

/* --- base64url without padding ------------------------------------------------------------------------------- */

static size_t encoded_len(size_t bytes) { return (bytes * 8 + 5) / 6; }

static void encode(const uint8_t *data, size_t bytes, char *out) {
    unsigned held = 0, bits = 0;
    for (size_t i = 0; i < bytes; i++) {
        held = held << 8 | data[i];
        for (bits += 8; bits >= 6; bits -= 6) *out++ = alphabet[held >> (bits - 6) & 63];
    }
    if (bits) *out = alphabet[held << (6 - bits) & 63];
}

/* Exactly BYTES; what is left of the last character must be zero, so that there is one text for each token. */
static sk_err decode(sk_str text, uint8_t *out, size_t bytes) {
    unsigned held = 0, bits = 0;
    if (text.len != encoded_len(bytes)) return SK_ERR_MALFORMED;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.data[i] ? strchr(alphabet, text.data[i]) : NULL;
        if (!at) return SK_ERR_MALFORMED;
        held = (held << 6 | (unsigned)(at - alphabet)) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *out++ = (uint8_t)(held >> bits);
        }
    }
    return held & ((1u << bits) - 1) ? SK_ERR_MALFORMED : SK_OK;
}

/* --- digests ------------------------------------------------------------------------------------------------- */

void fleet_hex(const uint8_t digest[FLEET_DIGEST_BYTES], char out[FLEET_HEX_BYTES]) {
    sk_hex_write(digest, FLEET_DIGEST_BYTES, out);
    out[FLEET_HEX_BYTES - 1] = 0;
}

void fleet_digest(sk_str bytes, uint8_t out[FLEET_DIGEST_BYTES]) {
    SHA256((const unsigned char *)(bytes.data ? bytes.data : ""), bytes.len, out);
}

/* --- tokens -------------------------------------------------------------------------------------------------- */

void fleet_token_make(enum fleet_token_kind kind, const uint8_t root[FLEET_DIGEST_BYTES],
                      struct fleet_token *out_token) {
    uint8_t id[ID_RAW_BYTES];
    *out_token = (struct fleet_token){.kind = kind};
    memcpy(out_token->root, root, FLEET_DIGEST_BYTES);
    sk_random_secret(id, sizeof id);
    encode(id, sizeof id, out_token->id);
    sk_random_secret(out_token->secret, sizeof out_token->secret);
}

static sk_err read_kind(sk_str word, enum fleet_token_kind *out_kind) {
    for (unsigned i = 0; i < SK_COUNT(prefixes); i++)
        if (sk_str_eq(word, prefixes[i])) {
            *out_kind = (enum fleet_token_kind)i;
            return SK_OK;
        }
    return SK_ERR_MALFORMED;
}

sk_err fleet_token_parse(sk_str text, struct fleet_token *out_token) {
    struct fleet_token token = {0};
    sk_str kind, root, id, secret;
    uint8_t id_raw[ID_RAW_BYTES];
    bool whole = sk_str_cut(&text, '.', &kind) && sk_str_cut(&text, '.', &root) &&
                 sk_str_cut(&text, '.', &id) && sk_str_cut(&text, '.', &secret) && !text.data;
    if (!whole || read_kind(kind, &token.kind) || decode(root, token.root, sizeof token.root) ||
        decode(id, id_raw, sizeof id_raw) || decode(secret, token.secret, sizeof token.secret))
        return SK_ERR_MALFORMED;
    memcpy(token.id, id.data, id.len);
    *out_token = token;
    return SK_OK;
}

sk_str fleet_token_format(const struct fleet_token *token, char out[FLEET_TOKEN_TEXT_BYTES]) {
    char *at = out;
    size_t id_len = strlen(token->id);
    memcpy(at, prefixes[token->kind].data, prefixes[token->kind].len);
    at += prefixes[token->kind].len;
    *at++ = '.';
    encode(token->root, sizeof token->root, at);
    at += encoded_len(sizeof token->root);
    *at++ = '.';
    memcpy(at, token->id, id_len);
    at += id_len;
    *at++ = '.';
    encode(token->secret, sizeof token->secret, at);
    at += encoded_len(sizeof token->secret);
    *at = 0;
    return sk_str_make(out, (size_t)(at - out));
}

void fleet_token_hash(const struct fleet_token *token, char out[FLEET_HEX_BYTES]) {
    uint8_t digest[FLEET_DIGEST_BYTES];
    fleet_digest(sk_str_make((const char *)token->secret, sizeof token->secret), digest);
    fleet_hex(digest, out);
}

bool fleet_token_matches(const struct fleet_token *token, sk_str hash) {
    char own[FLEET_HEX_BYTES];
    fleet_token_hash(token, own);
    return hash.len == FLEET_HEX_BYTES - 1 && CRYPTO_memcmp(own, hash.data, hash.len) == 0;
}
