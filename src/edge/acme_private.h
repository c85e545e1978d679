/* The orders of certificates from the inside: acme.c has the story, acme_order.c what one order does. */
#ifndef SK_EDGE_ACME_PRIVATE_H
#define SK_EDGE_ACME_PRIVATE_H

#include "acme/client.h"
#include "edge/acme.h"

#define EDGE_ACME_METRIC_BYTES 320

/* One certificate that is ordered. */
struct edge_acme_order {
    const struct config_acme_certificate *config; /* of edge_acme.config */
    struct acme_state state;
    struct acme_held held;
    char why[ACME_WHY_BYTES]; /* of the last failure; "": none */
    char metric[EDGE_ACME_METRIC_BYTES];
    struct observe_gauge gauge;
    _Atomic int64_t not_after; /* for whoever reads the gauge, so relaxed; 0: none */
};

struct edge_acme {
    struct edge_process *process;
    struct acme_client *client;
    struct io_fiber *story; /* NULL: it has ended */
    struct config *config;  /* that ORDERS are of, a reference; NULL: none yet */
    struct edge_acme_order *orders;
    uint32_t order_count;
    int lock_fd; /* of the state folder; held while it is open; -1: not ours */
    int stop_fd; /* readable when it is to end */
    bool stopping;
    bool again; /* somebody wants another look, from its beginning */
};

static inline const struct config_acme *edge_acme_settings(const struct edge_acme *acme) {
    return &acme->config->acme;
}
static inline const char *edge_acme_name(const struct edge_acme_order *order) {
    return order->config->names[0].data;
}

/* ORDER is zeroed: of CERTIFICATE from now on, with what its files remember, and a gauge. */
void edge_acme_order_begin(struct edge_acme_order *order, const struct config_acme_certificate *certificate);
/* Reads again what another process may have changed. */
void edge_acme_order_refresh(struct edge_acme_order *order);
/* Asks the authority, if it is time. On the story's fiber; parks. */
void edge_acme_order_attend(struct edge_acme *acme, struct edge_acme_order *order);

#endif
