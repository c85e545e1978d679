#include "route/table.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <stdio.h>

#include "mmdb_writer.h"

enum { FRANKFURT, NEW_YORK, SINGAPORE, SITES };
static struct table_site sites[SITES];
static struct decide_weights weights;
static struct table_input input;

static int reset(void **state) {
    (void)state;
    static const struct {
        sk_str name;
        double latitude, longitude;
    } places[SITES] = {
        {SK_STR_INIT("fra"), 50.1, 8.7}, {SK_STR_INIT("nyc"), 40.7, -74}, {SK_STR_INIT("sin"), 1.35, 103.8}};
    decide_weights_default(&weights);
    for (int i = 0; i < SITES; i++)
        sites[i] = (struct table_site){.decide = {.name = places[i].name,
                                                  .latitude = places[i].latitude,
                                                  .longitude = places[i].longitude,
                                                  .up = true,
                                                  .hit_ratio = 0.9,
                                                  .cost = 1,
                                                  .capacity = 1}};
    input = (struct table_input){.sites = sites, .site_count = SITES, .weights = &weights, .version = 1};
    return 0;
}

static struct table *built(void) {
    struct table *table = NULL;
    assert_ok(table_build(&input, &table));
    return table;
}

static struct table_choice find(const struct table *table, const char *ip) {
    struct io_prefix prefix;
    assert_ok(io_prefix_parse(sk_str_from_c(ip), &prefix));
    return table_find(table, prefix.ip);
}

/* For how many of the 65,536 /16 networks SITE comes first. */
static int first_count(const struct table *table, uint16_t site) {
    int count = 0;
    for (int i = 0; i < 65536; i++) {
        uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, [12] = (uint8_t)(i >> 8), [13] = (uint8_t)i};
        count += table_find(table, ip).answer->sites[0] == site;
    }
    return count;
}

static void without_a_database_clients_spread_over_the_sites(void **state) {
    struct table *table = built();
    (void)state;
    for (uint16_t site = 0; site < SITES; site++) {
        int count = first_count(table, site);
        assert_true(count > 65536 / 5 && count < 65536 / 2);
    }
    assert_int_equal(find(table, "192.0.2.1").answer->reason, DECIDE_WEIGHT);
    assert_int_equal(find(table, "192.0.2.1").answer->count, 2);
    table_free(table);
}

static void a_measured_network_goes_where_it_is_fastest(void **state) {
    static const struct table_rtt rtts[] = {{.site = FRANKFURT, .p50_ms = 90},
                                            {.site = SINGAPORE, .p50_ms = 12}};
    struct table_measurement measured = {.by_prefix = true, .rtts = rtts, .rtt_count = 2};
    struct table_measurements measurements = {&measured, 1, 1};
    (void)state;
    assert_ok(io_prefix_parse(SK_STR("192.0.2.0/24"), &measured.prefix));
    input.measurements = &measurements;
    struct table *table = built();
    struct table_choice choice = find(table, "192.0.2.77");
    assert_int_equal(choice.answer->sites[0], SINGAPORE);
    assert_int_equal(choice.answer->reason, DECIDE_RTT);
    assert_true(choice.scope_bits >= 96 + 12 && choice.scope_bits <= 96 + 24);
    table_free(table);
}

/* 192.0.2.0/24 is in Berlin. */
static struct geo *berlin(void) {
    static struct mmdb_writer writer;
    char path[] = "/tmp/skerry-table-XXXXXX";
    const char *paths[] = {path};
    struct geo *geo;
    struct sk_buf problems;
    writer = (struct mmdb_writer){.node_count = 0};
    mmdb_put_map(&writer, 2);
    mmdb_put_text(&writer, "latitude");
    mmdb_put_double(&writer, 52.5);
    mmdb_put_text(&writer, "longitude");
    mmdb_put_double(&writer, 13.4);
    mmdb_network(&writer, "192.0.2.0/24", 0);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    mmdb_save(&writer, path);
    sk_buf_init(&problems, 0);
    assert_ok(geo_load(paths, 1, &geo, &problems));
    sk_buf_free(&problems);
    unlink(path);
    return geo;
}

static void what_could_be_better_and_nobody_measured_is_explored(void **state) {
    static const struct {
        float frankfurt_ms, new_york_ms; /* 0: not measured */
        bool own;
        int explored; /* -1: none */
        const char *why;
    } cases[] = {{30, 0, false, -1, "light itself takes longer to New York"},
                 {80, 0, false, NEW_YORK, "New York could be better"},
                 {80, 82, true, -1, "it is known that it is not"},
                 {80, 82, false, NEW_YORK, "others of the country measured it, not this network"},
                 {80, 140, false, -1, "others of the country say that it is far worse"}};
    (void)state;
    input.geo = berlin();
    input.explore = 1;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct table_rtt rtts[] = {{.site = FRANKFURT, .p50_ms = cases[i].frankfurt_ms, .own = true},
                                   {.site = NEW_YORK, .p50_ms = cases[i].new_york_ms, .own = cases[i].own}};
        struct table_measurement measured = {
            .by_prefix = true, .rtts = rtts, .rtt_count = cases[i].new_york_ms > 0 ? 2 : 1};
        struct table_measurements measurements = {&measured, 1, 1, 25};
        assert_ok(io_prefix_parse(SK_STR("192.0.2.0/24"), &measured.prefix));
        input.measurements = &measurements;
        struct table *table = built();
        const struct decide_answer *answer = find(table, "192.0.2.77").answer;
        bool explores = answer->reason == DECIDE_EXPLORE;
        if (explores != (cases[i].explored >= 0) || answer->sites[explores] != FRANKFURT ||
            (explores && answer->sites[0] != cases[i].explored))
            fail_msg("%s: %s %d %d", cases[i].why, decide_reason_name(answer->reason), answer->sites[0],
                     answer->sites[1]);
        assert_int_equal(answer->count, 2);
        table_free(table);
    }
    geo_free((struct geo *)(uintptr_t)input.geo);
}

static void the_operators_word_wins_unless_its_sites_are_dead(void **state) {
    struct table_override override = {.by_prefix = true, .sites = {NEW_YORK}, .site_count = 1};
    (void)state;
    assert_ok(io_prefix_parse(SK_STR("2001:db8::/32"), &override.prefix));
    input.overrides = &override;
    input.override_count = 1;
    struct table *table = built();
    assert_int_equal(find(table, "2001:db8::1").answer->sites[0], NEW_YORK);
    assert_int_equal(find(table, "2001:db8::1").answer->reason, DECIDE_OVERRIDE);
    assert_int_not_equal(find(table, "2001:db9::1").answer->reason, DECIDE_OVERRIDE);
    table_free(table);
    sites[NEW_YORK].decide.up = false;
    table = built();
    assert_int_not_equal(find(table, "2001:db8::1").answer->sites[0], NEW_YORK);
    table_free(table);
}

static void a_dead_site_loses_all_its_networks_at_once(void **state) {
    struct table *before = built();
    (void)state;
    assert_true(first_count(before, FRANKFURT) > 0);
    sites[FRANKFURT].decide.up = false;
    input.previous = before;
    input.version = 2;
    struct table *after = built();
    assert_int_equal(first_count(after, FRANKFURT), 0);
    table_free(after);
    for (int i = 0; i < SITES; i++) sites[i].decide.up = false;
    after = built();
    /* Nobody lives: every network keeps its last answer. */
    for (uint16_t site = 0; site < SITES; site++)
        assert_int_equal(first_count(after, site), first_count(before, site));
    assert_int_equal(find(after, "192.0.2.1").answer->reason, DECIDE_LAST_GOOD);
    table_free(before);
    table_free(after);
}

static void a_better_site_takes_over_in_bounded_steps(void **state) {
    (void)state;
    weights.hysteresis = 0;
    weights.max_step = 0.25;
    sites[SINGAPORE].decide.cost = 100;
    weights.cost = 1;
    struct table *table = built();
    assert_int_equal(first_count(table, SINGAPORE), 0);
    sites[SINGAPORE].decide.cost = 0.01;
    sites[FRANKFURT].decide.cost = sites[NEW_YORK].decide.cost = 100;
    int had = 0, steps = 0;
    while (had < 65536 && steps < 100) {
        struct table *next;
        input.previous = table;
        input.version++;
        next = built();
        int has = first_count(next, SINGAPORE);
        assert_true(has - had < 65536 * weights.max_step + 600);
        had = has;
        steps++;
        table_free(table);
        table = next;
    }
    assert_true(steps == 4 || steps == 5); /* everybody's turn comes */
    table_free(table);
}

static void the_same_input_gives_the_same_table(void **state) {
    struct table *a = built(), *b = built();
    (void)state;
    assert_int_equal(table_list_count(a), table_list_count(b));
    for (int i = 0; i < 65536; i += 7) {
        uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, [12] = (uint8_t)(i >> 8), [13] = (uint8_t)i};
        assert_int_equal(table_find(a, ip).list, table_find(b, ip).list);
    }
    table_free(a);
    table_free(b);
}

/* Copies PATH's bytes to OTHER, cut to BYTES and with the byte at CHANGE_AT changed. */
static void copy_damaged(const char *path, const char *other, size_t bytes, size_t change_at) {
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t whole = fread(data, 1, sizeof data, file);
    fclose(file);
    if (change_at < whole) data[change_at] ^= 0x10;
    file = fopen(other, "wb");
    fwrite(data, 1, SK_MIN(bytes, whole), file);
    fclose(file);
}

static void a_table_survives_on_disk_and_a_damaged_one_is_refused(void **state) {
    char folder[] = "/tmp/skerry-table-XXXXXX", path[64], other[64];
    struct table *table = built(), *back = NULL;
    (void)state;
    uint64_t digest = table_digest_of(sites, SITES);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/table", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    assert_ok(table_save(table, path));
    assert_ok(table_load(path, 0, digest, SITES, &back));
    assert_int_equal(table_version(back), 1);
    for (uint16_t site = 0; site < SITES; site++)
        assert_int_equal(first_count(back, site), first_count(table, site));
    table_free(back);
    assert_err(table_load(path, 1, digest, SITES, &back), SK_ERR_STALE);
    assert_err(table_load(path, 0, digest + 1, SITES, &back), SK_ERR_INVALID);
    assert_err(table_load(other, 0, digest, SITES, &back), SK_ERR_NOT_FOUND);
    for (size_t i = 0; i < 200; i += 3) {
        copy_damaged(path, other, SIZE_MAX, i);
        sk_err err = table_load(other, 0, digest, SITES, &back);
        assert_true(err == SK_ERR_CORRUPT || err == SK_ERR_INVALID);
        copy_damaged(path, other, i * 10, SIZE_MAX);
        assert_err(table_load(other, 0, digest, SITES, &back), SK_ERR_CORRUPT);
    }
    unlink(path);
    unlink(other);
    rmdir(folder);
    table_free(table);
}

static void what_is_kept_stays_while_too_little_is_known(void **state) {
    struct table *before = built(), *after;
    (void)state;
    input.previous = before;
    input.stay = true;
    sites[SINGAPORE].decide.capacity = 50;
    after = built();
    for (int i = 0; i < 65536; i++) {
        uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, [12] = (uint8_t)(i >> 8), [13] = (uint8_t)i};
        assert_int_equal(table_find(before, ip).answer->sites[0], table_find(after, ip).answer->sites[0]);
    }
    table_free(after);
    sites[SINGAPORE].decide.up = false; /* but never at a site that cannot serve */
    after = built();
    assert_true(first_count(before, SINGAPORE) > 0);
    assert_int_equal(first_count(after, SINGAPORE), 0);
    assert_true(first_count(after, FRANKFURT) >= first_count(before, FRANKFURT));
    table_free(after);
    input.stay = false;
    sites[SINGAPORE].decide.up = true;
    after = built();
    assert_true(first_count(after, SINGAPORE) > first_count(before, SINGAPORE));
    table_free(after);
    table_free(before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_kept_stays_while_too_little_is_known, reset),
        cmocka_unit_test_setup(without_a_database_clients_spread_over_the_sites, reset),
        cmocka_unit_test_setup(a_measured_network_goes_where_it_is_fastest, reset),
        cmocka_unit_test_setup(what_could_be_better_and_nobody_measured_is_explored, reset),
        cmocka_unit_test_setup(the_operators_word_wins_unless_its_sites_are_dead, reset),
        cmocka_unit_test_setup(a_dead_site_loses_all_its_networks_at_once, reset),
        cmocka_unit_test_setup(a_better_site_takes_over_in_bounded_steps, reset),
        cmocka_unit_test_setup(the_same_input_gives_the_same_table, reset),
        cmocka_unit_test_setup(a_table_survives_on_disk_and_a_damaged_one_is_refused, reset),
    };
    return SK_RUN_TESTS(tests);
}
