/* What an edge says of an erasure: it counts for that erasure, that edge and that word alone. */
#include "fleet/erased.h"
#include "unit.h"

static const struct fleet_erasure erasure = {{"spiffe://f/p/control/a", 22}, {7, 9}};
static const sk_str edge = {"spiffe://f/p/edge/b", 19};
static const struct fleet_bus_key key = {{1, 2, 3}}, other = {{4}};
static struct sk_arena arena;

static int set_up(void **state) {
    sk_arena_init(&arena, 1024, 1 << 20);
    return 0;
}
static int tear_down(void **state) {
    sk_arena_free(&arena);
    return 0;
}

static void what_is_said_is_read(void **state) {
    const struct fleet_bus_keys keys = {{other, key}, 2};
    for (unsigned what = FLEET_ERASED_SILENT + 1; what < FLEET_ERASED_COUNT_; what++) {
        sk_str text = fleet_erased_text(&erasure, edge, (enum fleet_erased)what, &key, &arena);
        assert_true(text.len > 64);
        assert_int_equal(fleet_erased_read(text, &erasure, edge, &keys), what);
    }
}

static void nothing_else_counts(void **state) {
    const struct fleet_bus_keys keys = {{key}, 1}, others = {{other}, 1}, none = {0};
    sk_str text = fleet_erased_text(&erasure, edge, FLEET_ERASED_DONE, &key, &arena);
    struct fleet_erasure changed = erasure;
    assert_int_equal(fleet_erased_read(text, &erasure, edge, &others), FLEET_ERASED_SILENT);
    assert_int_equal(fleet_erased_read(text, &erasure, edge, &none), FLEET_ERASED_SILENT);
    assert_int_equal(fleet_erased_read(text, &erasure, SK_STR("spiffe://f/p/edge/c"), &keys),
                     FLEET_ERASED_SILENT);
    changed.mark.sequence++;
    assert_int_equal(fleet_erased_read(text, &changed, edge, &keys), FLEET_ERASED_SILENT);
    changed = erasure;
    changed.mark.epoch++;
    assert_int_equal(fleet_erased_read(text, &changed, edge, &keys), FLEET_ERASED_SILENT);
    changed = erasure;
    changed.publisher = SK_STR("spiffe://f/p/control/b");
    assert_int_equal(fleet_erased_read(text, &changed, edge, &keys), FLEET_ERASED_SILENT);
    for (size_t cut = 0; cut < text.len; cut++)
        assert_int_equal(fleet_erased_read(sk_str_slice(text, 0, cut), &erasure, edge, &keys),
                         FLEET_ERASED_SILENT);
    sk_str moved = sk_arena_printf(&arena, "nothing%.*s", SK_STR_ARGS(sk_str_slice(text, 6, text.len)));
    assert_int_equal(fleet_erased_read(moved, &erasure, edge, &keys), FLEET_ERASED_SILENT);
    text = fleet_erased_text(&erasure, edge, FLEET_ERASED_DONE, NULL, &arena);
    assert_int_equal(fleet_erased_read(text, &erasure, edge, &keys), FLEET_ERASED_SILENT);
    assert_int_equal(fleet_erased_read(SK_STR("silent:"), &erasure, edge, &keys), FLEET_ERASED_SILENT);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {CASE(what_is_said_is_read), CASE(nothing_else_counts)};
    return SK_RUN_TESTS(tests);
}
