#include "route/decide.h"

#include <math.h>
#include <stdlib.h>

#include "unit.h"

enum { FRANKFURT, NEW_YORK, SINGAPORE, SITES };

static struct decide_site sites[SITES];
static struct decide_weights weights;
static const struct decide_client berlin = {.latitude = 52.5, .longitude = 13.4, .country = "DE"};
static const struct decide_client nowhere = {.latitude = NAN, .longitude = NAN};

static int reset(void **state) {
    (void)state;
    decide_weights_default(&weights);
    for (int i = 0; i < SITES; i++)
        sites[i] = (struct decide_site){.up = true, .hit_ratio = 0.9, .cost = 1, .capacity = 1};
    sites[FRANKFURT].name = SK_STR("fra");
    sites[FRANKFURT].latitude = 50.1, sites[FRANKFURT].longitude = 8.7;
    sites[NEW_YORK].name = SK_STR("nyc");
    sites[NEW_YORK].latitude = 40.7, sites[NEW_YORK].longitude = -74;
    sites[SINGAPORE].name = SK_STR("sin");
    sites[SINGAPORE].latitude = 1.35, sites[SINGAPORE].longitude = 103.8;
    return 0;
}

static struct decide_answer ask(const struct decide_client *client, uint64_t hash,
                                const struct decide_answer *previous) {
    struct decide_score scores[SITES];
    return decide(sites, SITES, client, &weights, hash, previous, scores);
}

static void distances_on_the_globe(void **state) {
    (void)state;
    assert_true(fabs(decide_distance_km(50.1, 8.7, 40.7, -74) - 6205) < 20);
    assert_true(fabs(decide_distance_km(0, 0, 0, 180) - M_PI * 6371) < 1);
    assert_true(decide_distance_km(10, 20, 10, 20) < 1e-6);
}

static void the_nearest_comes_first_and_a_second_follows(void **state) {
    (void)state;
    struct decide_answer answer = ask(&berlin, 1, NULL);
    assert_int_equal(answer.count, 2);
    assert_int_equal(answer.sites[0], FRANKFURT);
    assert_int_equal(answer.sites[1], NEW_YORK);
    assert_int_equal(answer.reason, DECIDE_DISTANCE);
}

static void a_measurement_replaces_distance(void **state) {
    float rtt[SITES] = {120, 15, NAN};
    struct decide_client client = berlin;
    (void)state;
    client.rtt_ms = rtt;
    struct decide_answer answer = ask(&client, 1, NULL);
    assert_int_equal(answer.sites[0], NEW_YORK);
    assert_int_equal(answer.reason, DECIDE_RTT);
}

static void the_terms_add_up_to_the_total(void **state) {
    struct decide_score scores[SITES];
    (void)state;
    weights.cost = 0.1;
    sites[FRANKFURT].load = 0.95;
    decide(sites, SITES, &berlin, &weights, 1, NULL, scores);
    assert_int_equal(scores[0].site, FRANKFURT);
    assert_true(fabs(scores[0].load - 0.3 * pow(0.95, 20)) < 1e-9);
    assert_true(fabs(scores[0].hit_ratio - 0.02) < 1e-9);
    assert_true(fabs(scores[0].cost - 0.1) < 1e-9);
    for (int i = 0; i < SITES; i++)
        assert_true(fabs(scores[i].proximity + scores[i].load + scores[i].hit_ratio + scores[i].cost -
                         scores[i].total) < 1e-12);
}

static void what_is_shed_in_steps_does_not_count_in_the_score_too(void **state) {
    struct decide_score scores[SITES];
    (void)state;
    weights.distance = 1; /* Frankfurt stays the best */
    sites[FRANKFURT].load = 3;
    decide(sites, SITES, &berlin, &weights, 1, NULL, scores);
    assert_true(fabs(scores[0].load - 0.3) < 1e-9);
    sites[FRANKFURT].sheds_in_steps = true;
    decide(sites, SITES, &berlin, &weights, 1, NULL, scores);
    assert_true(fabs(scores[0].load - 0.3 * pow(weights.high_watermark, 20)) < 1e-9);
}

static void the_dead_and_the_draining_are_not_answered(void **state) {
    (void)state;
    sites[FRANKFURT].up = false;
    sites[NEW_YORK].draining = true;
    struct decide_answer answer = ask(&berlin, 1, NULL);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.sites[0], SINGAPORE);
}

static void when_all_look_dead_the_last_good_answer_stays(void **state) {
    struct decide_answer good = ask(&berlin, 1, NULL);
    (void)state;
    for (int i = 0; i < SITES; i++) sites[i].up = false;
    struct decide_answer answer = ask(&berlin, 1, &good);
    assert_int_equal(answer.reason, DECIDE_LAST_GOOD);
    assert_int_equal(answer.count, 2);
    assert_int_equal(answer.sites[0], FRANKFURT);
    answer = ask(&berlin, 1, NULL);
    assert_int_equal(answer.count, 2);
    assert_int_equal(answer.sites[0], FRANKFURT);
}

static void a_new_best_must_be_better_by_the_hysteresis(void **state) {
    struct decide_answer previous = {.count = 2, .sites = {NEW_YORK, FRANKFURT}, .reason = DECIDE_DISTANCE};
    (void)state;
    /* Frankfurt is far better: it takes over. */
    assert_int_equal(ask(&berlin, 1, &previous).sites[0], FRANKFURT);
    /* Hardly better: the client stays. */
    float rtt[SITES] = {50, 52, NAN};
    struct decide_client client = berlin;
    client.rtt_ms = rtt;
    struct decide_answer answer = ask(&client, 1, &previous);
    assert_int_equal(answer.sites[0], NEW_YORK);
    assert_int_equal(answer.sites[1], FRANKFURT);
    assert_int_equal(answer.reason, DECIDE_STICKY);
    sites[NEW_YORK].up = false;
    assert_int_equal(ask(&client, 1, &previous).sites[0], FRANKFURT);
}

/* The share of 10,000 clients in Berlin that get SITE first, New York being OUT_MS farther than Frankfurt. */
static double share(uint16_t site, float out_ms) {
    float rtts[SITES] = {10, 10 + out_ms, NAN};
    struct decide_client client = berlin;
    int first = 0;
    client.rtt_ms = rtts;
    for (uint64_t hash = 0; hash < 10000; hash++) first += ask(&client, hash * 7919, NULL).sites[0] == site;
    return first / 10000.0;
}

static void load_sheds_in_proportion_between_the_watermarks(void **state) {
    static const struct {
        double load, share;
    } cases[] = {{0.5, 1}, {0.7, 1}, {0.75, 0.75}, {0.8, 0.5}, {0.85, 0.25}, {0.9, 0}, {1.5, 0}};
    (void)state;
    weights.load = 0; /* it is shed, not outscored */
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        sites[FRANKFURT].load = cases[i].load;
        double seen = share(FRANKFURT, 0.1f);
        if (fabs(seen - cases[i].share) > 0.03) fail_msg("load %.2f: %.3f stay", cases[i].load, seen);
    }
    /* Still the best by score, so that shedding alone is the reason. */
    sites[FRANKFURT].load = 0.9;
    assert_int_equal(ask(&berlin, 1, NULL).reason, DECIDE_SHED);
}

static void a_client_that_was_shed_stays_shed_as_load_grows(void **state) {
    (void)state;
    for (uint64_t hash = 0; hash < 1000; hash++) {
        bool gone = false;
        for (double load = 0.7; load <= 0.9; load += 0.02) {
            sites[FRANKFURT].load = load;
            bool away = ask(&berlin, hash, NULL).sites[0] != FRANKFURT;
            assert_true(away || !gone);
            gone = away;
        }
    }
}

static void those_with_a_dear_way_out_are_shed_last(void **state) {
    static const struct {
        double shed;
        float out_ms;
        double share;
    } cases[] = {{0.5, 0, 0.5}, {0.5, 20, 0.75}, {0.5, 60, 0.9375},  {0.5, 300, 0.9375},
                 {0.9, 0, 0.1}, {0.9, 20, 0.19}, {0.9, 300, 0.3439}, {1, 0, 0},
                 {1, 20, 0},    {1, 300, 0},     {0, 0, 1},          {0.1, 300, 1}};
    (void)state;
    sites[FRANKFURT].sheds_in_steps = true;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        sites[FRANKFURT].shed = cases[i].shed;
        double seen = share(FRANKFURT, cases[i].out_ms + 0.001f);
        if (fabs(seen - cases[i].share) > 0.03)
            fail_msg("share %.2f, way out %.0f ms: %.3f stay", cases[i].shed, (double)cases[i].out_ms, seen);
    }
    /* Where the way out sheds as well, it is no way out. */
    sites[NEW_YORK].sheds_in_steps = sites[SINGAPORE].sheds_in_steps = true;
    sites[FRANKFURT].shed = sites[NEW_YORK].shed = sites[SINGAPORE].shed = 1;
    assert_true(share(FRANKFURT, 0.1f) == 1);
}

static void no_measurement_is_better_than_light(void **state) {
    struct decide_score scores[SITES];
    (void)state;
    decide(sites, SITES, &berlin, &weights, 1, NULL, scores);
    double rest = scores[0].total - scores[0].proximity;
    assert_true(fabs(decide_least_total(&scores[0], &weights) - rest -
                     0.5 * scores[0].distance_km / DECIDE_KM_PER_MS / 100) < 1e-9);
    decide(sites, SITES, &nowhere, &weights, 1, NULL, scores);
    assert_true(fabs(decide_least_total(&scores[0], &weights) - rest) < 1e-9);
}

static void when_all_shed_the_best_is_still_answered(void **state) {
    (void)state;
    for (int i = 0; i < SITES; i++) sites[i].load = 1;
    assert_int_equal(ask(&berlin, 1, NULL).sites[0], FRANKFURT);
}

static void without_a_place_clients_spread_by_capacity(void **state) {
    int first[SITES] = {0};
    (void)state;
    sites[SINGAPORE].capacity = 2;
    for (uint64_t hash = 0; hash < 20000; hash++) {
        struct decide_answer answer = ask(&nowhere, hash, NULL);
        assert_int_equal(answer.reason, DECIDE_WEIGHT);
        first[answer.sites[0]]++;
    }
    assert_true(abs(first[SINGAPORE] - 10000) < 400);
    assert_true(abs(first[FRANKFURT] - 5000) < 300);
}

static void rendezvous_moves_only_the_lost_edges_keys(void **state) {
    uint64_t edges[] = {11, 22, 33, 44};
    double capacity[] = {1, 1, 1, 1};
    uint16_t before[4], after[4];
    int owned = 0;
    (void)state;
    for (uint64_t key = 0; key < 10000; key++) {
        decide_rendezvous(edges, capacity, 4, key, before);
        capacity[2] = 0;
        decide_rendezvous(edges, capacity, 4, key, after);
        capacity[2] = 1;
        owned += before[0] == 2;
        assert_int_equal(after[0], before[0] == 2 ? before[1] : before[0]);
        assert_int_equal(after[3], 2);
    }
    assert_true(abs(owned - 2500) < 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(distances_on_the_globe, reset),
        cmocka_unit_test_setup(the_nearest_comes_first_and_a_second_follows, reset),
        cmocka_unit_test_setup(a_measurement_replaces_distance, reset),
        cmocka_unit_test_setup(the_terms_add_up_to_the_total, reset),
        cmocka_unit_test_setup(what_is_shed_in_steps_does_not_count_in_the_score_too, reset),
        cmocka_unit_test_setup(the_dead_and_the_draining_are_not_answered, reset),
        cmocka_unit_test_setup(when_all_look_dead_the_last_good_answer_stays, reset),
        cmocka_unit_test_setup(a_new_best_must_be_better_by_the_hysteresis, reset),
        cmocka_unit_test_setup(load_sheds_in_proportion_between_the_watermarks, reset),
        cmocka_unit_test_setup(a_client_that_was_shed_stays_shed_as_load_grows, reset),
        cmocka_unit_test_setup(those_with_a_dear_way_out_are_shed_last, reset),
        cmocka_unit_test_setup(no_measurement_is_better_than_light, reset),
        cmocka_unit_test_setup(when_all_shed_the_best_is_still_answered, reset),
        cmocka_unit_test_setup(without_a_place_clients_spread_by_capacity, reset),
        cmocka_unit_test_setup(rendezvous_moves_only_the_lost_edges_keys, reset),
    };
    return SK_RUN_TESTS(tests);
}
