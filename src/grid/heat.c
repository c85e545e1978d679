#include "grid/heat.h"

#define COUNT_MAX 0xffffu

struct place {
    uint32_t tag;
    uint16_t window, count;
};

static struct place unpack(uint64_t value) {
    return (struct place){(uint32_t)(value >> 32), (uint16_t)(value >> 16), (uint16_t)value};
}

static uint64_t pack(struct place place) {
    return (uint64_t)place.tag << 32 | (uint64_t)place.window << 16 | place.count;
}

/* As it is worth in WINDOW. */
static struct place aged(struct place place, uint16_t window) {
    uint16_t windows = (uint16_t)(window - place.window);
    if (windows) place.count = windows == 1 ? place.count / 2 : 0;
    place.window = window;
    return place;
}

static struct place counted(struct place place, uint32_t tag) {
    if (place.tag == tag) {
        place.count = (uint16_t)SK_MIN(place.count + 1u, COUNT_MAX);
    } else if (place.count) {
        place.count--;
    } else {
        place.tag = tag;
        place.count = 1;
    }
    return place;
}

uint32_t grid_heat_count(struct grid_heat *heat, uint64_t hash, sk_time_ns now) {
    _Atomic uint64_t *at = &heat->places[hash % GRID_HEAT_PLACES];
    uint32_t tag = (uint32_t)(hash >> 32);
    uint16_t window = (uint16_t)(now / (GRID_HEAT_WINDOW_S * SK_NS_PER_S));
    struct place place = counted(aged(unpack(atomic_load_explicit(at, memory_order_relaxed)), window), tag);
    atomic_store_explicit(at, pack(place), memory_order_relaxed);
    return place.tag == tag ? place.count : 0;
}
