/* What a peer's HTTP/2 connection costs beside its requests: an account of work that well-behaved peers cause
 * seldom and floods consist of. Pure; the owner gives the time. */
#ifndef SK_WIRE_H2_ABUSE_H
#define SK_WIRE_H2_ABUSE_H

#include "base/base.h"
#include "base/time.h"

/* NAME, cost of one, what it is. */
#define WIRE_H2_COST_TABLE(X)                                                                                \
    X(RESET, 20, "streams reset by the client")                                                              \
    X(MADE_RESET, 40, "streams that we were made to reset")                                                  \
    X(REFUSED, 20, "streams over the limit")                                                                 \
    X(SETTINGS, 40, "SETTINGS frames")                                                                       \
    X(PING, 20, "PING frames")                                                                               \
    X(PRIORITY, 5, "PRIORITY frames")                                                                        \
    X(WINDOW, 1, "WINDOW_UPDATE frames")                                                                     \
    X(EMPTY, 20, "frames without content")                                                                   \
    X(CONTINUATION, 40, "CONTINUATION frames")                                                               \
    X(UNKNOWN, 20, "frames and streams of unknown kinds")                                                    \
    X(BIG_FIELD, 5, "fields of a header section that was refused")                                           \
    X(BIG_HEAD, 400, "header sections over the limit")                                                       \
    X(STALL, 400, "responses that the client's window kept waiting too long")                                \
    X(MALFORMED, 100, "malformed requests")

enum wire_h2_cost {
#define X(name, cost, text) WIRE_H2_COST_##name,
    WIRE_H2_COST_TABLE(X)
#undef X
        WIRE_H2_COST_COUNT_
};

/* A bucket: this much at once, and so much more in each second. */
#define WIRE_H2_BUDGET 10000
#define WIRE_H2_BUDGET_A_SECOND 400
/* What an answered request gives back: busy connections may cause more. */
#define WIRE_H2_REQUEST_CREDIT 5
/* So much content sent gives back one unit: a reader with small windows answers it with WINDOW_UPDATE frames, one for
 * the stream and one for the connection whenever half of a window has been read. */
#define WIRE_H2_CONTENT_CREDIT_BYTES 4096

struct wire_h2_account {
    int64_t spent;    /* 0 to WIRE_H2_BUDGET and a little over */
    sk_time_ns at;    /* when SPENT was right */
    uint64_t content; /* bytes sent that are not worth a unit yet */
    bool over;        /* for good */
    enum wire_h2_cost worst;
};

/* False: the account is overdrawn, from now on for good. */
bool wire_h2_charge(struct wire_h2_account *account, enum wire_h2_cost cost, sk_time_ns now);
void wire_h2_credit(struct wire_h2_account *account);
/* BYTES of content were sent to the peer. */
void wire_h2_credit_content(struct wire_h2_account *account, uint64_t bytes);
/* What overdrew it. */
const char *wire_h2_cost_text(enum wire_h2_cost cost);

#endif
