/* The status of certificates from the inside: ocsp.c has the story of all of them, ocsp_status.c that of one. */
#ifndef SK_EDGE_OCSP_PRIVATE_H
#define SK_EDGE_OCSP_PRIVATE_H

#include "edge/ocsp.h"
#include "wire/ocsp.h"

#define EDGE_OCSP_METRIC_BYTES 640

/* What is known of one certificate, wherever it stands. */
struct edge_ocsp_status {
    struct sk_list link;
    struct edge_ocsp *all;
    /* set once */
    uint8_t id[WIRE_TLS_CERTIFICATE_ID_BYTES];
    struct wire_ocsp *question;
    char *file; /* the certificate's: for people */
    char *kept; /* where the response is kept */
    bool must_staple;
    char metric[EDGE_OCSP_METRIC_BYTES];
    struct observe_gauge gauge;
    /* as it is */
    bool wanted;             /* a certificate of the store in force */
    struct io_fiber *asking; /* NULL: it is not being asked for */
    struct sk_buf response;  /* that may be shown; empty: none */
    struct wire_ocsp_answer answer;
    sk_unix_s next;
    uint32_t failures; /* in a row */
    char why[WIRE_OCSP_WHY_BYTES];
    _Atomic int64_t since; /* answer.this_update for whoever reads the gauge, so relaxed; 0: none */
};

struct edge_ocsp {
    struct edge_process *process;
    struct wire_tls_store *store; /* in force; a reference; NULL: none */
    struct sk_list all;           /* struct edge_ocsp_status.link */
    struct io_fiber *story;       /* NULL: it has ended */
    uint32_t asking;
    bool stopping;
};

/* Of the certificate at INDEX of the store in force, with what its file remembers. NULL: it has none, or no memory. */
struct edge_ocsp_status *edge_ocsp_status_create(struct edge_ocsp *all, uint32_t index);
/* It is not being asked for. */
void edge_ocsp_status_free(struct edge_ocsp_status *status);
/* Shows to clients what there is to show, which may be nothing. */
void edge_ocsp_status_show(const struct edge_ocsp_status *status);
/* Drops a response whose time is over. */
void edge_ocsp_status_expire(struct edge_ocsp_status *status, sk_unix_s now);
/* Asks the responder, and says when the next time is. On a fiber; parks. */
void edge_ocsp_status_ask(struct edge_ocsp_status *status);

#endif
