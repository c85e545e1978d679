/* Fibers: stackful coroutines pinned to their loop's thread, so that what waits can be written as a
 * story. A fiber runs until it parks; nothing else on its thread runs meanwhile, so it needs no lock
 * against its own thread. Stacks have a guard page, come from a per-loop pool and are announced to ASan,
 * TSan and valgrind. Switching is Boost.Context's C ABI (make_fcontext, jump_fcontext).
 *
 * Rule: never park while holding a lock, an epoch section, or a pointer into something that only the
 * present event keeps alive. */
#ifndef SK_IO_FIBER_H
#define SK_IO_FIBER_H

#include "io/loop.h"

struct io_fiber;
typedef void io_fiber_main(void *arg);

#define IO_FIBER_STACK_BYTES (64 * 1024)

/* Starts a fiber on LOOP (own thread): it runs at once until its first park, then the call returns.
 * out_fiber (may be NULL) is valid until the fiber's main returns. SK_ERR_NO_MEMORY when no stack can be
 * had; then nothing ran. */
sk_err io_fiber_spawn(struct io_loop *loop, const char *name, io_fiber_main *main, void *arg,
                      struct io_fiber **out_fiber);
/* The running fiber; NULL outside of fibers. */
struct io_fiber *io_fiber_self(void);

/* Sleeps until a wake, or DEADLINE (SK_TIME_NEVER for none). A wake that came before the park is kept
 * (one token), so there is no lost wake-up; wakes may be spurious, so callers loop over their condition.
 * SK_OK woken, SK_ERR_TIMEOUT, SK_ERR_CANCELLED (sticky: every later park fails so at once). */
sk_err io_fiber_park(sk_time_ns deadline);
/* Own thread. Schedules the fiber at the end of the present iteration. Idempotent. */
void io_fiber_wake(struct io_fiber *fiber);
/* Own thread. Wakes with SK_ERR_CANCELLED; the fiber cleans up and returns by itself. */
void io_fiber_cancel(struct io_fiber *fiber);
bool io_fiber_cancelled(const struct io_fiber *fiber);
sk_err io_fiber_sleep_until(sk_time_ns deadline);
/* Lets other work of this thread go first (for long computations). */
void io_fiber_yield(void);

/* Fibers alive on the loop: what a graceful stop waits for. */
size_t io_fiber_count(const struct io_loop *loop);

#endif
