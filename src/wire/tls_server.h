/* TLS of the server's side as a sans-I/O engine: ciphertext in and out, plaintext in and out, memory of its
 * own only while it is needed. A server (one policy with its certificates) is immutable and shared by all
 * threads; a connection belongs to its thread. */
#ifndef SK_WIRE_TLS_SERVER_H
#define SK_WIRE_TLS_SERVER_H

#include "base/buf.h"
#include "wire/tls_common.h"
#include "wire/tls_store.h"

struct wire_tls_server;
struct wire_tls_conn;

/* Keys of session tickets, shared by all servers and threads of the process: random, changed every few hours,
 * and gone with the process; and what early data came with them (wire/tls_early.h). Beside them those that nodes of a fleet
 * have in common, so that a client resumes at each of them; early data never comes with these. */
struct wire_tls_tickets;
sk_err wire_tls_tickets_create(struct wire_tls_tickets **out_tickets);
struct wire_tls_tickets *wire_tls_tickets_ref(struct wire_tls_tickets *tickets);
void wire_tls_tickets_unref(struct wire_tls_tickets *tickets); /* NULL is allowed */

#define WIRE_TLS_SHARED_KEYS 3
/* Random: 16 bytes that name it, 32 for AES-256, 32 for HMAC-SHA256 (RFC 5077 section 4). */
struct wire_tls_ticket_key {
    unsigned char bytes[80];
};
struct wire_tls_shared_key {
    struct wire_tls_ticket_key key;
    sk_time_ns use_until;    /* tickets are made under the first whose time this is not over */
    sk_time_ns accept_until; /* and taken until then */
};
/* These are the shared ones from now on, the newest first. When none of them may be used any more, tickets are made under the
 * process's own again. Any thread. */
void wire_tls_tickets_share(struct wire_tls_tickets *tickets, const struct wire_tls_shared_key *keys,
                            unsigned count);

struct wire_tls_server_options {
    enum wire_tls_pq pq; /* not ADVERTISE */
    bool only_1_3;
    bool http2; /* offer h2 before http/1.1 (ALPN, RFC 7301) */
    bool http3; /* be ready for QUIC also (wire/quic.h) */
    /* Accept it with our tickets, each ClientHello once; no tickets under shared keys are made then. */
    bool early_data;
    /* What a client that resumes counts on (RFC 9114 section 7.2.4.2): another one, no resumption. */
    uint64_t http3_promise;
    const char *client_ca; /* PEM: clients must show a certificate from it; NULL: none is asked for */
    /* PEM: for other nodes, who see this certificate and none of STORE's, and show their own each time: no resumption;
     * NULL: for clients. */
    const char *node_cert, *node_key;
    struct wire_tls_store *store;     /* a reference is taken */
    struct wire_tls_tickets *tickets; /* a reference is taken */
};
/* SK_ERR_INVALID (the client_ca's file), SK_ERR_NO_MEMORY. */
sk_err wire_tls_server_create(const struct wire_tls_server_options *options,
                              struct wire_tls_server **out_server);
/* Any thread. */
struct wire_tls_server *wire_tls_server_ref(struct wire_tls_server *server);
void wire_tls_server_unref(struct wire_tls_server *server); /* NULL is allowed */

/* A client's connection; SERVER is referenced. SK_ERR_NO_MEMORY. */
sk_err wire_tls_accept(struct wire_tls_server *server, struct wire_tls_conn **out_conn);
void wire_tls_conn_free(struct wire_tls_conn *conn);
/* Goes on with the handshake: takes from *INPUT (ciphertext, shortened by what was taken), appends to OUTPUT.
 * SK_OK when it is done; SK_ERR_AGAIN: more input is needed; SK_ERR_TLS: an alert may be in OUTPUT;
 * SK_ERR_NO_MEMORY. After SK_ERR_AGAIN early data may be there (wire_tls_conn_early): then the connection may be read and
 * written already, and wire_tls_conn_read goes on with the handshake. */
sk_err wire_tls_conn_handshake(struct wire_tls_conn *conn, sk_str *input, struct sk_buf *output);
/* Early data was accepted, and the handshake is not over: whoever sent it may have copied it. */
bool wire_tls_conn_early(const struct wire_tls_conn *conn);
/* The library's own connection (an SSL *), for who reads certificates: of a server for nodes alone. */
const void *wire_tls_conn_inside(const struct wire_tls_conn *conn);
/* After the handshake, or when there is early data. */
void wire_tls_conn_facts(const struct wire_tls_conn *conn, struct wire_tls_facts *out_facts);
/* Plaintext, at most BYTES. What is to be answered on the way (KeyUpdate) is appended to OUTPUT. SK_ERR_AGAIN:
 * all input is used up; SK_ERR_END: close_notify; SK_ERR_TLS. An end of the connection without SK_ERR_END
 * before it is a truncation (RFC 8446 6.1). */
sk_err wire_tls_conn_read(struct wire_tls_conn *conn, sk_str *input, struct sk_buf *output, char *data,
                          size_t bytes, size_t *out_n);
/* True when plaintext is there that wire_tls_conn_read would give without any input. */
bool wire_tls_conn_has_plaintext(const struct wire_tls_conn *conn);
/* Appends all BYTES as records to OUTPUT. SK_ERR_TLS; SK_ERR_NO_MEMORY. */
sk_err wire_tls_conn_write(struct wire_tls_conn *conn, const char *data, size_t bytes, struct sk_buf *output);
/* Nothing is written after it. Before the handshake is over there is no way to say it. */
void wire_tls_conn_close_notify(struct wire_tls_conn *conn, struct sk_buf *output);
/* Why the last call failed: constant text, never NULL. */
const char *wire_tls_conn_error(const struct wire_tls_conn *conn);

#endif
