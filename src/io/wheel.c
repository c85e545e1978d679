#include "io/wheel.h"

#define GROUP_BITS 6

/* Rounded up: a timer never fires early. */
static int64_t tick_of(sk_time_ns deadline) {
    return deadline / SK_NS_PER_MS + (deadline % SK_NS_PER_MS > 0);
}

void io_wheel_init(struct io_wheel *wheel, sk_time_ns now) {
    wheel->tick = now / SK_NS_PER_MS;
    for (int level = 0; level < IO_WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (int slot = 0; slot < IO_WHEEL_SLOTS; slot++) sk_list_init(&wheel->slots[level][slot]);
    }
    sk_list_init(&wheel->due);
    sk_list_init(&wheel->expired);
}

/* Puts an unlinked timer where its deadline belongs. */
static void place(struct io_wheel *wheel, struct io_timer *timer) {
    int64_t when = tick_of(timer->deadline);
    if (when <= wheel->tick) {
        sk_list_push_back(&wheel->due, &timer->link);
        return;
    }
    uint64_t differing = (uint64_t)(when ^ wheel->tick);
    int level = (63 - __builtin_clzll(differing)) / GROUP_BITS;
    int slot = (int)(when >> (level * GROUP_BITS)) & (IO_WHEEL_SLOTS - 1);
    wheel->occupied[level] |= UINT64_C(1) << slot;
    sk_list_push_back(&wheel->slots[level][slot], &timer->link);
}

void io_wheel_start(struct io_wheel *wheel, struct io_timer *timer, sk_time_ns deadline) {
    bool later = deadline >= timer->deadline;
    timer->deadline = deadline;
    if (sk_list_linked(&timer->link)) {
        if (later) return;
        sk_list_remove(&timer->link);
    }
    place(wheel, timer);
}

/* The slots of LEVEL after the present position. */
static uint64_t slots_ahead(const struct io_wheel *wheel, int level) {
    int position = (int)(wheel->tick >> (level * GROUP_BITS)) & (IO_WHEEL_SLOTS - 1);
    return ~UINT64_C(0) << position << 1;
}

/* The first slot that holds a timer, and the tick at which it begins; NULL when there is none. */
static struct sk_list *first_slot(struct io_wheel *wheel, int64_t *out_begin) {
    for (int level = 0; level < IO_WHEEL_LEVELS; level++) {
        uint64_t ahead;
        while ((ahead = wheel->occupied[level] & slots_ahead(wheel, level)) != 0) {
            int slot = __builtin_ctzll(ahead);
            if (!sk_list_empty(&wheel->slots[level][slot])) {
                int shift = level * GROUP_BITS;
                int64_t above = wheel->tick >> shift >> GROUP_BITS << GROUP_BITS << shift;
                *out_begin = above + ((int64_t)slot << shift);
                return &wheel->slots[level][slot];
            }
            wheel->occupied[level] &= ~(UINT64_C(1) << slot);
        }
        wheel->occupied[level] = 0; /* what is behind us is empty */
    }
    return NULL;
}

/* Moves the whole list FROM to the end of TO. */
static void append_list(struct sk_list *to, struct sk_list *from) {
    if (sk_list_empty(from)) return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    sk_list_init(from);
}

/* The slot that begins at the wheel's tick: what is due now goes to `expired`, the rest to lower levels. */
static void open_slot(struct io_wheel *wheel, struct sk_list *slot) {
    struct sk_list timers;
    sk_list_init(&timers);
    append_list(&timers, slot);
    for (struct sk_list *link; (link = sk_list_pop_front(&timers));) {
        struct io_timer *timer = SK_CONTAINER_OF(link, struct io_timer, link);
        if (tick_of(timer->deadline) <= wheel->tick)
            sk_list_push_back(&wheel->expired, link);
        else
            place(wheel, timer);
    }
}

void io_wheel_expire(struct io_wheel *wheel, sk_time_ns now) {
    int64_t now_tick = now / SK_NS_PER_MS, begin;
    struct sk_list *slot, *link;
    append_list(&wheel->expired, &wheel->due);
    while ((slot = first_slot(wheel, &begin)) && begin <= now_tick) {
        wheel->tick = begin;
        open_slot(wheel, slot);
    }
    wheel->tick = SK_MAX(wheel->tick, now_tick);
    while ((link = sk_list_pop_front(&wheel->expired))) {
        struct io_timer *timer = SK_CONTAINER_OF(link, struct io_timer, link);
        if (tick_of(timer->deadline) > wheel->tick)
            place(wheel, timer); /* a callback before it moved it to later */
        else
            timer->on_timer(timer);
    }
}

sk_time_ns io_wheel_next(struct io_wheel *wheel) {
    int64_t begin;
    if (!sk_list_empty(&wheel->due)) return wheel->tick * SK_NS_PER_MS;
    return first_slot(wheel, &begin) ? begin * SK_NS_PER_MS : SK_TIME_NEVER;
}
