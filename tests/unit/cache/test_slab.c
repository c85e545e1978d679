#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/poison.h"
#include "base/random.h"
#include "cache/slab.h"
#include "unit.h"

static void every_size_has_a_chunk_that_wastes_little(void **state) {
    size_t last = 0, classes = 0;
    for (size_t bytes = 1; bytes <= CACHE_CHUNK_MAX_BYTES; bytes++) {
        size_t chunk = cache_chunk_bytes(bytes);
        assert_true(chunk >= bytes && chunk % 64 == 0);
        if (bytes > CACHE_CHUNK_MIN_BYTES) assert_true((chunk - bytes) * 4 < bytes);
        assert_true(chunk >= last);
        classes += chunk > last;
        last = chunk;
    }
    assert_int_equal(classes, CACHE_CHUNK_CLASSES);
    (void)state;
}

/* ---- against a model: every chunk keeps what was written, none overlap, the limit holds ---------------- */

struct model_chunk {
    unsigned char *data;
    size_t bytes;
    unsigned char mark;
};

static void fill_chunk(struct model_chunk *chunk) { memset(chunk->data, chunk->mark, chunk->bytes); }

static void check_chunk(const struct model_chunk *chunk) {
    for (size_t i = 0; i < chunk->bytes; i += 61)
        if (chunk->data[i] != chunk->mark) fail_msg("byte %zu of a chunk of %zu changed", i, chunk->bytes);
    if (chunk->data[chunk->bytes - 1] != chunk->mark) fail_msg("the last byte of %zu changed", chunk->bytes);
}

static size_t random_size(void) {
    size_t most = (size_t)1 << (6 + sk_random_below(11));
    return 1 + sk_random_below(most);
}

static void random_allocations_keep_their_bytes(void **state) {
    enum { CHUNKS = 600, STEPS = 60000 };
    static struct model_chunk chunks[CHUNKS];
    struct cache_slab *slab;
    size_t refused = 0;
    memset(chunks, 0, sizeof chunks);
    assert_ok(cache_slab_create(8u << 20, &slab));
    uint64_t limit = 8u << 20;
    for (int step = 0; step < STEPS; step++) {
        struct model_chunk *chunk = &chunks[sk_random_below(CHUNKS)];
        if (step % 10000 == 5000) cache_slab_set_limit(slab, limit = (4u << 20) + sk_random_below(4u << 20));
        if (chunk->data) {
            check_chunk(chunk);
            cache_slab_free(slab, chunk->data, sk_random_below(2));
            *chunk = (struct model_chunk){0};
            cache_slab_trim(slab);
            continue;
        }
        uint64_t before = cache_slab_resident_bytes(slab);
        *chunk = (struct model_chunk){.bytes = random_size(), .mark = (unsigned char)step};
        chunk->data = cache_slab_alloc(slab, chunk->bytes, chunk);
        if (chunk->data) fill_chunk(chunk);
        refused += !chunk->data;
        uint64_t after = cache_slab_resident_bytes(slab);
        assert_true(after <= limit || after == before);
        assert_true(cache_slab_live_bytes(slab) <= after);
    }
    assert_true(refused > 0); /* else the limit was never tried */
    for (size_t i = 0; i < CHUNKS; i++) {
        if (!chunks[i].data) continue;
        check_chunk(&chunks[i]);
        cache_slab_free(slab, chunks[i].data, false);
    }
    assert_int_equal(cache_slab_live_bytes(slab), 0);
    cache_slab_destroy(slab);
    (void)state;
}

/* A pipe keeps the pages of a file as a socket's queue does: by reference. */
static void a_page_that_was_sent_keeps_its_bytes_when_its_chunk_is_used_again(void **state) {
    struct cache_slab *slab;
    int ends[2];
    char got[4096];
    assert_ok(cache_slab_create(8u << 20, &slab));
    assert_int_equal(pipe(ends), 0);
    char *chunk = cache_slab_alloc(slab, 16384, NULL);
    memset(chunk, 'a', 16384);
    loff_t offset = (loff_t)cache_slab_offset(cache_slab_base(slab), chunk);
    assert_int_equal(splice(cache_slab_fd(slab), &offset, ends[1], NULL, 4096, 0), 4096);
    void *other = cache_slab_alloc(slab, 16384, NULL); /* keeps the slab in use */
    cache_slab_free(slab, chunk, true);
    char *again = cache_slab_alloc(slab, 16384, NULL);
    assert_ptr_equal(again, chunk);
    memset(again, 'b', 16384);
    assert_int_equal(read(ends[0], got, sizeof got), 4096);
    for (size_t i = 0; i < sizeof got; i++) assert_int_equal(got[i], 'a');
    cache_slab_free(slab, other, false);
    close(ends[0]);
    close(ends[1]);
    cache_slab_destroy(slab);
    (void)state;
}

static void only_chunks_of_whole_pages_can_be_sent(void **state) {
    struct cache_slab *slab;
    assert_ok(cache_slab_create(8u << 20, &slab));
    assert_false(cache_slab_sendable(slab, 4096));
    assert_true(cache_slab_sendable(slab, 16384));
    assert_true(cache_slab_sendable(slab, 65536));
    cache_slab_destroy(slab);
    (void)state;
}

/* ---- draining ------------------------------------------------------------------------------------------- */

static char pinned_owner, movable_owner;
static uint64_t cost(void *arg, void *owner) { return (void)arg, owner == &movable_owner ? 512 : UINT64_MAX; }

static void a_drained_slab_serves_another_class(void **state) {
    struct cache_slab *slab;
    void *small[40000];
    size_t count = 0;
    uint32_t index, cursor = 0;
    assert_ok(cache_slab_create(8u << 20, &slab));
    while ((small[count] = cache_slab_alloc(slab, 512, &movable_owner))) count++;
    assert_null(cache_slab_alloc(slab, 65536, NULL));
    /* All but one of each slab's chunks, so that none comes free by itself. */
    size_t each = cache_slab_bytes(slab) / 512, left = 0;
    for (size_t i = 0; i < count; i++)
        if (i % each == 0)
            small[left++] = small[i];
        else
            cache_slab_free(slab, small[i], false);
    assert_null(cache_slab_alloc(slab, 65536, NULL));
    cache_slab_set_owner(slab, small[0], &pinned_owner);
    assert_true(cache_slab_drain(slab, cost, NULL, &index));
    assert_ptr_equal(cache_slab_next_owner(slab, index, &cursor), &movable_owner);
    assert_null(cache_slab_next_owner(slab, index, &cursor));
    for (size_t i = 1; i < left; i++) cache_slab_free(slab, small[i], false);
    void *large = cache_slab_alloc(slab, 65536, NULL);
    assert_non_null(large);
    cache_slab_destroy(slab);
    (void)state;
}

static void a_slab_with_somebody_who_may_not_move_is_left_alone(void **state) {
    struct cache_slab *slab;
    uint32_t index;
    assert_ok(cache_slab_create(8u << 20, &slab));
    (void)cache_slab_alloc(slab, 512, &pinned_owner);
    (void)cache_slab_alloc(slab, 512, NULL);
    assert_false(cache_slab_drain(slab, cost, NULL, &index));
    cache_slab_destroy(slab);
    (void)state;
}

static void nothing_new_enters_a_slab_that_is_being_drained(void **state) {
    struct cache_slab *slab;
    uint32_t index;
    assert_ok(cache_slab_create(8u << 20, &slab));
    char *old = cache_slab_alloc(slab, 512, &movable_owner);
    assert_true(cache_slab_drain(slab, cost, NULL, &index));
    char *new = cache_slab_alloc(slab, 512, &movable_owner);
    assert_true((size_t)(new > old ? new - old : old - new) >= cache_slab_bytes(slab) - 512);
    cache_slab_free(slab, old, false);
    cache_slab_destroy(slab);
    (void)state;
}

#ifdef SK_ASAN
static void a_freed_chunk_is_poisoned(void **state) {
    struct cache_slab *slab;
    assert_ok(cache_slab_create(8u << 20, &slab));
    char *chunk = cache_slab_alloc(slab, 700, NULL);
    assert_false(__asan_address_is_poisoned(chunk + 699));
    assert_true(__asan_address_is_poisoned(chunk + 704));
    cache_slab_free(slab, chunk, false);
    assert_true(__asan_address_is_poisoned(chunk));
    cache_slab_destroy(slab);
    (void)state;
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_has_a_chunk_that_wastes_little),
        cmocka_unit_test(random_allocations_keep_their_bytes),
        cmocka_unit_test(a_page_that_was_sent_keeps_its_bytes_when_its_chunk_is_used_again),
        cmocka_unit_test(only_chunks_of_whole_pages_can_be_sent),
        cmocka_unit_test(a_drained_slab_serves_another_class),
        cmocka_unit_test(a_slab_with_somebody_who_may_not_move_is_left_alone),
        cmocka_unit_test(nothing_new_enters_a_slab_that_is_being_drained),
#ifdef SK_ASAN
        cmocka_unit_test(a_freed_chunk_is_poisoned),
#endif
    };
    return SK_RUN_TESTS(tests);
}
