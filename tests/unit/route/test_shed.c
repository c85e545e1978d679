#include "route/shed.h"

#include <math.h>

#include "unit.h"

static struct decide_weights weights;

static int reset(void **state) {
    (void)state;
    decide_weights_default(&weights);
    return 0;
}

static void in_balance_a_site_sheds_what_its_load_says(void **state) {
    (void)state;
    for (double demand = 0; demand < 20; demand += 0.05) {
        double share = shed_balance(demand, &weights);
        double load = demand * (1 - share);
        assert_true(share >= 0 && share <= 1);
        if (fabs(decide_shed_share(load, &weights) - share) > 1e-9)
            fail_msg("demand %.2f: %f", demand, share);
        if (demand > weights.low_watermark)
            assert_true(load > weights.low_watermark - 1e-9 && load < weights.high_watermark);
    }
    weights.low_watermark = weights.high_watermark;
    assert_true(shed_balance(2, &weights) == 1 && shed_balance(0.5, &weights) == 0);
}

static void no_report_moves_more_than_a_step(void **state) {
    struct shed_state shed = {0};
    sk_time_ns now = 1;
    uint64_t dice = 1;
    (void)state;
    for (int i = 0; i < 100000; i++) {
        dice = dice * UINT64_C(6364136223846793005) + 1;
        double load = (double)(dice >> 40 & 0xffff) / 8192;
        sk_time_ns passed = (sk_time_ns)(dice >> 50) * SK_NS_PER_MS;
        struct shed_state next = shed_after(&shed, load, &weights, now += passed);
        double most = i == 0 ? weights.max_step : weights.max_step * fmin(1, (double)passed / SHED_STEP_NS);
        if (fabs(next.share - shed.share) > most + 1e-12) fail_msg("%f to %f", shed.share, next.share);
        assert_true(next.share >= 0 && next.share <= 1 && next.felt >= 0 && next.felt <= 1);
        shed = next;
    }
}

/* Clients follow DELAY seconds later, edges smooth their load over ten seconds and tell it every ten. The widest swing of
 * the load after five minutes. */
static double swing(double demand, unsigned delay_s, double *out_load) {
    enum { SECONDS = 900, SETTLED = 300, REPORTS_S = 10 };
    static double shares[SECONDS];
    struct shed_state shed = {0};
    double load = demand, least = INFINITY, most = 0;
    for (unsigned second = 0; second < SECONDS; second++) {
        double share = second > delay_s ? shares[second - delay_s - 1] : 0;
        load += 0.1 * (demand * (1 - share) - load);
        if (second % REPORTS_S == 0)
            shed = shed_after(&shed, load, &weights, (sk_time_ns)(second + 1) * SK_NS_PER_S);
        shares[second] = shed.share;
        if (second < SETTLED) continue;
        least = fmin(least, load);
        most = fmax(most, load);
    }
    *out_load = load;
    return most - least;
}

static void what_comes_late_does_not_make_it_swing(void **state) {
    (void)state;
    for (unsigned delay_s = 0; delay_s <= 30; delay_s += 5)
        for (double demand = 0.5; demand < 4; demand += 0.25) {
            double load, width = swing(demand, delay_s, &load);
            if (width > 0.1)
                fail_msg("demand %.2f, %u s late: the load swings by %.2f", demand, delay_s, width);
            if (load > weights.high_watermark) fail_msg("demand %.2f: a load of %.2f", demand, load);
        }
}

static void a_load_that_no_shedding_lowers_takes_everybody_away(void **state) {
    struct shed_state shed = {0};
    (void)state;
    for (int i = 1; i < 200; i++) shed = shed_after(&shed, 1, &weights, i * 5 * SK_NS_PER_S);
    assert_true(shed.share > 0.9);
    for (int i = 200; i < 260; i++) shed = shed_after(&shed, 0, &weights, i * 5 * SK_NS_PER_S);
    assert_true(shed.share < 0.001);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(in_balance_a_site_sheds_what_its_load_says, reset),
        cmocka_unit_test_setup(no_report_moves_more_than_a_step, reset),
        cmocka_unit_test_setup(what_comes_late_does_not_make_it_swing, reset),
        cmocka_unit_test_setup(a_load_that_no_shedding_lowers_takes_everybody_away, reset),
    };
    return SK_RUN_TESTS(tests);
}
