/* What the process may do: descriptors, user, no new privileges. Main thread, before others start. */
#ifndef SK_EDGE_PRIVILEGES_H
#define SK_EDGE_PRIVILEGES_H

#include "config/config.h"

/* The soft limit of descriptors becomes the hard one. */
void edge_raise_descriptor_limit(void);
/* Becomes config->user (group and supplementary groups too) when it is set and we are root; gives up the
 * means of ever gaining privileges in any case. SK_ERR_NOT_FOUND (no such user), SK_ERR_DENIED; logged. */
sk_err edge_become_user(const struct config *config);
/* How many client connections there may be: as configured, or what the descriptors allow when each needs one
 * of its own and maybe one to an origin. */
uint32_t edge_connection_limit(const struct config *config);

#endif
