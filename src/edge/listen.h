/* The listening sockets of the process: bound here, or taken over from the process that this one replaces, and
 * handed to the workers as duplicates. Main thread only. */
#ifndef SK_EDGE_LISTEN_H
#define SK_EDGE_LISTEN_H

#include "config/config.h"

/* One configured address and its sockets: one a worker where the kernel can share the load among them. */
struct edge_listener {
    struct io_addr addr;  /* as configured; the port may be 0 */
    struct io_addr bound; /* as it is */
    int *fds;
    unsigned fd_count;
    int *quic_fds; /* UDP at the same port, for HTTP/3; as many, or none */
    unsigned quic_count;
    bool quic_unused;
    bool unused; /* nobody accepts from it yet */
};
struct edge_listeners {
    struct edge_listener *items;
    unsigned count;
};

/* Binds COUNT sockets to ADDR (one when it is local, with file mode UNIX_MODE). SK_ERR_EXISTS (somebody
 * listens there), and as io_listen. */
sk_err edge_listener_bind(const struct io_addr *addr, unsigned count, unsigned unix_mode,
                          struct edge_listener *out_listener);
/* Adds the sockets for HTTP/3 to a bound LISTENER that has none. Errors as above. */
sk_err edge_listener_bind_quic(struct edge_listener *listener, unsigned count);
/* Closes our descriptors; the sockets live on in workers and other processes that have duplicates. */
void edge_listener_close(struct edge_listener *listener);
/* "http://127.0.0.1:8080" (with TLS: "https://...") in OUT; returns its length. */
size_t edge_listener_text(const struct edge_listener *listener, bool tls, char out[IO_ADDR_TEXT_BYTES + 8]);
/* NULL when none is configured for ADDR. */
struct edge_listener *edge_listeners_find(const struct edge_listeners *listeners, const struct io_addr *addr);
/* Makes the list that CONFIG wants: what OLD has is moved over (and emptied there), the rest is bound. On
 * failure OLD is as before and *out_failed says which address it was. What is left in OLD is not wanted. */
sk_err edge_listeners_change(struct edge_listeners *old, const struct config *config, unsigned workers,
                             struct edge_listeners *out_listeners, const struct io_addr **out_failed);
void edge_listeners_free(struct edge_listeners *listeners);

#endif
