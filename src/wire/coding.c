#define ZLIB_CONST
#include "wire/coding.h"

#include <brotli/encode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

/* RFC 9659 section 3: clients need not take a larger window of zstd. The same for the others. */
#define WINDOW_BITS_MAX 23
#define WINDOW_BITS_UNKNOWN 20

#define MAGIC_MAX_BYTES 8

struct wire_coder {
    enum http_coding coding;
    BrotliEncoderPreparedDictionary *prepared; /* dcb */
    char lead[MAGIC_MAX_BYTES + WIRE_DICTIONARY_HASH_BYTES];
    size_t lead_bytes, lead_given;
    union {
        z_stream gzip;
        BrotliEncoderState *br;
        ZSTD_CCtx *zstd;
    };
};

static const struct {
    uint8_t gzip, br, zstd;
} levels[WIRE_CODER_LEVEL_MAX] = {
    {1, 1, 1}, {2, 2, 2}, {3, 3, 3}, {4, 4, 4}, {5, 5, 5}, {6, 6, 8}, {7, 7, 12}, {9, 9, 16}, {9, 11, 19},
};

/* The smallest window that holds all of the content. */
static int window_bits(uint64_t size, int least, int most) {
    int bits = least;
    if (size == WIRE_CODER_SIZE_UNKNOWN) return SK_MAX(least, SK_MIN(most, WINDOW_BITS_UNKNOWN));
    while (bits < most && (UINT64_C(1) << bits) < size) bits++;
    return bits;
}

/* ---- beginning ------------------------------------------------------------------------------------------- */

static sk_err begin_gzip(struct wire_coder *coder, int level) {
    enum { WINDOW = 15, GZIP_FRAME = 16, MEMORY = 8 };
    int result =
        deflateInit2(&coder->gzip, level, Z_DEFLATED, WINDOW + GZIP_FRAME, MEMORY, Z_DEFAULT_STRATEGY);
    return result == Z_OK ? SK_OK : SK_ERR_NO_MEMORY;
}

static sk_err begin_br(struct wire_coder *coder, int level, uint64_t size) {
    coder->br = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    if (!coder->br) return SK_ERR_NO_MEMORY;
    uint32_t window = (uint32_t)window_bits(size, BROTLI_MIN_WINDOW_BITS + 6,
                                            SK_MIN(WINDOW_BITS_MAX, BROTLI_DEFAULT_WINDOW));
    bool good = BrotliEncoderSetParameter(coder->br, BROTLI_PARAM_QUALITY, (uint32_t)level) &&
                BrotliEncoderSetParameter(coder->br, BROTLI_PARAM_LGWIN, window);
    if (good && size < UINT32_MAX)
        good = BrotliEncoderSetParameter(coder->br, BROTLI_PARAM_SIZE_HINT, (uint32_t)size);
    return good ? SK_OK : SK_ERR_NO_MEMORY;
}

static sk_err begin_zstd(struct wire_coder *coder, int level, uint64_t size) {
    coder->zstd = ZSTD_createCCtx();
    if (!coder->zstd) return SK_ERR_NO_MEMORY;
    size_t result = ZSTD_CCtx_setParameter(coder->zstd, ZSTD_c_compressionLevel, level);
    if (!ZSTD_isError(result))
        result =
            ZSTD_CCtx_setParameter(coder->zstd, ZSTD_c_windowLog, window_bits(size, 10, WINDOW_BITS_MAX));
    if (!ZSTD_isError(result) && size != WIRE_CODER_SIZE_UNKNOWN)
        result = ZSTD_CCtx_setPledgedSrcSize(coder->zstd, size);
    return ZSTD_isError(result) ? SK_ERR_NO_MEMORY : SK_OK;
}

static sk_err begin(struct wire_coder *coder, int level, uint64_t size) {
    switch (coder->coding) {
    case HTTP_CODING_GZIP: return begin_gzip(coder, levels[level - 1].gzip);
    case HTTP_CODING_BR: return begin_br(coder, levels[level - 1].br, size);
    case HTTP_CODING_ZSTD: return begin_zstd(coder, levels[level - 1].zstd, size);
    default: return SK_ERR_UNSUPPORTED;
    }
}

sk_err wire_coder_create(enum http_coding coding, int level, uint64_t size, struct wire_coder **out_coder) {
    SK_ASSERT(level >= 1 && level <= WIRE_CODER_LEVEL_MAX);
    struct wire_coder *coder = calloc(1, sizeof *coder);
    if (!coder) return SK_ERR_NO_MEMORY;
    coder->coding = coding;
    sk_err err = begin(coder, level, size);
    if (err)
        wire_coder_free(coder);
    else
        *out_coder = coder;
    return err;
}

void wire_coder_free(struct wire_coder *coder) {
    if (!coder) return;
    if (coder->coding == HTTP_CODING_GZIP) deflateEnd(&coder->gzip);
    if (coder->coding == HTTP_CODING_BR && coder->br) BrotliEncoderDestroyInstance(coder->br);
    if (coder->prepared) BrotliEncoderDestroyPreparedDictionary(coder->prepared);
    if (coder->coding == HTTP_CODING_ZSTD) ZSTD_freeCCtx(coder->zstd);
    free(coder);
}

/* ---- with a dictionary ------------------------------------------------------------------------------------ */

/* RFC 9842 sections 4 and 5. The second is a skippable frame of Zstandard that holds the hash. */
static const sk_str dcb_magic = SK_STR_INIT("\xff\x44\x43\x42");
static const sk_str dcz_magic = SK_STR_INIT("\x5e\x2a\x4d\x18\x20\x00\x00\x00");

static sk_err attach_br(struct wire_coder *coder, int level, sk_str content) {
    coder->prepared = BrotliEncoderPrepareDictionary(BROTLI_SHARED_DICTIONARY_RAW, content.len,
                                                     (const uint8_t *)content.data, level, NULL, NULL, NULL);
    bool good = coder->prepared && BrotliEncoderAttachPreparedDictionary(coder->br, coder->prepared);
    return good ? SK_OK : SK_ERR_NO_MEMORY;
}

/* A window of both reaches back into the dictionary from everywhere; clients need not take one of more than 8 MiB
 * unless the dictionary itself is larger. */
static sk_err attach_zstd(struct wire_coder *coder, uint64_t size, sk_str content) {
    uint64_t both = size == WIRE_CODER_SIZE_UNKNOWN ? size : size + content.len;
    size_t result =
        ZSTD_CCtx_setParameter(coder->zstd, ZSTD_c_windowLog, window_bits(both, 10, WINDOW_BITS_MAX));
    if (!ZSTD_isError(result)) result = ZSTD_CCtx_refPrefix(coder->zstd, content.data, content.len);
    return ZSTD_isError(result) ? SK_ERR_NO_MEMORY : SK_OK;
}

static void begin_lead(struct wire_coder *coder, sk_str magic, const struct wire_dictionary *dictionary) {
    memcpy(coder->lead, magic.data, magic.len);
    memcpy(coder->lead + magic.len, dictionary->hash, sizeof dictionary->hash);
    coder->lead_bytes = magic.len + sizeof dictionary->hash;
}

sk_err wire_coder_create_with(enum http_coding coding, int level, uint64_t size,
                              const struct wire_dictionary *dictionary, struct wire_coder **out_coder) {
    bool br = coding == HTTP_CODING_DCB;
    struct wire_coder *coder;
    if (!br && coding != HTTP_CODING_DCZ) return SK_ERR_UNSUPPORTED;
    sk_err err = wire_coder_create(br ? HTTP_CODING_BR : HTTP_CODING_ZSTD, level, size, &coder);
    if (err) return err;
    err = br ? attach_br(coder, levels[level - 1].br, dictionary->content)
             : attach_zstd(coder, size, dictionary->content);
    if (err) {
        wire_coder_free(coder);
        return err;
    }
    begin_lead(coder, br ? dcb_magic : dcz_magic, dictionary);
    *out_coder = coder;
    return SK_OK;
}

/* ---- running --------------------------------------------------------------------------------------------- */

static sk_err run_gzip(z_stream *gzip, enum wire_coder_goal goal, sk_str *input, char *out, size_t room,
                       size_t *out_written, bool *out_done) {
    static const int goals[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    uInt in = (uInt)SK_MIN(input->len, (size_t)UINT32_MAX / 2),
         most = (uInt)SK_MIN(room, (size_t)UINT32_MAX / 2);
    bool all = in == input->len;
    gzip->next_in = (const Bytef *)input->data;
    gzip->avail_in = in;
    gzip->next_out = (Bytef *)out;
    gzip->avail_out = most;
    int result = deflate(gzip, all ? goals[goal] : Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return SK_ERR_INVALID;
    *input = sk_str_slice(*input, in - gzip->avail_in, input->len);
    *out_written = most - gzip->avail_out;
    *out_done = goal == WIRE_CODER_FINISH ? result == Z_STREAM_END : input->len == 0 && gzip->avail_out > 0;
    return SK_OK;
}

static sk_err run_br(BrotliEncoderState *br, enum wire_coder_goal goal, sk_str *input, char *out, size_t room,
                     size_t *out_written, bool *out_done) {
    static const BrotliEncoderOperation goals[] = {BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH,
                                                   BROTLI_OPERATION_FINISH};
    const uint8_t *next_in = (const uint8_t *)input->data;
    uint8_t *next_out = (uint8_t *)out;
    size_t in = input->len, left = room;
    if (!BrotliEncoderCompressStream(br, goals[goal], &in, &next_in, &left, &next_out, NULL))
        return SK_ERR_NO_MEMORY;
    *input = sk_str_slice(*input, input->len - in, input->len);
    *out_written = room - left;
    *out_done =
        goal == WIRE_CODER_FINISH ? BrotliEncoderIsFinished(br) : in == 0 && !BrotliEncoderHasMoreOutput(br);
    return SK_OK;
}

static sk_err run_zstd(ZSTD_CCtx *zstd, enum wire_coder_goal goal, sk_str *input, char *out, size_t room,
                       size_t *out_written, bool *out_done) {
    static const ZSTD_EndDirective goals[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
    ZSTD_inBuffer from = {input->data, input->len, 0};
    ZSTD_outBuffer to = {out, room, 0};
    size_t result = ZSTD_compressStream2(zstd, &to, &from, goals[goal]);
    if (ZSTD_isError(result)) return SK_ERR_INVALID;
    *input = sk_str_slice(*input, from.pos, input->len);
    *out_written = to.pos;
    *out_done = goal == WIRE_CODER_TAKE ? input->len == 0 : result == 0;
    return SK_OK;
}

sk_err wire_coder_run(struct wire_coder *coder, enum wire_coder_goal goal, sk_str *input, char *out,
                      size_t room, size_t *out_written, bool *out_done) {
    SK_ASSERT(room > 0);
    if (coder->lead_given < coder->lead_bytes) {
        *out_written = SK_MIN(room, coder->lead_bytes - coder->lead_given);
        memcpy(out, coder->lead + coder->lead_given, *out_written);
        coder->lead_given += *out_written;
        *out_done = false;
        return SK_OK;
    }
    switch (coder->coding) {
    case HTTP_CODING_GZIP: return run_gzip(&coder->gzip, goal, input, out, room, out_written, out_done);
    case HTTP_CODING_BR: return run_br(coder->br, goal, input, out, room, out_written, out_done);
    default: return run_zstd(coder->zstd, goal, input, out, room, out_written, out_done);
    }
}
