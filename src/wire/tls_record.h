/* TLS 1.3's record protection (RFC 8446 section 5) after a handshake that a library has made: two secrets, two
 * counters and two cipher contexts in place of the library's connection, of which an idle one is most of the memory.
 * Sans-I/O, one owner thread.
 *
 * The owner writes in.secret, out.secret and out.sequence (records that the library has sent under the secret)
 * before wire_tls_record_start. */
#ifndef SK_WIRE_TLS_RECORD_H
#define SK_WIRE_TLS_RECORD_H

#include "base/buf.h"

#define WIRE_TLS_SECRET_BYTES 48
#define WIRE_TLS_RECORD_BYTES 16384 /* of plaintext (section 5.1) */

struct wire_tls_suite;

/* One direction. */
struct wire_tls_way {
    void *cipher; /* EVP_CIPHER_CTX, with the key */
    uint64_t sequence;
    uint8_t secret[WIRE_TLS_SECRET_BYTES];
    uint8_t iv[12];
};

struct wire_tls_record {
    const struct wire_tls_suite *suite; /* NULL: not started */
    struct wire_tls_way in, out;
    struct sk_buf partial; /* a record's beginning */
    struct sk_buf plain;   /* plaintext that the caller had no room for */
    const char *error;     /* why SK_ERR_TLS; constant */
    uint8_t message[5];    /* a post-handshake message's beginning */
    uint8_t message_bytes;
    uint8_t empty;       /* records in a row that held nothing */
    uint8_t key_updates; /* the peer's */
    bool ended;          /* by close_notify */
    bool failed;
};

/* True when SUITE (its number in RFC 8446 appendix B.4) is one that can be taken over. */
bool wire_tls_record_knows(uint16_t suite);
/* Makes the keys. SK_ERR_UNSUPPORTED, SK_ERR_NO_MEMORY. */
sk_err wire_tls_record_start(struct wire_tls_record *record, uint16_t suite);
/* Also of one that was not started. */
void wire_tls_record_free(struct wire_tls_record *record);

/* As wire_tls_conn_read, _has_plaintext, _write, _close_notify (wire/tls_server.h). */
sk_err wire_tls_record_read(struct wire_tls_record *record, sk_str *input, struct sk_buf *output, char *data,
                            size_t bytes, size_t *out_n);
static inline bool wire_tls_record_has_plaintext(const struct wire_tls_record *record) {
    return sk_buf_len(&record->plain) > 0;
}
sk_err wire_tls_record_write(struct wire_tls_record *record, const char *data, size_t bytes,
                             struct sk_buf *output);
void wire_tls_record_close_notify(struct wire_tls_record *record, struct sk_buf *output);

#endif
