#include "route/top.h"

#include "dns_unit.h"

static yyjson_mut_doc *doc;

static yyjson_mut_val *read_all(struct top *top, size_t shown, sk_time_ns now) {
    doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = top_json(&top, 1, shown, now, doc);
    assert_non_null(root);
    return root;
}

static void assert_item(yyjson_mut_val *root, const char *list, size_t index, const char *key,
                        const char *text, uint64_t queries) {
    yyjson_mut_val *item = yyjson_mut_arr_get(yyjson_mut_obj_get(root, list), index);
    assert_non_null(item);
    assert_string_equal(yyjson_mut_get_str(yyjson_mut_obj_get(item, key)), text);
    assert_int_equal(yyjson_mut_get_uint(yyjson_mut_obj_get(item, "queries")), queries);
}

static void note(struct top *top, const char *client, const char *name, uint32_t weight, sk_time_ns now) {
    struct io_addr addr = addr_of(client);
    struct dns_name dns = name_of(name);
    top_note(top, &addr, &dns, weight, now);
}

static void the_busiest_come_first(void **state) {
    struct top *top;
    assert_ok(top_create(&top));
    note(top, "192.0.2.1:53", "www.example.com", 5, SK_NS_PER_S);
    note(top, "192.0.2.77:5353", "a.example.com", 2, SK_NS_PER_S);
    note(top, "[2001:db8:0:ff00::1]:53", "www.example.com", 4, SK_NS_PER_S);
    yyjson_mut_val *root = read_all(top, 10, 3 * SK_NS_PER_S);
    assert_item(root, "clients", 0, "network", "192.0.2.0/24", 7);
    assert_item(root, "clients", 1, "network", "2001:db8:0:ff00::/56", 4);
    assert_item(root, "names", 0, "name", "www.example.com.", 9);
    assert_item(root, "names", 1, "name", "a.example.com.", 2);
    assert_int_equal(yyjson_mut_get_uint(yyjson_mut_obj_get(root, "queries")), 11);
    assert_int_equal(yyjson_mut_get_uint(yyjson_mut_obj_get(root, "seconds")), 2);
    yyjson_mut_doc_free(doc);
    root = read_all(top, 1, 3 * SK_NS_PER_S);
    assert_int_equal(yyjson_mut_arr_size(yyjson_mut_obj_get(root, "names")), 1);
    yyjson_mut_doc_free(doc);
    top_free(top);
}

/* The promise of the algorithm, amid a flood of names that come once. */
static void what_is_frequent_is_kept_and_its_error_told(void **state) {
    struct top *top;
    char name[64];
    assert_ok(top_create(&top));
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "x%d.example.com", i);
        note(top, "192.0.2.1:53", name, 1, SK_NS_PER_S);
        if (i % 100 == 0) note(top, "192.0.2.1:53", "busy.example.com", 1, SK_NS_PER_S);
    }
    yyjson_mut_val *root = read_all(top, 100, SK_NS_PER_S), *item;
    yyjson_mut_arr_iter at = yyjson_mut_arr_iter_with(yyjson_mut_obj_get(root, "names"));
    bool found = false;
    while ((item = yyjson_mut_arr_iter_next(&at))) {
        if (strcmp(yyjson_mut_get_str(yyjson_mut_obj_get(item, "name")), "busy.example.com.") != 0) continue;
        uint64_t queries = yyjson_mut_get_uint(yyjson_mut_obj_get(item, "queries"));
        uint64_t error = yyjson_mut_get_uint(yyjson_mut_obj_get(item, "error"));
        found = queries >= 200 && queries - error <= 200 && error <= 20200 / TOP_SLOTS;
    }
    assert_true(found);
    yyjson_mut_doc_free(doc);
    top_free(top);
}

static void what_is_long_ago_is_forgotten(void **state) {
    struct top *top;
    assert_ok(top_create(&top));
    note(top, "192.0.2.1:53", "old.example.com", 9, SK_NS_PER_S);
    note(top, "192.0.2.1:53", "new.example.com", 1, 62 * SK_NS_PER_S);
    yyjson_mut_val *root = read_all(top, 10, 63 * SK_NS_PER_S);
    assert_item(root, "names", 0, "name", "old.example.com.", 9);
    yyjson_mut_doc_free(doc);
    note(top, "192.0.2.1:53", "new.example.com", 1, 123 * SK_NS_PER_S);
    root = read_all(top, 10, 124 * SK_NS_PER_S);
    assert_int_equal(yyjson_mut_arr_size(yyjson_mut_obj_get(root, "names")), 1);
    assert_item(root, "names", 0, "name", "new.example.com.", 2);
    yyjson_mut_doc_free(doc);
    top_free(top);
}

static void one_of_few_queries_is_noted_for_all(void **state) {
    struct top *top;
    uint64_t sum = 0;
    int notes = 0;
    sk_time_ns now = SK_NS_PER_S;
    assert_ok(top_create(&top));
    for (int i = 0; i < 16000; i++) {
        uint32_t weight = top_due(top, 1, now += 1000);
        sum += weight;
        notes += weight > 0;
    }
    assert_true(sum > 16000 - 16 && notes <= 1001); /* all are accounted for */
    assert_int_equal(top_due(top, 1, now + SK_NS_PER_S),
                     16000 - sum + 1); /* and a quiet time's each at once */
    top_free(top);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_busiest_come_first),
        cmocka_unit_test(what_is_frequent_is_kept_and_its_error_told),
        cmocka_unit_test(what_is_long_ago_is_forgotten),
        cmocka_unit_test(one_of_few_queries_is_noted_for_all),
    };
    return SK_RUN_TESTS(tests);
}
