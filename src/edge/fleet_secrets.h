/* What control gives to edges alone (fleet/secrets.h), as an edge takes it: certificates to its disk, from where they are put
 * in force as changed files are, and keys of tickets to its TLS servers, which live in memory only. On the thread that asks
 * control. */
#ifndef SK_EDGE_FLEET_SECRETS_H
#define SK_EDGE_FLEET_SECRETS_H

#include "edge/process.h"

struct edge_fleet_secrets;

/* FOLDER, of the node's identity, must live as long. SK_ERR_NO_MEMORY. */
sk_err edge_fleet_secrets_create(struct edge_process *process, const char *folder,
                                 struct edge_fleet_secrets **out_secrets);
/* After the main loop is destroyed. NULL is allowed. */
void edge_fleet_secrets_free(struct edge_fleet_secrets *secrets);

/* Of the list that was taken last; empty before the first. */
sk_str edge_fleet_secrets_digest(const struct edge_fleet_secrets *secrets);

/* How control is asked: TARGET's content goes to OUT, whose limit holds. An error, or another status than 200, is one. */
typedef sk_err edge_fleet_get(void *arg, const char *target, struct sk_buf *out);
/* Control's list has DIGEST: takes what is not here yet. On failure what was taken stays, and the next try goes on from
 * there. */
sk_err edge_fleet_secrets_take(struct edge_fleet_secrets *secrets, sk_str digest, edge_fleet_get *get,
                               void *arg);
/* Another configuration is in force: certificates that neither it wants nor control has are removed. */
void edge_fleet_secrets_settle(struct edge_fleet_secrets *secrets);

#endif
