/* Any bytes as a datagram that comes without a connection: what is said of it holds, and an answer is never longer than
 * the rules allow (RFC 9000 sections 6, 8.1, 10.3). */
#include "fuzz.h"
#include "wire/quic_packet.h"

static void answer(const struct wire_quic_keys *keys, const struct wire_quic_packet *packet,
                   const struct io_addr *peer) {
    static const struct wire_quic_place place = {1, 2};
    uint8_t out[WIRE_QUIC_ANSWER_BYTES];
    struct wire_quic_id original;
    switch (packet->kind) {
    case WIRE_QUIC_JUNK: return;
    case WIRE_QUIC_VERSION: MUST(wire_quic_say_versions(packet, out) < 3 * packet->bytes); return;
    case WIRE_QUIC_INITIAL:
        MUST(packet->bytes >= 1200 && packet->token.len < packet->bytes);
        MUST(wire_quic_check_token(keys, packet, peer, 1000, &original) != WIRE_QUIC_TOKEN_RETRY);
        MUST(wire_quic_retry(keys, place, packet, peer, 1000, out) < 3 * packet->bytes);
        MUST(wire_quic_refuse(packet, true, out) < 3 * packet->bytes);
        return;
    case WIRE_QUIC_LONG: return;
    case WIRE_QUIC_SHORT: {
        size_t bytes = wire_quic_reset(keys, packet, out);
        MUST(bytes == 0 || (bytes >= 21 && bytes < packet->bytes));
        return;
    }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static struct wire_quic_keys keys = {.mask = 42};
    struct wire_quic_packet packet;
    struct wire_quic_place place;
    struct wire_quic_id id;
    struct io_addr peer;
    MUST(io_addr_parse(SK_STR("192.0.2.1:4433"), &peer) == SK_OK);
    char *copy = exact_copy(data, bytes);
    wire_quic_look((sk_str){copy, bytes}, &packet);
    MUST(packet.bytes == bytes && packet.to.bytes <= WIRE_QUIC_ID_MAX &&
         packet.from.bytes <= WIRE_QUIC_ID_MAX);
    answer(&keys, &packet, &peer);
    free(copy);
    /* An id of ours is read as it was made, and not once it is another one. */
    wire_quic_id_make(&keys, (struct wire_quic_place){(uint8_t)bytes, 7}, &id);
    MUST(wire_quic_id_read(&keys, &id, &place) && place.generation == (uint8_t)bytes && place.thread == 7);
    id.data[bytes % 8] ^= 1;
    MUST(!wire_quic_id_read(&keys, &id, &place));
    return 0;
}
