#include <stdint.h>
#include <string.h>

#include "unit.h"
#include "wire/memory.h"

static struct wire_memory memory;

static int set_up(void **state) {
    wire_memory_init(&memory);
    (void)state;
    return 0;
}

/* wire_memory_free asserts that all came back. */
static int tear_down(void **state) {
    wire_memory_free(&memory);
    (void)state;
    return 0;
}

static void blocks_of_all_sizes_hold_what_they_are_for(void **state) {
    static unsigned char *blocks[5000];
    (void)state;
    for (size_t bytes = 0; bytes < SK_COUNT(blocks); bytes++) {
        blocks[bytes] = wire_memory_get(bytes, &memory);
        assert_non_null(blocks[bytes]);
        assert_int_equal((uintptr_t)blocks[bytes] % 16, 0);
        memset(blocks[bytes], (int)(bytes & 0xff), bytes);
    }
    for (size_t bytes = 0; bytes < SK_COUNT(blocks); bytes++) {
        for (size_t i = 0; i < bytes; i++) assert_int_equal(blocks[bytes][i], bytes & 0xff);
        wire_memory_put(blocks[bytes], &memory);
    }
    wire_memory_put(NULL, &memory);
}

/* The next of about the same size is the one that was put back last. */
static void small_blocks_come_back(void **state) {
    (void)state;
    for (size_t bytes = 1; bytes <= 2032; bytes *= 2) {
        void *block = wire_memory_get(bytes, &memory);
        wire_memory_put(block, &memory);
        assert_ptr_equal(wire_memory_get(bytes, &memory), block);
        wire_memory_put(block, &memory);
    }
}

static void zeros_are_zeros_in_used_memory_too(void **state) {
    (void)state;
    for (size_t count = 1; count < 300; count += 7) {
        unsigned char *block = wire_memory_get(12 * count, &memory);
        memset(block, 0xff, 12 * count);
        wire_memory_put(block, &memory);
        block = wire_memory_get_zeros(count, 12, &memory);
        for (size_t i = 0; i < 12 * count; i++) assert_int_equal(block[i], 0);
        wire_memory_put(block, &memory);
    }
    assert_null(wire_memory_get_zeros(SIZE_MAX / 2, 3, &memory));
    assert_null(wire_memory_get(SIZE_MAX - 3, &memory));
}

static void resized_blocks_keep_what_they_hold(void **state) {
    (void)state;
    unsigned char *block = NULL;
    for (size_t bytes = 1, filled = 0; bytes < 10000; filled = bytes, bytes += 1 + bytes / 3) {
        block = wire_memory_resize(block, bytes, &memory);
        assert_non_null(block);
        for (size_t i = 0; i < filled; i++) assert_int_equal(block[i], i & 0xff);
        for (size_t i = filled; i < bytes; i++) block[i] = (unsigned char)i;
    }
    block = wire_memory_resize(block, 1, &memory);
    assert_int_equal(block[0], 0);
    wire_memory_put(block, &memory);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(blocks_of_all_sizes_hold_what_they_are_for),
        CASE(small_blocks_come_back),
        CASE(zeros_are_zeros_in_used_memory_too),
        CASE(resized_blocks_keep_what_they_hold),
    };
    return SK_RUN_TESTS(tests);
}
