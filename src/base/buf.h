/* A growable contiguous byte buffer with a read end and a write end: input of connections, text being
 * built. One owner thread. Never grows past its limit. */
#ifndef SK_BASE_BUF_H
#define SK_BASE_BUF_H

#include "base/str.h"

struct sk_buf {
    char *data;
    size_t start;    /* first unread byte */
    size_t end;      /* one after the last byte written */
    size_t capacity; /* allocated bytes */
    size_t limit;    /* capacity never exceeds it; 0 means no limit */
};

void sk_buf_init(struct sk_buf *buf, size_t limit);
void sk_buf_free(struct sk_buf *buf);
static inline size_t sk_buf_len(const struct sk_buf *buf) { return buf->end - buf->start; }
static inline sk_str sk_buf_str(const struct sk_buf *buf) {
    /* An empty buffer may have no memory, and NULL must not be added to. */
    return (sk_str){buf->start ? buf->data + buf->start : buf->data, buf->end - buf->start};
}
static inline void sk_buf_clear(struct sk_buf *buf) { buf->start = buf->end = 0; }
/* Makes room for BYTES more at the write end (moves unread bytes to the front or reallocates, so pointers
 * into the buffer die). SK_ERR_TOO_LARGE over the limit, SK_ERR_NO_MEMORY. */
sk_err sk_buf_reserve(struct sk_buf *buf, size_t bytes);
/* The free part at the write end; commit says how much of it was written. */
static inline char *sk_buf_space(struct sk_buf *buf) { return buf->end ? buf->data + buf->end : buf->data; }
static inline size_t sk_buf_space_len(const struct sk_buf *buf) { return buf->capacity - buf->end; }
static inline void sk_buf_commit(struct sk_buf *buf, size_t bytes) { buf->end += bytes; }
/* Drops BYTES from the read end. */
static inline void sk_buf_consume(struct sk_buf *buf, size_t bytes) {
    buf->start += bytes;
    if (buf->start == buf->end) buf->start = buf->end = 0;
}
sk_err sk_buf_append(struct sk_buf *buf, sk_str bytes);
sk_err sk_buf_printf(struct sk_buf *buf, const char *format, ...) SK_PRINTF(2, 3);
/* Gives the memory back when empty (an idle connection keeps none). */
void sk_buf_shrink(struct sk_buf *buf);

#endif
