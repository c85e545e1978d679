/* Reads HTTP/1.1 responses as they come, in pieces of any size, and judges their framing. Strict: a client
 * that measures failures must not repair anything. It sums up the body (FNV-1a, 64 bits) and keeps none of it. */
#ifndef LOADCLIENT_ANSWER_H
#define LOADCLIENT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ANSWER_HEAD_BYTES = 16384 };
#define ANSWER_SUM_START UINT64_C(0xcbf29ce484222325)

enum answer_state {
    ANSWER_HEAD,
    ANSWER_BODY,       /* `left` bytes of a length or of a chunk */
    ANSWER_TO_CLOSE,   /* until the connection ends */
    ANSWER_CHUNK_SIZE, /* inside a size line */
    ANSWER_CHUNK_END,  /* CRLF after a chunk's data */
    ANSWER_TRAILERS,
    ANSWER_DONE,
    ANSWER_BAD,
};

struct answer {
    enum answer_state state;
    bool chunked, closes, hit;
    int status;
    uint64_t left, body_bytes, sum;
    size_t line_bytes; /* of the chunk-size line, or of the present trailer line */
    size_t head_bytes;
    char head[ANSWER_HEAD_BYTES + 1];
};

void answer_reset(struct answer *answer);
/* Takes bytes until the response is complete or bad; returns how many it took. */
size_t answer_feed(struct answer *answer, const char *data, size_t bytes);
/* True when the end of the connection is a proper end of the response. */
bool answer_ends_at_close(const struct answer *answer);

#endif
