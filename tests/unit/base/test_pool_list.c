#include "base/list.h"
#include "base/poison.h"
#include "base/pool.h"
#include "unit.h"

struct thing {
    long a;
    struct sk_list link;
};

static void a_pool_hands_out_zeroed_objects_again(void **state) {
    struct sk_pool pool;
    (void)state;
    sk_pool_init(&pool, sizeof(struct thing), 2);
    struct thing *one = sk_pool_get(&pool);
    memset(one, 0xff, sizeof *one);
    sk_pool_put(&pool, one);
    struct thing *again = sk_pool_get(&pool);
    assert_ptr_equal(again, one);
    assert_int_equal(again->a, 0);
    assert_null(again->link.next);
    assert_int_equal(pool.live, 1);
    sk_pool_put(&pool, again);
    sk_pool_free_all(&pool);
}

static void a_pool_keeps_no_more_than_told(void **state) {
    struct sk_pool pool;
    void *objects[5];
    (void)state;
    sk_pool_init(&pool, 1, 2);
    for (size_t i = 0; i < 5; i++) objects[i] = sk_pool_get(&pool);
    for (size_t i = 0; i < 5; i++) sk_pool_put(&pool, objects[i]);
    assert_int_equal(pool.free_count, 2);
    assert_int_equal(pool.live, 0);
    sk_pool_trim(&pool, 1);
    assert_int_equal(pool.free_count, 1);
    sk_pool_free_all(&pool);
    assert_int_equal(pool.free_count, 0);
}

#ifdef SK_ASAN
static void a_freed_object_is_poisoned(void **state) {
    struct sk_pool pool;
    (void)state;
    sk_pool_init(&pool, sizeof(struct thing), 2);
    struct thing *one = sk_pool_get(&pool);
    sk_pool_put(&pool, one);
    assert_true(__asan_address_is_poisoned(&one->link));
    sk_pool_free_all(&pool);
}
#endif

static void a_list_keeps_order_and_allows_removal_while_walking(void **state) {
    struct sk_list head;
    struct thing things[5] = {0};
    long sum = 0, expected[] = {4, 0, 2};
    size_t n = 0;
    (void)state;
    sk_list_init(&head);
    assert_null(sk_list_first(&head));
    assert_null(sk_list_pop_front(&head));
    for (int i = 0; i < 4; i++) {
        things[i].a = i;
        assert_false(sk_list_linked(&things[i].link));
        sk_list_push_back(&head, &things[i].link);
    }
    things[4].a = 4;
    sk_list_push_front(&head, &things[4].link);
    SK_LIST_FOR_EACH(at, &head) {
        sum += SK_CONTAINER_OF(at, struct thing, link)->a;
        if (SK_CONTAINER_OF(at, struct thing, link)->a % 2) sk_list_remove(at);
    }
    assert_int_equal(sum, 10);
    sk_list_remove(&things[1].link);
    SK_LIST_FOR_EACH(at, &head) assert_int_equal(SK_CONTAINER_OF(at, struct thing, link)->a, expected[n++]);
    assert_int_equal(n, 3);
    assert_ptr_equal(sk_list_last(&head), &things[2].link);
    assert_ptr_equal(sk_list_pop_front(&head), &things[4].link);
    assert_true(sk_list_linked(&things[0].link));
    assert_false(sk_list_linked(&things[4].link));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_hands_out_zeroed_objects_again),
        cmocka_unit_test(a_pool_keeps_no_more_than_told),
#ifdef SK_ASAN
        cmocka_unit_test(a_freed_object_is_poisoned),
#endif
        cmocka_unit_test(a_list_keeps_order_and_allows_removal_while_walking),
    };
    return SK_RUN_TESTS(tests);
}
