#include "observe/rtt.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

#define NOW (1000 * SK_NS_PER_S)
static struct observe_rtt *table;

static void v4(uint8_t ip[16], unsigned a, unsigned b, unsigned c, unsigned d) {
    memset(ip, 0, 16);
    ip[10] = ip[11] = 0xff;
    ip[12] = (uint8_t)a, ip[13] = (uint8_t)b, ip[14] = (uint8_t)c, ip[15] = (uint8_t)d;
}

/* The line of NETWORK; false when there is none. */
static bool read_line(const char *network, sk_time_ns now, unsigned *count, double *p50, double *p90) {
    struct sk_buf out;
    bool found = false;
    sk_buf_init(&out, 0);
    assert_ok(observe_rtt_write(now, &out));
    sk_str rest = sk_buf_str(&out), line;
    while (sk_str_cut(&rest, '\n', &line)) {
        char text[128];
        snprintf(text, sizeof text, "%.*s", SK_STR_ARGS(line));
        char *blank = strchr(text, ' ');
        if (!blank) continue;
        *blank = 0;
        if (strcmp(text, network) == 0) {
            assert_int_equal(sscanf(blank + 1, "%u %lf %lf", count, p50, p90), 3);
            found = true;
        }
    }
    sk_buf_free(&out);
    return found;
}

static void quantiles_of_a_network(void **state) {
    uint8_t ip[16];
    unsigned count;
    double p50, p90;
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        v4(ip, 192, 0, 2, i);
        observe_rtt_add(table, ip, i < 80 ? 20000 : 80000, NOW);
    }
    assert_true(read_line("192.0.2.0/24", NOW, &count, &p50, &p90));
    assert_int_equal(count, 100);
    assert_true(p50 > 17 && p50 < 23);
    assert_true(p90 > 70 && p90 < 92);
}

static void counts_halve_with_time(void **state) {
    uint8_t ip[16];
    unsigned count;
    double p50, p90;
    (void)state;
    v4(ip, 192, 0, 3, 1);
    for (int i = 0; i < 8; i++) observe_rtt_add(table, ip, 5000, NOW);
    assert_true(read_line("192.0.3.0/24", NOW + 600 * SK_NS_PER_S, &count, &p50, &p90));
    assert_int_equal(count, 4);
    assert_false(read_line("192.0.3.0/24", NOW + 6000 * SK_NS_PER_S, &count, &p50, &p90));
}

static void the_extremes_have_a_place(void **state) {
    uint8_t ip[16] = {0x20, 1, 0xd, 0xb8, 0, 7, [15] = 1};
    unsigned count;
    double p50, p90;
    (void)state;
    observe_rtt_add(table, ip, 1, NOW);
    assert_true(read_line("2001:db8:7::/48", NOW, &count, &p50, &p90));
    assert_true(p50 > 0 && p50 < 0.6);
    for (int i = 0; i < 3; i++) observe_rtt_add(table, ip, UINT32_MAX, NOW);
    assert_true(read_line("2001:db8:7::/48", NOW, &count, &p50, &p90));
    assert_true(p50 > 3000 && p50 < 10000);
}

static void threads_are_summed(void **state) {
    struct observe_rtt *other;
    uint8_t ip[16];
    unsigned count;
    double p50, p90;
    (void)state;
    assert_ok(observe_rtt_join(&other));
    v4(ip, 192, 0, 4, 9);
    observe_rtt_add(table, ip, 9000, NOW);
    observe_rtt_add(other, ip, 9000, NOW);
    assert_true(read_line("192.0.4.0/24", NOW, &count, &p50, &p90));
    assert_int_equal(count, 2);
}

static void quiet_networks_are_merged_and_memory_is_bounded(void **state) {
    struct observe_rtt *full;
    uint8_t ip[16];
    unsigned count;
    double p50, p90;
    (void)state;
    assert_ok(observe_rtt_join(&full));
    v4(ip, 203, 0, 113, 1);
    for (int i = 0; i < 50; i++) observe_rtt_add(full, ip, 30000, NOW);
    for (unsigned i = 0; i < 100000; i++) {
        v4(ip, 100 + i % 40, i / 40 % 256, i / 10240, 1);
        observe_rtt_add(full, ip, 10000, NOW);
        assert_true(observe_rtt_count(full) <= OBSERVE_RTT_ENTRIES);
    }
    /* The loud one has kept its own line; the quiet ones are lines of wider networks. */
    assert_true(read_line("203.0.113.0/24", NOW, &count, &p50, &p90));
    assert_int_equal(count, 50);
    assert_true(read_line("100.0.0.0/16", NOW, &count, &p50, &p90) ||
                read_line("100.0.0.0/8", NOW, &count, &p50, &p90));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_of_a_network),
        cmocka_unit_test(counts_halve_with_time),
        cmocka_unit_test(the_extremes_have_a_place),
        cmocka_unit_test(threads_are_summed),
        cmocka_unit_test(quiet_networks_are_merged_and_memory_is_bounded),
    };
    if (observe_rtt_join(&table)) return 1;
    return SK_RUN_TESTS(tests);
}
