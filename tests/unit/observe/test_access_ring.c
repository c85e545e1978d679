#include <pthread.h>
#include <sched.h>

#include "base/random.h"
#include "observe/access_ring.h"
#include "unit.h"

enum { CAPACITY = 1024 };

static void records_come_out_as_they_went_in_over_many_turns(void **state) {
    struct access_ring ring;
    (void)state;
    assert_int_equal(access_ring_init(&ring, CAPACITY), SK_OK);
    for (unsigned i = 0; i < 5000; i++) {
        size_t bytes = i * 7 % 200;
        char *record = access_ring_begin(&ring, 200);
        assert_non_null(record);
        assert_int_equal((uintptr_t)record % 8, 0);
        memset(record, (int)(i & 0xff), bytes);
        access_ring_commit(&ring, bytes);
        sk_str got = access_ring_peek(&ring);
        assert_int_equal(got.len, bytes);
        for (size_t at = 0; at < bytes; at++) assert_int_equal((unsigned char)got.data[at], i & 0xff);
        access_ring_pop(&ring);
        assert_true(access_ring_empty(&ring));
        assert_null(access_ring_peek(&ring).data);
    }
    access_ring_free(&ring);
}

static void a_full_ring_refuses_and_takes_again_once_read(void **state) {
    struct access_ring ring;
    unsigned held = 0, hurried = 0;
    (void)state;
    assert_int_equal(access_ring_init(&ring, CAPACITY), SK_OK);
    while (access_ring_begin(&ring, 100)) {
        hurried += access_ring_commit(&ring, 100);
        held++;
    }
    assert_int_equal(held, CAPACITY / 112); /* 8 bytes of prefix, padded to 8 */
    assert_int_equal(hurried, 1);           /* once, on the way past the half */
    assert_true(access_ring_half_full(&ring));
    assert_non_null(access_ring_peek(&ring).data);
    access_ring_pop(&ring);
    assert_non_null(access_ring_peek(&ring).data);
    access_ring_pop(&ring);
    assert_non_null(access_ring_begin(&ring, 100));
    access_ring_free(&ring);
}

enum { RECORDS = 200000 };

static void *produce(void *arg) {
    struct access_ring *ring = arg;
    for (uint32_t i = 0; i < RECORDS;) {
        uint32_t words = 1 + (uint32_t)sk_random_below(20);
        uint32_t *record = access_ring_begin(ring, words * sizeof(*record));
        if (!record) {
            sched_yield();
            continue;
        }
        for (uint32_t w = 0; w < words; w++) record[w] = i + w;
        access_ring_commit(ring, words * sizeof(*record));
        i++;
    }
    return NULL;
}

static void two_threads_see_every_record_in_order(void **state) {
    struct access_ring ring;
    pthread_t producer;
    (void)state;
    assert_int_equal(access_ring_init(&ring, CAPACITY), SK_OK);
    assert_int_equal(pthread_create(&producer, NULL, produce, &ring), 0);
    for (uint32_t i = 0; i < RECORDS;) {
        sk_str got = access_ring_peek(&ring);
        if (!got.data) {
            sched_yield();
            continue;
        }
        const uint32_t *words = (const void *)got.data;
        for (uint32_t w = 0; w < got.len / sizeof(*words); w++) assert_int_equal(words[w], i + w);
        access_ring_pop(&ring);
        i++;
    }
    pthread_join(producer, NULL);
    access_ring_free(&ring);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_out_as_they_went_in_over_many_turns),
        cmocka_unit_test(a_full_ring_refuses_and_takes_again_once_read),
        cmocka_unit_test(two_threads_see_every_record_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
