/* QUIC while one process of the edge follows another: the new one reads all sockets, and what belongs to a connection of
 * the old one (its id says so) is handed back to it over a pair of sockets between the two, until it has ended. The old
 * one goes on sending by its own duplicates. So no connection sees more than a datagram lost.
 *
 * The pair's first message, from the old process, has the secrets: ids, tokens and resets of before stay valid. */
#ifndef SK_EDGE_QUIC_UPGRADE_H
#define SK_EDGE_QUIC_UPGRADE_H

#include "edge/process.h"
#include "edge/quic.h"

/* A process that follows nobody: secrets of its own. */
void edge_quic_begin(struct edge_process *process);
/* It follows the one at the other end of FD, which it takes. Before the workers start. */
void edge_quic_inherit(struct edge_process *process, int fd);
/* The two ends of the pair, with the secrets under way to THEIRS. SK_ERR_FULL. */
sk_err edge_quic_pair(struct edge_process *process, int *out_ours, int *out_theirs);
/* The new process reads the sockets from now on; FD (taken) brings what is ours. */
void edge_quic_hand_over(struct edge_process *process, int fd);
void edge_quic_end(struct edge_process *process);
/* Any thread: a datagram of an earlier process. False: there is none that would take it. */
bool edge_quic_send_back(struct edge_process *process, const struct io_addr *listener,
                         const struct io_train *train, sk_str datagram);

#endif
