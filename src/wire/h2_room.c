#include "wire/h2_room.h"

#include <stdlib.h>
#include <string.h>

/* The library asks for a frame's payload (RFC 9113 section 4.2: 16,384), its head and some more. */
#define FRAME_BYTES 16384
#define ROOM_BYTES (FRAME_BYTES + 1024)

struct room {
    bool lending; /* a session is being made, and has not got it yet */
    bool busy;
    _Alignas(16) char bytes[ROOM_BYTES];
};
static thread_local struct room room;

static void *allocate(size_t bytes, void *user) {
    struct room *ours = user;
    if (!ours->lending || bytes < FRAME_BYTES || bytes > ROOM_BYTES) return malloc(bytes);
    ours->lending = false;
    return ours->bytes;
}

static void *allocate_zeros(size_t count, size_t bytes, void *user) { return calloc(count, bytes); }

static void release(void *memory, void *user) {
    struct room *ours = user;
    if (memory != ours->bytes) free(memory);
}

static void *resize(void *memory, size_t bytes, void *user) {
    struct room *ours = user;
    if (!memory) return allocate(bytes, user);
    if (memory != ours->bytes) return realloc(memory, bytes);
    void *copy = malloc(bytes);
    if (copy) memcpy(copy, ours->bytes, SK_MIN(bytes, (size_t)ROOM_BYTES));
    return copy;
}

int h2_session_new(nghttp2_session **out_session, const nghttp2_session_callbacks *callbacks, void *user,
                   const nghttp2_option *options) {
    nghttp2_mem memory = {&room, allocate, release, allocate_zeros, resize};
    room.lending = true;
    int result = nghttp2_session_server_new3(out_session, callbacks, user, options, &memory);
    room.lending = false;
    return result;
}

void h2_room_enter(void) {
    SK_ASSERT(!room.busy);
    room.busy = true;
}

void h2_room_leave(void) { room.busy = false; }
