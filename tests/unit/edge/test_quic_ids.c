#include "edge/quic_ids.h"

#include "unit.h"

static struct wire_quic_id id_of(uint32_t number, uint8_t bytes) {
    struct wire_quic_id id = {.bytes = bytes};
    memcpy(id.data, &number, sizeof number);
    return id;
}

static struct h3_conn *conn_of(uint32_t number) { return (struct h3_conn *)(uintptr_t)(8u * number + 8u); }

static void ids_are_found_until_they_are_removed(void **state) {
    enum { COUNT = 3000 };
    struct edge_quic_ids ids = {0};
    struct wire_quic_id id = id_of(1, 16);
    assert_null(edge_quic_ids_find(&ids, &id));
    for (uint32_t i = 0; i < COUNT; i++) {
        id = id_of(i, 16);
        assert_ok(edge_quic_ids_add(&ids, &id, conn_of(i)));
    }
    for (uint32_t i = 0; i < COUNT; i += 3) {
        id = id_of(i, 16);
        edge_quic_ids_remove(&ids, &id);
        edge_quic_ids_remove(&ids, &id); /* twice is harmless */
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        id = id_of(i, 16);
        struct h3_conn *found = edge_quic_ids_find(&ids, &id);
        if (i % 3 == 0)
            assert_null(found);
        else
            assert_ptr_equal(found, conn_of(i));
    }
    assert_int_equal(ids.used, COUNT - COUNT / 3);
    edge_quic_ids_free(&ids);
}

static void an_id_has_one_connection_and_its_length_counts(void **state) {
    struct edge_quic_ids ids = {0};
    struct wire_quic_id eight = id_of(7, 8), nine = id_of(7, 9);
    assert_ok(edge_quic_ids_add(&ids, &eight, conn_of(1)));
    assert_int_equal(edge_quic_ids_add(&ids, &eight, conn_of(2)), SK_ERR_EXISTS);
    assert_ok(edge_quic_ids_add(&ids, &nine, conn_of(2)));
    assert_ptr_equal(edge_quic_ids_find(&ids, &eight), conn_of(1));
    assert_ptr_equal(edge_quic_ids_find(&ids, &nine), conn_of(2));
    edge_quic_ids_free(&ids);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_found_until_they_are_removed),
        cmocka_unit_test(an_id_has_one_connection_and_its_length_counts),
    };
    return SK_RUN_TESTS(tests);
}
