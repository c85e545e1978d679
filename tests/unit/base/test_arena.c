#include "base/arena.h"
#include "base/poison.h"
#include "base/pool.h"
#include "unit.h"

static void memory_is_aligned_and_distinct(void **state) {
    static const size_t sizes[] = {1, 3, 16, 17, 255, 0, 4096, 100000, 8};
    struct sk_arena arena;
    char *blocks[SK_COUNT(sizes)];
    (void)state;
    sk_arena_init(&arena, 512, 0);
    for (size_t i = 0; i < SK_COUNT(sizes); i++) {
        blocks[i] = sk_arena_alloc(&arena, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < SK_COUNT(sizes); i++)
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(blocks[i][k], (int)i);
    sk_arena_free(&arena);
}

static void the_limit_bounds_what_is_handed_out(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 256, 1024);
    assert_null(sk_arena_alloc(&arena, 1025));
    assert_null(sk_arena_alloc(&arena, SIZE_MAX));
    assert_null(sk_arena_alloc(&arena, SIZE_MAX - 8));
    for (int i = 0; i < 64; i++) assert_non_null(sk_arena_alloc(&arena, 16));
    assert_int_equal(arena.used, 1024);
    assert_null(sk_arena_alloc(&arena, 1));
    assert_null(sk_arena_zalloc(&arena, 1));
    assert_null(sk_arena_copy(&arena, SK_STR("x")).data);
    assert_null(sk_arena_printf(&arena, "x").data);
    sk_arena_reset(&arena);
    assert_non_null(sk_arena_alloc(&arena, 1024));
    sk_arena_free(&arena);
}

static void a_reset_keeps_the_first_chunk_only(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 1024, 0);
    void *first = sk_arena_alloc(&arena, 10);
    for (int i = 0; i < 100; i++) assert_non_null(sk_arena_alloc(&arena, 1000));
    assert_non_null(sk_arena_alloc(&arena, 50000));
    sk_arena_reset(&arena);
    assert_int_equal(arena.used, 0);
    assert_ptr_equal(sk_arena_alloc(&arena, 10), first);
    sk_arena_free(&arena);
}

static void first_chunks_of_a_pool_are_used_again(void **state) {
    struct sk_pool pool;
    struct sk_arena one, two;
    (void)state;
    sk_arena_pool_init(&pool, 1024, 1);
    sk_arena_init_pooled(&one, &pool, 0);
    sk_arena_init_pooled(&two, &pool, 0);
    void *first = sk_arena_alloc(&one, 1024);
    assert_non_null(sk_arena_alloc(&one, 10)); /* the second chunk is not the pool's */
    assert_int_equal(pool.live, 1);
    assert_non_null(sk_arena_alloc(&two, 1));
    assert_int_equal(pool.live, 2);
    sk_arena_reset(&one);
    assert_ptr_equal(sk_arena_alloc(&one, 16), first);
    sk_arena_free(&one);
    sk_arena_free(&two);
    assert_int_equal(pool.live, 0);
    assert_int_equal(pool.free_count, 1);
    assert_ptr_equal(sk_arena_alloc(&two, 16), first); /* it is still the pool's after a free */
    assert_int_equal(pool.free_count, 0);
    sk_arena_free(&two);
    assert_non_null(sk_arena_alloc(&one, 1025)); /* larger than the pool's: of its own */
    assert_int_equal(pool.live, 0);
    sk_arena_free(&one);
    sk_pool_free_all(&pool);
}

#ifdef SK_ASAN
static void what_a_pool_keeps_is_poisoned(void **state) {
    struct sk_pool pool;
    struct sk_arena arena;
    (void)state;
    sk_arena_pool_init(&pool, 1024, 1);
    sk_arena_init_pooled(&arena, &pool, 0);
    char *first = sk_arena_alloc(&arena, 64);
    assert_false(__asan_address_is_poisoned(first + 63));
    sk_arena_free(&arena);
    assert_true(__asan_address_is_poisoned(first));
    sk_pool_free_all(&pool);
}
#endif

static void a_huge_first_chunk_is_not_kept(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 1024, 0);
    assert_non_null(sk_arena_alloc(&arena, 1 << 20));
    sk_arena_reset(&arena);
    assert_null(arena.chunk);
    assert_non_null(sk_arena_alloc(&arena, 10));
    sk_arena_free(&arena);
}

static void a_large_request_does_not_waste_the_newest_chunk(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 1024, 0);
    char *before = sk_arena_alloc(&arena, 16);
    assert_non_null(sk_arena_alloc(&arena, 40000));
    char *after = sk_arena_alloc(&arena, 16);
    assert_ptr_equal(after, before + 16);
    sk_arena_free(&arena);
}

static void copies_end_with_a_nul_and_zalloc_is_zero(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 0, 0);
    memset(sk_arena_alloc(&arena, 200), 0xff, 200);
    sk_arena_reset(&arena);
    char *zero = sk_arena_zalloc(&arena, 100);
    for (int i = 0; i < 100; i++) assert_int_equal(zero[i], 0);
    sk_str copy = sk_arena_copy(&arena, SK_STR("hello"));
    assert_str(copy, SK_STR("hello"));
    assert_int_equal(copy.data[5], 0);
    sk_str empty = sk_arena_copy(&arena, sk_str_from_c(NULL));
    assert_non_null(empty.data);
    assert_int_equal(empty.len, 0);
    sk_str text = sk_arena_printf(&arena, "%s-%d-%0300d", "a", 7, 1);
    assert_int_equal(text.len, 304);
    assert_true(sk_str_starts_with(text, SK_STR("a-7-000")));
    sk_arena_free(&arena);
}

#ifdef SK_ASAN
static void memory_is_poisoned_after_a_reset(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 1024, 0);
    char *dead = sk_arena_alloc(&arena, 16);
    assert_false(__asan_address_is_poisoned(dead));
    sk_arena_reset(&arena);
    assert_true(__asan_address_is_poisoned(dead));
    sk_arena_free(&arena);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_distinct),
        cmocka_unit_test(the_limit_bounds_what_is_handed_out),
        cmocka_unit_test(a_reset_keeps_the_first_chunk_only),
        cmocka_unit_test(first_chunks_of_a_pool_are_used_again),
        cmocka_unit_test(a_huge_first_chunk_is_not_kept),
        cmocka_unit_test(a_large_request_does_not_waste_the_newest_chunk),
        cmocka_unit_test(copies_end_with_a_nul_and_zalloc_is_zero),
#ifdef SK_ASAN
        cmocka_unit_test(what_a_pool_keeps_is_poisoned),
        cmocka_unit_test(memory_is_poisoned_after_a_reset),
#endif
    };
    return SK_RUN_TESTS(tests);
}
