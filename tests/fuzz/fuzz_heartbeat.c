/* Any bytes as what a node says of itself: what is taken is written, and read again, as the same; nothing is a farewell, or a
 * position, that was not made with the node's key. */
#include "fleet/applied.h"
#include "fleet/farewell.h"
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
    const struct fleet_bus_keys keys = {{{{1}}}, 1};
    struct fleet_bus_mark mark;
    MUST(!fleet_farewell_good(sk_str_make(copy, bytes), SK_STR("spiffe://f/p/edge/a"), &keys, 0,
                              INT64_MAX / 4));
    MUST(!fleet_applied_read(sk_str_make(copy, bytes), SK_STR("spiffe://f/p/control/c"),
                             SK_STR("spiffe://f/p/edge/a"), &keys, &mark));
    sk_buf_free(&out);
    free(copy);
    return 0;
}
