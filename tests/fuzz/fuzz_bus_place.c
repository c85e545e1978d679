/* Any bytes as the place of a reader on the purge bus, the sum put right: what is taken is within the limits, and is
 * written as it was read. */
#include "base/hash.h"
#include "fleet/bus_place.h"
#include "fuzz.h"

static void put_right(char *bytes, size_t count) {
    uint64_t sum = sk_hash64(bytes, count - 8);
    for (int i = 0; i < 8; i++) bytes[count - 8 + (size_t)i] = (char)(sum >> 8 * (7 - i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static struct fleet_bus_place place, again;
    char *copy = exact_copy(data, bytes);
    struct sk_buf out;
    sk_buf_init(&out, 0);
    (void)!fleet_bus_place_read(sk_str_make(copy, bytes), &place);
    if (bytes >= 8) put_right(copy, bytes);
    if (fleet_bus_place_read(sk_str_make(copy, bytes), &place) == SK_OK) {
        MUST(place.follow.count <= FLEET_BUS_PUBLISHERS_MAX && !place.follow.again);
        MUST(fleet_bus_place_write(&place, &out) == SK_OK);
        MUST(fleet_bus_place_read(sk_buf_str(&out), &again) == SK_OK);
        MUST(again.tick == place.tick && again.follow.count == place.follow.count);
        MUST(again.follow.read.ms == place.follow.read.ms);
    }
    sk_buf_free(&out);
    free(copy);
    return 0;
}
