/* A node's identity: an ML-DSA-65 key, the certificate that control issued for it, and the fleet's roots. It speaks
 * TLS 1.3 with hybrid key exchange to other nodes and signs what must be trusted later. The name is in the
 * certificate (id.h); who may do what is fleet_check's business.
 *
 * On disk, in a folder of mode 0700, each file written by rename:
 *
 *     node.pem    private key and certificate, together so that one rename changes both
 *     roots.pem   the roots that are trusted: one, or two while they change
 *     bus.key     with which an edge proves what it says on the purge bus (bus_key.h)
 *     expelled    nodes whose certificates are of no use any more (fleet_expelled_format)
 *     control     addresses of control, one a line
 *     drained     it is there when control wants no clients here
 *     snapshot    the last good configuration (snapshot.h)
 *     certificates/NAME.pem   of sites, with their keys, as control gave them (secrets.h)
 *
 * An identity is immutable and counted: it may be used and given back on any thread; another certificate is
 * another identity. */
#ifndef SK_FLEET_IDENTITY_H
#define SK_FLEET_IDENTITY_H

#include <openssl/types.h>

#include "fleet/bus_key.h"
#include "fleet/id.h"
#include "fleet/token.h"

#define FLEET_FILE_NODE "node.pem"
#define FLEET_FILE_ROOTS "roots.pem"
#define FLEET_FILE_BUS_KEY "bus.key"
#define FLEET_FILE_EXPELLED "expelled"
#define FLEET_FILE_CONTROL "control"
#define FLEET_FILE_DRAINED "drained"
#define FLEET_FILE_SNAPSHOT "snapshot"
#define FLEET_PATH_BYTES 1024
#define FLEET_PEM_MAX (64 * 1024)

struct fleet_identity;

/* FOLDER/FILE, NUL-terminated. SK_ERR_TOO_LARGE. */
sk_err fleet_path(sk_str folder, const char *file, char out[FLEET_PATH_BYTES]);
/* Makes it with mode 0700 if it is not there; refuses one that others may read (SK_ERR_DENIED), and what is no
 * folder (SK_ERR_INVALID). */
sk_err fleet_folder(sk_str folder);

/* --- making one ---------------------------------------------------------------------------------------------- */

/* A fresh key, and a certificate request (PKCS #10, PEM) that proves its possession. The caller owns OUT_KEY
 * (EVP_PKEY_free). SK_ERR_NO_MEMORY, SK_ERR_TLS. */
sk_err fleet_key_request(EVP_PKEY **out_key, struct sk_buf *out_request);
/* The content of node.pem from a key and the certificate (PEM) that was issued for it. */
sk_err fleet_node_pem(EVP_PKEY *key, sk_str certificate, struct sk_buf *out);

/* SK_ERR_MALFORMED: not such files; SK_ERR_INVALID: key, certificate and roots do not belong together, or the
 * certificate names no node. An expired one is loaded too: a node must start without control. */
sk_err fleet_identity_make(sk_str node_pem, sk_str roots_pem, struct fleet_identity **out_identity);
/* From FOLDER; also SK_ERR_NOT_FOUND, SK_ERR_DENIED, SK_ERR_TOO_LARGE, SK_ERR_IO. */
sk_err fleet_identity_load(sk_str folder, struct fleet_identity **out_identity);
/* Checks as fleet_identity_make, and only then writes. */
sk_err fleet_identity_save(sk_str folder, sk_str node_pem, sk_str roots_pem);
/* The key that goes with it. Reading: SK_ERR_NOT_FOUND, SK_ERR_MALFORMED, and what files give. */
sk_err fleet_bus_key_save(sk_str folder, sk_str text);
sk_err fleet_bus_key_load(sk_str folder, struct fleet_bus_key *out_key);
struct fleet_identity *fleet_identity_ref(struct fleet_identity *identity);
void fleet_identity_unref(struct fleet_identity *identity); /* NULL is allowed */

/* --- what it says -------------------------------------------------------------------------------------------- */

const struct fleet_caller *fleet_identity_self(const struct fleet_identity *identity);
/* When two thirds of its certificate's life are over. */
sk_unix_s fleet_identity_renew_at(const struct fleet_identity *identity);
sk_str fleet_identity_roots(const struct fleet_identity *identity); /* PEM */
/* SHA-256 of that text: tells a set of roots from another. */
const char *fleet_identity_roots_digest(const struct fleet_identity *identity);

/* --- TLS between nodes --------------------------------------------------------------------------------------- */

enum fleet_side {
    FLEET_ASKING,        /* the client of a link: shows its certificate, wants one of the fleet */
    FLEET_ANSWERING,     /* the server: as well */
    FLEET_ANSWERING_ALL, /* control's server: a certificate may be missing, as people and joiners have none */
};
/* TLS 1.3 only, hybrid groups only, no resumption, so that each connection shows who it is. A context holds what
 * it needs: it may outlive the identity. The caller owns it (SSL_CTX_free). SK_ERR_NO_MEMORY, SK_ERR_TLS. */
sk_err fleet_identity_context(const struct fleet_identity *identity, enum fleet_side side,
                              SSL_CTX **out_context);
/* IDENTITY and a context of it take the places of *CURRENT and *CONTEXT, which are given back (connections hold theirs as
 * long as they last). On failure those stay, and IDENTITY is given back. Errors of fleet_identity_context. */
sk_err fleet_identity_use(struct fleet_identity *identity, enum fleet_side side,
                          struct fleet_identity **current, SSL_CTX **context);
/* For who has no identity yet, or is a person: the other end must be control of a fleet whose root has this
 * fingerprint. */
sk_err fleet_stranger_context(const uint8_t root[FLEET_DIGEST_BYTES], SSL_CTX **out_context);
/* Who is at the other end, after the handshake. SK_ERR_NOT_FOUND: it showed no certificate; SK_ERR_TLS_CERTIFICATE:
 * one that names no node. */
sk_err fleet_caller_of(SSL *tls, struct fleet_caller *out_caller);

/* --- signatures ---------------------------------------------------------------------------------------------- */

#define FLEET_SIGNATURE_BYTES 3309 /* ML-DSA-65 (FIPS 204, table 2) */
#define FLEET_PURPOSE_MAX 64

/* ML-DSA-65 over MESSAGE, with PURPOSE as its context (FIPS 204 5.2), so that a signature made for one thing is
 * none for another. Appends FLEET_SIGNATURE_BYTES. */
sk_err fleet_sign(const struct fleet_identity *identity, const char *purpose, sk_str message,
                  struct sk_buf *out);
/* The certificate that goes with signatures, in DER, appended. */
sk_err fleet_identity_certificate(const struct fleet_identity *identity, struct sk_buf *out);

struct fleet_signed {
    const char *purpose;
    sk_str message, signature;
    sk_str certificate;   /* of the signer, DER */
    sk_unix_s at;         /* the certificate must be valid then: when it was signed */
    enum fleet_verb verb; /* that the signer must have */
};
/* Whether a node of IDENTITY's fleet that may do so has signed it. SK_ERR_TLS_CERTIFICATE: the certificate does not
 * hang from our roots, is not valid at that time, or names no node; SK_ERR_DENIED: expelled, foreign or not its
 * verb; SK_ERR_MALFORMED: the signature is not good. EXPELLED may be NULL. */
sk_err fleet_verify(const struct fleet_identity *identity, const struct fleet_signed *what,
                    const struct fleet_expelled *expelled, struct fleet_id *out_signer);

#endif
