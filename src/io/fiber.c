#include "io/fiber.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "io/fiber_private.h"
#include "io/fiber_switch.h"
#include "io/loop_private.h"

#define GUARD_BYTES ((size_t)4096)
#define STACK_BYTES ((size_t)IO_FIBER_STACK_BYTES * IO_STACK_FACTOR)
#define MAPPING_BYTES (GUARD_BYTES + STACK_BYTES)
/* Free stacks that a loop keeps for ever; what it keeps beyond them unused for a second is given back. */
#define KEEP_STACKS 16
#define TRIM_EVERY_NS SK_NS_PER_S

/* Linux 6.13; guards a page without a mapping of its own, of which a process may have 65,530. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Lives at the top of its own stack:
 *
 *   mapping    guard page | stack, growing down <------ | struct io_fiber | */
struct io_fiber {
    /* set when the stack is mapped */
    char *mapping;
    void *tsan;
    unsigned valgrind_id;
    struct sk_list link; /* in fibers.live or fibers.free */

    /* set at spawn */
    struct io_loop *loop;
    io_fiber_main *main;
    void *arg;
    char name[24];

    /* what a switch needs; the resumer is who let the fiber run: the loop, or a fiber that spawned it */
    io_context context;         /* of the fiber, while it is suspended */
    io_context resumer_context; /* while it runs */
    struct io_fiber *resumer;
    struct io_stack_bounds resumer_bounds;
    void *resumer_tsan;

    /* while it is parked */
    struct io_task task; /* resumes it */
    struct io_timer timer;

    bool parked;    /* suspended by itself */
    bool scheduled; /* its task is queued; at most once */
    bool woken;     /* the token of a wake that no park has taken yet */
    bool timed_out;
    bool cancelled; /* sticky */
    bool finished;
};

struct fibers {
    struct io_part part;
    struct io_loop *loop;
    struct sk_list live;
    struct sk_list free; /* most recently used first */
    size_t live_count, free_count;
    size_t least_free; /* since the trim timer was set: what nobody needed meanwhile */
    struct io_timer trim_timer;
};

static _Thread_local struct io_fiber *self;

/* --- stacks ------------------------------------------------------------------------------------------- */

static struct io_stack_bounds bounds_of(const struct io_fiber *fiber) {
    const char *bottom = fiber->mapping + GUARD_BYTES;
    return (struct io_stack_bounds){bottom, (size_t)((const char *)fiber - bottom)};
}

static bool guard(char *mapping) {
    return madvise(mapping, GUARD_BYTES, MADV_GUARD_INSTALL) == 0 ||
           mprotect(mapping, GUARD_BYTES, PROT_NONE) == 0;
}

/* A zeroed fiber on a new stack; NULL when there is no memory or no mapping left. */
static struct io_fiber *map_fiber(void) {
    char *mapping = mmap(NULL, MAPPING_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) return NULL;
    if (!guard(mapping)) {
        munmap(mapping, MAPPING_BYTES);
        return NULL;
    }
    /* Neighbouring stacks must not become one huge page. */
    madvise(mapping, MAPPING_BYTES, MADV_NOHUGEPAGE);
    size_t own_bytes = (sizeof(struct io_fiber) + 63) & ~(size_t)63;
    struct io_fiber *fiber = (void *)(mapping + MAPPING_BYTES - own_bytes);
    fiber->mapping = mapping;
    fiber->tsan = io_tsan_create();
    fiber->valgrind_id = io_valgrind_register(mapping + GUARD_BYTES, fiber);
    return fiber;
}

static void unmap_fiber(struct io_fiber *fiber) {
    char *mapping = fiber->mapping;
    io_tsan_destroy(fiber->tsan);
    io_valgrind_deregister(fiber->valgrind_id);
    SK_UNPOISON(mapping + GUARD_BYTES, STACK_BYTES);
    munmap(mapping, MAPPING_BYTES);
}

static void on_trim(struct io_timer *timer) {
    struct fibers *fibers = SK_CONTAINER_OF(timer, struct fibers, trim_timer);
    for (size_t n = fibers->least_free; n > 0 && fibers->free_count > KEEP_STACKS; n--) {
        struct sk_list *oldest = sk_list_last(&fibers->free);
        sk_list_remove(oldest);
        fibers->free_count--;
        unmap_fiber(SK_CONTAINER_OF(oldest, struct io_fiber, link));
    }
    fibers->least_free = fibers->free_count;
    if (fibers->free_count > KEEP_STACKS)
        io_timer_start(fibers->loop, timer, io_loop_now(fibers->loop) + TRIM_EVERY_NS, on_trim);
}

static void recycle(struct fibers *fibers, struct io_fiber *fiber) {
    sk_list_remove(&fiber->link);
    sk_list_push_front(&fibers->free, &fiber->link);
    fibers->live_count--;
    fibers->free_count++;
    if (fibers->free_count <= KEEP_STACKS || io_timer_armed(&fibers->trim_timer)) return;
    fibers->least_free = fibers->free_count;
    io_timer_start(fibers->loop, &fibers->trim_timer, io_loop_now(fibers->loop) + TRIM_EVERY_NS, on_trim);
}

static struct io_fiber *obtain(struct fibers *fibers) {
    struct sk_list *link = sk_list_pop_front(&fibers->free);
    if (!link) return map_fiber();
    fibers->free_count--;
    fibers->least_free = SK_MIN(fibers->least_free, fibers->free_count);
    return SK_CONTAINER_OF(link, struct io_fiber, link);
}

/* --- switching ---------------------------------------------------------------------------------------- */

static struct fibers *fibers_of(const struct io_loop *loop) {
    struct io_part *part = loop->parts[IO_PART_FIBERS];
    return part ? SK_CONTAINER_OF(part, struct fibers, part) : NULL;
}

/* Lets FIBER run until it parks or ends. */
static void resume(struct io_fiber *fiber) {
    void *fake_stack = NULL;
    fiber->resumer = self;
    fiber->resumer_tsan = io_tsan_current();
    fiber->parked = false;
    self = fiber;
    io_switch_leave(&fake_stack, bounds_of(fiber), fiber->tsan);
    struct io_transfer transfer = jump_fcontext(fiber->context, fiber);
    io_switch_arrive(fake_stack, NULL);
    fiber->context = transfer.from;
    self = fiber->resumer;
    if (fiber->finished) recycle(fibers_of(fiber->loop), fiber);
}

/* Back to whoever resumed the running fiber; returns when it is resumed again. */
static void suspend(struct io_fiber *fiber) {
    void *fake_stack = NULL;
    fiber->parked = true;
    io_switch_leave(&fake_stack, fiber->resumer_bounds, fiber->resumer_tsan);
    struct io_transfer transfer = jump_fcontext(fiber->resumer_context, NULL);
    io_switch_arrive(fake_stack, &fiber->resumer_bounds);
    fiber->resumer_context = transfer.from;
}

/* The outermost frame of every fiber; never returns. */
static void enter(struct io_transfer transfer) {
    struct io_fiber *fiber = transfer.data;
    io_switch_arrive(NULL, &fiber->resumer_bounds);
    fiber->resumer_context = transfer.from;
    fiber->main(fiber->arg);
    fiber->finished = true;
    io_switch_leave(NULL, fiber->resumer_bounds, fiber->resumer_tsan);
    jump_fcontext(fiber->resumer_context, NULL);
    __builtin_unreachable();
}

static void run_task(struct io_task *task) {
    struct io_fiber *fiber = SK_CONTAINER_OF(task, struct io_fiber, task);
    fiber->scheduled = false;
    resume(fiber);
}

/* The one way back to life of a parked fiber, so that wake, timeout and cancel may meet without harm. */
static void schedule(struct io_fiber *fiber) {
    if (!fiber->parked || fiber->scheduled) return;
    fiber->scheduled = true;
    io_loop_defer(fiber->loop, &fiber->task);
}

/* --- the public face ---------------------------------------------------------------------------------- */

static void cancel_all(struct io_loop *loop, struct io_part *part) {
    struct fibers *fibers = SK_CONTAINER_OF(part, struct fibers, part);
    (void)loop;
    SK_LIST_FOR_EACH(link, &fibers->live) io_fiber_cancel(SK_CONTAINER_OF(link, struct io_fiber, link));
}

static void unmap_all(struct sk_list *list) {
    for (struct sk_list *link; (link = sk_list_pop_front(list));)
        unmap_fiber(SK_CONTAINER_OF(link, struct io_fiber, link));
}

static void destroy(struct io_loop *loop, struct io_part *part) {
    struct fibers *fibers = SK_CONTAINER_OF(part, struct fibers, part);
    if (fibers->live_count)
        sk_log(SK_LOG_ERROR, "io", "%s: %zu fibers did not end when cancelled", io_loop_name(loop),
               fibers->live_count);
    unmap_all(&fibers->live);
    unmap_all(&fibers->free);
    free(fibers);
}

static struct fibers *fibers_made(struct io_loop *loop) {
    struct fibers *fibers = fibers_of(loop);
    if (fibers) return fibers;
    fibers = calloc(1, sizeof *fibers);
    if (!fibers) return NULL;
    fibers->part = (struct io_part){.cancel = cancel_all, .destroy = destroy};
    fibers->loop = loop;
    sk_list_init(&fibers->live);
    sk_list_init(&fibers->free);
    loop->parts[IO_PART_FIBERS] = &fibers->part;
    return fibers;
}

static void prepare(struct io_fiber *fiber, struct io_loop *loop, const char *name, io_fiber_main *main,
                    void *arg) {
    struct io_fiber fresh = {
        .mapping = fiber->mapping,
        .tsan = fiber->tsan,
        .valgrind_id = fiber->valgrind_id,
        .loop = loop,
        .main = main,
        .arg = arg,
        .task.run = run_task,
    };
    *fiber = fresh;
    strncpy(fiber->name, name, sizeof fiber->name - 1);
    struct io_stack_bounds bounds = bounds_of(fiber);
    /* The last frame of the stack's former fiber never returned, so it left its red zones behind. */
    SK_UNPOISON(bounds.bottom, bounds.bytes);
    fiber->context = make_fcontext(fiber, bounds.bytes, enter);
}

sk_err io_fiber_spawn(struct io_loop *loop, const char *name, io_fiber_main *main, void *arg,
                      struct io_fiber **out_fiber) {
    SK_CHECK_MAGIC(loop, IO_LOOP_MAGIC);
    struct fibers *fibers = fibers_made(loop);
    struct io_fiber *fiber = fibers ? obtain(fibers) : NULL;
    if (!fiber) return SK_ERR_NO_MEMORY;
    prepare(fiber, loop, name, main, arg);
    sk_list_push_back(&fibers->live, &fiber->link);
    fibers->live_count++;
    if (out_fiber) *out_fiber = fiber;
    resume(fiber);
    return SK_OK;
}

struct io_fiber *io_fiber_self(void) { return self; }

static void on_deadline(struct io_timer *timer) {
    struct io_fiber *fiber = SK_CONTAINER_OF(timer, struct io_fiber, timer);
    fiber->timed_out = true;
    schedule(fiber);
}

sk_err io_fiber_park(sk_time_ns deadline) {
    struct io_fiber *fiber = self;
    SK_ASSERT(fiber != NULL);
    if (!fiber->cancelled && !fiber->woken) {
        if (deadline <= io_loop_now(fiber->loop)) return SK_ERR_TIMEOUT;
        fiber->timed_out = false;
        if (deadline != SK_TIME_NEVER) io_timer_start(fiber->loop, &fiber->timer, deadline, on_deadline);
        suspend(fiber);
        io_timer_stop(&fiber->timer);
    }
    if (fiber->cancelled) return SK_ERR_CANCELLED;
    if (!fiber->woken) return fiber->timed_out ? SK_ERR_TIMEOUT : SK_OK;
    fiber->woken = false;
    return SK_OK;
}

void io_fiber_park_through(void) {
    struct io_fiber *fiber = self;
    SK_ASSERT(fiber != NULL);
    while (!fiber->woken) suspend(fiber);
    fiber->woken = false;
}

void io_fiber_wake(struct io_fiber *fiber) {
    fiber->woken = true;
    schedule(fiber);
}

void io_fiber_cancel(struct io_fiber *fiber) {
    fiber->cancelled = true;
    schedule(fiber);
}

bool io_fiber_cancelled(const struct io_fiber *fiber) { return fiber->cancelled; }

sk_err io_fiber_sleep_until(sk_time_ns deadline) {
    sk_err err;
    do err = io_fiber_park(deadline);
    while (err == SK_OK);
    return err == SK_ERR_TIMEOUT ? SK_OK : err;
}

void io_fiber_yield(void) {
    struct io_fiber *fiber = self;
    SK_ASSERT(fiber != NULL);
    fiber->scheduled = true;
    io_loop_defer_to_next(fiber->loop, &fiber->task);
    suspend(fiber);
}

size_t io_fiber_count(const struct io_loop *loop) {
    const struct fibers *fibers = fibers_of(loop);
    return fibers ? fibers->live_count : 0;
}
