/* What both sides of TLS share: the policy of key exchange and what a handshake has agreed on. */
#ifndef SK_WIRE_TLS_COMMON_H
#define SK_WIRE_TLS_COMMON_H

#include "base/base.h"

/* Key exchange that a quantum computer cannot undo later: the hybrid groups X25519MLKEM768,
 * SecP256r1MLKEM768 and SecP384r1MLKEM1024. */
enum wire_tls_pq {
    WIRE_TLS_PQ_OFF,   /* no hybrid group */
    WIRE_TLS_PQ_OFFER, /* server: when the client sends its key share; client: a share of each kind is sent */
    WIRE_TLS_PQ_PREFER,    /* with every peer that knows one, with HelloRetryRequest if need be */
    WIRE_TLS_PQ_REQUIRE,   /* no other group, and so TLS 1.3 only */
    WIRE_TLS_PQ_ADVERTISE, /* clients only: named, but the server has to ask for the share */
};

/* What a handshake has agreed on. It outlives the connection. */
struct wire_tls_facts {
    const char *version, *cipher; /* constant: "TLSv1.3", "TLS_AES_128_GCM_SHA256" */
    char group[24];               /* "X25519MLKEM768"; empty: none (TLS 1.2, resumed) */
    bool resumed, post_quantum, http2;
    bool early;          /* the handshake is not over: what came is early data (RFC 8446 section 2.3) */
    bool for_nodes;      /* of a server that only nodes reach */
    const void *node;    /* the owner's: which one it is; as long as the connection's layer */
    uint16_t http3_port; /* the owner's: where the same is spoken over QUIC; 0: nowhere */
};

/* For the two sides: of CONNECTION (an SSL *) after its handshake. */
void wire_tls_facts_of(const void *connection, struct wire_tls_facts *out_facts);

/* Only these, never a library's default. Groups that belong together are separated by ':'. '?' lets a library
 * that lacks one go on. */
#define WIRE_TLS_HYBRID "?X25519MLKEM768:?SecP256r1MLKEM768:?SecP384r1MLKEM1024"
#define WIRE_TLS_CLASSICAL "X25519:secp256r1:secp384r1"
/* Authenticated encryption and forward secrecy only (RFC 9325 section 4.2). */
#define WIRE_TLS_CIPHERS_1_2                                                                                 \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"               \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define WIRE_TLS_CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

#endif
