/* The configuration of an edge that belongs to a fleet: the machine's own file, and behind it what control has signed
 * for all, the last good one of which is on disk. Blocking, for start and reload. */
#ifndef SK_EDGE_FLEET_CONFIG_H
#define SK_EDGE_FLEET_CONFIG_H

#include "config/load.h"

/* Loads PATH, and if it names a fleet's state, with SHARED behind it; SHARED empty: with the last good one of that
 * folder, if there is any that is signed by control (else the log tells, and the machine's own file is all there is).
 * *OUT_NUMBER (may be NULL) is that one's number, or 0. Errors of config_load_file. */
sk_err edge_fleet_config_load(const char *path, sk_str shared, struct config **out_config,
                              struct config_problems *problems, uint64_t *out_number);

#endif
