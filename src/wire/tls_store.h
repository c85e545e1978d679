/* Certificates to show to clients, found by the name that a client asks for (SNI): thousands of names, with
 * wildcards, for each an ECDSA certificate, an RSA one, or both. Filled by one thread, then read-only
 * (but for what is shown beside a certificate) and shared by counted references. */
#ifndef SK_WIRE_TLS_STORE_H
#define SK_WIRE_TLS_STORE_H

#include "base/str.h"
#include "base/time.h"

struct wire_tls_store;

enum wire_tls_kind { WIRE_TLS_ECDSA, WIRE_TLS_RSA, WIRE_TLS_KINDS };

#define WIRE_TLS_CERTIFICATE_ID_BYTES 32

/* What a certificate says. Lives with its store. */
struct wire_tls_certificate {
    const char *file;
    enum wire_tls_kind kind;
    sk_unix_s not_before, not_after;
    const sk_str *names; /* DNS names and IP addresses, in lower case */
    uint32_t name_count;
    uint8_t id
        [WIRE_TLS_CERTIFICATE_ID_BYTES]; /* SHA-256 of it: the same for the same certificate in another store */
    bool must_staple;                    /* clients that look want its status beside it (RFC 7633) */
    bool wants_status;                   /* wire_tls_store_want_status */
};

#define WIRE_TLS_WHY_BYTES 160

sk_err wire_tls_store_create(struct wire_tls_store **out_store);
/* Reads a certificate with its chain and its key. Where another one of the same kind covers a name already,
 * that one stays. SK_ERR_INVALID and what is wrong, file included, in WHY; SK_ERR_NO_MEMORY. */
sk_err wire_tls_store_add(struct wire_tls_store *store, const char *cert_file, const char *key_file,
                          char why[WIRE_TLS_WHY_BYTES]);
/* While it is filled: the owner of the certificate at INDEX wants its status shown (wire/ocsp.h). */
void wire_tls_store_want_status(struct wire_tls_store *store, uint32_t index);
/* Shows RESPONSE (OCSP in DER, copied; empty: none) beside the certificate at INDEX to clients that ask for it, until
 * UNTIL. Any thread, also while connections are accepted. SK_ERR_NO_MEMORY: what was shown is shown on. */
sk_err wire_tls_store_staple(struct wire_tls_store *store, uint32_t index, sk_str response, sk_unix_s until);

/* Any thread. */
struct wire_tls_store *wire_tls_store_ref(struct wire_tls_store *store);
void wire_tls_store_unref(struct wire_tls_store *store); /* NULL is allowed */

uint32_t wire_tls_store_count(const struct wire_tls_store *store);
const struct wire_tls_certificate *wire_tls_store_at(const struct wire_tls_store *store, uint32_t index);
/* The certificate of KIND for NAME (in any case, maybe with a final dot): of the name itself, else of the
 * wildcard for it (RFC 6125 6.4.3: for one label, the leftmost); NULL when there is none. */
const struct wire_tls_certificate *wire_tls_store_find(const struct wire_tls_store *store, sk_str name,
                                                       enum wire_tls_kind kind);
/* Gives CONNECTION (an SSL *) the certificates for NAME, or those of the first certificate added when none
 * covers it. False: out of memory, or the store is empty. */
bool wire_tls_store_use(const struct wire_tls_store *store, sk_str name, void *connection);

#endif
