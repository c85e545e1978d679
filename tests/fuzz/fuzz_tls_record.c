/* Any bytes as records of TLS 1.3: as they are, or (an odd first byte) as what an honest cipher has sealed, so that
 * what is inside is reached. Never more plaintext than was sent; an error or an end is for good. */
#include <openssl/evp.h>

#include "fuzz.h"
#include "wire/tls_record.h"

static const uint8_t client_secret[] = {0x9e, 0x40, 0x64, 0x6c, 0xe7, 0x9a, 0x7f, 0x9d, 0xc0, 0x5a, 0xf8,
                                        0x88, 0x9b, 0xce, 0x65, 0x52, 0x87, 0x5a, 0xfa, 0x0b, 0x06, 0xdf,
                                        0x00, 0x87, 0xf7, 0x92, 0xeb, 0xb7, 0xc1, 0x75, 0x04, 0xa5};
/* Of that secret (RFC 8448 section 3). */
static const uint8_t client_key[] = {0x17, 0x42, 0x2d, 0xda, 0x59, 0x6e, 0xd5, 0xd9,
                                     0xac, 0xd8, 0x90, 0xe3, 0xc6, 0x3f, 0x50, 0x51};
static const uint8_t client_iv[] = {0x5b, 0x78, 0x92, 0x3d, 0xee, 0x08, 0x57, 0x90, 0x33, 0xe5, 0x23, 0xd9};

static void seal(struct sk_buf *out, uint64_t sequence, const uint8_t *inner, size_t bytes) {
    size_t sealed = bytes + 16;
    uint8_t head[] = {23, 3, 3, (uint8_t)(sealed >> 8), (uint8_t)sealed}, nonce[12];
    int n;
    memcpy(nonce, client_iv, sizeof nonce);
    nonce[11] ^= (uint8_t)sequence;
    nonce[10] ^= (uint8_t)(sequence >> 8);
    MUST(sk_buf_append(out, (sk_str){(const char *)head, sizeof head}) == SK_OK);
    MUST(sk_buf_reserve(out, sealed) == SK_OK);
    uint8_t *text = (uint8_t *)sk_buf_space(out);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    MUST(ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, client_key, nonce) == 1);
    MUST(EVP_EncryptUpdate(ctx, NULL, &n, head, sizeof head) == 1);
    MUST(EVP_EncryptUpdate(ctx, text, &n, inner, (int)bytes) == 1);
    MUST(EVP_EncryptFinal_ex(ctx, text + bytes, &n) == 1);
    MUST(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, text + bytes) == 1);
    EVP_CIPHER_CTX_free(ctx);
    sk_buf_commit(out, sealed);
}

/* Each piece begins with its length. */
static void seal_pieces(struct sk_buf *out, const uint8_t *data, size_t bytes) {
    uint64_t sequence = 0;
    for (size_t at = 0; at < bytes && sequence < 1000;) {
        size_t n = SK_MIN((size_t)data[at], bytes - at - 1);
        if (n) seal(out, sequence++, data + at + 1, n);
        at += 1 + n;
    }
}

static void receive(struct wire_tls_record *record, sk_str wire, size_t room) {
    struct sk_buf output;
    char *data = malloc(room);
    size_t total = 0, n;
    sk_err err;
    MUST(data);
    sk_buf_init(&output, 0);
    sk_str input = wire;
    while ((err = wire_tls_record_read(record, &input, &output, data, room, &n)) == SK_OK) {
        MUST(n > 0 && n <= room);
        total += n;
    }
    MUST(total <= wire.len + WIRE_TLS_RECORD_BYTES); /* with what was begun before */
    if (err == SK_ERR_AGAIN) MUST(input.len == 0 && !wire_tls_record_has_plaintext(record));
    if (err != SK_ERR_AGAIN) MUST(wire_tls_record_read(record, &input, &output, data, room, &n) == err);
    MUST(sk_buf_len(&output) < 64 * 64); /* at most a key update each for 64 of them, and an alert */
    sk_buf_free(&output);
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct wire_tls_record record = {0};
    struct sk_buf wire;
    if (bytes < 2) return 0;
    memcpy(record.in.secret, client_secret, sizeof client_secret);
    MUST(wire_tls_record_start(&record, 0x1301) == SK_OK);
    sk_buf_init(&wire, 0);
    if (data[0] & 1)
        seal_pieces(&wire, data + 2, bytes - 2);
    else
        MUST(sk_buf_append(&wire, (sk_str){(const char *)data + 2, bytes - 2}) == SK_OK);
    size_t cut = cut_of((const uint8_t *)sk_buf_str(&wire).data, sk_buf_len(&wire));
    char *copy = exact_copy(sk_buf_str(&wire).data, cut);
    receive(&record, (sk_str){copy, cut}, 1 + data[1]);
    free(copy);
    sk_str rest = sk_str_slice(sk_buf_str(&wire), cut, sk_buf_len(&wire));
    if (!record.failed && !record.ended) receive(&record, rest, 1 + data[1]);
    wire_tls_record_free(&record);
    sk_buf_free(&wire);
    return 0;
}
