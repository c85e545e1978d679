/* Which early data was accepted already (RFC 8446 section 8.2, "ClientHello Recording"), so that none is accepted twice.
 *
 * The library refuses early data whose ticket is not as old as the client says, by more than ten seconds (section 8.3): a
 * copy can pass only within twenty seconds of the first. So what was seen is remembered for half a minute at least. Only
 * who holds a ticket gets an entry (the library has verified the binder by then), and who is not remembered is asked to
 * go the whole way round: when the register is full, that is everybody.
 *
 * A ticket is of use only where its key is. Early data is accepted with tickets under a process's own keys alone, which
 * live and die with it (wire/tls_server.h), so the register of that process sees every use of each of them, whatever thread,
 * listener or protocol it comes to; a copy sent to another node, or to the process after an upgrade, meets no key and so no
 * early data. With a ticket under a key that nodes share, early data is always refused: another node may have accepted the
 * same. Any thread. */
#ifndef SK_WIRE_TLS_EARLY_H
#define SK_WIRE_TLS_EARLY_H

#include "base/err.h"
#include "base/time.h"

#define WIRE_TLS_EARLY_S 30
#define WIRE_TLS_EARLY_MOST 65536 /* accepted in WIRE_TLS_EARLY_S */
#define WIRE_TLS_RANDOM_BYTES 32

struct wire_tls_early;

/* A megabyte is taken at the first use. SK_ERR_NO_MEMORY. */
sk_err wire_tls_early_create(struct wire_tls_early **out_early);
void wire_tls_early_free(struct wire_tls_early *early); /* NULL is allowed */
/* Remembers the ClientHello with this random. False: it was here before, or nothing can be remembered. NOW never goes
 * back. */
bool wire_tls_early_first(struct wire_tls_early *early, const unsigned char random[WIRE_TLS_RANDOM_BYTES],
                          sk_time_ns now);

#endif
