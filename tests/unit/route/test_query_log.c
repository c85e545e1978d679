#include "route/query_log.h"

#include <yyjson.h>

#include "dns_unit.h"

static void a_line_is_json_and_says_why(void **state) {
    char line[QUERY_LOG_LINE_MAX];
    struct io_addr client = addr_of("192.0.2.1:5353");
    struct answer_log answer = {
        .type = DNS_TYPE_A,
        .name = name_of("w\\\"w.example.com"),
        .rcode = DNS_NOERROR,
        .routed = true,
        .reason = DECIDE_LAST_GOOD,
        .scope_sent = 20,
        .subnet = {.present = true, .family = 1, .source_bits = 24, .ip = {198, 51, 100}}};
    struct query_log_entry entry = {ANSWER_UDP, &client, &answer, SK_STR("fra"), 77};
    size_t bytes = query_log_format(&entry, INT64_C(1700000000123456789), line);
    const char *expected =
        "{\"time\":\"2023-11-14T22:13:20.123Z\",\"client\":\"192.0.2.1\",\"transport\":\"udp\","
        "\"name\":\"w\\\\\\\"w.example.com.\",\"type\":\"A\",\"rcode\":\"NOERROR\",\"reason\":\"last_good\",\"site\":\"fra\","
        "\"subnet\":\"198.51.100.0/24\",\"scope\":20,\"bytes\":77}\n";
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(line, expected, bytes);
}

static void the_longest_names_and_all_reasons_fit(void **state) {
    static const enum dns_rcode rcodes[] = {DNS_NOERROR, DNS_FORMERR,   DNS_SERVFAIL,        DNS_NXDOMAIN,
                                            DNS_NOTIMP,  DNS_REFUSED,   DNS_YXDOMAIN,        DNS_NOTAUTH,
                                            DNS_BADVERS, DNS_BADCOOKIE, (enum dns_rcode)3000};
    char *line = malloc(QUERY_LOG_LINE_MAX); /* its end is watched under ASan */
    char site[300];
    struct io_addr client = addr_of("[2001:db8:1111:2222:3333:4444:5555:6666]:53");
    memset(site, 's', sizeof site);
    for (size_t r = 0; r < SK_COUNT(rcodes); r++) {
        for (int kind = 0; kind < RATE_KIND_COUNT; kind++) {
            struct answer_log answer = {.type = 65000,
                                        .rcode = rcodes[r],
                                        .kind = (enum rate_kind)kind,
                                        .truncated = true,
                                        .dnssec_ok = true,
                                        .subnet = {.present = true, .family = 2, .source_bits = 128},
                                        .scope_sent = 128,
                                        .name = {.length = 255, .labels = 4}};
            memset(answer.name.wire, '"', sizeof answer.name.wire);
            memset(answer.subnet.ip, 0xfe, 16);
            answer.name.wire[0] = answer.name.wire[64] = answer.name.wire[128] = 63;
            answer.name.wire[192] = 61;
            answer.name.wire[254] = 0;
            struct query_log_entry entry = {ANSWER_TCP, &client, &answer, sk_str_make(site, sizeof site),
                                            65535};
            size_t bytes = query_log_format(&entry, 0, line);
            yyjson_doc *doc = yyjson_read(line, bytes, 0);
            assert_non_null(doc);
            assert_true(yyjson_get_len(yyjson_obj_get(yyjson_doc_get_root(doc), "reason")) > 0);
            yyjson_doc_free(doc);
        }
    }
    free(line);
}

static void one_of_so_many_is_wanted(void **state) {
    struct query_log log = {.random = 88172645463325252u, .left = UINT32_MAX};
    struct config_route_query_log rules = {.path = SK_STR("x"), .one_in = 100, .per_second = 10};
    size_t wanted = 0;
    for (int i = 0; i < 1000; i++) wanted += query_log_wants(&log);
    assert_int_equal(wanted, 0); /* there is no log yet */
    query_log_begin(&log, &rules);
    for (int i = 0; i < 100000; i++) {
        if (!query_log_wants(&log)) continue;
        wanted++;
        query_log_begin(&log, &rules);
    }
    assert_in_range(wanted, 900, 1100);
    rules.one_in = 1;
    query_log_begin(&log, &rules);
    for (int i = 0; i < 10; i++) {
        assert_true(query_log_wants(&log));
        query_log_begin(&log, &rules);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_json_and_says_why),
        cmocka_unit_test(the_longest_names_and_all_reasons_fit),
        cmocka_unit_test(one_of_so_many_is_wanted),
    };
    return SK_RUN_TESTS(tests);
}
