#include "control/rollout.h"

#include "unit.h"

static struct control_node node_of(const char *id, uint64_t in_force, sk_unix_s took_at) {
    struct control_node node = {.alive = true, .in_force = in_force, .took_at = took_at};
    assert_ok(fleet_id_parse(sk_str_from_c(id), &node.id));
    return node;
}

static void test_targets(void **state) {
    struct control_node nodes[] = {node_of("spiffe://f/ams/edge/a", 1, 0),
                                   node_of("spiffe://f/ams/edge/b", 1, 0),
                                   node_of("spiffe://f/fra/edge/c", 1, 0)};
    struct control_rollout present = {.number = 1, .stage = CONTROL_STAGE_ALL};
    struct control_rollout rollout = control_rollout_begin(&present, 2, nodes, 3, 100);
    static const uint64_t wanted[CONTROL_STAGE_COUNT_][3] = {{2, 1, 1}, {2, 2, 1}, {2, 2, 2}};
    assert_int_equal(rollout.stage, CONTROL_STAGE_CANARY);
    for (int stage = 0; stage < CONTROL_STAGE_COUNT_; stage++) {
        rollout.stage = (enum control_stage)stage;
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(control_rollout_target(&rollout, &nodes[i].id), wanted[stage][i]);
    }
    /* nothing was there, or nobody lives: everywhere at once */
    struct control_rollout none = {0};
    assert_int_equal(control_rollout_begin(&none, 1, nodes, 3, 100).stage, CONTROL_STAGE_ALL);
    assert_int_equal(control_rollout_begin(&present, 2, nodes, 0, 100).stage, CONTROL_STAGE_ALL);
    /* one that overtakes another: most nodes still have the one before both */
    rollout.stage = CONTROL_STAGE_CANARY;
    assert_int_equal(control_rollout_begin(&rollout, 3, nodes, 3, 100).previous, 1);
}

static void test_worse(void **state) {
    static const struct {
        struct control_health before, after;
        bool worse;
    } cases[] = {
        {{1000, 0, 100}, {49, 49, 100}, false}, /* too few to tell */
        {{1000, 0, 100}, {100, 0, 100}, false},
        {{1000, 0, 100}, {100, 1, 100}, false},
        {{1000, 0, 100}, {100, 2, 100}, true},
        {{1000, 500, 100}, {100, 50, 100}, false},
        {{1000, 0, 100000}, {100, 0, 169000}, false},
        {{1000, 0, 100000}, {100, 0, 171000}, true},
        {{0, 0, 0}, {100, 0, 171000}, false}, /* no past to compare with */
        {{0, 0, 0}, {100, 50, 0}, true},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++)
        assert_int_equal(control_worse(&cases[i].before, &cases[i].after), cases[i].worse);
}

static void test_steps(void **state) {
    struct control_node nodes[] = {node_of("spiffe://f/ams/edge/a", 2, 100),
                                   node_of("spiffe://f/ams/edge/b", 1, 0)};
    struct control_rollout present = {.number = 1, .stage = CONTROL_STAGE_ALL};
    struct control_rollout rollout = control_rollout_begin(&present, 2, nodes, 2, 100);
    assert_int_equal(control_rollout_step(&rollout, nodes, 2, 104).move, CONTROL_STAY); /* it soaks */
    assert_int_equal(control_rollout_step(&rollout, nodes, 2, 105).move, CONTROL_NEXT);
    nodes[0].after = (struct control_health){100, 50, 0};
    struct control_verdict verdict = control_rollout_step(&rollout, nodes, 2, 105);
    assert_int_equal(verdict.move, CONTROL_BACK);
    assert_ptr_equal(verdict.because, &nodes[0]);
    nodes[0].after = (struct control_health){0};
    nodes[0].in_force = 1;
    assert_int_equal(control_rollout_step(&rollout, nodes, 2, 159).move, CONTROL_STAY);
    assert_int_equal(control_rollout_step(&rollout, nodes, 2, 160).move,
                     CONTROL_BACK); /* it does not take it */
    nodes[0].refused = 2;
    assert_int_equal(control_rollout_step(&rollout, nodes, 2, 101).move, CONTROL_BACK);
    rollout.stage = CONTROL_STAGE_ALL;
    assert_int_equal(control_rollout_step(&rollout, nodes, 2, 500).move, CONTROL_STAY);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_targets), cmocka_unit_test(test_worse),
                                       cmocka_unit_test(test_steps)};
    return SK_RUN_TESTS(tests);
}
