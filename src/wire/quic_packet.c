#include "wire/quic_packet.h"

#include <ngtcp2/ngtcp2_crypto.h>

#include "base/random.h"
#include "wire/quic_internal.h"

/* Of an id: random bytes, then under a mask made from them the place and a check. */
#define RANDOM_BYTES 8
#define RETRY_TOKEN_NS (10 * NGTCP2_SECONDS)
#define KNOWN_TOKEN_NS (24 * 3600 * NGTCP2_SECONDS)
/* RFC 9000 section 10.3: below it a reset would not look like a packet. */
#define RESET_MIN_BYTES (NGTCP2_MIN_STATELESS_RESET_RANDLEN + NGTCP2_STATELESS_RESET_TOKENLEN)
#define RESET_RANDOM_BYTES 22

static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};

/* --- ids -------------------------------------------------------------------------------------------------- */

void wire_quic_keys_make(struct wire_quic_keys *out_keys) {
    sk_random_secret(out_keys->secret, sizeof out_keys->secret);
    sk_random_secret(&out_keys->mask, sizeof out_keys->mask);
}

/* The finaliser of splitmix64: it hides the place from a glance, no more is needed of it. */
static uint64_t mask_of(const struct wire_quic_keys *keys, const uint8_t *random) {
    uint64_t x;
    memcpy(&x, random, sizeof x);
    x ^= keys->mask;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void wire_quic_id_make(const struct wire_quic_keys *keys, struct wire_quic_place place,
                       struct wire_quic_id *out_id) {
    uint8_t plain[8] = {place.generation, place.thread};
    uint64_t mask, word;
    out_id->bytes = WIRE_QUIC_ID_BYTES;
    sk_random_secret(out_id->data, RANDOM_BYTES);
    mask = mask_of(keys, out_id->data);
    memcpy(&word, plain, sizeof word);
    word ^= mask;
    memcpy(out_id->data + RANDOM_BYTES, &word, sizeof word);
}

bool wire_quic_id_read(const struct wire_quic_keys *keys, const struct wire_quic_id *id,
                       struct wire_quic_place *out_place) {
    static const uint8_t zeros[6];
    uint8_t plain[8];
    uint64_t word;
    if (id->bytes != WIRE_QUIC_ID_BYTES) return false;
    memcpy(&word, id->data + RANDOM_BYTES, sizeof word);
    word ^= mask_of(keys, id->data);
    memcpy(plain, &word, sizeof plain);
    if (memcmp(plain + 2, zeros, sizeof zeros) != 0) return false;
    *out_place = (struct wire_quic_place){plain[0], plain[1]};
    return true;
}

/* --- looking ---------------------------------------------------------------------------------------------- */

static bool set_id(struct wire_quic_id *id, const uint8_t *data, size_t bytes) {
    if (bytes > WIRE_QUIC_ID_MAX) return false;
    id->bytes = (uint8_t)bytes;
    if (bytes) memcpy(id->data, data, bytes);
    return true;
}

static void look_at_initial(sk_str datagram, struct wire_quic_packet *packet) {
    ngtcp2_pkt_hd head;
    if (ngtcp2_accept(&head, (const uint8_t *)datagram.data, datagram.len) != 0) return;
    packet->kind = WIRE_QUIC_INITIAL;
    packet->token = (sk_str){(const char *)head.token, head.tokenlen};
}

void wire_quic_look(sk_str datagram, struct wire_quic_packet *out_packet) {
    ngtcp2_version_cid ids;
    *out_packet = (struct wire_quic_packet){.bytes = datagram.len};
    if (!datagram.len) return;
    int result =
        ngtcp2_pkt_decode_version_cid(&ids, (const uint8_t *)datagram.data, datagram.len, WIRE_QUIC_ID_BYTES);
    if (result != 0 && result != NGTCP2_ERR_VERSION_NEGOTIATION) return;
    if (!set_id(&out_packet->to, ids.dcid, ids.dcidlen) || !set_id(&out_packet->from, ids.scid, ids.scidlen))
        return;
    out_packet->version = ids.version;
    if (result != 0) {
        out_packet->kind = WIRE_QUIC_VERSION;
    } else if (ids.version == 0) {
        /* A short packet; or version negotiation, which no client sends. */
        out_packet->kind = (uint8_t)datagram.data[0] & 0x80 ? WIRE_QUIC_JUNK : WIRE_QUIC_SHORT;
    } else {
        out_packet->kind = WIRE_QUIC_LONG;
        look_at_initial(datagram, out_packet);
    }
}

/* --- tokens ----------------------------------------------------------------------------------------------- */

enum wire_quic_token wire_quic_check_token(const struct wire_quic_keys *keys,
                                           const struct wire_quic_packet *packet, const struct io_addr *peer,
                                           sk_time_ns now, struct wire_quic_id *out_original) {
    const uint8_t *token = (const uint8_t *)packet->token.data;
    size_t bytes = packet->token.len;
    if (!bytes) return WIRE_QUIC_TOKEN_NONE;
    if (token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2) {
        ngtcp2_cid original, to = quic_cid(&packet->to);
        int result = ngtcp2_crypto_verify_retry_token2(&original, token, bytes, keys->secret,
                                                       sizeof keys->secret, packet->version, &peer->any,
                                                       peer->len, &to, RETRY_TOKEN_NS, (ngtcp2_tstamp)now);
        if (result != 0) return WIRE_QUIC_TOKEN_BAD;
        *out_original = quic_id(&original);
        return WIRE_QUIC_TOKEN_RETRY;
    }
    if (token[0] != NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR) return WIRE_QUIC_TOKEN_NONE;
    int known = ngtcp2_crypto_verify_regular_token(token, bytes, keys->secret, sizeof keys->secret,
                                                   &peer->any, peer->len, KNOWN_TOKEN_NS, (ngtcp2_tstamp)now);
    return known == 0 ? WIRE_QUIC_TOKEN_KNOWN : WIRE_QUIC_TOKEN_NONE;
}

/* --- answers ---------------------------------------------------------------------------------------------- */

static size_t length_or_0(ngtcp2_ssize bytes) { return bytes > 0 ? (size_t)bytes : 0; }

size_t wire_quic_say_versions(const struct wire_quic_packet *packet, uint8_t out[WIRE_QUIC_ANSWER_BYTES]) {
    return length_or_0(ngtcp2_pkt_write_version_negotiation(
        out, WIRE_QUIC_ANSWER_BYTES, (uint8_t)sk_random_u64(), packet->from.data, packet->from.bytes,
        packet->to.data, packet->to.bytes, versions, SK_COUNT(versions)));
}

size_t wire_quic_retry(const struct wire_quic_keys *keys, struct wire_quic_place place,
                       const struct wire_quic_packet *packet, const struct io_addr *peer, sk_time_ns now,
                       uint8_t out[WIRE_QUIC_ANSWER_BYTES]) {
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2];
    struct wire_quic_id id;
    wire_quic_id_make(keys, place, &id);
    ngtcp2_cid ours = quic_cid(&id), first = quic_cid(&packet->to), client = quic_cid(&packet->from);
    ngtcp2_ssize bytes =
        ngtcp2_crypto_generate_retry_token2(token, keys->secret, sizeof keys->secret, packet->version,
                                            &peer->any, peer->len, &ours, &first, (ngtcp2_tstamp)now);
    if (bytes < 0) return 0;
    return length_or_0(ngtcp2_crypto_write_retry(out, WIRE_QUIC_ANSWER_BYTES, packet->version, &client, &ours,
                                                 &first, token, (size_t)bytes));
}

size_t wire_quic_refuse(const struct wire_quic_packet *packet, bool bad_token,
                        uint8_t out[WIRE_QUIC_ANSWER_BYTES]) {
    ngtcp2_cid client = quic_cid(&packet->from), ours = quic_cid(&packet->to);
    uint64_t error = bad_token ? NGTCP2_INVALID_TOKEN : NGTCP2_CONNECTION_REFUSED;
    return length_or_0(ngtcp2_crypto_write_connection_close(out, WIRE_QUIC_ANSWER_BYTES, packet->version,
                                                            &client, &ours, error, NULL, 0));
}

size_t wire_quic_reset(const struct wire_quic_keys *keys, const struct wire_quic_packet *packet,
                       uint8_t out[WIRE_QUIC_ANSWER_BYTES]) {
    ngtcp2_stateless_reset_token token;
    uint8_t random[RESET_RANDOM_BYTES];
    ngtcp2_cid id = quic_cid(&packet->to);
    if (packet->bytes <= RESET_MIN_BYTES) return 0;
    size_t random_bytes =
        SK_MIN(packet->bytes - NGTCP2_STATELESS_RESET_TOKENLEN - 1, (size_t)RESET_RANDOM_BYTES);
    sk_random_secret(random, sizeof random);
    if (ngtcp2_crypto_generate_stateless_reset_token(token.data, keys->secret, sizeof keys->secret, &id) != 0)
        return 0;
    return length_or_0(
        ngtcp2_pkt_write_stateless_reset2(out, WIRE_QUIC_ANSWER_BYTES, &token, random, random_bytes));
}
