#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/time.h"
#include "observe/metrics.h"
#include "unit.h"

static struct observe_thread *self;

static int join(void **state) {
    (void)state;
    return observe_thread_join(&self) == SK_OK ? 0 : -1;
}

static char *exposition(struct sk_buf *buf) {
    sk_buf_init(buf, 0);
    assert_int_equal(observe_write_prometheus(buf), SK_OK);
    assert_int_equal(sk_buf_append(buf, sk_str_make("", 1)), SK_OK);
    return buf->data;
}

static unsigned times(const char *text, const char *needle) {
    unsigned n = 0;
    for (const char *at = strstr(text, needle); at; at = strstr(at + 1, needle)) n++;
    return n;
}

static void *count_elsewhere(void *arg) {
    struct observe_thread *thread;
    (void)arg;
    if (observe_thread_join(&thread) != SK_OK) return NULL;
    observe_add(thread, OBSERVE_REQUESTS, 40);
    return thread;
}

static void totals_include_threads_that_ended(void **state) {
    pthread_t thread;
    void *joined = NULL;
    (void)state;
    uint64_t before = observe_total(OBSERVE_REQUESTS);
    observe_count(self, OBSERVE_REQUESTS);
    assert_int_equal(pthread_create(&thread, NULL, count_elsewhere, NULL), 0);
    pthread_join(thread, &joined);
    assert_non_null(joined);
    assert_int_equal((uintptr_t)joined % 64, 0);
    assert_int_equal(observe_total(OBSERVE_REQUESTS), before + 41);
}

static void a_bound_belongs_to_the_bucket_below_it(void **state) {
    (void)state;
    int64_t last = 0;
    for (unsigned i = 0; i < OBSERVE_BUCKETS - 1; i++) {
        int64_t bound = observe_bucket_bound_ns(i);
        assert_true(bound > last);
        uint64_t before[OBSERVE_BUCKETS], after[OBSERVE_BUCKETS];
        double sum;
        observe_histogram_read(OBSERVE_ORIGIN_SECONDS, before, &sum);
        observe_duration(self, OBSERVE_ORIGIN_SECONDS, bound);
        observe_duration(self, OBSERVE_ORIGIN_SECONDS, last + 1);
        observe_duration(self, OBSERVE_ORIGIN_SECONDS, bound + 1);
        observe_histogram_read(OBSERVE_ORIGIN_SECONDS, after, &sum);
        assert_int_equal(after[i], before[i] + 2);
        assert_int_equal(after[i + 1], before[i + 1] + 1);
        last = bound;
    }
    assert_int_equal(observe_bucket_bound_ns(0), 1000);
    assert_int_equal(observe_bucket_bound_ns(4), 2000);
    assert_int_equal(last, 1000 * (INT64_C(1) << OBSERVE_BUCKET_OCTAVES));
    assert_int_equal(observe_bucket_bound_ns(OBSERVE_BUCKETS - 1), INT64_MAX);
}

static void extreme_durations_are_counted_in_the_outer_buckets(void **state) {
    uint64_t before[OBSERVE_BUCKETS], after[OBSERVE_BUCKETS];
    double sum;
    (void)state;
    observe_histogram_read(OBSERVE_ORIGIN_SECONDS, before, &sum);
    observe_duration(self, OBSERVE_ORIGIN_SECONDS, -5);
    observe_duration(self, OBSERVE_ORIGIN_SECONDS, 0);
    observe_duration(self, OBSERVE_ORIGIN_SECONDS, INT64_MAX);
    observe_histogram_read(OBSERVE_ORIGIN_SECONDS, after, &sum);
    assert_int_equal(after[0], before[0] + 2);
    assert_int_equal(after[OBSERVE_BUCKETS - 1], before[OBSERVE_BUCKETS - 1] + 1);
}

static void quantiles_are_within_a_bucket_of_the_truth(void **state) {
    (void)state;
    assert_true(observe_quantile(OBSERVE_HIT_SECONDS, 0.5) == 0);
    for (int64_t us = 1; us <= 1000; us++) observe_duration(self, OBSERVE_HIT_SECONDS, us * SK_NS_PER_US);
    static const struct {
        double q, seconds;
    } cases[] = {{0, 0}, {0.01, 10e-6}, {0.5, 500e-6}, {0.99, 990e-6}, {1, 1000e-6}};
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        double got = observe_quantile(OBSERVE_HIT_SECONDS, cases[i].q);
        assert_true(got <= cases[i].seconds * 1.25 + 1e-6);
        assert_true(got >= cases[i].seconds * 0.75 - 1e-6);
    }
}

static void the_exposition_has_one_help_and_type_for_a_family(void **state) {
    struct sk_buf buf;
    (void)state;
    observe_add(self, OBSERVE_RESPONSES_4XX, 7);
    observe_reason(self, HTTP_REASON_HIT_FRESH);
    const char *text = exposition(&buf);
    assert_int_equal(times(text, "# HELP skerry_responses_total "), 1);
    assert_int_equal(times(text, "# TYPE skerry_responses_total counter\n"), 1);
    assert_int_equal(times(text, "\nskerry_responses_total{class=\"4xx\"} 7\n"), 1);
    assert_int_equal(times(text, "# TYPE skerry_cache_decisions_total counter\n"), 1);
    assert_int_equal(times(text, "\nskerry_cache_decisions_total{reason=\"hit\"} 1\n"), 1);
    assert_int_equal(times(text, "\nskerry_cache_decisions_total{reason="), HTTP_REASON_COUNT_);
#define X(name, series, help) assert_int_equal(times(text, "\n" series " "), 1);
    OBSERVE_COUNTER_TABLE(X)
#undef X
    sk_buf_free(&buf);
}

static void histograms_are_cumulative_and_agree_with_their_count(void **state) {
    struct sk_buf buf;
    (void)state;
    static const int64_t us[] = {1, 8, 9, 1000, 200000000};
    for (size_t i = 0; i < SK_COUNT(us); i++)
        observe_duration(self, OBSERVE_MISS_SECONDS, us[i] * SK_NS_PER_US);
    const char *text = exposition(&buf);
    assert_int_equal(times(text, "# TYPE skerry_miss_duration_seconds histogram\n"), 1);
    assert_int_equal(times(text, "\nskerry_miss_duration_seconds_bucket{le=\"8e-06\"} 2\n"), 1);
    assert_int_equal(times(text, "\nskerry_miss_duration_seconds_bucket{le=\"1.6e-05\"} 3\n"), 1);
    assert_int_equal(times(text, "\nskerry_miss_duration_seconds_bucket{le=\"0.001024\"} 4\n"), 1);
    assert_int_equal(times(text, "\nskerry_miss_duration_seconds_bucket{le=\"67.108864\"} 4\n"), 1);
    assert_int_equal(times(text, "\nskerry_miss_duration_seconds_bucket{le=\"+Inf\"} 5\n"), 1);
    assert_int_equal(times(text, "\nskerry_miss_duration_seconds_count 5\n"), 1);
    assert_int_equal(times(text, "\nskerry_miss_duration_seconds_sum 200.001018000\n"), 1);
    assert_int_equal(times(text, "\nskerry_miss_duration_seconds_bucket{le="), 25);
    sk_buf_free(&buf);
}

static double read_value(void *arg) { return *(double *)arg; }

static void gauges_of_a_family_stand_together_whatever_their_order(void **state) {
    struct sk_buf buf;
    double one = 1, nan_value = NAN, inf = INFINITY, large = 123456789012;
    struct observe_gauge gauges[] = {
        {"skerry_x{a=\"2\"}", "Line\nand \\", read_value, &nan_value, NULL},
        {"skerry_x_y", "Other", read_value, &large, NULL},
        {"skerry_x{a=\"1\"}", "Line\nand \\", read_value, &one, NULL},
        {"skerry_x", "Line\nand \\", read_value, &inf, NULL},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(gauges); i++) observe_gauge_register(&gauges[i]);
    const char *text = exposition(&buf);
    assert_non_null(strstr(text,
                           "# HELP skerry_x Line\\nand \\\\\n# TYPE skerry_x gauge\nskerry_x +Inf\n"
                           "skerry_x{a=\"1\"} 1\nskerry_x{a=\"2\"} NaN\n"
                           "# HELP skerry_x_y Other\n# TYPE skerry_x_y gauge\nskerry_x_y 123456789012\n"));
    sk_buf_free(&buf);
    for (size_t i = 0; i < SK_COUNT(gauges); i++) observe_gauge_remove(&gauges[i]);
    observe_gauge_remove(&gauges[0]); /* twice is harmless */
    text = exposition(&buf);
    assert_null(strstr(text, "skerry_x"));
    sk_buf_free(&buf);
}

static double value_of(const char *text, const char *name) {
    const char *at = strstr(text, name);
    assert_non_null(at);
    return strtod(at + strlen(name), NULL);
}

static void the_process_is_described_under_the_usual_names(void **state) {
    struct sk_buf buf;
    (void)state;
    const char *text = exposition(&buf);
    assert_int_equal(times(text, "# TYPE process_cpu_seconds_total counter\n"), 1);
    assert_true(value_of(text, "\nprocess_resident_memory_bytes ") > 100e3);
    double fds = value_of(text, "\nprocess_open_fds "), max_fds = value_of(text, "\nprocess_max_fds ");
    assert_true(fds >= 3 && fds <= max_fds);
    double start = value_of(text, "\nprocess_start_time_seconds "), now = (double)sk_wall_now_ns() / 1e9;
    assert_true(start <= now + 1 && start > now - 120);
    sk_buf_free(&buf);
    int more[] = {dup(0), dup(0), dup(0)};
    text = exposition(&buf);
    assert_true(value_of(text, "\nprocess_open_fds ") == fds + SK_COUNT(more));
    for (size_t i = 0; i < SK_COUNT(more); i++) close(more[i]);
    sk_buf_free(&buf);
}

static void a_full_buffer_is_reported(void **state) {
    struct sk_buf buf;
    (void)state;
    sk_buf_init(&buf, 256);
    assert_int_equal(observe_write_prometheus(&buf), SK_ERR_TOO_LARGE);
    sk_buf_free(&buf);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_include_threads_that_ended),
        cmocka_unit_test(a_bound_belongs_to_the_bucket_below_it),
        cmocka_unit_test(extreme_durations_are_counted_in_the_outer_buckets),
        cmocka_unit_test(quantiles_are_within_a_bucket_of_the_truth),
        cmocka_unit_test(the_exposition_has_one_help_and_type_for_a_family),
        cmocka_unit_test(histograms_are_cumulative_and_agree_with_their_count),
        cmocka_unit_test(gauges_of_a_family_stand_together_whatever_their_order),
        cmocka_unit_test(the_process_is_described_under_the_usual_names),
        cmocka_unit_test(a_full_buffer_is_reported),
    };
    return cmocka_run_group_tests(tests, join, NULL);
}
