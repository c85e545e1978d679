/* What handshakes with origins agreed on, into the thread's metrics. */
#ifndef SK_ORIGIN_TLS_COUNT_H
#define SK_ORIGIN_TLS_COUNT_H

#include "observe/metrics.h"
#include "wire/tls.h"

/* After a handshake, which ended with RESULT. */
void origin_count_handshake(struct observe_thread *metrics, const struct wire_tls *tls, sk_err result);

#endif
