#include "edge/pace.h"

#include "unit.h"

#define S SK_NS_PER_S

struct step {
    int64_t at_s;
    enum { RUN, PAUSE, MOVE, ASK_OK, ASK_SLOW } what;
    uint64_t bytes;
};
struct scene {
    const char *name;
    struct edge_pace_limits limits;
    struct step steps[8];
};

static const struct scene scenes[] = {
    {"nothing moves for longer than allowed", {3000, 0}, {{0, RUN}, {2, ASK_OK}, {3, ASK_SLOW}}},
    {"a byte now and then is progress", {3000, 0}, {{0, RUN}, {2, MOVE, 1}, {4, ASK_OK}, {5, ASK_SLOW}}},
    {"without limits nobody is slow", {0, 0}, {{0, RUN}, {1000000, ASK_OK}}},
    {"progress does not excuse a rate under the minimum",
     {3000, 100},
     {{0, RUN}, {9, MOVE, 999}, {9, ASK_OK}, {10, ASK_SLOW}}},
    {"the minimum rate is enough", {0, 100}, {{0, RUN}, {9, MOVE, 1000}, {10, ASK_OK}}},
    {"each window counts for itself",
     {0, 100},
     {{0, RUN}, {1, MOVE, 100000}, {10, ASK_OK}, {19, MOVE, 10}, {20, ASK_SLOW}}},
    {"time in which nobody waits for the client does not count",
     {3000, 100},
     {{0, RUN}, {2, PAUSE}, {60, RUN}, {62, ASK_OK}, {62, MOVE, 1000}, {64, ASK_OK}}},
    {"pauses between bytes do not restart the window",
     {30000, 100},
     {{0, RUN}, {4, PAUSE}, {5, RUN}, {9, PAUSE}, {10, RUN}, {11, ASK_OK}, {12, ASK_SLOW}}},
};

static void paces_are_judged(void **state) {
    for (size_t i = 0; i < SK_COUNT(scenes); i++) {
        struct edge_pace pace = {0};
        for (const struct step *step = scenes[i].steps; step == scenes[i].steps || step->at_s || step->what;
             step++) {
            sk_time_ns now = (step->at_s + 100) * S, check = 0;
            bool ok = true;
            switch (step->what) {
            case RUN: edge_pace_run(&pace, now); continue;
            case PAUSE: edge_pace_pause(&pace, now); continue;
            case MOVE: edge_pace_moved(&pace, step->bytes, now); continue;
            case ASK_OK:
            case ASK_SLOW: ok = edge_pace_ok(&pace, &scenes[i].limits, now, &check); break;
            }
            if (ok != (step->what == ASK_OK)) fail_msg("%s: wrong at %d s", scenes[i].name, (int)step->at_s);
            if (ok && check <= now) fail_msg("%s: the next look would be in the past", scenes[i].name);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(paces_are_judged)};
    return SK_RUN_TESTS(tests);
}
