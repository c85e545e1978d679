/* The control role: what a fleet agrees on. It lets nodes in, signs configurations, gives out and takes back
 * tokens, and keeps the record of who did what; its state is in Valkey (store.h). Nothing on a request's way ever
 * waits for it. */
#ifndef SK_CONTROL_CONTROL_H
#define SK_CONTROL_CONTROL_H

#include "config/control.h"

/* Runs until SIGTERM or SIGINT. Takes over CONFIG. Returns the exit code: 0 stopped by a signal, 1 failed, 2 what is
 * on disk and the configuration do not go together. */
int control_main(struct config_control *config);

#endif
