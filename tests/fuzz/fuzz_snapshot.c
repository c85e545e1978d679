/* Any bytes as a snapshot, a token, a list of expelled nodes, an id: what is taken says the same when written. */
#include <stdlib.h>

#include "fleet/snapshot.h"
#include "fuzz.h"

static void snapshot(sk_str text) {
    struct fleet_snapshot snapshot;
    if (fleet_snapshot_parse(text, &snapshot)) return;
    if (!snapshot.number || !snapshot.body.len || snapshot.covered.len + snapshot.signature.len != text.len)
        abort();
}

static void token(sk_str text) {
    struct fleet_token token;
    char again[FLEET_TOKEN_TEXT_BYTES];
    if (fleet_token_parse(text, &token)) return;
    if (!sk_str_eq(fleet_token_format(&token, again), text)) abort();
}

static void expelled(sk_str text) {
    struct fleet_expelled expelled;
    if (fleet_expelled_parse(text, &expelled)) return;
    fleet_expelled_free(&expelled);
}

static void id(sk_str text) {
    struct fleet_id id;
    char again[FLEET_ID_TEXT_BYTES];
    if (fleet_id_parse(text, &id)) return;
    if (!sk_str_eq(fleet_id_format(&id, again), text)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    sk_str text = {(const char *)data, bytes};
    snapshot(text);
    token(text);
    expelled(text);
    id(text);
    return 0;
}
