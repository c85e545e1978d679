#include "config/route.h"

#include "unit.h"

static void what_is_written_and_what_is_not(void **state) {
    static const char text[] = "listen: [\"192.0.2.1:53\", \"[2001:db8::1]:53\"]\n"
                               "nsid: fra-1\n"
                               "rate_limit: {answers: 0, slip: 3}\n"
                               "zones:\n"
                               "  - name: example.com\n"
                               "    file: z\n"
                               "    allow_transfer: [192.0.2.0/24, \"2001:db8::/32\"]\n"
                               "    notify: [192.0.2.9, \"192.0.2.10:5300\"]\n"
                               "sites:\n"
                               "  - {name: fra, latitude: 50.1, longitude: -8.7, edges: [203.0.113.1]}\n"
                               "names:\n"
                               "  - {name: \"*.cdn.example.com\", ttl: 1m, https: false}\n"
                               "overrides:\n"
                               "  - {country: de, sites: [fra]}\n";
    (void)state;
    struct config_route *config;
    struct config_problems problems;
    config_problems_init(&problems);
    if (config_route_parse(sk_str_from_c(text), "route.yaml", &config, &problems))
        fail_msg("%.*s", SK_STR_ARGS(sk_buf_str(&problems.text)));
    assert_int_equal(config->listener_count, 2);
    assert_int_equal(io_addr_port(&config->listeners[1]), 53);
    assert_str(config->nsid, SK_STR("fra-1"));
    assert_int_equal(config->rate.answers, 0);
    assert_int_equal(config->rate.slip, 3);
    assert_int_equal(config->rate.no_name, 100);
    assert_int_equal(config->zones[0].allow_transfer_count, 2);
    assert_int_equal(io_addr_port(&config->zones[0].notify[0]), 53);
    assert_int_equal(io_addr_port(&config->zones[0].notify[1]), 5300);
    assert_str(config->sites[0].longitude, SK_STR("-8.7"));
    assert_str(config->sites[0].capacity, SK_STR("1"));
    assert_int_equal(config->names[0].ttl_ms, 60000);
    assert_false(config->names[0].https);
    assert_int_equal(config->names[0].first_addresses, 2);
    assert_str(config->overrides[0].sites[0], SK_STR("fra"));
    assert_true(config->cookies);
    config_route_free(config);
    config_problems_free(&problems);
}

static void what_is_wrong_is_told_with_its_place(void **state) {
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"zones: [{name: a, file: b}]\nthread: 1\n",
         "route.yaml:2:1: unknown key \"thread\"; did you mean \"threads\"?"},
        {"zones: [{name: a, file: b}]\nthreads: x\n",
         "route.yaml:2:10: threads: found \"x\", expected a whole number"},
        {"zones: [{name: a}]\n", "zones[0]: has no file"},
        {"zones: []\n", "found no entries, expected at least 1"},
        {"zones: [{name: a, file: b}]\nsites: [{name: s, latitude: 12e3, edges: [1.2.3.4]}]\n",
         "expected a number"},
        {"zones: [{name: a, file: b}]\nsites: [{name: s, edges: [host]}]\n",
         "expected an IP address, with port if needed"},
        {"zones: [{name: a, file: b}]\nnames: [{name: x.a}]\n", "names need sites"},
        {"zones: [{name: a, file: b}]\nadmin: 127.0.0.1:1\n", "admin on TCP needs an admin_token"},
        {"", "found nothing, expected at least: zones:"},
        {"zones: &x [{name: a, file: b}]\n", "anchor"},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct config_route *config = NULL;
        struct config_problems problems;
        config_problems_init(&problems);
        assert_err(config_route_parse(sk_str_from_c(cases[i].text), "route.yaml", &config, &problems),
                   SK_ERR_INVALID);
        sk_str told = sk_buf_str(&problems.text);
        if (sk_str_find(told, sk_str_from_c(cases[i].expected)) == told.len)
            fail_msg("case %zu: %.*s", i, SK_STR_ARGS(told));
        config_problems_free(&problems);
    }
}

static void arguments_lie_over_the_file(void **state) {
    (void)state;
    const char *listen[] = {"127.0.0.1:99"}, *zones[] = {"example.org=/z"};
    struct config_route_arguments arguments = {
        .listen = listen, .listen_count = 1, .zones = zones, .zone_count = 1, .threads = 3};
    struct config_route *config;
    struct config_problems problems;
    config_problems_init(&problems);
    assert_ok(config_route_empty(&config));
    assert_ok(config_route_apply_arguments(config, &arguments, &problems));
    assert_int_equal(io_addr_port(&config->listeners[0]), 99);
    assert_str(config->zones[0].name, SK_STR("example.org"));
    assert_str(config->zones[0].file, SK_STR("/z"));
    assert_int_equal(config->threads, 3);
    zones[0] = "example.org";
    assert_err(config_route_apply_arguments(config, &arguments, &problems), SK_ERR_INVALID);
    config_route_free(config);
    config_problems_free(&problems);
}

static void the_example_is_good(void **state) {
    (void)state;
    struct config_route *config;
    struct config_problems problems;
    config_problems_init(&problems);
    if (config_route_load_file(EXAMPLES "/route.yaml", &config, &problems))
        fail_msg("%.*s", SK_STR_ARGS(sk_buf_str(&problems.text)));
    /* paths are relative to the file */
    assert_str(config->zones[0].file, SK_STR(EXAMPLES "/example.com.zone"));
    assert_str(config->zones[0].keys, SK_STR(EXAMPLES "/keys/example.com"));
    assert_int_equal(config->site_count, 3);
    config_route_free(config);
    config_problems_free(&problems);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_and_what_is_not),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(arguments_lie_over_the_file),
        cmocka_unit_test(the_example_is_good),
    };
    return SK_RUN_TESTS(tests);
}
