#include "route/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit.h"

static const char basic[] = "$ORIGIN example.com.\n"
                            "$TTL 1h\n"
                            "@  IN SOA ns1 hostmaster ( 2026010101 ; serial\n"
                            "      1h 15m 1w 5m )\n"
                            "   NS ns1\n"
                            "   60 IN MX 10 mail\n"
                            "ns1 A 192.0.2.1\n"
                            "www 300 A 192.0.2.2\n"
                            "    A 192.0.2.3\n"
                            "    A 192.0.2.3\n"
                            "alias CNAME www\n"
                            "*.wild TXT \"semi;colon\" (two\n lines)\n"
                            "a.b.c A 192.0.2.4\n"
                            "sub NS ns.sub\n"
                            "ns.sub A 192.0.2.5\n"
                            "old DNAME new.example.net.\n"
                            "x.wild A 192.0.2.6\n";

static struct dns_name name_of(const char *text) {
    struct dns_name name;
    assert_ok(dns_name_parse(sk_str_from_c(text), NULL, &name));
    return name;
}

static struct zone *parsed(const char *text) {
    struct dns_name apex = name_of("example.com");
    struct zone *zone = NULL;
    struct sk_buf problems;
    sk_buf_init(&problems, 0);
    if (zone_parse(sk_str_from_c(text), "test.zone", &apex, &zone, &problems))
        fail_msg("%.*s", SK_STR_ARGS(sk_buf_str(&problems)));
    sk_buf_free(&problems);
    return zone;
}

static void lookups(void **state) {
    static const struct {
        const char *what, *name;
        uint16_t type;
        enum zone_found found;
        uint16_t count; /* records of the rrset, 0 when none */
        bool wildcard;
    } cases[] = {
        {"RFC 1034 4.3.2: an exact match", "www.example.com", DNS_TYPE_A, ZONE_ANSWER, 2, false},
        {"names have no case", "WWW.example.COM", DNS_TYPE_A, ZONE_ANSWER, 2, false},
        {"no data", "www.example.com", DNS_TYPE_AAAA, ZONE_NO_DATA, 0, false},
        {"no name", "nope.example.com", DNS_TYPE_A, ZONE_NO_NAME, 0, false},
        {"CNAME for another type", "alias.example.com", DNS_TYPE_A, ZONE_CNAME, 1, false},
        {"CNAME asked for", "alias.example.com", DNS_TYPE_CNAME, ZONE_ANSWER, 1, false},
        {"RFC 8020: an empty non-terminal exists", "b.c.example.com", DNS_TYPE_A, ZONE_NO_DATA, 0, false},
        {"RFC 4592 2.2.1: a wildcard answers below", "q.wild.example.com", DNS_TYPE_TXT, ZONE_ANSWER, 1,
         true},
        {"RFC 4592 2.2.1: also several labels", "p.q.wild.example.com", DNS_TYPE_TXT, ZONE_ANSWER, 1, true},
        {"RFC 4592 2.2.1: a wildcard without the type", "q.wild.example.com", DNS_TYPE_A, ZONE_NO_DATA, 0,
         true},
        {"RFC 4592 2.2.1: an existing name hides it", "x.wild.example.com", DNS_TYPE_TXT, ZONE_NO_DATA, 0,
         false},
        {"RFC 4592 2.2.1: also below that name", "y.x.wild.example.com", DNS_TYPE_TXT, ZONE_NO_NAME, 0,
         false},
        {"a delegation", "host.sub.example.com", DNS_TYPE_A, ZONE_DELEGATION, 1, false},
        {"glue is below the cut", "ns.sub.example.com", DNS_TYPE_A, ZONE_DELEGATION, 1, false},
        {"the cut itself", "sub.example.com", DNS_TYPE_NS, ZONE_DELEGATION, 1, false},
        {"RFC 4035 2.4: DS is above the cut", "sub.example.com", DNS_TYPE_DS, ZONE_NO_DATA, 0, false},
        {"RFC 6672 2.4: below a DNAME", "a.old.example.com", DNS_TYPE_A, ZONE_DNAME, 1, false},
        {"RFC 6672 2.3: not the DNAME's owner", "old.example.com", DNS_TYPE_A, ZONE_NO_DATA, 0, false},
        {"the apex", "example.com", DNS_TYPE_NS, ZONE_ANSWER, 1, false},
        {"outside", "example.net", DNS_TYPE_A, ZONE_NOT_HERE, 0, false},
        {"outside, but alike", "xexample.com", DNS_TYPE_A, ZONE_NOT_HERE, 0, false},
    };
    struct zone *zone = parsed(basic);
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct dns_name name = name_of(cases[i].name);
        struct zone_result result = zone_lookup(zone, &name, cases[i].type);
        uint16_t count = result.rrset ? result.rrset->count : 0;
        if (result.found != cases[i].found || count != cases[i].count || result.wildcard != cases[i].wildcard)
            fail_msg("%s: found %d with %u records", cases[i].what, result.found, count);
    }
    zone_free(zone);
}

static void values(void **state) {
    struct zone *zone = parsed(basic);
    struct dns_name mx = name_of("example.com"), text = name_of("a.wild.example.com");
    (void)state;
    assert_int_equal(zone_serial(zone), 2026010101);
    struct zone_result result = zone_lookup(zone, &mx, DNS_TYPE_MX);
    assert_int_equal(result.rrset->ttl_s, 60);
    assert_int_equal(result.soa->ttl_s, 3600);
    result = zone_lookup(zone, &text, DNS_TYPE_TXT);
    assert_int_equal(result.rrset->records[0].bytes, 21);
    assert_memory_equal(result.rrset->records[0].data, "\012semi;colon\003two\005lines", 21);
    zone_free(zone);
}

struct walked {
    struct dns_name last;
    size_t count;
};
static sk_err visit(void *arg, const struct zone_rrset *rrset) {
    struct walked *walked = arg;
    if (walked->count++) assert_true(dns_name_compare(&walked->last, rrset->owner) <= 0);
    walked->last = *rrset->owner;
    return SK_OK;
}
static void the_walk_is_in_canonical_order(void **state) {
    struct zone *zone = parsed(basic);
    struct walked walked = {.count = 0};
    (void)state;
    assert_ok(zone_walk(zone, visit, &walked));
    assert_int_equal(walked.count, 12);
    zone_free(zone);
}

#define SOA "@ 60 SOA a b 1 1 1 1 1\n@ 60 NS a\n"
static void problems_name_file_line_and_what_was_found(void **state) {
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {SOA "x 60 A 1.2.3\n", "test.zone:3: malformed record data: \"1.2.3\"\n"},
        {SOA "\n\nx 60 NOPE 1\n", "test.zone:5: not a TTL, class IN or record type: \"NOPE\"\n"},
        {SOA "x 60 CH A 1.2.3.4\n", "test.zone:3: not a TTL, class IN or record type: \"CH\"\n"},
        {SOA "x.example.net. 60 A 1.2.3.4\n", "test.zone:3: outside of the zone: \"60 A 1.2.3.4\"\n"},
        {SOA "a..b 60 A 1.2.3.4\n", "test.zone:3: not a domain name: \"a..b\"\n"},
        {SOA "x 60 TXT \"open\n", "test.zone:3: unclosed quote or parenthesis, or an entry over 64 KiB: "
                                  "\"x 60 TXT \"open\"\n"},
        {SOA "x 60 TXT (a\n",
         "test.zone:3: unclosed quote or parenthesis, or an entry over 64 KiB: \"x 60 TXT  a\"\n"},
        {SOA "$NOPE 1\n",
         "test.zone:3: unknown directive ($ORIGIN, $TTL and $INCLUDE are known): \"$NOPE\"\n"},
        {SOA "$INCLUDE ../../etc/passwd\n",
         "test.zone:3: cannot include (only files of this folder, at most 8 deep): \"../../etc/passwd\"\n"},
        {"  60 A 1.2.3.4\n", "test.zone:1: no owner name in the first record: \"  60 A 1.2.3.4\"\n"},
        {"x A 1.2.3.4\n", "test.zone:1: no TTL: give one, or $TTL above: \" 1.2.3.4\"\n"},
        {"x 60 A 1.2.3.4\n", "test.zone: example.com.: no SOA record\n"},
        {"@ 60 SOA a b 1 1 1 1 1\n", "test.zone: example.com.: no NS record\n"},
        {SOA "x 60 CNAME a\nx 60 A 1.2.3.4\n",
         "test.zone: x.example.com.: a CNAME allows no other record beside it\n"},
        {SOA "x 60 RRSIG \\# 0\n", "test.zone:3: a type that cannot stand in a zone file: \"\\# 0\"\n"},
    };
    struct dns_name apex = name_of("example.com");
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct zone *zone = NULL;
        struct sk_buf problems;
        sk_buf_init(&problems, 0);
        assert_err(zone_parse(sk_str_from_c(cases[i].text), "test.zone", &apex, &zone, &problems),
                   SK_ERR_INVALID);
        sk_str seen = sk_buf_str(&problems), wanted = sk_str_from_c(cases[i].problem);
        if (!sk_str_eq(seen, wanted)) fail_msg("case %zu: %.*s", i, SK_STR_ARGS(seen));
        sk_buf_free(&problems);
    }
}

static void at_most_twenty_problems_are_told(void **state) {
    struct dns_name apex = name_of("example.com");
    struct zone *zone;
    struct sk_buf text, problems;
    size_t lines = 0;
    (void)state;
    sk_buf_init(&text, 0);
    sk_buf_init(&problems, 0);
    for (int i = 0; i < 1000; i++) assert_ok(sk_buf_append(&text, SK_STR("x 60 A bad\n")));
    assert_err(zone_parse(sk_buf_str(&text), "z", &apex, &zone, &problems), SK_ERR_INVALID);
    for (size_t i = 0; i < sk_buf_len(&problems); i++) lines += problems.data[i] == '\n';
    assert_int_equal(lines, 20);
    sk_buf_free(&text);
    sk_buf_free(&problems);
}

static void put_file(const char *folder, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void includes_inherit_and_are_bounded(void **state) {
    char folder[] = "/tmp/skerry-zone-XXXXXX", path[256];
    struct dns_name apex = name_of("example.com"), deep = name_of("w.in.example.com"),
                    after = name_of("y.example.com");
    struct zone *zone = NULL;
    struct sk_buf problems;
    (void)state;
    assert_non_null(mkdtemp(folder));
    sk_buf_init(&problems, 0);
    put_file(folder, "main", "$TTL 60\n" SOA "$INCLUDE part in\ny A 1.2.3.4\n");
    put_file(folder, "part", "w A 1.2.3.5\n");
    snprintf(path, sizeof path, "%s/main", folder);
    assert_ok(zone_load(path, &apex, &zone, &problems));
    assert_int_equal(zone_lookup(zone, &deep, DNS_TYPE_A).found, ZONE_ANSWER);
    assert_int_equal(zone_lookup(zone, &after, DNS_TYPE_A).found, ZONE_ANSWER);
    zone_free(zone);
    put_file(folder, "main", SOA "$INCLUDE main\n");
    assert_err(zone_load(path, &apex, &zone, &problems), SK_ERR_INVALID);
    sk_buf_clear(&problems);
    snprintf(path, sizeof path, "%s/none", folder);
    assert_err(zone_load(path, &apex, &zone, &problems), SK_ERR_NOT_FOUND);
    sk_buf_free(&problems);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, i ? "part" : "main");
        unlink(path);
    }
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookups),
        cmocka_unit_test(values),
        cmocka_unit_test(the_walk_is_in_canonical_order),
        cmocka_unit_test(problems_name_file_line_and_what_was_found),
        cmocka_unit_test(at_most_twenty_problems_are_told),
        cmocka_unit_test(includes_inherit_and_are_bounded),
    };
    return SK_RUN_TESTS(tests);
}
