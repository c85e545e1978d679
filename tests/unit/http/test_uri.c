#include "http/uri.h"

#include "unit.h"

#define S(text) SK_STR_INIT(text)
#define NONE {NULL, 0}

static void targets(void **state) {
    static const struct {
        const char *name;
        sk_str target;
        bool valid;
        sk_str scheme, host, path, query;
        uint16_t port;
    } cases[] = {
        {"RFC 9112 3.2.1: a path", S("/a/b"), true, NONE, NONE, S("/a/b"), NONE, 0},
        {"RFC 9112 3.2.1: a query", S("/a?b?c"), true, NONE, NONE, S("/a"), S("b?c"), 0},
        {"RFC 9112 3.2.1: an empty query", S("/?"), true, NONE, NONE, S("/"), S(""), 0},
        {"RFC 9112 3.2.4: an asterisk", S("*"), true, NONE, NONE, S("*"), NONE, 0},
        {"RFC 9112 3.2.2: absolute", S("http://a.b:81/c?d"), true, S("http"), S("a.b"), S("/c"), S("d"), 81},
        {"RFC 9112 3.2.2: the scheme in capitals", S("HTTPS://a"), true, S("HTTPS"), S("a"), S("/"), NONE, 0},
        {"RFC 9112 3.2.2: a query without path", S("http://a?b"), true, S("http"), S("a"), S("/"), S("b"), 0},
        {"RFC 3986 3.2.2: IPv6", S("http://[::1]:8/"), true, S("http"), S("[::1]"), S("/"), NONE, 8},
        {"RFC 3986 3.2.3: an empty port", S("http://a:/"), true, S("http"), S("a"), S("/"), NONE, 0},
        {"a percent sign is left to normalisation", S("/%"), true, NONE, NONE, S("/%"), NONE, 0},
        {"bytes of browsers", S("/|^`{}\"\\"), true, NONE, NONE, S("/|^`{}\"\\"), NONE, 0},
        {"RFC 3986 3: brackets in a query", S("/?a[0]=1"), true, NONE, NONE, S("/"), S("a[0]=1"), 0},
        {"RFC 9112 3.2: empty", S(""), false, NONE, NONE, NONE, NONE, 0},
        {"RFC 9112 3.2: relative", S("a/b"), false, NONE, NONE, NONE, NONE, 0},
        {"RFC 9112 3.2: a query alone", S("?a"), false, NONE, NONE, NONE, NONE, 0},
        {"RFC 9112 3.2: asterisk and more", S("**"), false, NONE, NONE, NONE, NONE, 0},
        {"RFC 9112 3.2.3: authority", S("a:80"), false, NONE, NONE, NONE, NONE, 0},
        {"RFC 9110 4.2.1: no host", S("http://"), false, NONE, NONE, NONE, NONE, 0},
        {"RFC 9110 4.2.1: a port alone", S("http://:80/"), false, NONE, NONE, NONE, NONE, 0},
        {"RFC 9110 4.2.4: userinfo", S("http://u@a/"), false, NONE, NONE, NONE, NONE, 0},
        {"RFC 9110 4.2.4: empty userinfo", S("http://@a/"), false, NONE, NONE, NONE, NONE, 0},
        {"another scheme", S("ws://a/"), false, NONE, NONE, NONE, NONE, 0},
        {"a fragment", S("/a#b"), false, NONE, NONE, NONE, NONE, 0},
        {"space", S("/a b"), false, NONE, NONE, NONE, NONE, 0},
        {"NUL", S("/a\0b"), false, NONE, NONE, NONE, NONE, 0},
        {"DEL", S("/a\x7f"), false, NONE, NONE, NONE, NONE, 0},
        {"less than", S("/<"), false, NONE, NONE, NONE, NONE, 0},
        {"over 0x7f", S("/\xff"), false, NONE, NONE, NONE, NONE, 0},
        {"CR", S("/\r"), false, NONE, NONE, NONE, NONE, 0},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_uri uri = {0};
        sk_err err = http_uri_parse_target(cases[i].target, &uri);
        if (err != (cases[i].valid ? SK_OK : SK_ERR_MALFORMED))
            fail_msg("%s: %s", cases[i].name, sk_err_name(err));
        assert_str(uri.scheme, cases[i].scheme);
        assert_str(uri.host, cases[i].host);
        assert_str(uri.path, cases[i].path);
        assert_str(uri.query, cases[i].query);
        assert_int_equal(uri.query.data != NULL, cases[i].query.data != NULL);
        assert_int_equal(uri.port, cases[i].port);
    }
}

static void absolute_uris_lose_their_fragment(void **state) {
    struct http_uri uri;
    (void)state;
    assert_ok(http_uri_parse_absolute(SK_STR("https://a:8443/b#c"), &uri));
    assert_str(uri.path, SK_STR("/b"));
    assert_str(uri.authority, SK_STR("a:8443"));
    assert_ok(http_uri_parse_absolute(SK_STR("http://a#c"), &uri));
    assert_true(uri.empty_path);
    assert_err(http_uri_parse_absolute(SK_STR("/a"), &uri), SK_ERR_MALFORMED);
}

static void authorities(void **state) {
    static const struct {
        const char *name;
        sk_str authority;
        bool valid;
        sk_str host;
        uint16_t port;
    } cases[] = {
        {"a name", S("example.org"), true, S("example.org"), 0},
        {"a name and port", S("example.org:65535"), true, S("example.org"), 65535},
        {"an empty port", S("a:"), true, S("a"), 0},
        {"leading zeros", S("a:00080"), true, S("a"), 80},
        {"RFC 3986 3.2.2: sub-delims and underscore", S("a_b!$&'()*+,;=~"), true, S("a_b!$&'()*+,;=~"), 0},
        {"RFC 3986 3.2.2: an escape", S("%41"), true, S("%41"), 0},
        {"IPv4", S("127.0.0.1:80"), true, S("127.0.0.1"), 80},
        {"IPv6", S("[2001:db8::1]"), true, S("[2001:db8::1]"), 0},
        {"IPv6 with IPv4 in it", S("[::ffff:1.2.3.4]:80"), true, S("[::ffff:1.2.3.4]"), 80},
        {"empty", S(""), false, NONE, 0},
        {"a port alone", S(":80"), false, NONE, 0},
        {"port zero", S("a:0"), false, NONE, 0},
        {"port 65536", S("a:65536"), false, NONE, 0},
        {"a long port", S("a:000080"), false, NONE, 0},
        {"a signed port", S("a:+80"), false, NONE, 0},
        {"a bad escape", S("a%4"), false, NONE, 0},
        {"a bad escape inside", S("a%4gb"), false, NONE, 0},
        {"a slash", S("a/b"), false, NONE, 0},
        {"a backslash", S("a\\b"), false, NONE, 0},
        {"a space", S("a b"), false, NONE, 0},
        {"userinfo", S("u@a"), false, NONE, 0},
        {"IPv6 without brackets", S("::1"), false, NONE, 0},
        {"an open bracket", S("[::1"), false, NONE, 0},
        {"empty brackets", S("[]"), false, NONE, 0},
        {"a name in brackets", S("[abc]"), false, NONE, 0},
        {"a zone", S("[fe80::1%25eth0]"), false, NONE, 0},
        {"IPvFuture", S("[v1.a]"), false, NONE, 0},
        {"more after the brackets", S("[::1]a"), false, NONE, 0},
        {"NUL in brackets", S("[::1\0]"), false, NONE, 0},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        sk_str host = NONE;
        uint16_t port = 0;
        sk_err err = http_authority_parse(cases[i].authority, &host, &port);
        if (err != (cases[i].valid ? SK_OK : SK_ERR_MALFORMED))
            fail_msg("%s: %s", cases[i].name, sk_err_name(err));
        assert_str(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
    char long_name[256];
    sk_str host;
    uint16_t port;
    memset(long_name, 'a', sizeof(long_name));
    assert_ok(http_authority_parse(sk_str_make(long_name, 255), &host, &port));
    assert_err(http_authority_parse(sk_str_make(long_name, 256), &host, &port), SK_ERR_MALFORMED);
}

static void normal_form_of_paths(void **state) {
    static const struct {
        const char *name;
        sk_str path, normal; /* NONE: malformed */
    } cases[] = {
        {"nothing to do", S("/a/b.c"), S("/a/b.c")},
        {"RFC 3986 6.2.2.1: escapes in capitals", S("/%c3%a4"), S("/%C3%A4")},
        {"RFC 3986 6.2.2.2: unreserved octets decoded", S("/%41%7e%2d%5F%2E"), S("/A~-_.")},
        {"RFC 3986 2.2: reserved octets stay encoded", S("/a%2fb%3F%23"), S("/a%2Fb%3F%23")},
        {"RFC 3986 2.4: a percent sign is decoded once", S("/%2541"), S("/%2541")},
        {"RFC 3986 5.2.4: one dot", S("/a/./b"), S("/a/b")},
        {"RFC 3986 5.2.4: two dots", S("/a/b/../c"), S("/a/c")},
        {"RFC 3986 5.2.4: the standard's example", S("/a/b/c/./../../g"), S("/a/g")},
        {"RFC 3986 5.2.4: dots at the end", S("/a/b/.."), S("/a/")},
        {"RFC 3986 5.2.4: a dot at the end", S("/a/b/."), S("/a/b/")},
        {"RFC 3986 5.2.4: above the root", S("/../../a"), S("/a")},
        {"RFC 3986 5.2.4: to the root", S("/a/.."), S("/")},
        {"RFC 3986 6.2.2: encoded dots are dots", S("/a/%2e%2E/b"), S("/b")},
        {"RFC 3986 5.2.4: three dots are a name", S("/a/.../b"), S("/a/.../b")},
        {"RFC 3986 5.2.4: a name with a leading dot", S("/.well-known/a"), S("/.well-known/a")},
        {"empty segments are kept", S("//a///b/"), S("//a///b/")},
        {"two dots take an empty segment", S("/a//../b"), S("/a/b")},
        {"an encoded slash is no segment's end", S("/a/..%2fb"), S("/a/..%2Fb")},
        {"raw bytes of browsers stay", S("/a|b/./"), S("/a|b/")},
        {"an asterisk", S("*"), S("*")},
        {"a bad escape", S("/%"), NONE},
        {"a cut escape", S("/%4"), NONE},
        {"no hexadecimal", S("/%zz"), NONE},
        {"NUL, encoded", S("/a%00b"), NONE},
        {"NUL", S("/a\0b"), NONE},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 1024, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        sk_str normal = NONE, again;
        sk_err err = http_path_normalise(&arena, cases[i].path, &normal);
        if (err != (cases[i].normal.data ? SK_OK : SK_ERR_MALFORMED)) fail_msg("%s", cases[i].name);
        if (!sk_str_eq(normal, cases[i].normal)) fail_msg("%s: %.*s", cases[i].name, SK_STR_ARGS(normal));
        if (err) continue;
        assert_ok(http_path_normalise(&arena, normal, &again));
        assert_str(again, normal);
    }
    sk_str borrowed;
    assert_ok(http_path_normalise(&arena, cases[0].path, &borrowed));
    assert_ptr_equal(borrowed.data, cases[0].path.data);
    sk_arena_free(&arena);
}

static void references(void **state) {
    static const struct {
        const char *name;
        sk_str reference, expected; /* scheme "://" authority path ["?" query]; NONE: malformed */
    } cases[] = {
        /* base: http://a/b/c/d?q, the examples of RFC 3986 section 5.4 with ";p" left out */
        {"5.4.1", S("g"), S("http://a/b/c/g")},
        {"5.4.1", S("./g"), S("http://a/b/c/g")},
        {"5.4.1", S("g/"), S("http://a/b/c/g/")},
        {"5.4.1", S("/g"), S("http://a/g")},
        {"5.4.1", S("//g"), S("http://g/")},
        {"5.4.1", S("?y"), S("http://a/b/c/d?y")},
        {"5.4.1", S("g?y"), S("http://a/b/c/g?y")},
        {"5.4.1: the fragment goes", S("#s"), S("http://a/b/c/d?q")},
        {"5.4.1", S("g#s"), S("http://a/b/c/g")},
        {"5.4.1", S(";x"), S("http://a/b/c/;x")},
        {"5.4.1", S(""), S("http://a/b/c/d?q")},
        {"5.4.1", S("."), S("http://a/b/c/")},
        {"5.4.1", S(".."), S("http://a/b/")},
        {"5.4.1", S("../g"), S("http://a/b/g")},
        {"5.4.1", S("../../g"), S("http://a/g")},
        {"5.4.2: above the root", S("../../../g"), S("http://a/g")},
        {"5.4.2", S("/../g"), S("http://a/g")},
        {"5.4.2", S("g."), S("http://a/b/c/g.")},
        {"5.4.2", S("..g"), S("http://a/b/c/..g")},
        {"5.4.2", S("./g/."), S("http://a/b/c/g/")},
        {"5.4.2", S("g?y/../x"), S("http://a/b/c/g?y/../x")},
        {"absolute", S("https://h:8/x/../y?z"), S("https://h:8/y?z")},
        {"absolute without path", S("http://h"), S("http://h/")},
        {"a colon in a later segment is no scheme", S("./g:h"), S("http://a/b/c/g:h")},
        {"an empty query replaces the base's", S("?"), S("http://a/b/c/d?")},
        {"5.4.2: no authority after a scheme", S("http:g"), NONE},
        {"another scheme", S("mailto:a"), NONE},
        {"javascript", S("javascript://a"), NONE},
        {"an empty authority", S("///g"), NONE},
        {"a bad authority", S("//a b/"), NONE},
        {"userinfo", S("//u@h/"), NONE},
        {"a control byte", S("/a\x01"), NONE},
    };
    struct sk_arena arena;
    struct http_uri base;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    assert_ok(http_uri_parse_absolute(SK_STR("http://a/b/c/d?q"), &base));
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_uri uri = {0};
        sk_err err = http_uri_resolve(&arena, &base, cases[i].reference, &uri);
        if (err != (cases[i].expected.data ? SK_OK : SK_ERR_MALFORMED)) {
            fail_msg("%s: %.*s: %s", cases[i].name, SK_STR_ARGS(cases[i].reference), sk_err_name(err));
        }
        if (err) continue;
        sk_str text = sk_arena_printf(&arena, "%.*s://%.*s%.*s%s%.*s", SK_STR_ARGS(uri.scheme),
                                      SK_STR_ARGS(uri.authority), SK_STR_ARGS(uri.path),
                                      uri.query.data ? "?" : "", SK_STR_ARGS(uri.query));
        assert_str(text, cases[i].expected);
    }
    sk_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets),     cmocka_unit_test(absolute_uris_lose_their_fragment),
        cmocka_unit_test(authorities), cmocka_unit_test(normal_form_of_paths),
        cmocka_unit_test(references),
    };
    return SK_RUN_TESTS(tests);
}
