/* A thread's connections to each origin: idle ones to use again, a limit on how many are open, and a queue
 * of fibers when the limit is reached. Own thread; no lock. */
#ifndef SK_ORIGIN_POOL_H
#define SK_ORIGIN_POOL_H

#include "base/pool.h"
#include "origin/connection.h"
#include "origin/session.h"

#define ORIGIN_THREAD_MAGIC 0x6f727468u
#define ORIGIN_SCRATCH_BYTES 16384

/* Everything by the owner thread only. */
struct origin_thread {
    uint32_t magic;
    size_t slot; /* in struct origin's pools */
    struct origin_registry *registry;
    struct io_loop *loop;
    struct observe_thread *metrics;
    struct io_resolver *resolver;
    struct sk_list pools, checks;
    struct sk_pool connections;              /* struct origin_connection */
    struct origin_exchange *spare_exchanges; /* with their buffers */
    size_t spare_count, exchanges;           /* kept; open */
    char scratch[ORIGIN_SCRATCH_BYTES];      /* ciphertext between socket and engine, never over a park */
    char plain[ORIGIN_SCRATCH_BYTES];        /* plaintext of HTTP/2, never over a park */
};

struct origin_pool {
    struct sk_list link; /* of the thread */
    struct origin_thread *thread;
    struct origin *origin;   /* referenced */
    struct sk_list idle;     /* newest first */
    struct sk_list waiters;  /* fibers in line, first come first */
    struct sk_list sessions; /* of HTTP/2, the newest first */
    bool speaks_http2;       /* the last connection did */
    uint32_t opening;
    uint32_t idle_count;
    uint32_t open;                    /* idle, in use, being opened, and promised to waiters */
    struct wire_tls_session *session; /* the newest; NULL: none */
};

struct origin_pool *origin_pool_of(struct origin_thread *thread, struct origin *origin); /* NULL: no memory */
void origin_pools_close(struct origin_thread *thread);

struct origin_pool_wish {
    const struct config_origin_options *options;
    bool fresh;          /* no idle connection: the last one was stale */
    bool no_surprise;    /* the request cannot be repeated: only an idle connection that was just in use */
    sk_time_ns deadline; /* of the whole request */
    struct origin_session **out_session; /* NULL: HTTP/1.1 only */
};
/* An idle connection or a new one, or a place in a session of HTTP/2 (then *OUT_CONNECTION stays NULL); parks.
 * *OUT_REUSED tells. SK_ERR_BUSY when the limit is reached and none
 * became free in time. */
sk_err origin_pool_acquire(struct origin_thread *thread, struct origin *origin,
                           const struct origin_pool_wish *wish, struct origin_connection **out_connection,
                           bool *out_reused, struct origin_failure *out_failure);
/* Takes the connection back; it is kept when REUSABLE and there is room. */
void origin_pool_release(struct origin_connection *connection, const struct config_origin_options *options,
                         bool reusable);
/* For the sessions of a pool: closes CONNECTION, and its place is free. */
void origin_pool_discard(struct origin_pool *pool, struct origin_connection *connection);
/* There may be room for calls: those in line get it. */
void origin_pool_offer(struct origin_pool *pool);

#endif
