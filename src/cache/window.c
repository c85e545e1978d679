/* Windows: of a fill that is not stored, only what lies between its slowest reader and its end is kept.
 *
 * Each channel tells the position before which none of its readers reads, in steps of GRANULE so that many
 * readers cost little: only when the last one leaves the slowest step, all are looked at. The fetch takes the
 * least of all channels. Somebody who holds the object but has not opened a reader yet could still want to
 * begin at its start: until then nothing is dropped. */
#include "cache/body.h"
#include "cache/fill_internal.h"

#define GRANULE 16384

static uint64_t step_of(uint64_t position) { return position - position % GRANULE; }

static void look_at_all(struct fill_channel *channel) {
    uint64_t slowest = UINT64_MAX;
    channel->at_slowest = 0;
    SK_LIST_FOR_EACH(link, &channel->readers) {
        uint64_t step = step_of(SK_CONTAINER_OF(link, struct cache_reader, link)->position);
        if (step < slowest) channel->at_slowest = 0;
        slowest = SK_MIN(slowest, step);
        channel->at_slowest += step == slowest;
    }
    atomic_store(&channel->slowest, slowest);
}

static void run_wake(struct io_task *task) {
    struct cache_fill *fill = SK_CONTAINER_OF(task, struct cache_fill, wake_task);
    atomic_store(&fill->wake_posted, false);
    if (fill->parked) io_fiber_wake(fill->parked);
    cache_fill_unref(fill);
}

/* seq_cst: the fetch says that it wants space, then looks; we change, then look whether it wants. */
static void wake_fetch(struct cache_fill *fill) {
    if (!atomic_load(&fill->wants_space) || !atomic_exchange(&fill->wants_space, false)) return;
    if (atomic_exchange(&fill->wake_posted, true)) return;
    fill_ref(fill);
    fill->wake_task.run = run_wake;
    struct io_loop *loop = fill->thread->loop;
    if (loop == io_loop_current())
        io_loop_defer(loop, &fill->wake_task);
    else
        io_loop_post(loop, &fill->wake_task);
}

void fill_window_opened(struct fill_channel *channel, uint64_t position) {
    uint64_t step = step_of(position),
             slowest = atomic_load_explicit(&channel->slowest, memory_order_relaxed);
    if (step < slowest) channel->at_slowest = 0;
    channel->at_slowest += step <= slowest;
    /* own thread writes it; published before the reader is counted */
    if (step < slowest) atomic_store(&channel->slowest, step);
    atomic_fetch_add(&channel->fill->readers, 1);
}

/* Half a window is worth waking for; less would go back and forth for every piece. */
static bool worth_waking(const struct fill_channel *channel) {
    const struct cache_fill *fill = channel->fill;
    uint64_t slowest = atomic_load(&channel->slowest);
    uint64_t available = atomic_load(&fill->entry->object.available);
    return slowest > available || available - slowest <= atomic_load(&fill->window) / 2;
}

static void left_step(struct fill_channel *channel, uint64_t step) {
    if (step != atomic_load_explicit(&channel->slowest, memory_order_relaxed))
        return; /* own thread writes it */
    if (--channel->at_slowest > 0) return;
    look_at_all(channel);
    if (atomic_load(&channel->fill->wants_space) && worth_waking(channel)) wake_fetch(channel->fill);
}

void fill_window_moved(struct fill_channel *channel, uint64_t from, uint64_t to) {
    if (step_of(from) != step_of(to)) left_step(channel, step_of(from));
}

void fill_window_closed(struct fill_channel *channel, uint64_t position) {
    left_step(channel, step_of(position));
    atomic_fetch_sub(&channel->fill->readers, 1);
}

void fill_window_released(struct cache_fill *fill) { wake_fetch(fill); }

/* The least position that may still be read; what is dropped already when that cannot be told now. */
static uint64_t least_position(struct cache_fill *fill) {
    uint64_t least = UINT64_MAX;
    uint32_t readers = atomic_load(&fill->readers);
    if (atomic_load(&fill->waiters) > 0) return fill->window_start;
    if (atomic_load(&fill->entry->refs) != readers + 1) return fill->window_start;
    for (struct fill_channel *channel = atomic_load(&fill->channels); channel; channel = channel->next)
        least = SK_MIN(least, atomic_load(&channel->slowest));
    return least;
}

bool fill_window_advance(struct cache_fill *fill) {
    uint64_t available = atomic_load_explicit(&fill->entry->object.available, memory_order_relaxed); /* own */
    uint64_t start = SK_MIN(least_position(fill), available);
    if (start > fill->window_start) {
        fill->window_start = start;
        cache_body_drop_front(fill->cache, fill->entry->body, start);
    }
    return available - fill->window_start <
           atomic_load_explicit(&fill->window, memory_order_relaxed); /* own */
}
