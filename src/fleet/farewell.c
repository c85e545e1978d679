#include "fleet/farewell.h"

#include <stdio.h>

#include "fleet/id.h"

enum { MESSAGE_BYTES = 64 + FLEET_ID_TEXT_BYTES };

static sk_str message_of(sk_str edge, uint64_t made_ns, char out[MESSAGE_BYTES]) {
    int len = snprintf(out, MESSAGE_BYTES, "farewell 1\n%.*s\n%llu", SK_STR_ARGS(edge),
                       (unsigned long long)made_ns);
    return len > 0 && len < MESSAGE_BYTES ? sk_str_make(out, (size_t)len) : (sk_str){0};
}

sk_str fleet_farewell_text(sk_str edge, uint64_t made_ns, const struct fleet_bus_key *key,
                           struct sk_arena *arena) {
    char message[MESSAGE_BYTES], code[FLEET_HEX_BYTES];
    sk_str said = message_of(edge, made_ns, message);
    if (!key || !said.len) return (sk_str){0};
    fleet_bus_code(key, said, code);
    return sk_arena_printf(arena, "%llu:%s", (unsigned long long)made_ns, code);
}

bool fleet_farewell_good(sk_str text, sk_str edge, const struct fleet_bus_keys *keys, int64_t seen_ns,
                         int64_t now_ns) {
    char message[MESSAGE_BYTES];
    uint64_t made_ns;
    sk_str digits;
    if (!sk_str_cut(&text, ':', &digits) || sk_str_to_u64(digits, &made_ns) != SK_OK) return false;
    if (made_ns > INT64_MAX / 2 || (int64_t)made_ns <= seen_ns ||
        (int64_t)made_ns > now_ns + FLEET_FAREWELL_GOOD_S * SK_NS_PER_S)
        return false;
    sk_str said = message_of(edge, made_ns, message);
    return said.len && fleet_bus_code_good(keys, said, text);
}
