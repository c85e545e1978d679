/* An entry of the purge bus: what is read is within the limits and is written as the same bytes again; what a reader
 * concludes from any sequence of entries never goes wrong. */
#include "fleet/bus_follow.h"
#include "fuzz.h"

static void check(sk_str bytes, const struct fleet_bus_entry *entry) {
    struct sk_buf again;
    MUST(entry->wish_count <= FLEET_BUS_PURGES_MAX && entry->publisher.len <= FLEET_BUS_PUBLISHER_MAX);
    sk_buf_init(&again, 2 * FLEET_BUS_ENTRY_MAX_BYTES);
    MUST(fleet_bus_write(entry, &again) == SK_OK);
    MUST(sk_str_eq(sk_buf_str(&again), bytes));
    sk_buf_free(&again);
}

static void follow(const struct fleet_bus_entry *entry) {
    static struct fleet_bus_follow follow;
    static uint64_t place;
    unsigned verdict = fleet_bus_follow_entry(&follow, (struct fleet_stream_id){++place, 0}, entry);
    if (verdict & FLEET_BUS_AGAIN)
        verdict = fleet_bus_follow_entry(&follow, (struct fleet_stream_id){place, 0}, entry);
    MUST(!(verdict & FLEET_BUS_AGAIN)); /* while reading again, nothing asks for it */
    MUST(!(verdict & FLEET_BUS_APPLY) || entry->kind == FLEET_BUS_PURGES);
    fleet_bus_follow_end(&follow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    struct fleet_bus_entry entry;
    char *copy = exact_copy(data, bytes);
    sk_arena_init(&arena, 1024, 1 << 20);
    if (fleet_bus_read(sk_str_make(copy, bytes), &arena, &entry) == SK_OK) {
        check(sk_str_make(copy, bytes), &entry);
        follow(&entry);
    }
    free(copy);
    sk_arena_free(&arena);
    return 0;
}
