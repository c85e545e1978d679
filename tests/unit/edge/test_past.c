/* Until when this edge has applied purges, over the ends of processes. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/past.h"

static char folder[64], file[80];

static int begin(void **state) {
    snprintf(folder, sizeof folder, "/tmp/skerry-past-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(file, sizeof file, "%s/purged", folder);
    return 0;
}

static int end(void **state) {
    unlink(file);
    return rmdir(folder);
}

static struct edge_past *opened(const char *where) {
    struct edge_past *past;
    assert_int_equal(edge_past_open(where, &past), SK_OK);
    return past;
}

/* What the next process would know. */
static sk_time_ns next_unknown(void) {
    struct edge_past *past = opened(folder);
    sk_time_ns until = edge_past_unknown_until(past);
    edge_past_close(past);
    return until;
}

static void a_first_start_has_nothing_to_forget(void **state) {
    assert_true(next_unknown() == INT64_MIN);
    assert_true(next_unknown() == INT64_MIN);
}

static void the_last_purge_is_remembered(void **state) {
    struct edge_past *past = opened(folder);
    sk_time_ns first = sk_time_now();
    edge_past_purged(past, first);
    assert_true(edge_past_unknown_until(past) == INT64_MIN); /* in this life all is known */
    sk_time_ns last = first + 100;
    edge_past_purged(past, last); /* within what was written ahead */
    edge_past_close(past);
    sk_time_ns until = next_unknown();
    assert_true(until >= last && until <= sk_time_now());
    assert_true(next_unknown() >= last); /* a life without purges forgets nothing */
}

static void what_cannot_be_believed_counts_as_purged(void **state) {
    static const off_t damages[] = {0, 9, 17, 25, 63};
    for (size_t i = 0; i < SK_COUNT(damages); i++) {
        char byte = 0;
        unlink(file);
        assert_true(next_unknown() == INT64_MIN);
        int fd = open(file, O_RDWR);
        assert_true(fd >= 0 && pread(fd, &byte, 1, damages[i]) == 1);
        byte ^= 0x10;
        assert_true(pwrite(fd, &byte, 1, damages[i]) == 1);
        close(fd);
        sk_time_ns now = sk_time_now();
        assert_true(next_unknown() >= now);
    }
    assert_int_equal(truncate(file, 20), 0);
    sk_time_ns now = sk_time_now();
    assert_true(next_unknown() >= now);
}

static void without_a_folder_everything_before_us_counts(void **state) {
    sk_time_ns before = sk_time_now();
    struct edge_past *past = opened(NULL);
    edge_past_purged(past, sk_time_now());
    assert_in_range(edge_past_unknown_until(past), before, sk_time_now());
    edge_past_close(past);
    past = opened("/proc/nowhere");
    assert_true(edge_past_unknown_until(past) >= before);
    edge_past_close(past);
}

static void who_takes_over_sees_what_the_other_purges(void **state) {
    struct edge_past *old = opened(folder), *fresh = opened(folder);
    sk_time_ns now = sk_time_now();
    edge_past_purged(old, now);
    edge_past_look(fresh);
    assert_true(edge_past_unknown_until(fresh) >= now);
    edge_past_purged(fresh, now + 10 * SK_NS_PER_S);
    edge_past_look(old);
    assert_true(edge_past_unknown_until(old) >= now + 10 * SK_NS_PER_S);
    edge_past_close(old);
    edge_past_close(fresh);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_first_start_has_nothing_to_forget, begin, end),
        cmocka_unit_test_setup_teardown(the_last_purge_is_remembered, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_believed_counts_as_purged, begin, end),
        cmocka_unit_test_setup_teardown(without_a_folder_everything_before_us_counts, begin, end),
        cmocka_unit_test_setup_teardown(who_takes_over_sees_what_the_other_purges, begin, end),
    };
    return SK_RUN_TESTS(tests);
}
