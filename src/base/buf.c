#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MIN_CAPACITY ((size_t)256)

void sk_buf_init(struct sk_buf *buf, size_t limit) { *buf = (struct sk_buf){.limit = limit}; }

void sk_buf_free(struct sk_buf *buf) {
    free(buf->data);
    sk_buf_init(buf, buf->limit);
}

static void move_to_front(struct sk_buf *buf) {
    size_t len = sk_buf_len(buf);
    if (buf->start == 0 || !buf->data) return; /* the second follows from the first, but only we know */
    if (len) memmove(buf->data, buf->data + buf->start, len);
    buf->start = 0;
    buf->end = len;
}

static sk_err grow(struct sk_buf *buf, size_t needed) {
    size_t capacity = SK_MAX(buf->capacity, MIN_CAPACITY);
    while (capacity < needed && capacity <= SIZE_MAX / 2) capacity *= 2;
    capacity = SK_MAX(capacity, needed);
    if (buf->limit) capacity = SK_MIN(capacity, buf->limit);
    char *data = realloc(buf->data, capacity);
    if (!data) return SK_ERR_NO_MEMORY;
    buf->data = data;
    buf->capacity = capacity;
    return SK_OK;
}

sk_err sk_buf_reserve(struct sk_buf *buf, size_t bytes) {
    size_t needed;
    if (sk_buf_space_len(buf) >= bytes) return SK_OK;
    if (__builtin_add_overflow(sk_buf_len(buf), bytes, &needed)) return SK_ERR_TOO_LARGE;
    if (buf->limit && needed > buf->limit) return SK_ERR_TOO_LARGE;
    move_to_front(buf);
    return needed <= buf->capacity ? SK_OK : grow(buf, needed);
}

sk_err sk_buf_append(struct sk_buf *buf, sk_str bytes) {
    sk_err err = sk_buf_reserve(buf, bytes.len);
    if (err) return err;
    if (bytes.len) memcpy(sk_buf_space(buf), bytes.data, bytes.len);
    sk_buf_commit(buf, bytes.len);
    return SK_OK;
}

/* vsnprintf wants room for a NUL that is not part of the text; the limit is for the text alone, so the
 * last byte of a full buffer is formatted aside. */
SK_PRINTF(3, 0)
static sk_err append_formatted(struct sk_buf *buf, size_t len, const char *format, va_list args) {
    char small[128], *text = small;
    if (len >= sizeof small && !(text = malloc(len + 1))) return SK_ERR_NO_MEMORY;
    vsnprintf(text, len + 1, format, args);
    sk_err err = sk_buf_append(buf, (sk_str){text, len});
    if (text != small) free(text);
    return err;
}

sk_err sk_buf_printf(struct sk_buf *buf, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(buf->data ? sk_buf_space(buf) : NULL, sk_buf_space_len(buf), format, args);
    va_end(args);
    sk_err err = len < 0 ? SK_ERR_INVALID : SK_OK;
    if (!err && (size_t)len < sk_buf_space_len(buf))
        sk_buf_commit(buf, (size_t)len);
    else if (!err)
        err = append_formatted(buf, (size_t)len, format, again);
    va_end(again);
    return err;
}

void sk_buf_shrink(struct sk_buf *buf) {
    if (sk_buf_len(buf) == 0) sk_buf_free(buf);
}
