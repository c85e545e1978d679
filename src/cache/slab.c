#include "cache/slab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/list.h"
#include "base/poison.h"
#include "base/random.h"

#define SLAB_MIN_BYTES (256u * 1024)
#define SLAB_MAX_BYTES (1024u * 1024)
#define SLABS_WANTED 256 /* slabs grow from the minimum once there are more */
#define SLABS_MIN 16
#define DRAIN_SAMPLE 64
#define DRAIN_TRIES 6
#define SEND_MIN_BYTES 16384 /* less is cheaper to copy */

enum slab_state { SLAB_FREE, SLAB_USED, SLAB_DRAINING };

struct slab {
    struct sk_list link; /* in a class's list while it has free chunks, or among the free slabs */
    uint8_t state;
    uint8_t class;
    bool resident;   /* pages may be there: counted */
    bool sent;       /* free, and something in it was sent: punch before use */
    uint32_t live;   /* chunks in use */
    uint32_t count;  /* chunks */
    uint32_t hint;   /* no free chunk in the words of `used` before this one */
    uint64_t *used;  /* a bit a chunk */
    uint64_t *punch; /* free and sent: punch before use */
    void **owners;
};

struct cache_slab {
    /* set once at creation */
    char *base;
    int fd;
    uint32_t slab_bytes, slab_count;
    size_t page_bytes;
    /* under the store's lock */
    uint64_t limit_bytes, resident_bytes, live_bytes;
    struct sk_list partial[CACHE_CHUNK_CLASSES]; /* slabs with a free chunk */
    struct sk_list free_resident, free_absent;
    struct slab *slabs;
};

/* Class 0 is 512 bytes; then each doubling is cut into four. */
static uint32_t class_of(size_t bytes) {
    if (bytes <= CACHE_CHUNK_MIN_BYTES) return 0;
    uint32_t exponent = 63 - (uint32_t)__builtin_clzll(bytes - 1);
    uint32_t quarter = ((bytes - 1) >> (exponent - 2)) & 3;
    return (exponent - 9) * 4 + quarter + 1;
}

static size_t class_bytes(uint32_t class) {
    if (class == 0) return CACHE_CHUNK_MIN_BYTES;
    uint32_t exponent = 9 + (class - 1) / 4, quarter = (class - 1) % 4;
    return ((size_t)1 << exponent) + ((size_t)(quarter + 1) << (exponent - 2));
}

size_t cache_chunk_bytes(size_t bytes) {
    SK_ASSERT(bytes > 0 && bytes <= CACHE_CHUNK_MAX_BYTES);
    return class_bytes(class_of(bytes));
}

/* ---- the mapping ------------------------------------------------------------------------------------ */

static uint32_t choose_slab_bytes(uint64_t region_bytes) {
    uint32_t bytes = SLAB_MIN_BYTES;
    while (bytes < SLAB_MAX_BYTES && region_bytes / bytes > SLABS_WANTED) bytes *= 2;
    return bytes;
}

static sk_err map_region(struct cache_slab *slab) {
    size_t bytes = (size_t)slab->slab_bytes * slab->slab_count;
    slab->fd = memfd_create("skerry-cache", MFD_CLOEXEC);
    if (slab->fd < 0) return SK_ERR_NO_MEMORY;
    if (ftruncate(slab->fd, (off_t)bytes) != 0) return SK_ERR_NO_MEMORY;
    slab->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, slab->fd, 0);
    if (slab->base == MAP_FAILED) {
        slab->base = NULL;
        return SK_ERR_NO_MEMORY;
    }
    (void)madvise(slab->base, bytes, MADV_DONTDUMP);
    SK_POISON(slab->base, bytes);
    return SK_OK;
}

sk_err cache_slab_create(uint64_t region_bytes, struct cache_slab **out_slab) {
    uint32_t slab_bytes = choose_slab_bytes(region_bytes);
    uint64_t count = region_bytes / slab_bytes;
    if (count < SLABS_MIN || count > UINT32_MAX) return SK_ERR_INVALID;
    struct cache_slab *slab = calloc(1, sizeof *slab);
    if (!slab) return SK_ERR_NO_MEMORY;
    *slab = (struct cache_slab){.fd = -1, .slab_bytes = slab_bytes, .slab_count = (uint32_t)count};
    slab->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    slab->slabs = calloc(count, sizeof *slab->slabs);
    sk_err err = slab->slabs ? map_region(slab) : SK_ERR_NO_MEMORY;
    if (err) {
        cache_slab_destroy(slab);
        return err;
    }
    for (uint32_t i = 0; i < CACHE_CHUNK_CLASSES; i++) sk_list_init(&slab->partial[i]);
    sk_list_init(&slab->free_resident);
    sk_list_init(&slab->free_absent);
    for (uint32_t i = 0; i < slab->slab_count; i++)
        sk_list_push_back(&slab->free_absent, &slab->slabs[i].link);
    slab->limit_bytes = region_bytes;
    slab->resident_bytes = sizeof *slab + count * sizeof *slab->slabs;
    *out_slab = slab;
    return SK_OK;
}

void cache_slab_destroy(struct cache_slab *slab) {
    if (slab->base) {
        SK_UNPOISON(slab->base, (size_t)slab->slab_bytes * slab->slab_count);
        munmap(slab->base, (size_t)slab->slab_bytes * slab->slab_count);
    }
    if (slab->fd >= 0) close(slab->fd);
    for (uint32_t i = 0; slab->slabs && i < slab->slab_count; i++) free(slab->slabs[i].used);
    free(slab->slabs);
    free(slab);
}

static void punch(struct cache_slab *slab, const char *data, size_t bytes) {
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, done;
    do done = fallocate(slab->fd, mode, data - slab->base, (off_t)bytes);
    while (done != 0 && errno == EINTR);
    SK_ASSERT(done == 0); /* a memfd can always be punched; going on would overwrite what is being sent */
}

/* ---- slabs ------------------------------------------------------------------------------------------ */

static char *slab_data(const struct cache_slab *slab, const struct slab *one) {
    return slab->base + (size_t)(one - slab->slabs) * slab->slab_bytes;
}

static uint32_t slab_words(const struct slab *one) { return (one->count + 63) / 64; }
static size_t slab_table_bytes(uint32_t count) {
    return (size_t)((count + 63) / 64) * 2 * sizeof(uint64_t) + count * sizeof(void *);
}

/* One allocation holds both bit sets and the owners. */
static bool slab_assign(struct cache_slab *slab, struct slab *one, uint32_t class) {
    uint32_t count = slab->slab_bytes / (uint32_t)class_bytes(class);
    uint64_t *tables = calloc(1, slab_table_bytes(count));
    if (!tables) return false;
    sk_list_remove(&one->link);
    if (one->sent) punch(slab, slab_data(slab, one), slab->slab_bytes);
    uint64_t newly = one->resident ? 0 : slab->slab_bytes;
    *one = (struct slab){.state = SLAB_USED, .class = (uint8_t)class, .resident = true, .count = count};
    one->used = tables;
    one->punch = tables + slab_words(one);
    one->owners = (void **)(one->punch + slab_words(one));
    slab->resident_bytes += newly + slab_table_bytes(count);
    sk_list_push_front(&slab->partial[class], &one->link);
    return true;
}

static void slab_release(struct cache_slab *slab, struct slab *one) {
    bool sent = false;
    for (uint32_t i = 0; i < slab_words(one); i++) sent |= one->punch[i] != 0;
    if (one->state != SLAB_DRAINING) sk_list_remove(&one->link);
    slab->resident_bytes -= slab_table_bytes(one->count);
    free(one->used);
    *one = (struct slab){.state = SLAB_FREE, .resident = true, .sent = sent};
    sk_list_push_front(&slab->free_resident, &one->link);
}

/* Resident ones first: they are paid for. */
static struct slab *slab_take_free(struct cache_slab *slab, uint32_t class) {
    struct sk_list *link = sk_list_first(&slab->free_resident);
    uint32_t count = slab->slab_bytes / (uint32_t)class_bytes(class);
    uint64_t more = slab_table_bytes(count) + (link ? 0 : slab->slab_bytes);
    if (!link) link = sk_list_first(&slab->free_absent);
    if (!link || slab->resident_bytes + more > slab->limit_bytes) return NULL;
    struct slab *one = SK_CONTAINER_OF(link, struct slab, link);
    return slab_assign(slab, one, class) ? one : NULL;
}

uint32_t cache_slab_give_back(struct cache_slab *slab, uint32_t count) {
    uint32_t given = 0;
    for (; given < count && !sk_list_empty(&slab->free_resident); given++) {
        struct slab *one = SK_CONTAINER_OF(sk_list_pop_front(&slab->free_resident), struct slab, link);
        punch(slab, slab_data(slab, one), slab->slab_bytes);
        one->resident = one->sent = false;
        slab->resident_bytes -= slab->slab_bytes;
        sk_list_push_back(&slab->free_absent, &one->link);
    }
    return given;
}

void cache_slab_trim(struct cache_slab *slab) {
    while (slab->resident_bytes > slab->limit_bytes && cache_slab_give_back(slab, 1)) continue;
}

/* ---- chunks ----------------------------------------------------------------------------------------- */

static bool bit_get(const uint64_t *bits, uint32_t i) { return bits[i / 64] >> (i % 64) & 1; }
static void bit_set(uint64_t *bits, uint32_t i) { bits[i / 64] |= UINT64_C(1) << (i % 64); }
static void bit_clear(uint64_t *bits, uint32_t i) { bits[i / 64] &= ~(UINT64_C(1) << (i % 64)); }

/* Only called when there is one. */
static uint32_t find_free_chunk(struct slab *one) {
    while (one->used[one->hint] == UINT64_MAX) one->hint++;
    return one->hint * 64 + (uint32_t)__builtin_ctzll(~one->used[one->hint]);
}

/* The chunk and its free neighbours that wait for the same go in one call. */
static void punch_around(struct cache_slab *slab, struct slab *one, uint32_t chunk) {
    uint32_t first = chunk, end = chunk + 1;
    while (first > 0 && bit_get(one->punch, first - 1)) first--;
    while (end < one->count && bit_get(one->punch, end)) end++;
    size_t bytes = class_bytes(one->class);
    punch(slab, slab_data(slab, one) + first * bytes, (end - first) * bytes);
    for (uint32_t i = first; i < end; i++) bit_clear(one->punch, i);
}

void *cache_slab_alloc(struct cache_slab *slab, size_t bytes, void *owner) {
    SK_ASSERT(bytes > 0 && bytes <= CACHE_CHUNK_MAX_BYTES);
    uint32_t class = class_of(bytes);
    struct sk_list *link = sk_list_first(&slab->partial[class]);
    struct slab *one = link ? SK_CONTAINER_OF(link, struct slab, link) : slab_take_free(slab, class);
    if (!one) return NULL;
    uint32_t chunk = find_free_chunk(one);
    if (bit_get(one->punch, chunk)) punch_around(slab, one, chunk);
    bit_set(one->used, chunk);
    one->owners[chunk] = owner;
    if (++one->live == one->count) sk_list_remove(&one->link);
    slab->live_bytes += class_bytes(class);
    char *data = slab_data(slab, one) + chunk * class_bytes(class);
    SK_UNPOISON(data, bytes);
    return data;
}

static struct slab *locate(const struct cache_slab *slab, const void *chunk, uint32_t *out_chunk) {
    size_t offset = (size_t)((const char *)chunk - slab->base);
    struct slab *one = &slab->slabs[offset / slab->slab_bytes];
    size_t inside = offset % slab->slab_bytes;
    SK_ASSERT(offset / slab->slab_bytes < slab->slab_count && one->state != SLAB_FREE);
    *out_chunk = (uint32_t)(inside / class_bytes(one->class));
    SK_ASSERT(inside % class_bytes(one->class) == 0 && bit_get(one->used, *out_chunk));
    return one;
}

void cache_slab_free(struct cache_slab *slab, void *data, bool sent) {
    uint32_t chunk;
    struct slab *one = locate(slab, data, &chunk);
    size_t bytes = class_bytes(one->class);
    SK_POISON(data, bytes);
    bit_clear(one->used, chunk);
    if (sent && cache_slab_sendable(slab, bytes)) bit_set(one->punch, chunk);
    one->owners[chunk] = NULL;
    one->hint = SK_MIN(one->hint, chunk / 64);
    slab->live_bytes -= bytes;
    bool was_full = one->live-- == one->count;
    if (was_full && one->state == SLAB_USED) sk_list_push_back(&slab->partial[one->class], &one->link);
    if (one->live == 0) slab_release(slab, one);
}

void cache_slab_renew(struct cache_slab *slab, void *data) {
    uint32_t chunk;
    struct slab *one = locate(slab, data, &chunk);
    punch(slab, data, class_bytes(one->class));
}

void cache_slab_set_owner(struct cache_slab *slab, void *data, void *owner) {
    uint32_t chunk;
    struct slab *one = locate(slab, data, &chunk);
    one->owners[chunk] = owner;
}

/* ---- draining --------------------------------------------------------------------------------------- */

void *cache_slab_next_owner(const struct cache_slab *slab, uint32_t index, uint32_t *cursor) {
    const struct slab *one = &slab->slabs[index];
    for (uint32_t i = *cursor; one->state != SLAB_FREE && i < one->count; i++)
        if (bit_get(one->used, i) && one->owners[i]) {
            *cursor = i + 1;
            return one->owners[i];
        }
    return NULL;
}

/* What moving all of a slab would cost; an owner's neighbouring chunks count once. */
static uint64_t cost_of(const struct slab *one, uint64_t (*cost)(void *arg, void *owner), void *arg) {
    uint64_t sum = 0;
    const void *last = NULL;
    for (uint32_t i = 0; i < one->count; i++) {
        if (!bit_get(one->used, i) || (last && one->owners[i] == last)) continue;
        uint64_t more = one->owners[i] ? cost(arg, one->owners[i]) : UINT64_MAX;
        if (more == UINT64_MAX) return UINT64_MAX;
        sum += more;
        last = one->owners[i];
    }
    return sum;
}

static uint64_t live_bytes_of(const struct slab *one) { return one->live * class_bytes(one->class); }

/* The emptiest slab in use of a sample that `refused` does not name; NULL when none is left. A sample does:
 * what counts is not to take a full one while there are nearly empty ones (power of choices). */
static struct slab *emptiest(struct cache_slab *slab, uint32_t start, struct slab *const *refused,
                             size_t count) {
    struct slab *best = NULL;
    uint32_t tries = SK_MIN(DRAIN_SAMPLE, slab->slab_count), step = slab->slab_count / tries;
    for (uint32_t i = 0; i < tries; i++) {
        struct slab *one = &slab->slabs[(start + (uint64_t)i * step) % slab->slab_count];
        bool skip = one->state != SLAB_USED || (best && live_bytes_of(one) >= live_bytes_of(best));
        for (size_t r = 0; !skip && r < count; r++) skip = one == refused[r];
        if (!skip) best = one;
    }
    return best;
}

bool cache_slab_drain(struct cache_slab *slab, uint64_t (*cost)(void *arg, void *owner), void *arg,
                      uint32_t *out_index) {
    struct slab *looked_at[DRAIN_TRIES], *best = NULL;
    uint64_t least = UINT64_MAX;
    uint32_t start = (uint32_t)sk_random_below(slab->slab_count);
    for (size_t i = 0; i < DRAIN_TRIES; i++) {
        struct slab *one = emptiest(slab, start, looked_at, i);
        if (!one) break;
        looked_at[i] = one;
        uint64_t own = cost_of(one, cost, arg);
        if (own >= least) continue;
        best = one;
        least = own;
    }
    if (!best) return false;
    if (best->live < best->count) sk_list_remove(&best->link);
    best->state = SLAB_DRAINING;
    *out_index = (uint32_t)(best - slab->slabs);
    return true;
}

/* ---- plain answers ---------------------------------------------------------------------------------- */

void cache_slab_set_limit(struct cache_slab *slab, uint64_t limit_bytes) { slab->limit_bytes = limit_bytes; }
uint64_t cache_slab_resident_bytes(const struct cache_slab *slab) { return slab->resident_bytes; }
uint64_t cache_slab_live_bytes(const struct cache_slab *slab) { return slab->live_bytes; }
uint64_t cache_slab_limit_bytes(const struct cache_slab *slab) { return slab->limit_bytes; }
size_t cache_slab_bytes(const struct cache_slab *slab) { return slab->slab_bytes; }
int cache_slab_fd(const struct cache_slab *slab) { return slab->fd; }
const char *cache_slab_base(const struct cache_slab *slab) { return slab->base; }
bool cache_slab_sendable(const struct cache_slab *slab, size_t bytes) {
    size_t chunk = cache_chunk_bytes(bytes);
    return chunk >= SEND_MIN_BYTES && chunk % slab->page_bytes == 0;
}
