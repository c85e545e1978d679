/* Files without blocking a loop: io_uring where the kernel allows it, else a small shared pool of threads.
 * Calls park the calling fiber until the operation is done, also when it is cancelled meanwhile. Whole-file
 * helpers for start-up (no fiber needed) at the end. */
#ifndef SK_IO_FILE_H
#define SK_IO_FILE_H

#include "base/buf.h"
#include "io/fiber.h"

/* Short reads only at end of file; SK_OK with *out_n 0 there. */
sk_err io_file_read(struct io_loop *loop, int fd, void *data, size_t bytes, uint64_t offset, size_t *out_n);
/* All bytes or an error (SK_ERR_FULL for ENOSPC, SK_ERR_IO). */
sk_err io_file_write(struct io_loop *loop, int fd, const void *data, size_t bytes, uint64_t offset);
sk_err io_file_sync(struct io_loop *loop, int fd);
/* "io_uring" or "threads": what carries this loop's reads and writes. The environment variable
 * SKERRY_FILE_ENGINE=threads forbids io_uring. */
const char *io_file_engine(struct io_loop *loop);
/* Runs a blocking function on the pool and parks until it is done; for open, rename, getaddrinfo and such. */
sk_err io_blocking(struct io_loop *loop, sk_err (*work)(void *arg), void *arg);

/* Blocking, for start-up and tools only: appends at most LIMIT bytes. SK_ERR_NOT_FOUND, SK_ERR_DENIED,
 * SK_ERR_TOO_LARGE, SK_ERR_IO. */
sk_err io_file_load(const char *path, size_t limit, struct sk_buf *out_text);
/* Writes beside, syncs, renames: readers see the old or the new content, never a part. */
sk_err io_file_replace(const char *path, const void *data, size_t bytes, unsigned mode);
/* STAMP mixed with which file PATH is, its size and its time: another when the file was replaced or written, and
 * when it came or went. Mixing several files watches them all. */
uint64_t io_file_stamp(uint64_t stamp, const char *path);

#endif
