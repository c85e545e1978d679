/* The object: every page of 4,096 bytes is its own number, 512 times, in 64 bits with the highest byte first. */
#ifndef LARGEOBJECT_CONTENT_H
#define LARGEOBJECT_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTENT_PAGE_BYTES 4096
#define CONTENT_STEP_BYTES (1u << 20) /* of one read and write */

/* The bytes from AT on. */
void content_make(uint64_t at, unsigned char *out, size_t bytes);
/* Whether DATA is what stands from AT on; if not, *OUT_WRONG is where the first other byte is. */
bool content_is(uint64_t at, const unsigned char *data, size_t bytes, uint64_t *out_wrong);
/* All or nothing of DATA to a socket. */
bool content_send(int fd, const void *data, size_t bytes);

/* The object of BYTES at 127.0.0.1:PORT, for GET with one range or none; for as long as its parent lives. */
int origin_serve(uint16_t port, uint64_t bytes);
/* Reads TARGET from FIRST on to the end of the object of BYTES in one response, and looks at every byte. Prints
 * {"status":200,"bytes":N,"seconds":S,"wrong":WHERE}; wrong is null. */
int reader_read(uint16_t port, const char *host, const char *target, uint64_t first, uint64_t bytes);

#endif
