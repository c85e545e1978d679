/* Which bodies go out from the file: lending their pages costs new ones later. */
#include "unit.h"

#include "cache/body.h"
#include "cache/entry.h"

#define ONE_CACHE_BYTES (16 * MIB)
#include "one_cache.h"

#define BODY_BYTES 200000

/* A hit, and the file that its first piece may be sent from; -1: none. Or by one who COPIES; is it lent then? */
static int look_at(const struct cache_key *key, bool copies, bool *out_lent) {
    struct cache_reader reader;
    struct cache_piece pieces[3];
    size_t count;
    cache_enter(thread);
    struct cache_object *object = cache_find(thread, key, NULL, NULL);
    assert_non_null(object);
    cache_reader_borrow(&reader, thread, object, 0, CACHE_LENGTH_UNKNOWN);
    assert_int_equal(copies ? cache_reader_peek(&reader, pieces, 3, &count)
                            : cache_reader_peek_lent(&reader, pieces, 3, &count),
                     CACHE_READ_DATA);
    assert_true(body_right(pieces[0].data, 1, 0, pieces[0].bytes));
    *out_lent = cache_body_is_lent(cache_entry_of(object)->body);
    cache_reader_close(&reader);
    cache_leave(thread);
    return pieces[0].fd;
}

static int ask(const struct cache_key *key) {
    bool lent;
    int fd = look_at(key, false, &lent);
    assert_int_equal(lent, fd >= 0);
    return fd;
}

static void what_is_asked_for_once_is_copied(void **state) {
    struct test_key key;
    make_key(&key, "/", 1);
    assert_true(put_object(thread, &key.key, 1, BODY_BYTES, true));
    assert_int_equal(ask(&key.key), -1);
    (void)state;
}

static void what_is_asked_for_again_is_lent_and_stays_so(void **state) {
    struct test_key key;
    make_key(&key, "/", 1);
    assert_true(put_object(thread, &key.key, 1, BODY_BYTES, true));
    assert_int_equal(ask(&key.key), -1);
    for (int i = 0; i < 3; i++) assert_true(ask(&key.key) >= 0);
    (void)state;
}

static void what_is_copied_is_not_lent(void **state) {
    struct test_key key;
    bool lent;
    make_key(&key, "/", 1);
    assert_true(put_object(thread, &key.key, 1, BODY_BYTES, true));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(look_at(&key.key, true, &lent), -1);
        assert_false(lent);
    }
    assert_true(ask(&key.key) >= 0);
    assert_int_equal(look_at(&key.key, true, &lent), -1);
    assert_true(lent);
    (void)state;
}

/* Neighbours are joined, but no look walks all of a large body: who sends it looks again and again. */
static void a_look_is_bounded(void **state) {
    struct test_key key;
    struct cache_reader reader;
    struct cache_piece pieces[3];
    size_t count = 0, looked = 0;
    make_key(&key, "/", 1);
    assert_true(put_object(thread, &key.key, 1, 3 * MIB / 2, true));
    for (int i = 0; i < 3; i++) ask(&key.key); /* lent, so that pieces are joined */
    cache_enter(thread);
    struct cache_object *object = cache_find(thread, &key.key, NULL, NULL);
    assert_non_null(object);
    cache_reader_borrow(&reader, thread, object, 0, CACHE_LENGTH_UNKNOWN);
    assert_int_equal(cache_reader_peek_lent(&reader, pieces, 3, &count), CACHE_READ_DATA);
    for (size_t i = 0; i < count; i++) looked += pieces[i].bytes;
    assert_in_range(looked, 1, MIB);
    assert_int_equal(cache_reader_peek_most(&reader, 4000, pieces, 3, &count), CACHE_READ_DATA);
    assert_int_equal(count, 1);
    assert_int_equal(pieces[0].bytes, 4000);
    assert_true(body_right(pieces[0].data, 1, 0, 4000));
    cache_reader_close(&reader);
    cache_leave(thread);
    (void)state;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(what_is_asked_for_once_is_copied),
        CASE(what_is_asked_for_again_is_lent_and_stays_so),
        CASE(what_is_copied_is_not_lent),
        CASE(a_look_is_bounded),
    };
    return SK_RUN_TESTS(tests);
}
