/* `skerry route`: the process that answers where to go. Configuration, sockets, threads, signals; what it decides
 * and answers is in the other files of this folder. */
#ifndef SK_ROUTE_ROUTE_H
#define SK_ROUTE_ROUTE_H

#include "config/route.h"

struct route_start {
    const char *program;     /* path of this binary, for the upgrade */
    const char *const *argv; /* as given, NULL-terminated; [0] is replaced by PROGRAM */
    const struct config_route_arguments *arguments; /* laid over the file again at each reload */
};

/* Runs until a signal ends it. Takes CONFIG. Returns an exit code: 0 stopped by a signal, 1 failed at run time, 2 a
 * zone or another part of the configuration is wrong (told on stderr). */
int route_main(struct config_route *config, const struct route_start *start);

#endif
