/* What happens on the QUIC connections of one client, in qlog (draft-ietf-quic-qlog-main-schema, JSON text sequences), a
 * file for each: asked for in the configuration (`qlog`), for finding out why somebody's connection does what it does.
 * Files are for their owner alone, and all of them together no larger than was allowed. It is written from the
 * connection's own thread, 16 KiB at a time: not meant for every client. */
#ifndef SK_EDGE_QUIC_LOG_H
#define SK_EDGE_QUIC_LOG_H

#include "edge/snapshot.h"
#include "wire/quic_packet.h"

struct edge_quic_log;

/* NULL: nobody asked for CLIENT's, nothing more may be written, or the file cannot be made (logged). ORIGINAL is the
 * connection id that the client chose first: it is in the file's name. */
struct edge_quic_log *edge_quic_log_open(struct edge_snapshot *snapshot, const struct io_addr *client,
                                         const struct wire_quic_id *original);
/* One record, whole or not at all. LOG may be NULL, as below. */
void edge_quic_log_write(struct edge_quic_log *log, sk_str record);
void edge_quic_log_close(struct edge_quic_log *log);

#endif
