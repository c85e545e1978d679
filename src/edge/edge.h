/* The edge role: a process that answers clients from the cache and asks origins for the rest. Glue of the
 * floors below, no algorithms of its own. The command line calls edge_main; nothing else is public.
 *
 * Threads: the main thread runs a loop with signals, the admin socket, reload and upgrade; each worker runs
 * a loop with its own listening sockets, connections, fibers and origin pools. */
#ifndef SK_EDGE_EDGE_H
#define SK_EDGE_EDGE_H

#include "config/load.h"

struct edge_start {
    const char *program;                      /* path of this binary, for the upgrade */
    const char *const *argv;                  /* as given, NULL-terminated; [0] is replaced by PROGRAM */
    const struct config_arguments *arguments; /* laid over a file at each reload */
    uint64_t
        fleet_number; /* of the fleet's configuration behind the file's own (edge/fleet_config.h); 0: none */
};

/* Takes over the reference to CONFIG. Runs until a signal ends it; returns the exit code (0 or 1). */
int edge_main(struct config *config, const struct edge_start *start);

#endif
