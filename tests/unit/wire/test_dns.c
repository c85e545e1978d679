#include "unit.h"
#include "wire/dns.h"

static struct dns_name name_of(const char *text) {
    struct dns_name name;
    assert_int_equal(dns_name_parse(sk_str_from_c(text), NULL, &name), SK_OK);
    return name;
}

static void names_in_text_and_wire_form(void **state) {
    static const struct {
        const char *text, *formatted; /* NULL: malformed */
        uint8_t labels;
    } cases[] = {
        {"www.Example.com", "www.example.com.", 3},
        {"example.com.", "example.com.", 2},
        {".", ".", 0},
        {"a\\.b.c", "a\\.b.c.", 2},
        {"a\\066c", "abc.", 1},
        {"sp\\032ace", "sp\\032ace.", 1},
        {"*.x", "*.x.", 2},
        {"", NULL, 0},
        {"a..b", NULL, 0},
        {".a", NULL, 0},
        {"a\\", NULL, 0},
        {"a\\25", NULL, 0},
        {"a\\256", NULL, 0},
        {"a123456789012345678901234567890123456789012345678901234567890123", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct dns_name name;
        char text[1024];
        sk_err err = dns_name_parse(sk_str_from_c(cases[i].text), NULL, &name);
        assert_int_equal(err, cases[i].formatted ? SK_OK : SK_ERR_MALFORMED);
        if (err) continue;
        dns_name_format(&name, text);
        assert_string_equal(text, cases[i].formatted);
        assert_int_equal(name.labels, cases[i].labels);
    }
}

static void relative_names_are_completed_and_never_longer_than_255(void **state) {
    (void)state;
    struct dns_name zone = name_of("example.com"), name;
    assert_int_equal(dns_name_parse(SK_STR("www"), &zone, &name), SK_OK);
    struct dns_name whole = name_of("www.example.com");
    assert_true(dns_name_eq(&name, &whole));
    assert_int_equal(dns_name_parse(SK_STR("@"), &zone, &name), SK_OK);
    assert_true(dns_name_eq(&name, &zone));
    char text[512];
    for (int i = 0; i < 127; i++) memcpy(text + 2 * i, "a.", 2);
    assert_int_equal(dns_name_parse(sk_str_make(text, 254), NULL, &name), SK_OK);
    assert_int_equal(name.length, 255);
    assert_int_equal(name.labels, 127);
    assert_int_equal(dns_name_parse(sk_str_make(text, 253), &zone, &name), SK_ERR_MALFORMED);
    memcpy(text + 254, "a.", 2);
    assert_int_equal(dns_name_parse(sk_str_make(text, 256), NULL, &name), SK_ERR_MALFORMED);
}

static void rfc4034_6_1_canonical_order(void **state) {
    static const char *const ordered[] = {"example",         "a.example",      "yljkjljk.a.example",
                                          "Z.a.example",     "zABC.a.EXAMPLE", "z.example",
                                          "\\001.z.example", "*.z.example",    "\\200.z.example"};
    (void)state;
    for (size_t i = 0; i < SK_COUNT(ordered); i++) {
        for (size_t j = 0; j < SK_COUNT(ordered); j++) {
            struct dns_name a = name_of(ordered[i]), b = name_of(ordered[j]);
            int order = dns_name_compare(&a, &b), expected = (i > j) - (i < j);
            assert_int_equal((order > 0) - (order < 0), expected);
        }
    }
}

static void names_below_a_zone(void **state) {
    (void)state;
    struct dns_name zone = name_of("example.com"), below = name_of("a.b.example.com"),
                    other = name_of("xexample.com");
    struct dns_name root = name_of("."), parent;
    assert_true(dns_name_in(&below, &zone));
    assert_true(dns_name_in(&zone, &zone));
    assert_true(dns_name_in(&zone, &root));
    assert_false(dns_name_in(&zone, &below));
    assert_false(dns_name_in(&other, &zone));
    dns_name_parent(&below, 2, &parent);
    assert_true(dns_name_eq(&parent, &zone));
}

#define HEADER "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00"
#define QUESTION "\x03WwW\x01x\x00\x00\x01\x00\x01"
#define OPT(bytes) "\x00\x00\x29\x10\x00\x00\x00\x80\x00\x00" bytes

static void queries(void **state) {
#define WIRE(literal) (literal), sizeof(literal) - 1
    static const struct {
        const char *what, *wire;
        size_t bytes;
        sk_err err;
        enum dns_rcode rcode;
    } cases[] = {
        {"RFC 1035 4.1: a plain question", WIRE(HEADER "\0" QUESTION), SK_OK, DNS_NOERROR},
        {"RFC 6891 6.1.1: with OPT", WIRE(HEADER "\1" QUESTION OPT("\0")), SK_OK, DNS_NOERROR},
        {"RFC 6891 6.1.3: version 1", WIRE(HEADER "\1" QUESTION "\0\0\x29\x10\0\0\1\0\0\0\0"),
         SK_ERR_MALFORMED, DNS_BADVERS},
        {"RFC 6891 6.1.1: two OPT", WIRE(HEADER "\2" QUESTION OPT("\0") OPT("\0")), SK_ERR_MALFORMED,
         DNS_FORMERR},
        {"RFC 6891 6.1.2: OPT owner is the root", WIRE(HEADER "\1" QUESTION "\1a" OPT("\0")),
         SK_ERR_MALFORMED, DNS_FORMERR},
        {"RFC 7871 6: IPv4 /24", WIRE(HEADER "\1" QUESTION OPT("\x0b\0\x08\0\7\0\1\x18\0\x0a\1\2")), SK_OK,
         DNS_NOERROR},
        {"RFC 7871 6: bits beyond the prefix",
         WIRE(HEADER "\1" QUESTION OPT("\x0b\0\x08\0\7\0\1\x17\0\x0a\1\1")), SK_ERR_MALFORMED, DNS_FORMERR},
        {"RFC 7871 6: too many address bytes",
         WIRE(HEADER "\1" QUESTION OPT("\x0b\0\x08\0\7\0\1\x10\0\x0a\1\0")), SK_ERR_MALFORMED, DNS_FORMERR},
        {"RFC 7871 6: unknown family", WIRE(HEADER "\1" QUESTION OPT("\x0b\0\x08\0\7\0\3\x18\0\x0a\1\2")),
         SK_ERR_MALFORMED, DNS_FORMERR},
        {"RFC 7873 5.2.2: cookie of 9 bytes",
         WIRE(HEADER "\1" QUESTION OPT("\x0d\0\x0a\0\x09"
                                       "123456789")),
         SK_ERR_MALFORMED, DNS_FORMERR},
        {"RFC 7873 4: client cookie",
         WIRE(HEADER "\1" QUESTION OPT("\x0c\0\x0a\0\x08"
                                       "12345678")),
         SK_OK, DNS_NOERROR},
        {"option longer than OPT", WIRE(HEADER "\1" QUESTION OPT("\x04\0\3\0\1")), SK_ERR_MALFORMED,
         DNS_FORMERR},
        {"OPT longer than the message", WIRE(HEADER "\1" QUESTION OPT("\x09\0\3\0\0")), SK_ERR_MALFORMED,
         DNS_FORMERR},
        {"trailing byte", WIRE(HEADER "\0" QUESTION "x"), SK_ERR_MALFORMED, DNS_FORMERR},
        {"no question", WIRE("\x12\x34\1\0\0\0\0\0\0\0\0\0"), SK_ERR_MALFORMED, DNS_FORMERR},
        {"two questions", WIRE("\x12\x34\1\0\0\2\0\0\0\0\0\0" QUESTION QUESTION), SK_ERR_MALFORMED,
         DNS_FORMERR},
        {"pointer in the question", WIRE(HEADER "\0\xc0\x0c\0\1\0\1"), SK_ERR_MALFORMED, DNS_FORMERR},
        {"cut off in the name", WIRE(HEADER "\0\3ww"), SK_ERR_MALFORMED, DNS_FORMERR},
        {"RFC 1035 4.1.1: opcode STATUS", WIRE("\x12\x34\x10\0\0\1\0\0\0\0\0\0" QUESTION), SK_ERR_MALFORMED,
         DNS_NOTIMP},
        {"a response is never answered", WIRE("\x12\x34\x80\0\0\1\0\0\0\0\0\0" QUESTION), SK_ERR_INVALID,
         DNS_NOERROR},
        {"shorter than a header", WIRE("\x12\x34\1\0\0\1\0\0\0\0\0"), SK_ERR_INVALID, DNS_NOERROR},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct dns_query query;
        enum dns_rcode rcode = DNS_NOERROR;
        sk_err err = dns_query_parse((const uint8_t *)cases[i].wire, cases[i].bytes, &query, &rcode);
        if (err != cases[i].err || rcode != cases[i].rcode)
            fail_msg("%s: %s, %d", cases[i].what, sk_err_text(err), rcode);
    }
}

static void a_query_is_lower_cased_and_its_options_are_read(void **state) {
    static const char wire[] = HEADER "\1" QUESTION OPT("\x1b\0\x08\0\7\0\1\x18\0\x0a\1\2\0\x0a\0\x08"
                                                        "12345678\0\3\0\0");
    struct dns_query query;
    enum dns_rcode rcode;
    (void)state;
    assert_int_equal(dns_query_parse((const uint8_t *)wire, sizeof wire - 1, &query, &rcode), SK_OK);
    struct dns_name name = name_of("www.x");
    assert_true(dns_name_eq(&query.name, &name));
    assert_int_equal(query.id, 0x1234);
    assert_int_equal(query.question_bytes, 11);
    assert_true(query.edns.dnssec_ok && query.edns.nsid && query.edns.subnet.present);
    assert_int_equal(query.edns.payload, 4096);
    assert_int_equal(query.edns.subnet.source_bits, 24);
    assert_memory_equal(query.edns.subnet.ip, "\x0a\1\2\0", 4);
    assert_int_equal(query.edns.cookie_length, 8);
}

/* The query of WIRE, answered into BUFFER. */
static struct dns_writer begin(uint8_t *buffer, size_t limit, size_t reserve, struct dns_query *query) {
    static const char wire[] = HEADER "\0" QUESTION;
    struct dns_writer writer;
    enum dns_rcode rcode;
    assert_int_equal(dns_query_parse((const uint8_t *)wire, sizeof wire - 1, query, &rcode), SK_OK);
    dns_writer_begin(&writer, buffer, limit, reserve, (const uint8_t *)wire, query, DNS_FLAG_AA, DNS_NOERROR);
    return writer;
}

static void responses_echo_the_case_and_compress_names(void **state) {
    static const uint8_t expected[] = "\x12\x34\x85\x00\x00\x01\x00\x02\x00\x01\x00\x00" QUESTION
                                      "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01"
                                      "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x02"
                                      "\x01m\xc0\x10\x00\x10\x00\x01\x00\x00\x00\x05\x00\x02\x01t";
    uint8_t buffer[512];
    struct dns_query query;
    struct dns_writer writer = begin(buffer, sizeof buffer, 0, &query);
    struct dns_rdata addresses[] = {{(const uint8_t *)"\x0a\0\0\1", 4}, {(const uint8_t *)"\x0a\0\0\2", 4}};
    struct dns_rdata text = {(const uint8_t *)"\1t", 2};
    struct dns_name mail = name_of("m.x");
    (void)state;
    assert_int_equal(dns_writer_rrset(&writer, DNS_ANSWER, &query.name, DNS_TYPE_A, 60, addresses, 2), SK_OK);
    assert_int_equal(dns_writer_rrset(&writer, DNS_AUTHORITY, &mail, DNS_TYPE_TXT, 5, &text, 1), SK_OK);
    size_t bytes = dns_writer_finish(&writer);
    assert_int_equal(bytes, sizeof expected - 1);
    assert_memory_equal(buffer, expected, bytes);
}

static void what_does_not_fit_is_left_out_whole_and_truncates(void **state) {
    uint8_t buffer[512];
    struct dns_query query;
    struct dns_rdata addresses[] = {{(const uint8_t *)"\x0a\0\0\1", 4}, {(const uint8_t *)"\x0a\0\0\2", 4}};
    (void)state;
    /* 23 bytes of head and question, 16 a record: the second one is a byte too long. */
    struct dns_writer writer = begin(buffer, 54, 0, &query);
    assert_int_equal(dns_writer_rrset(&writer, DNS_ANSWER, &query.name, DNS_TYPE_A, 60, addresses, 2),
                     SK_ERR_FULL);
    assert_int_equal(dns_writer_finish(&writer), 23);
    assert_true(buffer[2] & 0x02);
    writer = begin(buffer, 54, 0, &query);
    assert_int_equal(dns_writer_rrset(&writer, DNS_ADDITIONAL, &query.name, DNS_TYPE_A, 60, addresses, 2),
                     SK_ERR_FULL);
    assert_int_equal(dns_writer_finish(&writer), 23);
    assert_false(buffer[2] & 0x02);
}

static void opt_carries_subnet_scope_nsid_cookie_and_error(void **state) {
    uint8_t buffer[512];
    struct dns_query query;
    struct dns_client_subnet subnet = {.present = true, .family = 1, .source_bits = 20, .ip = {10, 1, 0x20}};
    struct dns_opt opt = {.payload = 1232,
                          .dnssec_ok = true,
                          .subnet = &subnet,
                          .scope_bits = 16,
                          .nsid = SK_STR("r1"),
                          .cookie = (const uint8_t *)"0123456789abcdef",
                          .cookie_length = 16,
                          .ede = 18};
    static const uint8_t expected[] = "\0\0\x29\x04\xd0\0\0\x80\0\0\x2b"
                                      "\0\x08\0\7\0\1\x14\x10\x0a\1\x20"
                                      "\0\3\0\2r1"
                                      "\0\x0a\0\x10"
                                      "0123456789abcdef"
                                      "\0\x0f\0\2\0\x12";
    (void)state;
    assert_int_equal(dns_opt_bytes(&opt), sizeof expected - 1);
    struct dns_writer writer = begin(buffer, 23 + sizeof expected - 1, dns_opt_bytes(&opt), &query);
    dns_writer_opt(&writer, &opt);
    assert_int_equal(dns_writer_finish(&writer), 23 + sizeof expected - 1);
    assert_memory_equal(buffer + 23, expected, sizeof expected - 1);
}

static void record_data(void **state) {
    static const struct {
        uint16_t type;
        const char *text, *wire; /* NULL: malformed */
        size_t bytes;
    } cases[] = {
        {DNS_TYPE_A, "192.0.2.1", WIRE("\xc0\0\2\1")},
        {DNS_TYPE_A, "192.0.2", NULL, 0},
        {DNS_TYPE_A, "192.0.2.1 x", NULL, 0},
        {DNS_TYPE_AAAA, "2001:db8::1", WIRE("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1")},
        {DNS_TYPE_MX, "10 mail", WIRE("\0\x0a\4mail\2ex\0")},
        {DNS_TYPE_MX, "65536 mail", NULL, 0},
        {DNS_TYPE_TXT, "\"a b\" c\\\"d", WIRE("\3a b\3c\"d")},
        {DNS_TYPE_TXT, "\"open", NULL, 0},
        {DNS_TYPE_TXT, "\\300", NULL, 0},
        {DNS_TYPE_SOA, "ns h 1 1h 15m 1w 5",
         WIRE("\2ns\2ex\0\1h\2ex\0\0\0\0\1\0\0\x0e\x10\0\0\3\x84\0\x09\x3a\x80\0\0\0\5")},
        {DNS_TYPE_SRV, "1 2 443 @", WIRE("\0\1\0\2\1\xbb\2ex\0")},
        {DNS_TYPE_CAA, "0 issue \"ca.example\"", WIRE("\0\5issueca.example")},
        {DNS_TYPE_DS, "1 13 2 0a0B", WIRE("\0\1\x0d\2\x0a\x0b")},
        {DNS_TYPE_DS, "1 13 2 0a0", NULL, 0},
        {DNS_TYPE_DNSKEY, "257 3 13 AQID BA==", WIRE("\1\1\3\x0d\1\2\3\4")},
        {DNS_TYPE_DNSKEY, "257 3 13 AQI", NULL, 0},
        {DNS_TYPE_HTTPS, "1 . alpn=h3,h2 port=8443 ipv4hint=192.0.2.1",
         WIRE("\0\1\0\0\1\0\6\2h3\2h2\0\3\0\2\x20\xfb\0\4\0\4\xc0\0\2\1")},
        {DNS_TYPE_HTTPS, "0 pool", WIRE("\0\0\4pool\2ex\0")},
        {DNS_TYPE_HTTPS, "1 . port=1 alpn=h2", NULL, 0},
        {DNS_TYPE_HTTPS, "1 . mandatory=alpn alpn=\"h2\"", WIRE("\0\1\0\0\0\0\2\0\1\0\1\0\3\2h2")},
        {DNS_TYPE_HTTPS, "1 . alpn=", NULL, 0},
        {4711, "\\# 3 0102 03", WIRE("\1\2\3")},
        {4711, "\\# 0", WIRE("")},
        {4711, "\\# 3 0102", NULL, 0},
    };
    uint8_t out[512];
    (void)state;
    struct dns_name origin = name_of("ex");
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        size_t bytes = 0;
        sk_err err =
            dns_rdata_parse(cases[i].type, sk_str_from_c(cases[i].text), &origin, out, sizeof out, &bytes);
        if (err != (cases[i].wire ? SK_OK : SK_ERR_MALFORMED))
            fail_msg("%s: %s", cases[i].text, sk_err_text(err));
        if (err) continue;
        if (bytes != cases[i].bytes || memcmp(out, cases[i].wire, bytes))
            fail_msg("%s: other bytes", cases[i].text);
    }
}

static void record_data_never_passes_its_room(void **state) {
    uint8_t out[512];
    size_t bytes;
    (void)state;
    for (size_t room = 0; room < 9; room++)
        assert_int_equal(dns_rdata_parse(DNS_TYPE_TXT, SK_STR("12345678"), NULL, out, room, &bytes),
                         SK_ERR_TOO_LARGE);
    assert_int_equal(dns_rdata_parse(DNS_TYPE_TXT, SK_STR("12345678"), NULL, out, 9, &bytes), SK_OK);
    assert_int_equal(dns_rdata_parse(4711, SK_STR("x"), NULL, out, 9, &bytes), SK_ERR_UNSUPPORTED);
}

static void types_have_names(void **state) {
    char text[12];
    uint16_t type;
    (void)state;
    assert_int_equal(dns_type_parse(SK_STR("https"), &type), SK_OK);
    assert_int_equal(type, 65);
    assert_int_equal(dns_type_parse(SK_STR("TYPE65535"), &type), SK_OK);
    assert_int_equal(type, 65535);
    assert_int_equal(dns_type_parse(SK_STR("TYPE65536"), &type), SK_ERR_MALFORMED);
    assert_int_equal(dns_type_parse(SK_STR("NOPE"), &type), SK_ERR_MALFORMED);
    assert_true(sk_str_eq(dns_type_text(28, text), SK_STR("AAAA")));
    assert_true(sk_str_eq(dns_type_text(4711, text), SK_STR("TYPE4711")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_in_text_and_wire_form),
        cmocka_unit_test(relative_names_are_completed_and_never_longer_than_255),
        cmocka_unit_test(rfc4034_6_1_canonical_order),
        cmocka_unit_test(names_below_a_zone),
        cmocka_unit_test(queries),
        cmocka_unit_test(a_query_is_lower_cased_and_its_options_are_read),
        cmocka_unit_test(responses_echo_the_case_and_compress_names),
        cmocka_unit_test(what_does_not_fit_is_left_out_whole_and_truncates),
        cmocka_unit_test(opt_carries_subnet_scope_nsid_cookie_and_error),
        cmocka_unit_test(record_data),
        cmocka_unit_test(record_data_never_passes_its_room),
        cmocka_unit_test(types_have_names),
    };
    return SK_RUN_TESTS(tests);
}
