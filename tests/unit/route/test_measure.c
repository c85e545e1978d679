#include "route/measure.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "mmdb_writer.h"

#define NOW SK_NS_PER_S
enum { FRA, NYC, SIN, SITES };
static struct table_site sites[SITES];

static void set_up_sites(void) {
    static const char *const names[] = {"fra", "nyc", "sin"};
    for (int i = 0; i < SITES; i++)
        sites[i].decide = (struct decide_site){.name = sk_str_from_c(names[i]), .up = true, .capacity = 1};
}

static void take(struct measure *measure, unsigned source, const char *site, const char *text) {
    struct measure_report report;
    struct io_addr addr;
    char address[32];
    snprintf(address, sizeof address, "192.0.2.%u:80", source);
    assert_ok(io_addr_parse(sk_str_from_c(address), &addr));
    assert_ok(measure_parse(sk_str_from_c(text), &report));
    assert_ok(measure_take(measure, &addr, sk_str_from_c(site), &report, NOW));
}

static float rtt_of(const struct table_measurement *item, uint16_t site) {
    for (uint16_t i = 0; i < item->rtt_count; i++)
        if (item->rtts[i].site == site) return item->rtts[i].p50_ms;
    return NAN;
}

static const struct table_measurement *network(const struct measure_set *set, const char *text) {
    const struct table_measurements *all = measure_set_items(set);
    struct io_prefix prefix;
    assert_ok(io_prefix_parse(sk_str_from_c(text), &prefix));
    for (size_t i = 0; i < all->prefix_count; i++)
        if (all->items[i].prefix.bits == prefix.bits && memcmp(all->items[i].prefix.ip, prefix.ip, 16) == 0)
            return &all->items[i];
    return NULL;
}

static void a_report_is_read(void **state) {
    struct measure_report report;
    (void)state;
    assert_ok(measure_parse(SK_STR("load 0.25\nhit_ratio 0.9\nfuture word\n192.0.2.0/24 12 20.5 40\n"
                                   "2001:db8::/48 3 7 9 more\n\n"),
                            &report));
    assert_true(fabs(report.load - 0.25) < 1e-9 && fabs(report.hit_ratio - 0.9) < 1e-9);
    assert_int_equal(report.count, 2);
    assert_int_equal(report.networks[0].prefix.bits, 120);
    assert_int_equal(report.networks[0].count, 12);
    assert_true(fabsf(report.networks[0].p50_ms - 20.5f) < 1e-4f);
    measure_report_free(&report);
    assert_ok(measure_parse(SK_STR(""), &report));
    assert_true(isnan(report.load) && isnan(report.hit_ratio));
    measure_report_free(&report);
}

static void what_is_no_report_is_refused(void **state) {
    static const char *const texts[] = {"load x",
                                        "load -1",
                                        "load",
                                        "hit_ratio 1.5",
                                        "1.2.3.0/24",
                                        "1.2.3.0/24 5",
                                        "1.2.3.0/24 5 5",
                                        "1.2.3.0/24 x 5 5",
                                        "1.2.3.0/99 5 5 5",
                                        "1.2.3.0/24 5 nan 5",
                                        "1.2.3.0/24 5 -3 5",
                                        "::/48 5 inf 5",
                                        "load 1e99999"};
    (void)state;
    for (size_t i = 0; i < SK_COUNT(texts); i++) {
        struct measure_report report;
        if (measure_parse(sk_str_from_c(texts[i]), &report) != SK_ERR_MALFORMED) fail_msg("%s", texts[i]);
    }
}

static void edges_of_a_site_are_joined_and_few_samples_say_nothing(void **state) {
    struct measure *measure;
    struct measure_set *set;
    (void)state;
    assert_ok(measure_create(&measure));
    take(measure, 1, "fra", "198.51.100.0/24 10 30 40\n203.0.113.0/24 2 5 5\n");
    take(measure, 2, "fra", "198.51.100.0/24 90 20 40\n");
    take(measure, 3, "nyc", "198.51.100.0/24 5 90 95\n203.0.113.0/24 9 80 90\n");
    take(measure, 4, "gone", "198.51.100.0/24 5 1 1\n");
    assert_ok(measure_set_create(measure, sites, SITES, NULL, NOW, &set));
    assert_int_equal(measure_set_items(set)->prefix_count, 2);
    const struct table_measurement *item = network(set, "198.51.100.0/24");
    assert_int_equal(item->rtt_count, 2);
    assert_true(fabsf(rtt_of(item, FRA) - 20) < 1e-3f && fabsf(rtt_of(item, NYC) - 90) < 1e-3f);
    assert_true(isnan(rtt_of(network(set, "203.0.113.0/24"), FRA)));
    measure_set_unref(set);
    /* A newer report takes the place of the older. */
    take(measure, 2, "fra", "198.51.100.0/24 90 70 80\n");
    assert_ok(measure_set_create(measure, sites, SITES, NULL, NOW, &set));
    assert_true(fabsf(rtt_of(network(set, "198.51.100.0/24"), FRA) - 70) < 1e-3f);
    measure_set_unref(set);
    /* What is old says nothing. */
    assert_ok(measure_set_create(measure, sites, SITES, NULL, NOW + MEASURE_REPORT_NS + 1, &set));
    assert_int_equal(measure_set_items(set)->count, 0);
    measure_set_unref(set);
    measure_free(measure);
}

/* Two networks of one AS in Germany, one of another AS there, one in France. */
static struct geo *load_places(void) {
    char path[] = "/tmp/skerry-measure-XXXXXX";
    static const struct {
        const char *network, *country;
        uint32_t as_number;
    } places[] = {{"198.51.100.0/24", "DE", 1},
                  {"198.51.101.0/24", "DE", 1},
                  {"203.0.113.0/24", "DE", 2},
                  {"192.0.2.0/24", "FR", 1}};
    struct mmdb_writer w = {.node_count = 0};
    struct geo *geo;
    struct sk_buf problems;
    const char *paths[] = {path};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < SK_COUNT(places); i++) {
        size_t at = w.data_bytes;
        mmdb_put_map(&w, 2);
        mmdb_put_text(&w, "country_code");
        mmdb_put_text(&w, places[i].country);
        mmdb_put_text(&w, "autonomous_system_number");
        mmdb_put_u32(&w, places[i].as_number);
        mmdb_network(&w, places[i].network, at);
    }
    mmdb_save(&w, path);
    sk_buf_init(&problems, 0);
    assert_ok(geo_load(paths, 1, &geo, &problems));
    sk_buf_free(&problems);
    unlink(path);
    return geo;
}

static void networks_back_off_to_their_as_and_country(void **state) {
    struct measure *measure;
    struct measure_set *set;
    struct geo *geo = load_places();
    struct decide_weights weights;
    struct table *table;
    struct io_prefix client;
    (void)state;
    assert_ok(measure_create(&measure));
    take(measure, 1, "fra", "198.51.100.0/24 10 80 90\n");
    take(measure, 2, "nyc", "198.51.101.0/24 10 20 30\n");
    take(measure, 3, "sin", "203.0.113.0/24 10 10 30\n192.0.2.0/24 10 90 99\n");
    assert_ok(measure_set_create(measure, sites, SITES, geo, NOW, &set));
    /* Own word for fra, the AS's for nyc, the country's for sin. */
    const struct table_measurement *item = network(set, "198.51.100.0/24");
    assert_true(fabsf(rtt_of(item, FRA) - 80) < 1e-3f && fabsf(rtt_of(item, NYC) - 20) < 1e-3f);
    assert_true(fabsf(rtt_of(item, SIN) - 10) < 1e-3f);
    assert_true(isnan(rtt_of(network(set, "192.0.2.0/24"), FRA)));
    /* A network of the same AS that nobody measured goes by its neighbours. */
    decide_weights_default(&weights);
    struct table_input input = {.sites = sites,
                                .site_count = SITES,
                                .weights = &weights,
                                .geo = geo,
                                .measurements = measure_set_items(set),
                                .version = 1};
    assert_ok(table_build(&input, &table));
    assert_ok(io_prefix_parse(SK_STR("203.0.113.9"), &client));
    assert_int_equal(table_find(table, client.ip).answer->sites[0], SIN);
    assert_int_equal(table_find(table, client.ip).answer->reason, DECIDE_RTT);
    struct decide_score scores[SITES];
    struct table_explanation why;
    assert_ok(table_explain(&input, client.ip, scores, &why));
    assert_int_equal(scores[0].site, SIN);
    assert_int_equal(why.rtt_level, 1);
    table_free(table);
    measure_set_unref(set);
    measure_free(measure);
    geo_free(geo);
}

static void at_most_the_wanted_share_of_networks_explores(void **state) {
    struct decide_weights weights;
    int explored = 0, moved = 0;
    (void)state;
    decide_weights_default(&weights);
    struct table_input input = {
        .sites = sites, .site_count = SITES, .weights = &weights, .version = 1, .explore = 0.01};
    struct table *tables[2];
    for (uint64_t round = 0; round < 2; round++) {
        input.explore_round = round;
        assert_ok(table_build(&input, &tables[round]));
    }
    for (int i = 0; i < 4096; i++) {
        uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, [12] = (uint8_t)(i >> 4), [13] = (uint8_t)(i << 4)};
        const struct decide_answer *answer = table_find(tables[0], ip).answer;
        explored += answer->reason == DECIDE_EXPLORE;
        if (answer->reason == DECIDE_EXPLORE)
            moved += table_find(tables[1], ip).answer->sites[0] != answer->sites[0];
    }
    assert_true(explored > 15 && explored < 75); /* 41 are meant */
    assert_true(moved >= explored * 9 / 10);     /* other networks the next time */
    table_free(tables[0]);
    table_free(tables[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_is_read),
        cmocka_unit_test(what_is_no_report_is_refused),
        cmocka_unit_test(edges_of_a_site_are_joined_and_few_samples_say_nothing),
        cmocka_unit_test(networks_back_off_to_their_as_and_country),
        cmocka_unit_test(at_most_the_wanted_share_of_networks_explores),
    };
    set_up_sites();
    return SK_RUN_TESTS(tests);
}
