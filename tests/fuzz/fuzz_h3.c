/* Any bytes as what a client's QUIC streams bring, over a QUIC that is made up here and keeps the rules of the real
 * one: data in order, nothing after a stream's end, resets from both sides, acknowledgements in any portions, windows
 * that close. In front of the fake edge: see fuzz_streams.h. What is given back to a window was received. */
#include "fuzz_streams.h"
#include "wire/h3.h"
#include "wire/h3_internal.h"

static_assert(WIRE_QUIC_STREAMS == STREAMS && WIRE_QUIC_STREAM_WINDOW == STREAM_WINDOW);

#define BIDI 24 /* request streams in play */
#define PLACES 40
#define FIRST_LOCAL 32 /* places of ours: ids 3, 7, 11 */

/* One stream of the made-up QUIC. */
struct lane {
    bool over, ended, deaf; /* ended: the client's side; deaf: we asked it to stop */
    bool shut, said_all, blocked;
    void *user;
    uint64_t received, given, sent, acked, error;
};
static struct {
    struct lane lanes[PLACES];
    uint64_t received, given;
    unsigned local;
    bool closed;
} quic;

static int64_t id_at(unsigned place) {
    if (place < BIDI) return (int64_t)place * 4;
    if (place < FIRST_LOCAL) return (int64_t)(place - BIDI) * 4 + 2;
    return (int64_t)(place - FIRST_LOCAL) * 4 + 3;
}

static struct lane *lane_of(int64_t id) {
    for (unsigned i = 0; i < PLACES; i++)
        if (id_at(i) == id && !quic.lanes[i].over) return &quic.lanes[i];
    return NULL;
}

/* --- what wire/h3 asks of QUIC ---------------------------------------------------------------------------- */

ngtcp2_conn *quic_conn(struct wire_quic *unused) { return NULL; }

void wire_quic_close(struct wire_quic *unused, uint64_t error) { quic.closed = true; }

void *ngtcp2_conn_get_stream_user_data(ngtcp2_conn *conn, int64_t id) {
    struct lane *lane = lane_of(id);
    return lane ? lane->user : NULL;
}

int ngtcp2_conn_set_stream_user_data(ngtcp2_conn *conn, int64_t id, void *user) {
    struct lane *lane = lane_of(id);
    if (!lane) return NGTCP2_ERR_STREAM_NOT_FOUND;
    lane->user = user;
    return 0;
}

int ngtcp2_conn_open_uni_stream(ngtcp2_conn *conn, int64_t *out_id, void *user) {
    *out_id = id_at(FIRST_LOCAL + quic.local++);
    return 0;
}

int ngtcp2_conn_shutdown_stream_read(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t error) {
    struct lane *lane = lane_of(id);
    if (!lane) return 0;
    lane->deaf = true;
    return 0;
}

int ngtcp2_conn_shutdown_stream_write(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t error) {
    struct lane *lane = lane_of(id);
    if (!lane || lane->said_all) return 0;
    lane->shut = true;
    lane->error = error;
    return 0;
}

int ngtcp2_conn_shutdown_stream(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t error) {
    (void)ngtcp2_conn_shutdown_stream_read(conn, flags, id, error);
    return ngtcp2_conn_shutdown_stream_write(conn, flags, id, error);
}

int ngtcp2_conn_extend_max_stream_offset(ngtcp2_conn *conn, int64_t id, uint64_t bytes) {
    struct lane *lane = lane_of(id);
    if (!lane) return NGTCP2_ERR_STREAM_NOT_FOUND;
    lane->given += bytes;
    MUST(lane->given <= lane->received);
    return 0;
}

void ngtcp2_conn_extend_max_offset(ngtcp2_conn *conn, uint64_t bytes) {
    quic.given += bytes;
    MUST(quic.given <= quic.received);
}

/* --- what QUIC tells -------------------------------------------------------------------------------------- */

static sk_err receive(struct wire_h3 *h3, unsigned place, const uint8_t *data, size_t bytes, bool fin,
                      sk_time_ns now) {
    struct lane *lane = &quic.lanes[place];
    uint64_t error = 0;
    if (lane->over || lane->ended || lane->received - lane->given + bytes > STREAM_WINDOW) return SK_OK;
    lane->ended = fin;
    if (lane->deaf) return SK_OK;
    lane->received += bytes;
    quic.received += bytes;
    char *piece = exact_copy(data, bytes);
    sk_err err = wire_h3_app.received(h3, id_at(place), (sk_str){piece, bytes}, fin, now, &error);
    free(piece);
    MUST(!err || error);
    return err;
}

static sk_err acknowledge(struct wire_h3 *h3, struct lane *lane, int64_t id, uint64_t most) {
    uint64_t bytes = SK_MIN(most, lane->sent - lane->acked), error = 0;
    if (lane->over || !bytes) return SK_OK;
    lane->acked += bytes;
    return wire_h3_app.acknowledged(h3, id, bytes, &error);
}

static sk_err reset(struct wire_h3 *h3, struct lane *lane, int64_t id, bool by_sender) {
    uint64_t error = 0;
    if (lane->over || (by_sender ? lane->ended : lane->shut || (id & 2))) return SK_OK;
    if (by_sender) lane->ended = true;
    sk_err err = wire_h3_app.stream_reset(h3, id, by_sender, &error);
    if (!by_sender && !lane->said_all) lane->shut = true;
    return err;
}

/* Those on which neither side has anything to say any more. */
static sk_err close_lanes(struct wire_h3 *h3) {
    sk_err err = SK_OK;
    for (unsigned i = 0; i < FIRST_LOCAL && !err; i++) {
        struct lane *lane = &quic.lanes[i];
        bool said = lane->shut || (lane->said_all && lane->acked == lane->sent) || i >= BIDI;
        uint64_t error = 0;
        if (lane->over || !lane->ended || !said) continue;
        err = wire_h3_app.stream_over(h3, id_at(i), lane->shut ? lane->error : UINT64_MAX, &error);
        lane->over = true;
    }
    return err;
}

static sk_err fill(struct wire_h3 *h3, size_t room) {
    sk_err err = SK_OK;
    wire_h3_app.turn(h3);
    for (int i = 0; i < 64 && !err; i++) {
        ngtcp2_vec pieces[8];
        size_t count = SK_COUNT(pieces), bytes = 0;
        int64_t id = -1;
        bool fin = false;
        uint64_t error = 0;
        err = wire_h3_app.next(h3, pieces, &count, &id, &fin, &error);
        if (err || id < 0) return err;
        for (size_t k = 0; k < count; k++) bytes += pieces[k].len;
        struct lane *lane = lane_of(id);
        if (!lane || lane->shut) {
            wire_h3_app.shut(h3, id);
        } else if (bytes && !room) {
            lane->blocked = true;
            wire_h3_app.blocked(h3, id);
        } else {
            size_t taken = SK_MIN(bytes, room);
            room -= taken;
            lane->sent += taken;
            lane->said_all = fin && taken == bytes;
            wire_h3_app.wrote(h3, id, taken, lane->said_all);
        }
    }
    return err;
}

/* --- the edge's side -------------------------------------------------------------------------------------- */

static void answer(struct wire_h3 *h3, struct stream *stream) {
    static const sk_str heads[] = {SK_STR_INIT("Server: x\r\nConnection: close\r\nX: y\r\n"),
                                   SK_STR_INIT("")};
    if (stream->wire.id % 28 == 12 && wire_h3_inform(h3, &stream->wire, 103, NULL) != SK_OK) return;
    if (stream->wire.id % 44 == 20)
        wire_h3_reset(h3, &stream->wire);
    else if (wire_h3_respond(h3, &stream->wire, 200, heads, 2, UINT64_MAX, stream->wire.id % 20 != 4) ==
             SK_OK)
        wire_h3_pull(h3, &stream->wire);
}

static void serve(struct wire_h3 *h3, struct owner *owner) {
    for (struct stream *stream = owner->streams; stream; stream = stream->next) {
        if (stream->closed || stream->wire.reset) continue;
        if (stream->kept) wire_h3_consumed(h3, &stream->wire, stream->kept);
        stream->kept = 0;
        if (stream->begun && !stream->wire.answering) answer(h3, stream);
    }
}

static void unblock(struct wire_h3 *h3) {
    for (unsigned i = 0; i < PLACES; i++) {
        if (!quic.lanes[i].blocked || quic.lanes[i].over) continue;
        quic.lanes[i].blocked = false;
        wire_h3_app.unblocked(h3, id_at(i));
    }
}

/* --- the script ------------------------------------------------------------------------------------------- */

/* Two bytes say what happens to which stream; with data, a third says how much of the rest it is. */
static sk_err step(struct wire_h3 *h3, struct owner *owner, const uint8_t **data, const uint8_t *end,
                   sk_time_ns now) {
    unsigned what = *(*data)++ % 8, place = *(*data)++ % FIRST_LOCAL;
    switch (what) {
    case 0:
    case 1: {
        size_t bytes = *data < end ? *(*data)++ : 0;
        bytes = SK_MIN(bytes, (size_t)(end - *data));
        *data += bytes;
        return receive(h3, place, *data - bytes, bytes, what == 1, now);
    }
    case 2: return reset(h3, &quic.lanes[place], id_at(place), true);
    case 3: return reset(h3, &quic.lanes[place], id_at(place), false);
    case 4: return acknowledge(h3, &quic.lanes[place], id_at(place), 1 + (uint64_t)now % 5000);
    case 5: return fill(h3, (size_t)place * 700);
    case 6: unblock(h3); return SK_OK;
    default: serve(h3, owner); return SK_OK;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const struct wire_head_limits limits = {HEAD_BYTES, FIELDS, TARGET_BYTES};
    const uint8_t *end = data + bytes;
    struct owner owner = {0};
    struct wire_h3_room room;
    struct wire_h3 *h3;
    uint64_t error = 0;
    memset(&quic, 0, sizeof quic);
    wire_h3_room_init(&room);
    MUST(wire_h3_create(&events, &owner, &limits, &room, &h3) == SK_OK);
    wire_h3_attach(h3, (struct wire_quic *)(void *)&quic);
    sk_err err = wire_h3_app.ready(h3, &error);
    MUST(!err);
    for (sk_time_ns now = 1; end - data >= 2 && !err && !quic.closed; now++) {
        err = step(h3, &owner, &data, end, now);
        if (!err) err = close_lanes(h3);
    }
    wire_h3_goaway(h3, true);
    if (!err) err = fill(h3, 1 << 20);
    (void)!err; /* the connection's end */
    wire_h3_free(h3);
    wire_h3_room_free(&room);
    drop_streams(&owner);
    return 0;
}
