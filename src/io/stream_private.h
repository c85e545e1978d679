/* The inside of a stream, for stream.c and connect.c. */
#ifndef SK_IO_STREAM_PRIVATE_H
#define SK_IO_STREAM_PRIVATE_H

#include "io/stream.h"

/* The two sides on which a fiber may wait. */
enum io_side { IO_READ_SIDE, IO_WRITE_SIDE, IO_SIDE_COUNT };

/* A parked fiber, on its own stack, so that it survives a stream that is closed meanwhile. */
struct io_stream_waiter {
    struct io_fiber *fiber;
    bool closed; /* the stream is gone */
};

struct io_stream {
    struct io_loop *loop;
    struct io_watch watch;
    struct io_layer *layer; /* NULL: none */
    struct io_stream_waiter *waiters[IO_SIDE_COUNT];

    /* Edges seen and not used up yet. False is certain: nothing is there before the next event. True may
     * be out of date when somebody used the descriptor himself. */
    bool ready[IO_SIDE_COUNT];
    bool hangup; /* the peer has closed, or the connection failed: reading tells which, and never waits */

    /* what was moved without a park in the iteration of burst_at; a fast peer must not own the thread */
    size_t burst;
    sk_time_ns burst_at;

    void (*on_idle_event)(void *arg);
    void *idle_arg;
};

/* Takes FD, neither side ready until an event says so. */
sk_err io_stream_open(struct io_loop *loop, int fd, struct io_stream **out_stream);

#endif
