#include <stdlib.h>

#include "base/random.h"
#include "io/wheel.h"
#include "unit.h"

#define MS SK_NS_PER_MS
#define START (INT64_C(123456789) * MS + 17)

static struct io_wheel wheel;
static sk_time_ns now;

static void setup(void) {
    now = START;
    io_wheel_init(&wheel, now);
}

static int64_t tick_up(sk_time_ns t) { return (t + MS - 1) / MS; }

static void start(struct io_timer *timer, sk_time_ns deadline, void (*on_timer)(struct io_timer *)) {
    timer->on_timer = on_timer;
    io_wheel_start(&wheel, timer, deadline);
}

static void stop(struct io_timer *timer) {
    if (sk_list_linked(&timer->link)) sk_list_remove(&timer->link);
}

/* --- single timers ------------------------------------------------------------------------------------ */

static int fired;
static void count(struct io_timer *timer) { fired++, (void)timer; }

static void a_timer_fires_at_its_millisecond_and_never_before(void **state) {
    static const int64_t delays_ns[] = {
        1,
        MS - 17,
        MS,
        MS + 1,
        63 * MS,
        64 * MS,
        65 * MS,
        4095 * MS,
        4096 * MS,
        4097 * MS + 5,
        262143 * MS,
        262144 * MS,
        3600 * SK_NS_PER_S,
        86400 * 365 * SK_NS_PER_S,
        SK_TIME_NEVER / 2,
        SK_TIME_NEVER - START - MS,
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(delays_ns); i++) {
        struct io_timer timer = {0};
        setup();
        fired = 0;
        sk_time_ns deadline = now + delays_ns[i];
        start(&timer, deadline, count);
        io_wheel_expire(&wheel, deadline - 1);
        assert_int_equal(fired, 0);
        io_wheel_expire(&wheel, tick_up(deadline) * MS);
        assert_int_equal(fired, 1);
        assert_false(sk_list_linked(&timer.link));
        assert_true(io_wheel_next(&wheel) == SK_TIME_NEVER);
    }
}

static void walking_by_next_reaches_a_far_timer_in_few_steps(void **state) {
    struct io_timer timer = {0};
    int steps = 0;
    (void)state;
    setup();
    fired = 0;
    sk_time_ns deadline = now + INT64_C(40) * 86400 * SK_NS_PER_S;
    start(&timer, deadline, count);
    for (sk_time_ns next; (next = io_wheel_next(&wheel)) != SK_TIME_NEVER; steps++) {
        assert_true(next > now && next <= tick_up(deadline) * MS);
        now = next;
        io_wheel_expire(&wheel, now);
    }
    assert_int_equal(fired, 1);
    assert_true(now == tick_up(deadline) * MS);
    assert_true(steps <= IO_WHEEL_LEVELS);
}

static void a_passed_deadline_fires_at_the_next_expire_only(void **state) {
    struct io_timer timer = {0};
    (void)state;
    setup();
    fired = 0;
    start(&timer, now - 5 * SK_NS_PER_S, count);
    assert_int_equal(fired, 0);
    assert_true(io_wheel_next(&wheel) <= now);
    io_wheel_expire(&wheel, now);
    assert_int_equal(fired, 1);
}

static void never_is_a_deadline_too(void **state) {
    struct io_timer timer = {0};
    (void)state;
    setup();
    fired = 0;
    start(&timer, SK_TIME_NEVER, count);
    io_wheel_expire(&wheel, now + INT64_C(100) * 365 * 86400 * SK_NS_PER_S);
    assert_int_equal(fired, 0);
    stop(&timer);
    assert_true(io_wheel_next(&wheel) == SK_TIME_NEVER);
}

static void a_stopped_timer_costs_no_wake_up(void **state) {
    struct io_timer timer = {0}, later = {0};
    (void)state;
    setup();
    fired = 0;
    start(&timer, now + 10 * MS, count);
    start(&later, now + 3600 * SK_NS_PER_S, count);
    stop(&timer);
    assert_true(io_wheel_next(&wheel) > now + 10 * MS);
    stop(&later);
    stop(&later);
    assert_true(io_wheel_next(&wheel) == SK_TIME_NEVER);
    io_wheel_expire(&wheel, now + 7200 * SK_NS_PER_S);
    assert_int_equal(fired, 0);
}

static void moving_a_deadline_later_and_earlier_obeys_the_last_one(void **state) {
    struct io_timer timer = {0};
    (void)state;
    setup();
    fired = 0;
    start(&timer, now + 10 * MS, count);
    start(&timer, now + 5000 * MS, count);
    io_wheel_expire(&wheel, now + 4999 * MS);
    assert_int_equal(fired, 0);
    start(&timer, now + 90000 * MS, count);
    start(&timer, now + 5010 * MS, count);
    io_wheel_expire(&wheel, now + 5011 * MS);
    assert_int_equal(fired, 1);
}

/* --- callbacks that touch timers ---------------------------------------------------------------------- */

static struct io_timer a, b;

static void again_at_once(struct io_timer *timer) {
    fired++;
    start(timer, now - MS, again_at_once);
}

static void a_timer_that_restarts_itself_in_the_past_fires_once_an_expire(void **state) {
    (void)state;
    setup();
    fired = 0;
    a = (struct io_timer){0};
    start(&a, now, again_at_once);
    for (int i = 1; i <= 5; i++) {
        io_wheel_expire(&wheel, now += 100 * MS);
        assert_int_equal(fired, i);
    }
}

static void stop_b(struct io_timer *timer) { fired++, (void)timer, stop(&b); }
static void move_b(struct io_timer *timer) { fired++, (void)timer, start(&b, now + 1000 * MS, count); }
static void free_self(struct io_timer *timer) { fired++, free(timer); }

static void a_callback_may_stop_or_move_a_timer_of_the_same_batch(void **state) {
    static const sk_time_ns gaps[] = {0, 1 * MS, 70 * MS};
    (void)state;
    for (size_t i = 0; i < SK_COUNT(gaps); i++) {
        setup();
        fired = 0;
        a = b = (struct io_timer){0};
        start(&a, now + MS, stop_b);
        start(&b, now + MS + gaps[i], count);
        io_wheel_expire(&wheel, now + 500 * MS);
        assert_int_equal(fired, 1);

        start(&a, now + 501 * MS, move_b);
        start(&b, now + 501 * MS + gaps[i], count);
        io_wheel_expire(&wheel, now + 999 * MS);
        assert_int_equal(fired, 2);
        io_wheel_expire(&wheel, now + 1001 * MS);
        assert_int_equal(fired, 3);
    }
    struct io_timer *heap = calloc(1, sizeof *heap);
    start(heap, now + MS, free_self);
    io_wheel_expire(&wheel, now + 2000 * MS);
    assert_int_equal(fired, 4);
}

/* --- random operations against a model ---------------------------------------------------------------- */

#define MODEL_TIMERS 300

static struct model_timer {
    struct io_timer timer;
    bool armed;
    bool fresh; /* armed by a callback of the present expire */
    sk_time_ns deadline;
} model[MODEL_TIMERS];

static bool expiring;
static int64_t last_tick;

static sk_time_ns random_deadline(void) {
    /* All magnitudes from nanoseconds to hours, some in the past. */
    int64_t delay = (int64_t)sk_random_below(UINT64_C(1) << sk_random_below(44));
    return sk_random_below(10) == 0 ? now - delay : now + delay;
}

static void on_model_timer(struct io_timer *timer);

static void random_operation(void) {
    struct model_timer *m = &model[sk_random_below(MODEL_TIMERS)];
    if (sk_random_below(3) == 0) {
        stop(&m->timer);
        m->armed = false;
        return;
    }
    m->deadline = random_deadline();
    start(&m->timer, m->deadline, on_model_timer);
    /* Moved within its batch, a timer due already may fire in this expire or the next. */
    m->fresh = expiring;
    m->armed = true;
}

static void on_model_timer(struct io_timer *timer) {
    struct model_timer *m = SK_CONTAINER_OF(timer, struct model_timer, timer);
    assert_true(expiring);
    assert_true(m->armed);
    assert_true(tick_up(m->deadline) <= now / MS);
    assert_false(sk_list_linked(&timer->link));
    m->armed = false;
    if (sk_random_below(4) == 0) random_operation();
}

static void check_nothing_is_overdue(void) {
    int64_t earliest = INT64_MAX;
    for (size_t i = 0; i < MODEL_TIMERS; i++) {
        struct model_timer *m = &model[i];
        assert_int_equal(sk_list_linked(&m->timer.link), m->armed);
        if (!m->armed) continue;
        assert_true(m->fresh || tick_up(m->deadline) > now / MS);
        earliest = SK_MIN(earliest, tick_up(m->deadline));
    }
    if (earliest != INT64_MAX) assert_true(io_wheel_next(&wheel) <= SK_MAX(earliest * MS, now));
}

static void random_operations_agree_with_a_sorted_model(void **state) {
    (void)state;
    for (int run = 0; run < 20; run++) {
        setup();
        memset(model, 0, sizeof model);
        for (int step = 0; step < 2000; step++) {
            for (uint64_t n = sk_random_below(8); n > 0; n--) random_operation();
            now += (int64_t)sk_random_below(UINT64_C(1) << sk_random_below(40));
            if (sk_random_below(4) == 0 && io_wheel_next(&wheel) != SK_TIME_NEVER)
                now = SK_MAX(now, io_wheel_next(&wheel));
            for (size_t i = 0; i < MODEL_TIMERS; i++) model[i].fresh = false;
            expiring = true;
            io_wheel_expire(&wheel, now);
            expiring = false;
            check_nothing_is_overdue();
        }
        for (size_t i = 0; i < MODEL_TIMERS; i++) stop(&model[i].timer);
        assert_true(io_wheel_next(&wheel) == SK_TIME_NEVER);
    }
}

static void in_order(struct io_timer *timer) {
    assert_true(tick_up(timer->deadline) >= last_tick);
    last_tick = tick_up(timer->deadline);
    fired++;
}

static void a_million_timers_fire_in_the_order_of_their_ticks(void **state) {
    enum { COUNT = 1000000 };
    struct io_timer *timers = calloc(COUNT, sizeof *timers);
    int stopped = 0;
    (void)state;
    setup();
    fired = 0;
    last_tick = 0;
    for (int i = 0; i < COUNT; i++)
        start(&timers[i], now + 1 + (int64_t)sk_random_below(3600 * SK_NS_PER_S), in_order);
    for (int i = 0; i < COUNT; i += 3, stopped++) stop(&timers[i]);
    /* Also when it wakes only every 10 s. */
    for (sk_time_ns end = now + 3601 * SK_NS_PER_S; now < end;)
        io_wheel_expire(&wheel, now += 10 * SK_NS_PER_S);
    assert_int_equal(fired, COUNT - stopped);
    free(timers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_fires_at_its_millisecond_and_never_before),
        cmocka_unit_test(walking_by_next_reaches_a_far_timer_in_few_steps),
        cmocka_unit_test(a_passed_deadline_fires_at_the_next_expire_only),
        cmocka_unit_test(never_is_a_deadline_too),
        cmocka_unit_test(a_stopped_timer_costs_no_wake_up),
        cmocka_unit_test(moving_a_deadline_later_and_earlier_obeys_the_last_one),
        cmocka_unit_test(a_timer_that_restarts_itself_in_the_past_fires_once_an_expire),
        cmocka_unit_test(a_callback_may_stop_or_move_a_timer_of_the_same_batch),
        cmocka_unit_test(random_operations_agree_with_a_sorted_model),
        cmocka_unit_test(a_million_timers_fire_in_the_order_of_their_ticks),
    };
    return SK_RUN_TESTS(tests);
}
