/* The decision in a synthetic world, second by second: clients in cities of all continents, PoPs of unequal size, ways that
 * are longer than light's by unequal parts. What edges would report goes through what routers make of it, and the table says
 * where clients go next. dev/demo --world shows the same with real processes; here it takes a moment and any dice. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mmdb_writer.h"
#include "route/measure.h"
#include "route/shed.h"

enum { NETWORKS = 160, POPS_MOST = 64, TTL_S = 10, REPORTS_S = 2, TABLES_S = 5, WINDOW_S = 5 };
#define RATE 400.0 /* requests a second */

static const struct city {
    const char *country;
    double latitude, longitude;
    int people, pop; /* 1: there is a PoP */
} cities[] = {
    {"DE", 50.1, 8.7, 6, 1},    {"DE", 52.5, 13.4, 5, 1},   {"DE", 48.1, 11.6, 4, 1},
    {"GB", 51.5, -0.1, 9, 1},   {"GB", 53.5, -2.2, 4, 1},   {"IE", 53.3, -6.3, 2, 1},
    {"FR", 48.9, 2.3, 8, 1},    {"FR", 43.3, 5.4, 3, 1},    {"FR", 45.8, 4.8, 2, 0},
    {"NL", 52.4, 4.9, 4, 1},    {"ES", 40.4, -3.7, 5, 1},   {"ES", 41.4, 2.2, 4, 0},
    {"PT", 38.7, -9.1, 2, 1},   {"IT", 45.5, 9.2, 5, 1},    {"IT", 41.9, 12.5, 4, 0},
    {"AT", 48.2, 16.4, 2, 1},   {"PL", 52.2, 21.0, 5, 1},   {"SE", 59.3, 18.1, 2, 1},
    {"RO", 44.4, 26.1, 3, 1},   {"TR", 41.0, 29.0, 7, 1},   {"TR", 39.9, 32.9, 3, 0},
    {"UA", 50.5, 30.5, 3, 0},   {"US", 40.7, -74.0, 9, 1},  {"US", 42.4, -71.1, 3, 0},
    {"US", 39.0, -77.5, 4, 1},  {"US", 33.8, -84.4, 4, 1},  {"US", 25.8, -80.2, 4, 1},
    {"US", 41.9, -87.6, 5, 1},  {"US", 32.8, -96.8, 5, 1},  {"US", 29.8, -95.4, 4, 0},
    {"US", 39.7, -105.0, 2, 1}, {"US", 33.5, -112.1, 2, 0}, {"US", 34.1, -118.2, 7, 1},
    {"US", 37.3, -121.9, 5, 1}, {"US", 47.6, -122.3, 3, 1}, {"CA", 43.7, -79.4, 4, 1},
    {"CA", 45.5, -73.6, 3, 0},  {"MX", 19.4, -99.1, 7, 1},  {"MX", 25.7, -100.3, 3, 0},
    {"BR", -23.6, -46.6, 9, 1}, {"BR", -22.9, -43.2, 5, 0}, {"BR", -3.7, -38.5, 2, 1},
    {"AR", -34.6, -58.4, 5, 1}, {"CL", -33.5, -70.7, 3, 1}, {"PE", -12.1, -77.0, 4, 0},
    {"CO", 4.7, -74.1, 4, 1},   {"ZA", -26.2, 28.1, 4, 1},  {"ZA", -33.9, 18.4, 2, 0},
    {"NG", 6.5, 3.4, 6, 1},     {"KE", -1.3, 36.8, 3, 1},   {"EG", 30.0, 31.2, 5, 0},
    {"JP", 35.7, 139.7, 9, 1},  {"JP", 34.7, 135.5, 5, 1},  {"KR", 37.6, 127.0, 6, 1},
    {"TW", 25.0, 121.6, 3, 0},  {"HK", 22.3, 114.2, 4, 1},  {"PH", 14.6, 121.0, 5, 0},
    {"SG", 1.4, 103.8, 4, 1},   {"ID", -6.2, 106.9, 7, 1},  {"TH", 13.8, 100.5, 5, 0},
    {"IN", 19.1, 72.9, 9, 1},   {"IN", 28.6, 77.2, 9, 1},   {"IN", 13.1, 80.3, 5, 0},
    {"AE", 25.2, 55.3, 3, 1},   {"AU", -33.9, 151.2, 4, 1}, {"AU", -37.8, 145.0, 4, 0},
    {"AU", -32.0, 115.9, 1, 1}, {"NZ", -36.9, 174.8, 2, 1},
};

struct network {
    double latitude, longitude, weight, access_ms;
    const char *country;
    uint32_t as_number;
    uint8_t ip[16];
    double rtt_ms[POPS_MOST];
    /* while it runs */
    uint16_t told;
    int until_s;
    double waiting; /* requests that are due, with the fraction */
    uint32_t samples[POPS_MOST];
};

static struct world {
    uint64_t dice;
    int pops, second;
    struct network networks[NETWORKS];
    struct table_site sites[POPS_MOST];
    char names[POPS_MOST][8];
    double capacity[POPS_MOST], load[POPS_MOST], served[POPS_MOST];
    struct shed_state sheds[POPS_MOST];
    double window[POPS_MOST], seen[NETWORKS][POPS_MOST]; /* requests; of the time that is counted */
    double over, all;
    int surging; /* -1: none */
    struct geo *geo;
} w;

/* --- the truth -------------------------------------------------------------------------------------- */

static double dice(double low, double high) {
    w.dice += UINT64_C(0x9e3779b97f4a7c15);
    return low + (high - low) * decide_spread(w.dice, 1);
}

/* As in dev/lib/world/geography.py: a fifth of the ways between an operator and a PoP leave the region. */
static double way_ms(const struct network *n, int pop, uint64_t seed) {
    uint64_t way = seed * 1000003 + n->as_number * 64 + (uint64_t)pop;
    double km = decide_distance_km(n->latitude, n->longitude, w.sites[pop].decide.latitude,
                                   w.sites[pop].decide.longitude);
    double factor = 1.15 + 0.45 * decide_spread(way, 2);
    double detour = decide_spread(way, 3) < 0.2 ? 15 + 75 * decide_spread(way, 4) : 0;
    return km / DECIDE_KM_PER_MS * factor + detour + n->access_ms + 0.3 + 1.2 * decide_spread(way, 5);
}

static double least_ms(const struct network *n) {
    double least = INFINITY;
    for (int pop = 0; pop < w.pops; pop++) least = fmin(least, n->rtt_ms[pop]);
    return least;
}

static void make_networks(uint64_t seed) {
    double whole = 0;
    for (int i = 0; i < NETWORKS; i++) {
        struct network *n = &w.networks[i];
        const struct city *city = &cities[(size_t)i % SK_COUNT(cities)];
        *n = (struct network){.country = city->country,
                              .latitude = city->latitude + dice(-0.7, 0.7),
                              .longitude = city->longitude + dice(-0.7, 0.7),
                              .weight = city->people * dice(0.5, 1.5),
                              .access_ms = dice(1, 9)};
        n->as_number = (uint32_t)(city->country[0] * 256 + city->country[1]) * 4 + (uint32_t)dice(0, 3);
        memcpy(n->ip, (uint8_t[16]){[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 9, [14] = (uint8_t)i}, 16);
        for (int pop = 0; pop < w.pops; pop++) n->rtt_ms[pop] = way_ms(n, pop, seed);
        whole += n->weight;
    }
    for (int i = 0; i < NETWORKS; i++) w.networks[i].weight /= whole;
}

static void make_pops(void) {
    for (size_t i = 0; i < SK_COUNT(cities); i++) {
        if (!cities[i].pop) continue;
        assert_true(w.pops < POPS_MOST);
        snprintf(w.names[w.pops], sizeof w.names[0], "p%d", w.pops);
        w.sites[w.pops].decide = (struct decide_site){.name = sk_str_from_c(w.names[w.pops]),
                                                      .latitude = cities[i].latitude,
                                                      .longitude = cities[i].longitude,
                                                      .up = true,
                                                      .hit_ratio = NAN,
                                                      .cost = 1,
                                                      .capacity = 1};
        w.pops++;
    }
}

/* Sized for those who are best served there, by people who guess. */
static void size_pops(void) {
    for (int pop = 0; pop < w.pops; pop++) {
        double expected = 0;
        for (int i = 0; i < NETWORKS; i++)
            if (w.networks[i].rtt_ms[pop] <= least_ms(&w.networks[i]))
                expected += RATE * w.networks[i].weight;
        w.capacity[pop] = fmax(RATE / w.pops, expected * dice(1.1, 2.5));
    }
}

static void load_places(void) {
    static struct mmdb_writer writer;
    char path[] = "/tmp/skerry-world-XXXXXX", text[32];
    const char *paths[] = {path};
    struct sk_buf problems;
    writer = (struct mmdb_writer){.node_count = 0};
    for (int i = 0; i < NETWORKS; i++) {
        size_t at = writer.data_bytes;
        mmdb_put_map(&writer, 4);
        mmdb_put_text(&writer, "country_code");
        mmdb_put_text(&writer, w.networks[i].country);
        mmdb_put_text(&writer, "autonomous_system_number");
        mmdb_put_u32(&writer, w.networks[i].as_number);
        mmdb_put_text(&writer, "latitude");
        mmdb_put_double(&writer, w.networks[i].latitude);
        mmdb_put_text(&writer, "longitude");
        mmdb_put_double(&writer, w.networks[i].longitude);
        snprintf(text, sizeof text, "10.9.%d.0/24", i);
        mmdb_network(&writer, text, at);
    }
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    mmdb_save(&writer, path);
    sk_buf_init(&problems, 0);
    assert_ok(geo_load(paths, 1, &w.geo, &problems));
    sk_buf_free(&problems);
    unlink(path);
}

static void make_world(uint64_t seed) {
    w = (struct world){.dice = seed * UINT64_C(0x2545f4914f6cdd1d), .surging = -1};
    make_pops();
    make_networks(seed);
    size_pops();
    load_places();
}

/* --- what happens ----------------------------------------------------------------------------------- */

struct policy {
    struct decide_weights weights;
    bool reports, round_trips;
    double explore;
    struct measure *measure;
    struct measure_set *set;
    struct table *table;
    uint64_t version;
};

static void report_one(struct policy *policy, int pop) {
    struct measure_report report = {.load = w.load[pop], .hit_ratio = NAN};
    struct io_addr addr;
    char text[32];
    snprintf(text, sizeof text, "192.0.2.%d:80", pop + 1);
    assert_ok(io_addr_parse(sk_str_from_c(text), &addr));
    struct decide_site *site = &w.sites[pop].decide;
    sk_time_ns now = (w.second + 1) * SK_NS_PER_S;
    site->load = w.load[pop];
    w.sheds[pop] = shed_after(&w.sheds[pop], site->load, &policy->weights, now);
    site->shed = w.sheds[pop].share;
    site->sheds_in_steps = true;
    if (!policy->round_trips) return;
    report.networks = calloc(NETWORKS, sizeof *report.networks);
    assert_non_null(report.networks);
    for (int i = 0; i < NETWORKS; i++) {
        const struct network *n = &w.networks[i];
        if (!n->samples[pop]) continue;
        /* Edges keep times in classes of 15 % (observe/rtt.c). */
        double told = 0.5 * pow(1.15, floor(log(n->rtt_ms[pop] / 0.5) / log(1.15)) + 0.5);
        struct measure_network *item = &report.networks[report.count++];
        *item = (struct measure_network){.count = n->samples[pop], .p50_ms = (float)told};
        item->prefix.bits = 96 + 24;
        memcpy(item->prefix.ip, n->ip, 16);
    }
    assert_ok(measure_take(policy->measure, &addr, site->name, &report, now));
}

static void new_table(struct policy *policy) {
    struct table *next;
    if (policy->round_trips) {
        measure_set_unref(policy->set);
        assert_ok(measure_set_create(policy->measure, w.sites, (size_t)w.pops, w.geo,
                                     (w.second + 1) * SK_NS_PER_S, &policy->set));
    }
    struct table_input input = {.sites = w.sites,
                                .site_count = (size_t)w.pops,
                                .geo = w.geo,
                                .weights = &policy->weights,
                                .measurements = measure_set_items(policy->set),
                                .explore = policy->set ? policy->explore : 0,
                                .explore_round = (uint64_t)w.second / 10,
                                .previous = policy->table,
                                .version = ++policy->version};
    assert_ok(table_build(&input, &next));
    table_free(policy->table);
    policy->table = next;
}

static void count_window(void) {
    for (int pop = 0; pop < w.pops; pop++) {
        w.all += w.window[pop];
        if (w.window[pop] > WINDOW_S * w.capacity[pop]) w.over += w.window[pop];
        w.window[pop] = 0;
    }
}

static void visit(const struct policy *policy, struct network *n) {
    if (w.second >= n->until_s) {
        n->told = table_find(policy->table, n->ip).answer->sites[0];
        n->until_s = w.second + TTL_S;
    }
    double surge = w.surging >= 0 && n->rtt_ms[w.surging] <= least_ms(n) ? 2 : 1;
    n->waiting += RATE * n->weight * surge * dice(0.6, 1.4);
    double requests = floor(n->waiting);
    n->waiting -= requests;
    w.served[n->told] += requests;
    w.window[n->told] += requests;
    w.seen[n - w.networks][n->told] += requests;
    n->samples[n->told] += (uint32_t)(requests / 2 + dice(0, 1));
}

static void run(struct policy *policy, int seconds) {
    for (int end = w.second + seconds; w.second < end; w.second++) {
        for (int i = 0; i < NETWORKS; i++) visit(policy, &w.networks[i]);
        for (int pop = 0; pop < w.pops; pop++) {
            w.load[pop] += 0.15 * (w.served[pop] / w.capacity[pop] - w.load[pop]);
            w.served[pop] = 0;
            if (policy->reports && w.second % REPORTS_S == 0) report_one(policy, pop);
        }
        if (w.second % TABLES_S == 0) new_table(policy);
        if (w.second % WINDOW_S == 0) count_window();
        if (w.second % 600 == 599)
            for (int i = 0; i < NETWORKS; i++)
                for (int pop = 0; pop < w.pops; pop++) w.networks[i].samples[pop] /= 2;
    }
}

static void policy_begin(struct policy *policy) {
    for (int pop = 0; pop < w.pops; pop++) {
        w.load[pop] = w.served[pop] = 0;
        w.sheds[pop] = (struct shed_state){0};
        struct decide_site *site = &w.sites[pop].decide;
        site->load = site->shed = 0;
        site->sheds_in_steps = false;
    }
    for (int i = 0; i < NETWORKS; i++) {
        w.networks[i].until_s = 0;
        memset(w.networks[i].samples, 0, sizeof w.networks[i].samples);
    }
    w.second = 0;
    assert_ok(measure_create(&policy->measure));
    new_table(policy);
}

static void policy_end(struct policy *policy) {
    table_free(policy->table);
    measure_set_unref(policy->set);
    measure_free(policy->measure);
}

/* --- what is told of it ------------------------------------------------------------------------------ */

struct figures {
    double best, p50, p99, near_p99, overloaded, extra_ms;
};

struct way {
    double rtt_ms, requests;
};

static int compare_ways(const void *a, const void *b) {
    const struct way *x = a, *y = b;
    return (x->rtt_ms > y->rtt_ms) - (x->rtt_ms < y->rtt_ms);
}

static double percentile(const struct way *ways, size_t count, double share) {
    double all = 0, seen = 0;
    for (size_t i = 0; i < count; i++) all += ways[i].requests;
    for (size_t i = 0; i < count; i++)
        if ((seen += ways[i].requests) >= share * all) return ways[i].rtt_ms;
    return NAN;
}

/* Of what was counted since the last time. */
static struct figures take_figures(const char *name) {
    static struct way ways[NETWORKS * POPS_MOST], near[NETWORKS * POPS_MOST];
    size_t count = 0, near_count = 0;
    struct figures f = {0};
    double all = 0;
    for (int i = 0; i < NETWORKS; i++) {
        double least = least_ms(&w.networks[i]);
        for (int pop = 0; pop < w.pops; pop++) {
            struct way way = {w.networks[i].rtt_ms[pop], w.seen[i][pop]};
            if (way.requests == 0) continue;
            ways[count++] = way;
            if (least <= 40) near[near_count++] = way;
            if (way.rtt_ms <= least) f.best += way.requests;
            f.extra_ms += way.requests * (way.rtt_ms - least);
            all += way.requests;
        }
    }
    qsort(ways, count, sizeof *ways, compare_ways);
    qsort(near, near_count, sizeof *near, compare_ways);
    f.best /= all;
    f.extra_ms /= all;
    f.p50 = percentile(ways, count, 0.5);
    f.p99 = percentile(ways, count, 0.99);
    f.near_p99 = percentile(near, near_count, 0.99);
    f.overloaded = w.over / fmax(1, w.all);
    if (getenv("SKERRY_TEST_TELL"))
        printf(
            "%-28s best %5.1f %%  extra %5.2f ms  p50 %5.1f  p99 %6.1f  near p99 %6.1f  overloaded %5.2f %%\n",
            name, 100 * f.best, f.extra_ms, f.p50, f.p99, f.near_p99, 100 * f.overloaded);
    memset(w.seen, 0, sizeof w.seen);
    w.over = w.all = 0;
    return f;
}

enum { GEOGRAPHY, SEED, FULL, POLICIES };
static const char *const policy_names[] = {"geography", "seed", "full"};
struct outcome {
    struct figures learning, plain, loaded;
};

static struct outcome outcome_of(int kind, int learn_s, int busiest) {
    struct outcome out;
    char name[64];
    struct policy policy = {.reports = kind != GEOGRAPHY, .round_trips = kind == FULL, .explore = 0.01};
    decide_weights_default(&policy.weights);
    if (kind == GEOGRAPHY) policy.weights.distance = 1, policy.weights.load = policy.weights.hit_ratio = 0;
    policy_begin(&policy);
    run(&policy, learn_s);
    snprintf(name, sizeof name, "%s, learning", policy_names[kind]);
    out.learning = take_figures(name);
    run(&policy, 200);
    out.plain = take_figures(policy_names[kind]);
    w.surging = busiest;
    run(&policy, 200);
    w.surging = -1;
    snprintf(name, sizeof name, "%s, one loaded", policy_names[kind]);
    out.loaded = take_figures(name);
    policy_end(&policy);
    return out;
}

/* SKERRY_TEST_LONG=1: more worlds, and longer; SKERRY_TEST_TELL=1: the figures. */
static void the_full_decision_beats_geography(void **state) {
    enum { BUSY_POP = 3 }; /* London */
    const char *is_long = getenv("SKERRY_TEST_LONG");
    uint64_t seeds = is_long && *is_long != '0' ? 8 : 1;
    (void)state;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct outcome outcomes[POLICIES];
        make_world(seed);
        for (int kind = 0; kind < POLICIES; kind++)
            if (kind != SEED || seeds > 1) outcomes[kind] = outcome_of(kind, seeds > 1 ? 600 : 300, BUSY_POP);
        const struct outcome *geo = &outcomes[GEOGRAPHY], *full = &outcomes[FULL];
        assert_true(full->learning.p99 < geo->learning.p99 && full->learning.best > geo->learning.best);
        assert_true(full->plain.p99 < geo->plain.p99 && full->plain.best > geo->plain.best + 0.03);
        assert_true(full->plain.near_p99 < 50 && full->loaded.near_p99 < 50);
        assert_true(full->plain.overloaded < geo->plain.overloaded / 2);
        assert_true(full->loaded.overloaded < geo->loaded.overloaded);
        geo_free(w.geo);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_full_decision_beats_geography)};
    return SK_RUN_TESTS(tests);
}
