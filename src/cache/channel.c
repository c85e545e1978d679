#include "cache/fill_internal.h"
#include "cache/reader.h"
#include "cache/store.h"

/* Everything that orders a change against a wait is seq_cst: the writer changes, then reads `armed`; the
 * waiter writes `armed`, then looks again. One of the two sees the other. */

static void wake_fibers(struct fill_channel *channel) {
    SK_LIST_FOR_EACH(link, &channel->fibers) {
        io_fiber_wake(SK_CONTAINER_OF(link, struct fill_waiter, link)->fiber);
    }
}

/* Each waiting reader is looked at once; what it does when called may put it back, or close any other. */
static void wake_readers(struct fill_channel *channel) {
    struct sk_list batch;
    sk_list_init(&batch);
    while (!sk_list_empty(&channel->waiting)) sk_list_push_back(&batch, sk_list_pop_front(&channel->waiting));
    for (struct sk_list *link; (link = sk_list_pop_front(&batch));) {
        struct cache_reader *reader = SK_CONTAINER_OF(link, struct cache_reader, wait_link);
        if (reader_ready(reader))
            reader->on_ready(reader);
        else
            sk_list_push_back(&channel->waiting, &reader->wait_link);
    }
}

static bool any_ready(const struct fill_channel *channel) {
    SK_LIST_FOR_EACH(link, &channel->waiting) {
        if (reader_ready(SK_CONTAINER_OF(link, struct cache_reader, wait_link))) return true;
    }
    return false;
}

static void run_channel(struct io_task *task) {
    struct fill_channel *channel = SK_CONTAINER_OF(task, struct fill_channel, task);
    struct cache_fill *fill = channel->fill;
    atomic_store(&channel->posted, false);
    wake_fibers(channel);
    wake_readers(channel);
    if (!sk_list_empty(&channel->waiting)) {
        fill_arm(channel);
        if (any_ready(channel)) fill_notify(fill);
    }
    cache_fill_unref(fill);
}

static struct fill_channel *find_channel(struct cache_fill *fill, const struct cache_thread *thread) {
    struct fill_channel *channel = atomic_load(&fill->channels);
    while (channel && channel->thread != thread) channel = channel->next;
    return channel;
}

struct fill_channel *fill_channel_of(struct cache_fill *fill, struct cache_thread *thread) {
    struct fill_channel *channel = find_channel(fill, thread);
    if (channel) return channel;
    channel = cache_counted_alloc(fill->cache, sizeof *channel);
    if (!channel) return NULL;
    channel->fill = fill;
    channel->thread = thread;
    sk_list_init(&channel->readers);
    sk_list_init(&channel->waiting);
    sk_list_init(&channel->fibers);
    channel->task.run = run_channel;
    atomic_init(&channel->slowest, UINT64_MAX);
    channel->next = atomic_load(&fill->channels);
    while (!atomic_compare_exchange_weak(&fill->channels, &channel->next, channel));
    return channel;
}

void fill_channels_free(struct cache_fill *fill) {
    struct fill_channel *channel = atomic_load(&fill->channels), *next;
    for (; channel; channel = next) {
        next = channel->next;
        cache_counted_free(fill->cache, channel, sizeof *channel);
    }
}

static void post(struct fill_channel *channel) {
    if (atomic_exchange(&channel->posted, true)) return;
    fill_ref(channel->fill);
    struct io_loop *loop = channel->thread->loop;
    if (loop == io_loop_current())
        io_loop_defer(loop, &channel->task);
    else
        io_loop_post(loop, &channel->task);
}

void fill_notify(struct cache_fill *fill) {
    struct fill_channel *channel = atomic_load(&fill->channels);
    for (; channel; channel = channel->next)
        if (atomic_load(&channel->armed) && atomic_exchange(&channel->armed, false)) post(channel);
}

void fill_arm(struct fill_channel *channel) { atomic_store(&channel->armed, true); }
