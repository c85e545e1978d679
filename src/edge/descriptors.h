/* How many descriptors the process may have, and connections with them. Main thread, before others start. */
#ifndef SK_EDGE_DESCRIPTORS_H
#define SK_EDGE_DESCRIPTORS_H

#include "config/config.h"

/* The soft limit of descriptors becomes the hard one. */
void edge_raise_descriptor_limit(void);
/* How many client connections there may be: as configured, or what the descriptors allow when each needs one
 * of its own and maybe one to an origin. */
uint32_t edge_connection_limit(const struct config *config);

#endif
