#include "cache/disk_index.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS 8 /* of a bucket */
#define IMAGE_ALIGN 4096
#define TAG_BITS 14
#define TAG_MASK ((1u << TAG_BITS) - 1)
#define PLACE_BITS 40
#define PLACE_MASK ((UINT64_C(1) << PLACE_BITS) - 1)
#define REMOVED PLACE_MASK /* in place of a place: known to be gone, while older records are loaded */

#define SHIFT_TAG PLACE_BITS
#define SHIFT_CLASS (SHIFT_TAG + TAG_BITS)
#define SHIFT_ACCESSES (SHIFT_CLASS + 6)

struct bucket {
    _Alignas(64) _Atomic uint64_t
        slots[SLOTS]; /* release by the writer: a place is known after its bytes lie there */
};

struct disk_index {
    struct bucket *buckets; /* readers any thread */
    uint64_t bucket_count;
    size_t map_bytes;
    pthread_mutex_t lock; /* one change */
    /* under the lock */
    bool loading, remembers_removed;
    _Atomic uint64_t records, lost; /* figures */
};

/* ---- lengths ------------------------------------------------------------------------------------------- */

/* Four steps a doubling, from 512 bytes on. */
uint64_t disk_length_of(uint8_t length_class) {
    return (UINT64_C(128) * (4 + (length_class & 3))) << (length_class >> 2);
}

uint8_t disk_length_class(uint64_t bytes) {
    uint8_t length_class = 0;
    while (length_class < DISK_LENGTH_CLASSES - 1 && disk_length_of(length_class) < bytes) length_class++;
    return length_class;
}

/* ---- slots --------------------------------------------------------------------------------------------- */

/* Which buckets, and which tag, from bits of the hash that do not overlap. */
struct home {
    struct bucket *buckets[2];
    uint64_t tag;
};

static uint64_t scale(uint64_t value, uint64_t count) { return (uint64_t)(((sk_u128)value * count) >> 64); }

static struct home home_of(const struct disk_index *index, sk_hash128 hash) {
    uint64_t first = scale(hash.low, index->bucket_count), second = scale(hash.high, index->bucket_count);
    if (second == first) second = (second + 1) % index->bucket_count;
    return (struct home){{&index->buckets[first], &index->buckets[second]},
                         ((hash.high ^ hash.low) & TAG_MASK)};
}

static uint64_t slot_make(uint64_t tag, struct disk_place place) {
    SK_ASSERT(place.unit > 0 && place.unit <= DISK_PLACE_MAX);
    return place.unit | tag << SHIFT_TAG | (uint64_t)place.length_class << SHIFT_CLASS |
           (uint64_t)place.accesses << SHIFT_ACCESSES;
}
static uint64_t slot_unit(uint64_t slot) { return slot & PLACE_MASK; }
static bool is_removed(uint64_t slot) { return slot_unit(slot) == REMOVED; }
static uint64_t slot_tag(uint64_t slot) { return slot >> SHIFT_TAG & TAG_MASK; }
static uint8_t slot_accesses(uint64_t slot) { return slot >> SHIFT_ACCESSES & 3; }
static struct disk_place slot_place(uint64_t slot) {
    return (struct disk_place){.unit = slot_unit(slot),
                               .length_class = slot >> SHIFT_CLASS & (DISK_LENGTH_CLASSES - 1),
                               .accesses = slot_accesses(slot)};
}

/* The slot that knows of the hash; NULL: none. */
static _Atomic uint64_t *known(const struct home *home, uint64_t *out_value) {
    for (size_t b = 0; b < 2; b++) {
        for (size_t i = 0; i < SLOTS; i++) {
            /* acquire: who reads the place sees what was written there before it was told */
            uint64_t value = atomic_load_explicit(&home->buckets[b]->slots[i], memory_order_acquire);
            if (!value || slot_tag(value) != home->tag) continue;
            *out_value = value;
            return &home->buckets[b]->slots[i];
        }
    }
    return NULL;
}

static size_t fill_of(const struct bucket *bucket) {
    size_t used = 0;
    for (size_t i = 0; i < SLOTS; i++)
        used += atomic_load_explicit(&bucket->slots[i], memory_order_relaxed) != 0; /* a guess is enough */
    return used;
}

/* An empty slot in the emptier bucket; NULL: both are full. */
static _Atomic uint64_t *empty_slot(const struct home *home) {
    struct bucket *bucket = home->buckets[fill_of(home->buckets[1]) < fill_of(home->buckets[0])];
    for (size_t i = 0; i < SLOTS; i++)
        if (!atomic_load_explicit(&bucket->slots[i], memory_order_relaxed)) return &bucket->slots[i];
    return NULL;
}

static _Atomic uint64_t *least_used(const struct home *home) {
    _Atomic uint64_t *least = &home->buckets[0]->slots[0];
    for (size_t i = 1; i < 2 * SLOTS; i++) {
        _Atomic uint64_t *slot = &home->buckets[i / SLOTS]->slots[i % SLOTS];
        if (slot_accesses(atomic_load_explicit(slot, memory_order_relaxed)) <
            slot_accesses(atomic_load_explicit(least, memory_order_relaxed)))
            least = slot;
    }
    return least;
}

/* release: the record's bytes are there before a reader can come for them */
static void store(_Atomic uint64_t *slot, uint64_t value) {
    atomic_store_explicit(slot, value, memory_order_release);
}

static void add(_Atomic uint64_t *counter, uint64_t change) {
    atomic_fetch_add_explicit(counter, change, memory_order_relaxed); /* a figure, orders nothing */
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static uint64_t buckets_for(uint64_t records) { return SK_MAX(records * 5 / 4 / SLOTS + 1, 2); }

uint64_t disk_index_image_bytes(uint64_t records) {
    return (buckets_for(records) * sizeof(struct bucket) + IMAGE_ALIGN - 1) / IMAGE_ALIGN * IMAGE_ALIGN;
}

sk_err disk_index_create(uint64_t records, struct disk_index **out_index) {
    if (!records || records > DISK_PLACE_MAX) return SK_ERR_INVALID;
    struct disk_index *index = calloc(1, sizeof *index);
    if (!index) return SK_ERR_NO_MEMORY;
    index->bucket_count = buckets_for(records);
    index->map_bytes = disk_index_image_bytes(records);
    /* Zero pages, touched as records come. */
    index->buckets = mmap(NULL, index->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (index->buckets == MAP_FAILED) {
        free(index);
        return SK_ERR_NO_MEMORY;
    }
    (void)madvise(index->buckets, index->map_bytes,
                  MADV_HUGEPAGE); /* two lines of a look are two far places */
    pthread_mutex_init(&index->lock, NULL);
    *out_index = index;
    return SK_OK;
}

void disk_index_destroy(struct disk_index *index) {
    if (!index) return;
    munmap(index->buckets, index->map_bytes);
    pthread_mutex_destroy(&index->lock);
    free(index);
}

/* ---- looks and changes ------------------------------------------------------------------------------------ */

bool disk_index_find(const struct disk_index *index, sk_hash128 hash, struct disk_place *out_place) {
    struct home home = home_of(index, hash);
    uint64_t value;
    if (!known(&home, &value) || is_removed(value)) return false;
    *out_place = slot_place(value);
    return true;
}

void disk_index_touch(struct disk_index *index, sk_hash128 hash, uint64_t unit) {
    struct home home = home_of(index, hash);
    uint64_t value;
    _Atomic uint64_t *slot = known(&home, &value);
    if (!slot || slot_unit(value) != unit || slot_accesses(value) == DISK_ACCESSES_MAX) return;
    /* relaxed: the place in it is no newer than it was; a change under our hands makes this fail, as it should */
    atomic_compare_exchange_strong_explicit(slot, &value, value + (UINT64_C(1) << SHIFT_ACCESSES),
                                            memory_order_relaxed, memory_order_relaxed);
}

bool disk_index_put(struct disk_index *index, sk_hash128 hash, struct disk_place place,
                    struct disk_place *out_lost) {
    struct home home = home_of(index, hash);
    uint64_t value = 0;
    bool lost = false;
    pthread_mutex_lock(&index->lock);
    _Atomic uint64_t *slot = known(&home, &value);
    if (!slot) slot = empty_slot(&home);
    if (!slot) {
        slot = least_used(&home);
        value = atomic_load_explicit(slot, memory_order_relaxed);
        lost = !is_removed(value);
    }
    if (lost && out_lost) *out_lost = slot_place(value);
    if (lost) add(&index->lost, 1);
    if (!value || is_removed(value)) add(&index->records, 1);
    store(slot, slot_make(home.tag, place));
    pthread_mutex_unlock(&index->lock);
    return lost;
}

bool disk_index_put_older(struct disk_index *index, sk_hash128 hash, struct disk_place place) {
    struct home home = home_of(index, hash);
    uint64_t value;
    pthread_mutex_lock(&index->lock);
    _Atomic uint64_t *slot = known(&home, &value) ? NULL : empty_slot(&home);
    if (slot) {
        store(slot, slot_make(home.tag, place));
        add(&index->records, 1);
    }
    pthread_mutex_unlock(&index->lock);
    return slot != NULL;
}

/* Under the lock: what stands in a slot whose record was removed. The accesses keep it from being lost first. */
static uint64_t gone(struct disk_index *index, uint64_t tag) {
    if (!index->loading) return 0;
    index->remembers_removed = true;
    return REMOVED | tag << SHIFT_TAG | (uint64_t)DISK_ACCESSES_MAX << SHIFT_ACCESSES;
}

/* Under the lock a slot's place and tag stay; only its accesses may change meanwhile, and, when loading has ended,
 * what stands there of a removed record. */
static bool replace_if_at(struct disk_index *index, sk_hash128 hash, uint64_t unit, uint64_t with) {
    struct home home = home_of(index, hash);
    uint64_t value;
    pthread_mutex_lock(&index->lock);
    _Atomic uint64_t *slot = known(&home, &value);
    bool there = slot && !is_removed(value) && (!unit || slot_unit(value) == unit);
    if (there) store(slot, with ? with | home.tag << SHIFT_TAG : gone(index, home.tag));
    if (there && !with) add(&index->records, (uint64_t)-1);
    if (!slot && !with && !unit && index->loading && (slot = empty_slot(&home)))
        store(slot, gone(index, home.tag));
    pthread_mutex_unlock(&index->lock);
    return there;
}

bool disk_index_move(struct disk_index *index, sk_hash128 hash, uint64_t from, struct disk_place to) {
    return replace_if_at(index, hash, from, slot_make(0, to));
}

bool disk_index_remove(struct disk_index *index, sk_hash128 hash, uint64_t unit) {
    return replace_if_at(index, hash, unit, 0);
}

/* ---- loading ------------------------------------------------------------------------------------------- */

static void forget_removed(struct disk_index *index) {
    for (uint64_t b = 0; b < index->bucket_count; b++)
        for (size_t i = 0; i < SLOTS; i++) {
            _Atomic uint64_t *slot = &index->buckets[b].slots[i];
            uint64_t value = atomic_load_explicit(slot, memory_order_relaxed);
            /* relaxed: an empty slot tells of no bytes; what a writer put there meanwhile makes it fail */
            if (is_removed(value))
                atomic_compare_exchange_strong_explicit(slot, &value, 0, memory_order_relaxed,
                                                        memory_order_relaxed);
        }
}

void disk_index_loading(struct disk_index *index, bool loading) {
    pthread_mutex_lock(&index->lock);
    bool walk = !loading && index->remembers_removed;
    index->loading = loading;
    if (!loading) index->remembers_removed = false;
    pthread_mutex_unlock(&index->lock);
    if (walk) forget_removed(index);
}

void disk_index_prefetch(const struct disk_index *index, sk_hash128 hash) {
    struct home home = home_of(index, hash);
    __builtin_prefetch(home.buckets[0], 1);
    __builtin_prefetch(home.buckets[1], 1);
}

/* ---- the image ------------------------------------------------------------------------------------------- */

void *disk_index_image(struct disk_index *index, uint64_t *out_bytes, uint64_t *out_buckets) {
    *out_bytes = index->map_bytes;
    *out_buckets = index->bucket_count;
    return index->buckets;
}

void disk_index_image_set(struct disk_index *index, uint64_t records) {
    if (!records) memset(index->buckets, 0, index->map_bytes);
    atomic_store_explicit(&index->records, records, memory_order_relaxed); /* nobody uses it yet */
}

struct disk_index_usage disk_index_usage(const struct disk_index *index) {
    return (struct disk_index_usage){
        .records = atomic_load_explicit(&index->records, memory_order_relaxed),
        .slots = index->bucket_count * SLOTS,
        .bytes = index->map_bytes + sizeof *index,
        .lost = atomic_load_explicit(&index->lost, memory_order_relaxed),
    };
}
