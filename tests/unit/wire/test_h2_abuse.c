#include "unit.h"
#include "wire/h2_abuse.h"

#define S SK_NS_PER_S

/* COUNT of a kind at a time each; whether all of them are paid for. */
struct burst {
    sk_time_ns at;
    enum wire_h2_cost cost;
    int count;
    bool fine;
};
struct scene {
    const char *name;
    struct burst bursts[5];
};

static const struct scene scenes[] = {
    {"a browser that leaves a page resets what it asked for", {{S, WIRE_H2_COST_RESET, 100, true}}},
    {"and may do so again a little later",
     {{S, WIRE_H2_COST_RESET, 100, true}, {6 * S, WIRE_H2_COST_RESET, 100, true}}},
    {"a thousand resets at once are none of a browser", {{S, WIRE_H2_COST_RESET, 1000, false}}},
    {"nor are a thousand that we are made to send", {{S, WIRE_H2_COST_MADE_RESET, 1000, false}}},
    {"settings and pings", {{S, WIRE_H2_COST_SETTINGS, 20, true}, {S, WIRE_H2_COST_PING, 50, true}}},
    {"a flood of pings", {{S, WIRE_H2_COST_PING, 600, false}}},
    {"different kinds add up",
     {{S, WIRE_H2_COST_PING, 250, true},
      {S, WIRE_H2_COST_SETTINGS, 120, true},
      {S, WIRE_H2_COST_EMPTY, 100, false}}},
    {"once over, it is over for good",
     {{S, WIRE_H2_COST_RESET, 1000, false}, {1000000 * S, WIRE_H2_COST_WINDOW, 1, false}}},
    {"the debt is paid off with time",
     {{S, WIRE_H2_COST_PING, 499, true}, {27 * S, WIRE_H2_COST_PING, 499, true}}},
    {"but not faster than it is",
     {{S, WIRE_H2_COST_PING, 499, true}, {2 * S, WIRE_H2_COST_PING, 400, false}}},
    {"a clock that stands still or steps back forgives nothing",
     {{5 * S, WIRE_H2_COST_PING, 499, true}, {1 * S, WIRE_H2_COST_PING, 5, false}}},
    {"an age of silence is no overflow",
     {{S, WIRE_H2_COST_PING, 499, true}, {INT64_MAX / 2, WIRE_H2_COST_PING, 499, true}}},
};

static void floods_are_told_from_use(void **state) {
    for (size_t i = 0; i < SK_COUNT(scenes); i++) {
        struct wire_h2_account account = {0};
        for (const struct burst *burst = scenes[i].bursts; burst->count; burst++) {
            bool fine = true;
            for (int n = 0; n < burst->count; n++) fine &= wire_h2_charge(&account, burst->cost, burst->at);
            if (fine != burst->fine) fail_msg("%s", scenes[i].name);
        }
    }
}

static void answered_requests_earn_credit(void **state) {
    struct wire_h2_account account = {0};
    for (int i = 0; i < 100000; i++) { /* 4 WINDOW_UPDATE for each answer are what downloads need */
        for (int n = 0; n < 4; n++) assert_true(wire_h2_charge(&account, WIRE_H2_COST_WINDOW, S));
        wire_h2_credit(&account);
    }
    assert_int_equal(account.spent, 0);
}

/* A reader with windows of 16 KiB, through a gigabyte in no time; and one that takes it byte by byte. */
static void content_that_is_sent_earns_credit(void **state) {
    struct wire_h2_account account = {0};
    for (int i = 0; i < 1 << 17; i++) {
        for (int n = 0; n < 2; n++) assert_true(wire_h2_charge(&account, WIRE_H2_COST_WINDOW, S));
        wire_h2_credit_content(&account, 8192);
    }
    assert_int_equal(account.spent, 0);
    bool fine = true;
    for (int i = 0; i < 20000; i++) {
        fine &= wire_h2_charge(&account, WIRE_H2_COST_WINDOW, S);
        wire_h2_credit_content(&account, 1);
    }
    assert_false(fine);
}

static void each_cost_has_its_words(void **state) {
    for (int i = 0; i < WIRE_H2_COST_COUNT_; i++)
        assert_true(strlen(wire_h2_cost_text((enum wire_h2_cost)i)) > 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floods_are_told_from_use), cmocka_unit_test(answered_requests_earn_credit),
        cmocka_unit_test(content_that_is_sent_earns_credit), cmocka_unit_test(each_cost_has_its_words)};
    return SK_RUN_TESTS(tests);
}
