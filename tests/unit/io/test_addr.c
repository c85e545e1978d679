#include "io/addr.h"
#include "unit.h"

static void addresses_are_numeric_and_come_back_as_written(void **state) {
    static const struct {
        sk_str text;
        sk_err err;
        const char *formatted; /* NULL: as TEXT */
        const char *ip;
        uint16_t port;
    } cases[] = {
        {SK_STR_INIT("127.0.0.1:8080"), SK_OK, NULL, "127.0.0.1", 8080},
        {SK_STR_INIT("0.0.0.0:0"), SK_OK, NULL, "0.0.0.0", 0},
        {SK_STR_INIT("[::1]:443"), SK_OK, NULL, "::1", 443},
        {SK_STR_INIT("[2001:DB8:0:0::1]:65535"), SK_OK, "[2001:db8::1]:65535", "2001:db8::1", 65535},
        {SK_STR_INIT(":80"), SK_OK, "[::]:80", "::", 80},
        {SK_STR_INIT("[::ffff:10.0.0.1]:80"), SK_OK, "10.0.0.1:80", "10.0.0.1", 80},
        {SK_STR_INIT("unix:/run/a.sock"), SK_OK, NULL, "unix", 0},
        {SK_STR_INIT("unix:a:80"), SK_OK, NULL, "unix", 0},
        {SK_STR_INIT("127.0.0.1:65536"), SK_ERR_TOO_LARGE, NULL, NULL, 0},
        {SK_STR_INIT("127.0.0.1:99999999999999999999"), SK_ERR_TOO_LARGE, NULL, NULL, 0},
        {SK_STR_INIT("127.0.0.1"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("127.0.0.1:"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("127.0.0.1:-1"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("127.1:80"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("[127.0.0.1]:80"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("::1:80"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("[::1:80"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("[]:80"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("[:80"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("localhost:80"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("127.0.0.1\0:80"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("1111:2222:3333:4444:5555:6666:7777:8888:9999:1111:2222:3333:80"), SK_ERR_MALFORMED,
         NULL, NULL, 0},
        {SK_STR_INIT(""), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT(":"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("80"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("unix:"), SK_ERR_MALFORMED, NULL, NULL, 0},
        {SK_STR_INIT("unix:a\0b"), SK_ERR_MALFORMED, NULL, NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct io_addr addr, again;
        char text[IO_ADDR_TEXT_BYTES];
        assert_err(io_addr_parse(cases[i].text, &addr), cases[i].err);
        if (cases[i].err) continue;
        size_t len = io_addr_format(&addr, text);
        assert_str(sk_str_make(text, len),
                   cases[i].formatted ? sk_str_from_c(cases[i].formatted) : cases[i].text);
        assert_ok(io_addr_parse(sk_str_make(text, len), &again));
        assert_true(io_addr_eq(&addr, &again));
        assert_int_equal(io_addr_format_ip(&addr, text), strlen(cases[i].ip));
        assert_string_equal(text, cases[i].ip);
        assert_int_equal(io_addr_port(&addr), cases[i].port);
    }
}

static void a_unix_path_has_a_limit(void **state) {
    char text[200];
    struct io_addr addr;
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "unix:", 5);
    assert_ok(io_addr_parse(sk_str_make(text, 5 + 107), &addr));
    assert_int_equal(io_addr_format(&addr, (char[IO_ADDR_TEXT_BYTES]){0}), 5 + 107);
    assert_err(io_addr_parse(sk_str_make(text, 5 + 108), &addr), SK_ERR_TOO_LARGE);
}

static struct io_addr parsed(const char *text) {
    struct io_addr addr;
    assert_ok(io_addr_parse(sk_str_from_c(text), &addr));
    return addr;
}

static void equality_is_of_address_and_port(void **state) {
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"1.2.3.4:5", "1.2.3.4:5", true},
        {"1.2.3.4:5", "1.2.3.4:6", false},
        {"1.2.3.4:5", "[::ffff:1.2.3.4]:5", true},
        {"[::1]:5", "[::2]:5", false},
        {"unix:/a", "unix:/a", true},
        {"unix:/a", "unix:/ab", false},
        {"unix:/a", "1.2.3.4:5", false},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct io_addr a = parsed(cases[i].a), b = parsed(cases[i].b);
        assert_int_equal(io_addr_eq(&a, &b), cases[i].equal);
        assert_int_equal(io_addr_eq(&b, &a), cases[i].equal);
    }
}

static void an_unnamed_local_socket_has_an_empty_path(void **state) {
    struct io_addr addr = {.len = sizeof(sa_family_t), .any.sa_family = AF_UNIX};
    char text[IO_ADDR_TEXT_BYTES];
    (void)state;
    memset(addr.local.sun_path, 'x', sizeof addr.local.sun_path);
    io_addr_format(&addr, text);
    assert_string_equal(text, "unix:");
}

static void prefixes_match_by_their_bits(void **state) {
    static const struct {
        const char *prefix, *addr;
        bool match;
    } cases[] = {
        {"10.0.0.0/8", "10.255.1.2:1", true},
        {"10.0.0.0/8", "11.0.0.0:1", false},
        {"10.9.9.9/8", "10.1.2.3:1", true},
        {"10.0.0.0/8", "[::ffff:10.1.2.3]:1", true},
        {"10.0.0.0/8", "[::10.1.2.3]:1", false},
        {"192.168.1.128/25", "192.168.1.127:1", false},
        {"192.168.1.128/25", "192.168.1.128:1", true},
        {"1.2.3.4", "1.2.3.4:9", true},
        {"1.2.3.4", "1.2.3.5:9", false},
        {"0.0.0.0/0", "8.8.8.8:1", true},
        {"0.0.0.0/0", "[2001:db8::1]:1", false},
        {"::/0", "8.8.8.8:1", true},
        {"::/0", "[2001:db8::1]:1", true},
        {"2001:db8::/33", "[2001:db8:7fff::1]:1", true},
        {"2001:db8::/33", "[2001:db8:8000::1]:1", false},
        {"::1", "[::1]:1", true},
        {"::1", "[::2]:1", false},
        {"::/0", "unix:/a", false},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct io_addr addr = parsed(cases[i].addr);
        struct io_prefix prefix;
        assert_ok(io_prefix_parse(sk_str_from_c(cases[i].prefix), &prefix));
        if (io_prefix_match(&prefix, &addr) != cases[i].match)
            fail_msg("%s %s", cases[i].prefix, cases[i].addr);
    }
}

static void malformed_prefixes_are_refused(void **state) {
    static const sk_str cases[] = {SK_STR_INIT(""),
                                   SK_STR_INIT("/8"),
                                   SK_STR_INIT("10.0.0.0/33"),
                                   SK_STR_INIT("10.0.0.0/"),
                                   SK_STR_INIT("10.0.0/8"),
                                   SK_STR_INIT("::/129"),
                                   SK_STR_INIT("10.0.0.0/-1"),
                                   SK_STR_INIT("::/1/1"),
                                   SK_STR_INIT("[::]/8"),
                                   SK_STR_INIT("10.0.0.0 /8"),
                                   SK_STR_INIT("::/99999999999999999999")};
    struct io_prefix prefix;
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++)
        assert_err(io_prefix_parse(cases[i], &prefix), SK_ERR_MALFORMED);
}

static void bytes_become_addresses(void **state) {
    struct io_addr addr;
    char text[IO_ADDR_TEXT_BYTES];
    uint8_t ip[16] = {192, 0, 2, 1};
    (void)state;
    assert_ok(io_addr_from_ip(ip, 4, 53, &addr));
    io_addr_format(&addr, text);
    assert_string_equal(text, "192.0.2.1:53");
    assert_ok(io_addr_from_ip(ip, 16, 53, &addr));
    io_addr_format(&addr, text);
    assert_string_equal(text, "[c000:201::]:53");
    assert_err(io_addr_from_ip(ip, 5, 53, &addr), SK_ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_numeric_and_come_back_as_written),
        cmocka_unit_test(a_unix_path_has_a_limit),
        cmocka_unit_test(equality_is_of_address_and_port),
        cmocka_unit_test(an_unnamed_local_socket_has_an_empty_path),
        cmocka_unit_test(prefixes_match_by_their_bits),
        cmocka_unit_test(malformed_prefixes_are_refused),
        cmocka_unit_test(bytes_become_addresses),
    };
    return SK_RUN_TESTS(tests);
}
