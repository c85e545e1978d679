#include "edge/mux_room.h"

#include "base/arena.h"
#include "edge/mux.h"

#define CHUNK_BYTES 4096
/* As many requests of a thread as run at a time, usually: with both some 6 KiB each. */
#define KEPT 256
#define LOOK_MS 1000

void mux_room_init(struct mux_room *room, struct io_loop *loop) {
    room->loop = loop;
    sk_pool_init(&room->streams, sizeof(struct mux_stream), KEPT);
    sk_arena_pool_init(&room->chunks, CHUNK_BYTES, KEPT);
}

void mux_room_free(struct mux_room *room) {
    sk_pool_free_all(&room->streams);
    sk_pool_free_all(&room->chunks);
}

static void on_look(struct io_timer *timer);

static void look_later(struct mux_room *room) {
    io_timer_start(room->loop, &room->timer, io_loop_now(room->loop) + LOOK_MS * SK_NS_PER_MS, on_look);
}

/* A second without a request: what is kept is of no use. */
static void on_look(struct io_timer *timer) {
    struct mux_room *room = SK_CONTAINER_OF(timer, struct mux_room, timer);
    bool idle = room->seen == room->used;
    room->seen = room->used;
    if (!idle) {
        look_later(room);
        return;
    }
    sk_pool_trim(&room->streams, 0);
    sk_pool_trim(&room->chunks, 0);
}

struct mux_stream *mux_room_get(struct mux_room *room) {
    room->used++;
    return sk_pool_get(&room->streams);
}

void mux_room_put(struct mux_room *room, struct mux_stream *stream) {
    sk_pool_put(&room->streams, stream);
    if (!io_timer_armed(&room->timer)) look_later(room);
}
