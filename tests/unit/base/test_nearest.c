#include "base/nearest.h"
#include "unit.h"

static void the_nearest_word_is_found_and_far_ones_are_not(void **state) {
    static const char *const words[] = {"edge", "check", "help", "log_level", "memory"};
    static const struct {
        const char *written, *meant;
    } cases[] = {
        {"edge", "edge"},
        {"egde", "edge"},
        {"chek", "check"},
        {"chekc", "check"},
        {"CHECK", "check"},
        {"hlep", "help"},
        {"log-level", "log_level"},
        {"mem", NULL},
        {"memroy", "memory"},
        {"xyzzy", NULL},
        {"", NULL},
        {"e", NULL},
        {"edges", "edge"},
        {"a_very_long_word_that_is_over_forty_letters", NULL},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct sk_nearest nearest = sk_nearest_to(sk_str_from_c(cases[i].written));
        const char *best = NULL;
        for (size_t w = 0; w < SK_COUNT(words); w++)
            if (sk_nearest_offer(&nearest, sk_str_from_c(words[w]))) best = words[w];
        if (!best != !cases[i].meant || (best && strcmp(best, cases[i].meant) != 0))
            fail_msg("%s: %s", cases[i].written, best ? best : "none");
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_word_is_found_and_far_ones_are_not),
    };
    return SK_RUN_TESTS(tests);
}
