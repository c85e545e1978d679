/* What a server's and a client's connection of HTTP/2 have in common: bytes in and out of a session of the library, and
 * what the other end's frames cost (wire/h2_abuse.h). Private to wire/h2 and wire/h2_client. */
#ifndef SK_WIRE_H2_SESSION_H
#define SK_WIRE_H2_SESSION_H

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "wire/h2_abuse.h"

#define H2_ACKS_WAITING_MAX 100 /* answers to PING and SETTINGS that the peer does not read */

/* Zeroed, but for what is set once. */
struct h2_toll {
    bool serves; /* set once: the other end is a client */
    bool denied; /* for good */
    struct wire_h2_account account;
    sk_time_ns now;  /* of the bytes that are looked at */
    int64_t unseen;  /* bytes of frames that the library ignores without a word */
    const char *why; /* what is wrong with the other end, or NULL */
};

/* False: the account is overdrawn. The first time SESSION is told to end (ENHANCE_YOUR_CALM). */
bool h2_charge(struct h2_toll *toll, nghttp2_session *session, enum wire_h2_cost cost);
/* A frame begins. WINDOW_UPDATE frames are paid for by the content that they answer (wire_h2_credit_content). */
void h2_charge_frame(struct h2_toll *toll, nghttp2_session *session, const nghttp2_frame_hd *frame);

/* Takes all of INPUT. Errors as wire_h2_receive. */
sk_err h2_session_receive(nghttp2_session *session, struct h2_toll *toll, sk_str input, sk_time_ns now);
/* Appends frames to OUT until it has ENOUGH bytes or there are none. SK_ERR_NO_MEMORY, SK_ERR_MALFORMED. */
sk_err h2_session_fill(nghttp2_session *session, struct sk_buf *out, size_t enough);

#endif
