/* What a server of the Redis protocol may say: a reply within the limits, or a refusal; whatever the pieces. */
#include "fleet/valkey_shape.h"
#include "fuzz.h"

static void use(const struct fleet_reply *reply, struct sk_arena *arena) {
    struct fleet_stream_entries entries;
    struct fleet_stream_id id;
    struct fleet_pair *pairs;
    size_t count = 0;
    (void)!fleet_reply_id(reply, &id);
    if (fleet_reply_pairs(reply, arena, &pairs, &count) == SK_OK) MUST(count * 2 == reply->count);
    if (fleet_reply_streams(reply, SK_STR("s"), arena, &entries) != SK_OK) return;
    for (size_t i = 0; i < entries.count; i++)
        (void)fleet_pair_value(entries.items[i].pairs, entries.items[i].pair_count, "e");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct fleet_reply_reader *reader;
    struct sk_arena arena;
    const struct fleet_reply *reply;
    if (bytes == 0) return 0;
    size_t piece = (size_t)data[0] + 1, at = 1;
    sk_arena_init(&arena, 1024, 16 << 20);
    MUST(fleet_reply_reader_create(&reader) == SK_OK);
    sk_err err = SK_OK;
    while (at < bytes && !err) {
        size_t n = SK_MIN(piece, bytes - at);
        char *copy = exact_copy(data + at, n);
        err = fleet_reply_feed(reader, copy, n);
        free(copy);
        at += n;
        while (!err && (err = fleet_reply_next(reader, &arena, &reply)) == SK_OK) use(reply, &arena);
        if (err == SK_ERR_AGAIN) err = SK_OK;
    }
    fleet_reply_reader_free(reader);
    sk_arena_free(&arena);
    return 0;
}
