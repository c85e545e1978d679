/* Properties of the division of keys, for sets of nodes of every size. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "grid/ring.h"

struct names {
    char texts[GRID_NODES_MAX][24];
    sk_str items[GRID_NODES_MAX];
};

static void name(struct names *names, uint32_t count, uint32_t seed) {
    for (uint32_t i = 0; i < count; i++) {
        int len = snprintf(names->texts[i], sizeof names->texts[i], "home/n%u-%u", seed, i);
        names->items[i] = (sk_str){names->texts[i], (size_t)len};
    }
}

static struct grid_ring *made(const sk_str *names, uint32_t count) {
    struct grid_ring *ring = malloc(sizeof *ring);
    assert_non_null(ring);
    grid_ring_make(ring, names, count);
    return ring;
}

static void test_nobody(void **state) {
    struct grid_ring *ring = made(NULL, 0);
    for (uint32_t c = 0; c < GRID_CHOICES; c++) assert_int_equal(grid_choices(ring, 7)[c], GRID_NOBODY);
    free(ring);
}

static void test_balance(void **state) {
    struct names names;
    for (uint32_t count = 1; count <= GRID_NODES_MAX; count++) {
        uint32_t loads[GRID_NODES_MAX] = {0};
        name(&names, count, 1);
        struct grid_ring *ring = made(names.items, count);
        for (uint32_t slot = 0; slot < GRID_SLOTS; slot++) loads[grid_choices(ring, slot)[0]]++;
        for (uint32_t i = 0; i < count; i++)
            assert_true((uint64_t)loads[i] * count * GRID_SLACK <=
                        (uint64_t)GRID_SLOTS * (GRID_SLACK + 1) + (uint64_t)count * GRID_SLACK);
        free(ring);
    }
}

static void test_choices_differ(void **state) {
    struct names names;
    for (uint32_t count = 1; count <= 5; count++) {
        name(&names, count, 2);
        struct grid_ring *ring = made(names.items, count);
        for (uint32_t slot = 0; slot < GRID_SLOTS; slot++) {
            const uint8_t *c = grid_choices(ring, slot);
            assert_true(c[0] < count);
            assert_true(count < 2 ? c[1] == GRID_NOBODY : c[1] < count && c[1] != c[0]);
            assert_true(count < 3 ? c[2] == GRID_NOBODY : c[2] < count && c[2] != c[0] && c[2] != c[1]);
        }
        free(ring);
    }
}

/* Nodes hear of each other in any order. */
static void test_same_everywhere(void **state) {
    struct names names;
    sk_str turned[GRID_NODES_MAX];
    for (uint32_t count = 2; count <= 20; count++) {
        name(&names, count, 3);
        for (uint32_t i = 0; i < count; i++) turned[i] = names.items[(i * 7 + count / 2) % count];
        if (count % 7 == 0) continue; /* no permutation */
        struct grid_ring *a = made(names.items, count), *b = made(turned, count);
        for (uint32_t slot = 0; slot < GRID_SLOTS; slot++)
            for (uint32_t c = 0; c < SK_MIN(count, GRID_CHOICES); c++)
                assert_true(
                    sk_str_eq(names.items[grid_choices(a, slot)[c]], turned[grid_choices(b, slot)[c]]));
        free(a);
        free(b);
    }
}

/* The last node of COUNT goes: its slots move, to their second owner nearly always, and few others. Read the other way,
 * the same of a node that comes. */
static void test_movement(void **state) {
    struct names names;
    for (uint32_t count = 2; count <= 24; count++) {
        uint32_t gone = count - 1, lost = 0, others = 0, elsewhere = 0;
        name(&names, count, 4);
        struct grid_ring *before = made(names.items, count), *after = made(names.items, gone);
        for (uint32_t slot = 0; slot < GRID_SLOTS; slot++) {
            const uint8_t *old = grid_choices(before, slot);
            uint8_t now = grid_choices(after, slot)[0];
            if (old[0] == gone) {
                lost++;
                elsewhere += now != old[1];
            } else {
                others += now != old[0];
            }
        }
        assert_true(lost > 0);
        assert_true(others * 100 <= GRID_SLOTS * 2);    /* at most 2 % beside its own */
        assert_true(elsewhere * 100 <= GRID_SLOTS * 2); /* its second owner knows what comes to it */
        free(before);
        free(after);
    }
}

/* Six nodes, as in a usual PoP: nobody has more than a sixth and one in a hundred, so that losing one costs no more. */
static void test_a_sixth(void **state) {
    struct names names;
    for (uint32_t seed = 0; seed < 20; seed++) {
        uint32_t loads[6] = {0};
        name(&names, 6, 100 + seed);
        struct grid_ring *ring = made(names.items, 6);
        for (uint32_t slot = 0; slot < GRID_SLOTS; slot++) loads[grid_choices(ring, slot)[0]]++;
        for (uint32_t i = 0; i < 6; i++) assert_true(loads[i] * 10000u <= GRID_SLOTS * 1770u);
        free(ring);
    }
}

/* Keys spread over slots, whatever they look like. */
static void test_slots(void **state) {
    uint32_t seen[64] = {0};
    char text[64];
    for (uint32_t i = 0; i < 64000; i++) {
        int len = snprintf(text, sizeof text, "shop|www.example.com|/img/%u.png", i);
        uint32_t slot = grid_slot_of((sk_str){text, (size_t)len});
        assert_true(slot < GRID_SLOTS);
        seen[slot / (GRID_SLOTS / 64)]++;
    }
    for (uint32_t i = 0; i < 64; i++) assert_in_range(seen[i], 850, 1150);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody),         cmocka_unit_test(test_balance),
        cmocka_unit_test(test_choices_differ), cmocka_unit_test(test_same_everywhere),
        cmocka_unit_test(test_movement),       cmocka_unit_test(test_a_sixth),
        cmocka_unit_test(test_slots),
    };
    return SK_RUN_TESTS(tests);
}
