/* A Valkey of our own for a control that stands alone: started on a Unix socket with its data on disk, started again
 * when it dies, and stopped with the control. Main thread. */
#ifndef SK_CONTROL_VALKEY_SERVER_H
#define SK_CONTROL_VALKEY_SERVER_H

#include "base/str.h"
#include "io/loop.h"

struct control_valkey_server;

/* PROGRAM with its files in FOLDER (made if need be); its socket is FOLDER/valkey.sock. One that an earlier control
 * left behind is told to end first (blocking, at most 10 s): two must not write the same files. SK_ERR_NOT_FOUND: no
 * such program; SK_ERR_TOO_LARGE: FOLDER's path is too long for a socket; SK_ERR_BUSY: the earlier one does not end. */
sk_err control_valkey_start(struct io_loop *loop, sk_str program, sk_str folder,
                            struct control_valkey_server **out_server);
/* Ends it; ON_STOPPED is called when it has, at once if it does not run. */
void control_valkey_stop(struct control_valkey_server *server, void (*on_stopped)(void *arg), void *arg);
/* After it has stopped, or at the very end. NULL is allowed. */
void control_valkey_free(struct control_valkey_server *server);

#endif
