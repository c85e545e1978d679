/* Any bytes as a client's side of an HTTP/2 connection, in front of a fake edge: every stream that opens is closed
 * once, memory is bounded by what windows and limits say, what is told as a good request is one, and the end comes. */
#include "fuzz_streams.h"
#include "wire/h2.h"

static_assert(WIRE_H2_STREAMS == STREAMS && WIRE_H2_STREAM_WINDOW == STREAM_WINDOW);

/* Answers what has begun, in the ways an edge has, and gives content back to the client's window. */
static void serve(struct wire_h2 *h2, struct owner *owner, uint32_t turn) {
    static const sk_str heads[] = {SK_STR_INIT("Server: x\r\nConnection: close\r\nX: y\r\n"),
                                   SK_STR_INIT("")};
    for (struct stream *stream = owner->streams; stream; stream = stream->next) {
        if (stream->closed) continue;
        if (stream->kept && turn % 2) {
            wire_h2_consumed(h2, &stream->wire, stream->kept);
            stream->kept = 0;
        }
        if (!stream->begun || stream->wire.answering) continue;
        if (stream->wire.id % 7 == 3 && wire_h2_inform(h2, &stream->wire, 103, NULL) != SK_OK) continue;
        if (stream->wire.id % 11 == 5)
            wire_h2_reset(h2, &stream->wire);
        else
            (void)!wire_h2_respond(h2, &stream->wire, 200, heads, 2, UINT64_MAX, stream->wire.id % 5 != 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const struct wire_head_limits limits = {HEAD_BYTES, FIELDS, TARGET_BYTES};
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    struct owner owner = {0};
    struct wire_h2 *h2;
    struct sk_buf out;
    sk_buf_init(&out, 0);
    MUST(wire_h2_create(&events, &owner, &limits, SK_STR("https"), &h2) == SK_OK);
    sk_err err = wire_h2_receive(h2, (sk_str){preface, sizeof preface}, 1);
    size_t step = 1 + cut_of(data, SK_MIN(bytes, (size_t)500));
    for (size_t at = 0, turn = 0; at < bytes && !err; at += step, turn++) {
        size_t n = SK_MIN(step, bytes - at);
        char *piece = exact_copy(data + at, n);
        err = wire_h2_receive(h2, (sk_str){piece, n}, (sk_time_ns)turn * SK_NS_PER_MS);
        free(piece);
        serve(h2, &owner, (uint32_t)turn);
        MUST(wire_h2_fill(h2, &out, 1 << 20) != SK_ERR_NO_MEMORY);
        sk_buf_clear(&out);
    }
    wire_h2_goaway(h2, true);
    MUST(wire_h2_fill(h2, &out, 1 << 20) != SK_ERR_NO_MEMORY);
    if (!owner.open) MUST(wire_h2_over(h2));
    sk_buf_free(&out);
    wire_h2_free(h2);
    drop_streams(&owner);
    return 0;
}
