/* What the streams of a thread's HTTP/2 and HTTP/3 connections are made of: their structs and the first chunks of their
 * arenas, kept between requests so that one costs no memory of the system, and given back when none comes any more. Own
 * thread. */
#ifndef SK_EDGE_MUX_ROOM_H
#define SK_EDGE_MUX_ROOM_H

#include "base/pool.h"
#include "io/loop.h"

struct mux_stream;

struct mux_room {
    struct io_loop *loop;
    struct sk_pool streams, chunks; /* chunks: for sk_arena_init_pooled */
    struct io_timer timer;          /* runs while anything is kept */
    uint64_t used;                  /* streams taken so far ... */
    uint64_t seen;                  /* ... and when the timer last looked */
};

void mux_room_init(struct mux_room *room, struct io_loop *loop);
/* After the last stream. */
void mux_room_free(struct mux_room *room);
/* Zeroed; NULL: out of memory. */
struct mux_stream *mux_room_get(struct mux_room *room);
/* STREAM's arena is free already. */
void mux_room_put(struct mux_room *room, struct mux_stream *stream);

#endif
