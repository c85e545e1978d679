#include "fleet/bus_place.h"

#include "base/hash.h"

static const sk_str magic = SK_STR_INIT("SKPLACE1");
enum { SUM_BYTES = 8, FLAG_UNRESOLVED = 1 };

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static sk_err put(struct sk_buf *out, uint64_t value, int bytes) {
    char text[8];
    for (int i = 0; i < bytes; i++) text[i] = (char)(value >> 8 * (bytes - 1 - i));
    return sk_buf_append(out, sk_str_make(text, (size_t)bytes));
}

static sk_err put_text(struct sk_buf *out, sk_str text, int length_bytes) {
    sk_err err = put(out, text.len, length_bytes);
    return err ? err : sk_buf_append(out, text);
}

static sk_err put_publisher(struct sk_buf *out, const struct fleet_bus_heard *heard) {
    const uint64_t numbers[] = {heard->mark.epoch, heard->mark.sequence, heard->serial, heard->heard};
    sk_err err = put_text(out, sk_str_make(heard->publisher, heard->publisher_bytes), 2);
    for (size_t i = 0; i < SK_COUNT(numbers) && !err; i++) err = put(out, numbers[i], 8);
    return err ? err : put(out, heard->ended, 1);
}

static sk_err put_head(struct sk_buf *out, const struct fleet_bus_place *place) {
    const struct fleet_bus_follow *follow = &place->follow;
    sk_err err = sk_buf_append(out, magic);
    if (!err) err = put(out, place->tick, 8);
    if (!err) err = put(out, place->unresolved ? FLAG_UNRESOLVED : 0, 1);
    if (!err) err = put(out, (uint64_t)place->heard_ns, 8);
    if (!err) err = put_text(out, sk_str_slice(place->boot, 0, FLEET_BUS_BOOT_MAX), 1);
    if (!err) err = put_text(out, sk_str_make(follow->server, follow->server_bytes), 1);
    if (!err) err = put(out, follow->read.ms, 8);
    if (!err) err = put(out, follow->read.number, 8);
    return err ? err : put(out, follow->count, 1);
}

sk_err fleet_bus_place_write(const struct fleet_bus_place *place, struct sk_buf *out) {
    const struct fleet_bus_follow *follow = &place->follow;
    size_t begin = sk_buf_len(out);
    if (follow->again || !follow->server_bytes || place->heard_ns < 0) return SK_ERR_INVALID;
    sk_err err = put_head(out, place);
    for (uint32_t i = 0; i < follow->count && !err; i++) err = put_publisher(out, &follow->publishers[i]);
    if (err) return err;
    sk_str all = sk_str_slice(sk_buf_str(out), begin, sk_buf_len(out));
    return put(out, sk_hash64(all.data, all.len), SUM_BYTES);
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

/* What is left; NULL: there was not enough. */
struct reader {
    const char *at, *end;
};

static uint64_t get(struct reader *reader, size_t bytes) {
    uint64_t value = 0;
    if (!reader->at || (size_t)(reader->end - reader->at) < bytes) {
        reader->at = NULL;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++) value = value << 8 | (unsigned char)*reader->at++;
    return value;
}

static sk_str get_text(struct reader *reader, size_t length_bytes, size_t most) {
    size_t len = get(reader, length_bytes);
    if (!reader->at || len > most || (size_t)(reader->end - reader->at) < len) {
        reader->at = NULL;
        return (sk_str){0};
    }
    sk_str text = sk_str_make(reader->at, len);
    reader->at += len;
    return text;
}

static void get_publisher(struct reader *reader, struct fleet_bus_heard *heard) {
    sk_str name = get_text(reader, 2, FLEET_BUS_PUBLISHER_MAX);
    if (name.len) memcpy(heard->publisher, name.data, name.len);
    heard->publisher_bytes = name.len;
    heard->mark.epoch = get(reader, 8);
    heard->mark.sequence = get(reader, 8);
    heard->serial = get(reader, 8);
    heard->heard = get(reader, 8);
    heard->ended = get(reader, 1) != 0;
}

static void get_follow(struct reader *reader, struct fleet_bus_follow *follow) {
    sk_str server = get_text(reader, 1, FLEET_BUS_SERVER_MAX);
    if (server.len) memcpy(follow->server, server.data, server.len);
    follow->server_bytes = server.len;
    follow->read.ms = get(reader, 8);
    follow->read.number = get(reader, 8);
    follow->count = (uint32_t)get(reader, 1);
    follow->heard = 1;
    if (follow->count > FLEET_BUS_PUBLISHERS_MAX) reader->at = NULL;
    for (uint32_t i = 0; reader->at && i < follow->count; i++) {
        get_publisher(reader, &follow->publishers[i]);
        follow->heard = SK_MAX(follow->heard, follow->publishers[i].heard);
    }
}

sk_err fleet_bus_place_read(sk_str bytes, struct fleet_bus_place *out_place) {
    if (bytes.len < magic.len + SUM_BYTES || bytes.len > FLEET_BUS_PLACE_MAX_BYTES ||
        !sk_str_starts_with(bytes, magic))
        return SK_ERR_MALFORMED;
    const char *end = bytes.data + bytes.len - SUM_BYTES;
    struct reader reader = {bytes.data + magic.len, end}, sum = {end, bytes.data + bytes.len};
    if (get(&sum, SUM_BYTES) != sk_hash64(bytes.data, bytes.len - SUM_BYTES)) return SK_ERR_MALFORMED;
    struct fleet_bus_place place = {.tick = get(&reader, 8)};
    place.unresolved = get(&reader, 1) & FLAG_UNRESOLVED;
    uint64_t heard = get(&reader, 8);
    place.heard_ns = (int64_t)SK_MIN(heard, (uint64_t)INT64_MAX);
    place.boot = get_text(&reader, 1, FLEET_BUS_BOOT_MAX);
    get_follow(&reader, &place.follow);
    if (reader.at != end || !place.follow.server_bytes) return SK_ERR_MALFORMED;
    *out_place = place;
    return SK_OK;
}
