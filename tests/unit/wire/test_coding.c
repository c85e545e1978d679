/* Content codings there and back, through the libraries' own decoders. */
#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_getFrameHeader */
#include <zstd.h>

#include "unit.h"
#include "wire/coding.h"

#define MOST (300 * 1024)

static const enum http_coding codings[] = {HTTP_CODING_BR, HTTP_CODING_GZIP, HTTP_CODING_ZSTD};
static char content[MOST], coded[2 * MOST], back[MOST + 1];

/* Text that compresses, so that levels and windows have something to do. */
static void make_content(void) {
    uint32_t state = 1;
    for (size_t i = 0; i < MOST; i++) {
        state = state * 1664525 + 1013904223;
        content[i] = i > 1000 && state >> 30 ? content[i - 997] : (char)('a' + (state >> 20) % 26);
    }
}

static size_t decode(enum http_coding coding, size_t bytes) {
    size_t length = sizeof back;
    if (coding == HTTP_CODING_BR) {
        assert_int_equal(BrotliDecoderDecompress(bytes, (uint8_t *)coded, &length, (uint8_t *)back),
                         BROTLI_DECODER_RESULT_SUCCESS);
    } else if (coding == HTTP_CODING_ZSTD) {
        length = ZSTD_decompress(back, sizeof back, coded, bytes);
        assert_false(ZSTD_isError(length));
    } else {
        z_stream gzip = {.next_in = (Bytef *)coded,
                         .avail_in = (uInt)bytes,
                         .next_out = (Bytef *)back,
                         .avail_out = sizeof back};
        assert_int_equal(inflateInit2(&gzip, 15 + 16), Z_OK);
        assert_int_equal(inflate(&gzip, Z_FINISH), Z_STREAM_END);
        length = gzip.total_out;
        inflateEnd(&gzip);
    }
    return length;
}

/* One goal, with ROOM bytes at a time. */
static size_t run(struct wire_coder *coder, enum wire_coder_goal goal, sk_str input, size_t room, size_t at) {
    for (bool done = false; !done;) {
        size_t written = 0;
        assert_true(at + room <= sizeof coded);
        assert_ok(wire_coder_run(coder, goal, &input, coded + at, room, &written, &done));
        assert_true(written <= room);
        at += written;
    }
    assert_int_equal(input.len, 0);
    return at;
}

static size_t code(enum http_coding coding, int level, size_t length, size_t slice, size_t room, bool known) {
    struct wire_coder *coder;
    size_t at = 0;
    assert_ok(wire_coder_create(coding, level, known ? length : WIRE_CODER_SIZE_UNKNOWN, &coder));
    for (size_t from = 0; from < length; from += slice)
        at = run(coder, WIRE_CODER_TAKE, sk_str_make(content + from, SK_MIN(slice, length - from)), room, at);
    at = run(coder, WIRE_CODER_FINISH, (sk_str){"", 0}, room, at);
    wire_coder_free(coder);
    return at;
}

static void content_comes_back(void **state) {
    static const size_t lengths[] = {0, 1, 1000, 65536, MOST};
    static const size_t slices[] = {7, 32768, MOST}, rooms[] = {1, 100, 65536};
    for (size_t c = 0; c < SK_COUNT(codings); c++)
        for (size_t l = 0; l < SK_COUNT(lengths); l++)
            for (size_t s = 0; s < SK_COUNT(slices); s++) {
                if (lengths[l] == MOST && slices[s] == 7) continue; /* takes long and shows nothing more */
                size_t bytes = code(codings[c], 3, lengths[l], slices[s], rooms[s], s % 2);
                assert_int_equal(decode(codings[c], bytes), lengths[l]);
                assert_memory_equal(back, content, lengths[l]);
            }
    (void)state;
}

static void every_level_works_and_the_last_is_smaller_than_the_first(void **state) {
    for (size_t c = 0; c < SK_COUNT(codings); c++) {
        size_t first = 0, last = 0;
        for (int level = 1; level <= WIRE_CODER_LEVEL_MAX; level++) {
            last = code(codings[c], level, MOST, 32768, 4096, true);
            assert_int_equal(decode(codings[c], last), MOST);
            assert_memory_equal(back, content, MOST);
            if (level == 1) first = last;
        }
        assert_true(last < first && first < MOST);
    }
    (void)state;
}

/* What was flushed can be decoded without what follows: a client that follows a slow origin sees it at once. */
static void what_was_flushed_can_be_read(void **state) {
    for (size_t c = 0; c < SK_COUNT(codings); c++) {
        struct wire_coder *coder;
        assert_ok(wire_coder_create(codings[c], 3, WIRE_CODER_SIZE_UNKNOWN, &coder));
        size_t bytes = run(coder, WIRE_CODER_FLUSH, sk_str_make(content, 5000), 333, 0);
        size_t again = run(coder, WIRE_CODER_FLUSH, (sk_str){"", 0}, 333, bytes);
        assert_true(again - bytes < 64);
        if (codings[c] == HTTP_CODING_GZIP) {
            z_stream gzip = {.next_in = (Bytef *)coded,
                             .avail_in = (uInt)bytes,
                             .next_out = (Bytef *)back,
                             .avail_out = sizeof back};
            assert_int_equal(inflateInit2(&gzip, 15 + 16), Z_OK);
            assert_int_equal(inflate(&gzip, Z_SYNC_FLUSH), Z_OK);
            assert_int_equal(gzip.total_out, 5000);
            inflateEnd(&gzip);
        } else if (codings[c] == HTTP_CODING_BR) {
            BrotliDecoderState *br = BrotliDecoderCreateInstance(NULL, NULL, NULL);
            const uint8_t *in = (uint8_t *)coded;
            uint8_t *out = (uint8_t *)back;
            size_t in_bytes = bytes, out_bytes = sizeof back, total = 0;
            assert_int_equal(BrotliDecoderDecompressStream(br, &in_bytes, &in, &out_bytes, &out, &total),
                             BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT);
            assert_int_equal(total, 5000);
            BrotliDecoderDestroyInstance(br);
        } else {
            ZSTD_DCtx *zstd = ZSTD_createDCtx();
            ZSTD_inBuffer in = {coded, bytes, 0};
            ZSTD_outBuffer out = {back, sizeof back, 0};
            assert_false(ZSTD_isError(ZSTD_decompressStream(zstd, &out, &in)));
            assert_int_equal(out.pos, 5000);
            ZSTD_freeDCtx(zstd);
        }
        assert_memory_equal(back, content, 5000);
        wire_coder_free(coder);
    }
    (void)state;
}

static void a_coder_may_be_left_at_any_time(void **state) {
    for (size_t c = 0; c < SK_COUNT(codings); c++) {
        struct wire_coder *coder;
        assert_ok(wire_coder_create(codings[c], 9, WIRE_CODER_SIZE_UNKNOWN, &coder));
        wire_coder_free(coder);
        assert_ok(wire_coder_create(codings[c], 1, 10000, &coder));
        run(coder, WIRE_CODER_TAKE, sk_str_make(content, 5000), 100, 0);
        wire_coder_free(coder);
    }
    wire_coder_free(NULL);
    (void)state;
}

static void fewer_bytes_than_announced_are_an_error_where_the_format_says_how_many(void **state) {
    struct wire_coder *coder;
    sk_str input = {content, 50};
    size_t written;
    bool done;
    assert_ok(wire_coder_create(HTTP_CODING_ZSTD, 3, 100, &coder));
    assert_ok(wire_coder_run(coder, WIRE_CODER_TAKE, &input, coded, sizeof coded, &written, &done));
    assert_err(wire_coder_run(coder, WIRE_CODER_FINISH, &input, coded, sizeof coded, &written, &done),
               SK_ERR_INVALID);
    wire_coder_free(coder);
    (void)state;
}

static void other_codings_are_not_made(void **state) {
    struct wire_coder *coder;
    assert_err(wire_coder_create(HTTP_CODING_IDENTITY, 3, 100, &coder), SK_ERR_UNSUPPORTED);
    assert_err(wire_coder_create(HTTP_CODING_DCB, 3, 100, &coder), SK_ERR_UNSUPPORTED);
    (void)state;
}

/* RFC 9659: a client refuses a zstd window over 8 MiB. */
static void rfc9659_3_the_window_of_zstd_is_within_8_mib(void **state) {
    static const uint64_t sizes[] = {100, 1 << 20, UINT64_C(1) << 40, WIRE_CODER_SIZE_UNKNOWN};
    for (size_t i = 0; i < SK_COUNT(sizes); i++) {
        struct wire_coder *coder;
        size_t written;
        bool done;
        sk_str input = {content, 100};
        assert_ok(wire_coder_create(HTTP_CODING_ZSTD, 9, sizes[i], &coder));
        assert_ok(wire_coder_run(coder, WIRE_CODER_FLUSH, &input, coded, sizeof coded, &written, &done));
        assert_true(written >= 6);
        /* RFC 8878 3.1.1.1: descriptor, then the window's descriptor unless the segment is single */
        bool single = coded[4] & 0x20;
        unsigned exponent = (unsigned char)coded[5] >> 3, mantissa = (unsigned char)coded[5] & 7;
        uint64_t base = UINT64_C(1) << (10 + exponent), window = base + base / 8 * mantissa;
        assert_true(single ? sizes[i] <= 8 << 20 : window <= 8 << 20);
        wire_coder_free(coder);
    }
    (void)state;
}

/* ---- RFC 9842 ------------------------------------------------------------------------------------------------ */

static void make_dictionary(struct wire_dictionary *dictionary, size_t bytes) {
    dictionary->content = sk_str_make(content, bytes);
    for (size_t i = 0; i < sizeof dictionary->hash; i++) dictionary->hash[i] = (uint8_t)(i * 7);
}

static size_t code_with(enum http_coding coding, int level, sk_str input, size_t room,
                        const struct wire_dictionary *dictionary) {
    struct wire_coder *coder;
    assert_ok(wire_coder_create_with(coding, level, input.len, dictionary, &coder));
    size_t at = run(coder, WIRE_CODER_TAKE, input, room, 0);
    at = run(coder, WIRE_CODER_FINISH, (sk_str){"", 0}, room, at);
    wire_coder_free(coder);
    return at;
}

static size_t decode_dcb(size_t bytes, sk_str dictionary) {
    BrotliDecoderState *br = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    const uint8_t *in = (uint8_t *)coded + 36;
    uint8_t *out = (uint8_t *)back;
    size_t in_bytes = bytes - 36, out_bytes = sizeof back, total = 0;
    assert_true(BrotliDecoderAttachDictionary(br, BROTLI_SHARED_DICTIONARY_RAW, dictionary.len,
                                              (const uint8_t *)dictionary.data));
    assert_int_equal(BrotliDecoderDecompressStream(br, &in_bytes, &in, &out_bytes, &out, &total),
                     BROTLI_DECODER_RESULT_SUCCESS);
    BrotliDecoderDestroyInstance(br);
    return total;
}

/* The whole of it is a stream of Zstandard, for its beginning is a frame that decoders skip. */
static size_t decode_dcz(size_t bytes, sk_str dictionary) {
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    assert_false(ZSTD_isError(ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, 23)));
    size_t length =
        ZSTD_decompress_usingDict(zstd, back, sizeof back, coded, bytes, dictionary.data, dictionary.len);
    assert_false(ZSTD_isError(length));
    ZSTD_freeDCtx(zstd);
    return length;
}

/* RFC 9842 4 and 5: magic number, the hash, then a stream that the dictionary makes short. */
static void a_dictionary_makes_it_shorter(void **state) {
    static const size_t rooms[] = {1, 39, 65536};
    struct wire_dictionary dictionary;
    sk_str input = sk_str_make(content + 1000, 100000);
    make_dictionary(&dictionary, 120000);
    for (int level = 1; level <= WIRE_CODER_LEVEL_MAX; level++)
        for (size_t r = 0; r < SK_COUNT(rooms); r++) {
            size_t plain = code(HTTP_CODING_BR, level, 100000, 32768, 4096, true);
            size_t bytes = code_with(HTTP_CODING_DCB, level, input, rooms[r], &dictionary);
            assert_memory_equal(coded, "\xff\x44\x43\x42", 4);
            assert_memory_equal(coded + 4, dictionary.hash, 32);
            assert_int_equal(decode_dcb(bytes, dictionary.content), input.len);
            assert_memory_equal(back, input.data, input.len);
            if (level >= 5) assert_true(bytes < plain / 10);
            bytes = code_with(HTTP_CODING_DCZ, level, input, rooms[r], &dictionary);
            assert_memory_equal(coded, "\x5e\x2a\x4d\x18\x20\x00\x00\x00", 8);
            assert_memory_equal(coded + 8, dictionary.hash, 32);
            assert_int_equal(decode_dcz(bytes, dictionary.content), input.len);
            assert_memory_equal(back, input.data, input.len);
            assert_true(bytes < plain / 10);
        }
    (void)state;
}

/* RFC 9842 4: at most 16 MB; 5: at most 8 MB. The window stands in the stream's first bytes. */
static void windows_stay_within_what_clients_take(void **state) {
    struct wire_dictionary dictionary;
    struct wire_coder *coder;
    const uint64_t sizes[] = {1000, 20u << 20, UINT64_C(1) << 40, WIRE_CODER_SIZE_UNKNOWN};
    make_dictionary(&dictionary, 200000);
    for (size_t i = 0; i < SK_COUNT(sizes); i++) {
        assert_ok(wire_coder_create_with(HTTP_CODING_DCZ, 3, sizes[i], &dictionary, &coder));
        size_t bytes = run(coder, WIRE_CODER_FLUSH, sk_str_make(content, 500), 65536, 0);
        wire_coder_free(coder);
        ZSTD_frameHeader header;
        assert_int_equal(ZSTD_getFrameHeader(&header, coded + 40, bytes - 40), 0);
        assert_true(header.windowSize <= 8u << 20);
        assert_ok(wire_coder_create_with(HTTP_CODING_DCB, 3, sizes[i], &dictionary, &coder));
        bytes = run(coder, WIRE_CODER_FLUSH, sk_str_make(content, 500), 65536, 0);
        wire_coder_free(coder);
        assert_true(bytes > 36 && (uint8_t)coded[36] != 0x11); /* RFC 7932 9.1: 0x11 begins a large window */
    }
    (void)state;
}

static void other_codings_have_no_dictionary(void **state) {
    struct wire_dictionary dictionary;
    struct wire_coder *coder;
    make_dictionary(&dictionary, 100);
    assert_int_equal(wire_coder_create_with(HTTP_CODING_GZIP, 3, 5, &dictionary, &coder), SK_ERR_UNSUPPORTED);
    assert_int_equal(wire_coder_create(HTTP_CODING_DCB, 3, 5, &coder), SK_ERR_UNSUPPORTED);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_comes_back),
        cmocka_unit_test(every_level_works_and_the_last_is_smaller_than_the_first),
        cmocka_unit_test(what_was_flushed_can_be_read),
        cmocka_unit_test(a_coder_may_be_left_at_any_time),
        cmocka_unit_test(fewer_bytes_than_announced_are_an_error_where_the_format_says_how_many),
        cmocka_unit_test(other_codings_are_not_made),
        cmocka_unit_test(rfc9659_3_the_window_of_zstd_is_within_8_mib),
        cmocka_unit_test(a_dictionary_makes_it_shorter),
        cmocka_unit_test(windows_stay_within_what_clients_take),
        cmocka_unit_test(other_codings_have_no_dictionary),
    };
    make_content();
    return SK_RUN_TESTS(tests);
}
