#include "content.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static uint64_t word_at(uint64_t at) { return htobe64(at / CONTENT_PAGE_BYTES); }

static size_t left_of_page(uint64_t at, size_t bytes) {
    size_t left = CONTENT_PAGE_BYTES - at % CONTENT_PAGE_BYTES;
    return left < bytes ? left : bytes;
}

/* Some bytes of one page. */
static void make_page(uint64_t at, unsigned char *out, size_t bytes) {
    uint64_t page[CONTENT_PAGE_BYTES / sizeof(uint64_t)], word = word_at(at);
    for (size_t i = 0; i < CONTENT_PAGE_BYTES / sizeof word; i++) page[i] = word;
    memcpy(out, (const unsigned char *)page + at % CONTENT_PAGE_BYTES, bytes);
}

void content_make(uint64_t at, unsigned char *out, size_t bytes) {
    for (size_t n; bytes; at += n, out += n, bytes -= n) {
        n = left_of_page(at, bytes);
        make_page(at, out, n);
    }
}

bool content_is(uint64_t at, const unsigned char *data, size_t bytes, uint64_t *out_wrong) {
    unsigned char page[CONTENT_PAGE_BYTES];
    for (size_t n; bytes; at += n, data += n, bytes -= n) {
        n = left_of_page(at, bytes);
        make_page(at, page, n);
        if (memcmp(page, data, n) == 0) continue;
        size_t i = 0;
        while (page[i] == data[i]) i++;
        *out_wrong = at + i;
        return false;
    }
    return true;
}

bool content_send(int fd, const void *data, size_t bytes) {
    for (const unsigned char *at = data; bytes;) {
        ssize_t n = send(fd, at, bytes, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}
