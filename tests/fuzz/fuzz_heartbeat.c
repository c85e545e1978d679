/* Any bytes as what a node says of itself: what is taken is written, and read again, as the same. */
#include "fleet/heartbeat.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char *copy = exact_copy(data, bytes);
    struct fleet_heartbeat beat, again;
    struct sk_buf out;
    sk_buf_init(&out, 2 * FLEET_HEARTBEAT_MAX_BYTES);
    if (fleet_heartbeat_read(sk_str_make(copy, bytes), &beat) == SK_OK &&
        fleet_heartbeat_write(&beat, &out) == SK_OK) {
        MUST(fleet_heartbeat_read(sk_buf_str(&out), &again) == SK_OK);
        MUST(again.state == beat.state && again.made_ms == beat.made_ms && again.silent == beat.silent);
        MUST(sk_str_eq(again.name, beat.name) && sk_str_eq(again.address, beat.address));
    }
    sk_buf_free(&out);
    free(copy);
    return 0;
}
