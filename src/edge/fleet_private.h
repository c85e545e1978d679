/* What the parts of the link to control (fleet.h) know of each other: fleet.c is its thread and its life, fleet_orders.c what
 * control orders, fleet_apply.c configurations, fleet_identity.c who we are. */
#ifndef SK_EDGE_FLEET_PRIVATE_H
#define SK_EDGE_FLEET_PRIVATE_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <semaphore.h>

#include "edge/fleet.h"
#include "edge/fleet_health.h"
#include "edge/fleet_secrets.h"
#include "fleet/identity.h"
#include "fleet/messages.h"

#define EDGE_FLEET_CONTROLS_MAX 8

struct edge_fleet {
    /* set once at start */
    struct edge_process *process;
    char folder[FLEET_PATH_BYTES];
    pthread_t thread;
    int stop_fd; /* readable when it is to end */
    /* the thread's own */
    struct observe_thread *metrics;
    struct fleet_identity *identity;
    SSL_CTX *tls;
    struct fleet_expelled expelled;
    char expelled_digest[FLEET_HEX_BYTES];
    char controls[EDGE_FLEET_CONTROLS_MAX][256];
    unsigned control_count, control; /* the one that is asked */
    uint64_t refused;
    char why[FLEET_WHY_MAX];
    bool again; /* what is refused may be taken the next time: it is only the disk's fault */
    struct edge_fleet_health health;
    struct edge_fleet_secrets *secrets;
    int64_t again_ms; /* how long control may keep us waiting */
    sk_unix_s renew_after;
    bool out_of_touch;
    /* from the thread to the main one and back; ordered by the post and by DONE */
    struct io_task task;
    sk_str pending;       /* a configuration's body, which is being put in force */
    sk_str pending_whole; /* the same, as it is signed and kept */
    struct sk_buf before; /* what it has replaced on disk; empty: nothing */
    bool unkept;          /* it could not be kept */
    struct sk_buf report;
    _Atomic sk_err
        applied; /* released and acquired around DONE, of whose timed wait ThreadSanitizer knows nothing */
    sem_t done;
    /* written by the thread, read by any: only a figure, so relaxed */
    _Atomic uint64_t in_force;
    _Atomic bool stopping;
};

/* All on the link's own thread. */

/* The process ends: what waits is to give up. Any thread. */
bool edge_fleet_stopping(const struct edge_fleet *fleet);
/* Asks the control whose turn it is; OUT_ANSWER is emptied first, its limit holds. TIMEOUT_MS 0: as fleet_ask. Errors
 * of fleet_ask. */
sk_err edge_fleet_ask(struct edge_fleet *fleet, const char *method, sk_str target, sk_str body,
                      int64_t timeout_ms, uint16_t *out_status, struct sk_buf *out_answer);

/* Does what control says. The first failure; what comes behind that is said again with the next orders. */
sk_err edge_fleet_obey(struct edge_fleet *fleet, const struct fleet_orders *orders);
/* What it said in an earlier life of ours. */
void edge_fleet_read_expelled(struct edge_fleet *fleet);
void edge_fleet_read_drained(struct edge_fleet *fleet);

/* Fetches configuration NUMBER and puts it in force, unless it is that already or was refused. A configuration that is
 * refused is no error; not to get it is. */
sk_err edge_fleet_take_snapshot(struct edge_fleet *fleet, uint64_t number);

/* Reads our identity from the disk and uses it from now on. Errors of fleet_identity_load; the old one stays. */
sk_err edge_fleet_use_identity(struct edge_fleet *fleet);
/* The fleet's roots are ROOTS now; logged when they cannot be used. */
void edge_fleet_take_roots(struct edge_fleet *fleet, sk_str roots);
/* Has control give us another certificate, for another key. */
sk_err edge_fleet_renew(struct edge_fleet *fleet);

#endif
