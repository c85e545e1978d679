/* What an application of QUIC is told of what went out, over a library that is made up here. */
#include "unit.h"
#include "wire/quic_internal.h"

#define NO_ROOM (-1)
#define QUESTION_BYTES 1200

/* The library: what the next packet takes, and whether a stream's end was in one. ASKS: the next packet is a question to
 * the address that the client has left. */
static struct {
    int room;
    size_t sent;
    bool ended, asks;
} library;
static const ngtcp2_path here = {.remote.addrlen = 1}, elsewhere = {.remote.addrlen = 2};

/* The application: one stream with content, which then ends. As nghttp3 does, it counts a stream as ended once all of
 * its content is told as written. */
static struct {
    char content[1000];
    size_t bytes, written;
    bool over, end_told;
} application;

static struct wire_quic quic;

/* --- the library ------------------------------------------------------------------------------------------ */

int quic_app_verdict(struct wire_quic *unused, sk_err err, uint64_t error) {
    return err ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
}

uint64_t ngtcp2_conn_get_max_data_left(ngtcp2_conn *conn) { return 1000; }

ngtcp2_ssize ngtcp2_conn_writev_stream_versioned(ngtcp2_conn *conn, ngtcp2_path *path, int info_version,
                                                 ngtcp2_pkt_info *info, uint8_t *out, size_t room,
                                                 ngtcp2_ssize *out_taken, uint32_t flags, int64_t stream,
                                                 const ngtcp2_vec *pieces, size_t count, ngtcp2_tstamp now) {
    size_t offered = 0;
    *out_taken = -1;
    *path = library.asks ? elsewhere : here;
    if (library.asks) {
        library.asks = false;
        return QUESTION_BYTES;
    }
    if (stream < 0 || library.room == NO_ROOM) return 0;
    for (size_t i = 0; i < count; i++) offered += pieces[i].len;
    if (offered && !library.room) return 0;
    size_t taken = SK_MIN(offered, (size_t)library.room);
    library.room -= (int)taken;
    library.sent += taken;
    library.ended = (flags & NGTCP2_WRITE_STREAM_FLAG_FIN) && taken == offered;
    *out_taken = (ngtcp2_ssize)taken;
    return NGTCP2_ERR_WRITE_MORE;
}

ngtcp2_ssize ngtcp2_conn_write_aggregate_pkt_versioned(ngtcp2_conn *conn, ngtcp2_path *path, int info_version,
                                                       ngtcp2_pkt_info *info, uint8_t *out, size_t room,
                                                       size_t *out_segment, ngtcp2_write_pkt write,
                                                       ngtcp2_tstamp now) {
    ngtcp2_ssize bytes = write(conn, path, info, out, room, now, &quic);
    ngtcp2_path ignored;
    return bytes > 0 ? bytes + write(conn, &ignored, info, out, room, now, &quic) : bytes;
}

const ngtcp2_path *ngtcp2_conn_get_path(ngtcp2_conn *conn) { return &here; }

int ngtcp2_path_eq(const ngtcp2_path *a, const ngtcp2_path *b) {
    return a->remote.addrlen == b->remote.addrlen;
}

/* --- the application -------------------------------------------------------------------------------------- */

static sk_err next(void *app, ngtcp2_vec *vector, size_t *out_count, int64_t *out_stream, bool *out_fin,
                   uint64_t *out_error) {
    size_t left = application.bytes - application.written;
    *out_count = left > 0;
    *out_stream = -1;
    if (application.over) return SK_OK;
    vector[0] = (ngtcp2_vec){(uint8_t *)application.content + application.written, left};
    *out_stream = 0;
    *out_fin = true;
    return SK_OK;
}

static void wrote(void *app, int64_t stream, size_t bytes, bool fin) {
    application.written += bytes;
    application.over = application.written == application.bytes;
    application.end_told = fin;
}

static const struct wire_quic_app app = {.next = next, .wrote = wrote};

static ngtcp2_ssize write_train(int room) {
    uint8_t out[1200];
    size_t segment;
    ngtcp2_path path;
    library.room = room;
    ngtcp2_ssize bytes = quic_write_train(&quic, &path, NULL, out, sizeof out, &segment, 1);
    assert_true(bytes >= 0);
    return bytes;
}

static void begin(size_t bytes) {
    quic = (struct wire_quic){.handshaken = true, .app = &app, .offer = {.stream = -1}};
    memset(&library, 0, sizeof library);
    memset(&application, 0, sizeof application);
    application.bytes = bytes;
}

static void an_end_counts_as_sent_when_a_packet_has_it(void **state) {
    static const struct {
        const char *what;
        size_t bytes;
        int rooms[4]; /* of the packets, one after the other */
    } cases[] = {
        {"an end alone", 0, {0}},
        {"an end alone that has to wait", 0, {NO_ROOM, NO_ROOM, 0}},
        {"content and end", 500, {1000}},
        {"content in pieces", 500, {200, NO_ROOM, 200, 100}},
        {"content that has to wait", 500, {NO_ROOM, 0, 500}},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        begin(cases[i].bytes);
        for (size_t k = 0; k < SK_COUNT(cases[i].rooms); k++) {
            write_train(cases[i].rooms[k]);
            if (application.over != library.ended || application.written != library.sent)
                fail_msg("%s: told of %zu bytes%s, sent %zu%s", cases[i].what, application.written,
                         application.over ? " and the end" : "", library.sent,
                         library.ended ? " and the end" : "");
        }
        if (!application.over || !application.end_told) fail_msg("%s: it never ends", cases[i].what);
    }
}

/* RFC 9000 section 9.3.3: after a move the address before is asked too. */
static void nothing_follows_a_question_to_the_address_that_was_left(void **state) {
    begin(500);
    library.asks = true;
    assert_int_equal(write_train(500), QUESTION_BYTES);
    assert_int_equal(library.sent, 0);
    write_train(500);
    assert_int_equal(library.sent, 500);
    assert_true(application.over && library.ended);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_counts_as_sent_when_a_packet_has_it),
        cmocka_unit_test(nothing_follows_a_question_to_the_address_that_was_left),
    };
    return SK_RUN_TESTS(tests);
}
