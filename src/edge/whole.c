#include "edge/whole.h"

#include <stdlib.h>

#define TURN_BYTES (512 * 1024) /* copied before others get their turn */

static void give_way(size_t *since_yield, size_t bytes) {
    *since_yield += bytes;
    if (*since_yield < TURN_BYTES) return;
    *since_yield = 0;
    io_fiber_yield();
}

static size_t copy(struct cache_reader *reader, char *out, size_t bytes) {
    size_t at = 0, since_yield = 0;
    for (;;) {
        struct cache_piece piece;
        size_t count = 0;
        if (cache_reader_peek(reader, &piece, 1, &count) != CACHE_READ_DATA) return at;
        size_t taken = SK_MIN(piece.bytes, bytes - at);
        if (!taken) return 0; /* longer than it was */
        memcpy(out + at, piece.data, taken);
        at += taken;
        cache_reader_advance(reader, taken);
        give_way(&since_yield, taken);
    }
}

char *edge_whole_read(struct edge_worker *worker, struct cache_object *object, size_t bytes) {
    struct cache_reader reader;
    char *content = malloc(bytes);
    if (!content) return NULL;
    cache_object_ref(object);
    cache_reader_open(&reader, worker->cache, object, 0, CACHE_LENGTH_UNKNOWN);
    bool whole = copy(&reader, content, bytes) == bytes;
    cache_reader_close(&reader);
    if (whole) return content;
    free(content);
    return NULL;
}

static sk_err write_pieces(struct cache_fill *fill, sk_str content) {
    size_t since_yield = 0;
    while (content.len) {
        char *space;
        size_t room;
        sk_err err = cache_fill_space(fill, SK_TIME_NEVER, &space, &room);
        if (err) return err;
        room = SK_MIN(room, content.len);
        memcpy(space, content.data, room);
        cache_fill_commit(fill, room);
        content = sk_str_slice(content, room, content.len);
        give_way(&since_yield, room);
    }
    return cache_fill_finish(fill);
}

sk_err edge_whole_write(struct cache_fill *fill, const struct cache_object *parent, sk_str content) {
    static const struct http_fields none = {0};
    struct cache_head head = {.status = 200,
                              .fields = &none,
                              .freshness = parent->freshness,
                              .reason = parent->store_reason,
                              .body_length = content.len};
    sk_err err = cache_fill_store(fill, &head);
    if (err) return err;
    err = write_pieces(fill, content);
    if (err) cache_fill_break(fill, err);
    return err;
}
