#include "http/forward.h"

#include "messages.h"

#define S(text) SK_STR_INIT(text)

/* The fields as "Name: value\n" lines again. */
static const char *lines_of(struct sk_arena *arena, const struct http_fields *fields) {
    sk_str text = S("");
    for (uint32_t i = 0; i < fields->count; i++) {
        text = sk_arena_printf(arena, "%.*s%.*s: %.*s\n", SK_STR_ARGS(text),
                               SK_STR_ARGS(fields->items[i].name), SK_STR_ARGS(fields->items[i].value));
        assert_non_null(text.data);
    }
    return text.data;
}

static void hop_by_hop_fields(void **state) {
    static const struct {
        const char *name, *before, *after;
    } cases[] = {
        {"nothing to do", "A: b\n", "A: b\n"},
        {"RFC 9110 7.6.1: Connection and what it names", "Connection: close, X-Hop\nx-hop: 1\nX-End: 2\n",
         "X-End: 2\n"},
        {"RFC 9110 7.6.1: several lines of both",
         "X-A: 1\nConnection: x-a\nX-B: 2\nX-A: 3\nConnection: x-b\n", ""},
        {"RFC 9110 7.6.1: the others",
         "Keep-Alive: 5\nProxy-Connection: keep-alive\nTransfer-Encoding: chunked\n"
         "Upgrade: h2c\nHTTP2-Settings: x\nA: b\n",
         "A: b\n"},
        {"RFC 9110 10.1.4: TE goes", "TE: gzip;q=0.5\nA: b\n", "A: b\n"},
        {"RFC 9110 10.1.4: trailers stay", "TE: gzip, Trailers\nConnection: TE\n", "TE: trailers\n"},
        {"RFC 9110 11.7.1: Proxy-Authenticate stays", "Proxy-Authenticate: x\n", "Proxy-Authenticate: x\n"},
        {"what protects is not removed on Connection's word",
         "Connection: Authorization, Cookie, X-Forwarded-For, Host, Content-Length, Cache-Control, close\n"
         "Authorization: 1\nCookie: 2\nX-Forwarded-For: 3\nHost: 4\nContent-Length: 5\nCache-Control: 6\n",
         "Authorization: 1\nCookie: 2\nX-Forwarded-For: 3\nHost: 4\nContent-Length: 5\nCache-Control: 6\n"},
        {"nor what protects the client",
         "Connection: Set-Cookie, Strict-Transport-Security, Content-Security-Policy\nSet-Cookie: a\n"
         "Strict-Transport-Security: b\nContent-Security-Policy: c\n",
         "Set-Cookie: a\nStrict-Transport-Security: b\nContent-Security-Policy: c\n"},
        {"nor a forwarding field that is not in the table",
         "Connection: X-Forwarded-Port\nX-Forwarded-Port: 1\n", "X-Forwarded-Port: 1\n"},
        {"a name that only begins alike stays", "Connection: X-Ho\nX-Hop: 1\n", "X-Hop: 1\n"},
        {"empty elements name nothing", "Connection: ,,\nA: b\n", "A: b\n"},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_fields fields = fields_of(&arena, cases[i].before);
        http_forward_strip_hop_by_hop(&fields);
        const char *after = lines_of(&arena, &fields);
        if (strcmp(after, cases[i].after) != 0) fail_msg("%s: %s", cases[i].name, after);
    }
    sk_arena_free(&arena);
}

static void who_asked(void **state) {
    static const struct {
        const char *name, *before;
        struct http_forward_context context;
        const char *after;
    } cases[] = {
        {"RFC 7239 4: a client of ours",
         "A: b\n",
         {.client_ip = S("192.0.2.1"),
          .scheme = S("https"),
          .host = S("example.org"),
          .pseudonym = S("skerry"),
          .received_version = HTTP_2},
         "A: b\nx-forwarded-for: 192.0.2.1\nx-forwarded-proto: https\nx-forwarded-host: example.org\n"
         "forwarded: for=192.0.2.1;host=example.org;proto=https\ncdn-loop: skerry\nvia: 2 skerry\n"},
        {"RFC 7239 6: IPv6 and a port are quoted",
         "",
         {.client_ip = S("2001:db8::1"),
          .scheme = S("http"),
          .host = S("a:8080"),
          .pseudonym = S("s"),
          .received_version = HTTP_1_1},
         "x-forwarded-for: 2001:db8::1\nx-forwarded-proto: http\nx-forwarded-host: a:8080\n"
         "forwarded: for=\"[2001:db8::1]\";host=\"a:8080\";proto=http\ncdn-loop: s\nvia: 1.1 s\n"},
        {"RFC 7239 8.1: a stranger's claims are not passed on",
         "X-Forwarded-For: 1.1.1.1\nForwarded: for=1.1.1.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: evil\n"
         "X-Forwarded-Prefix: /x\nA: b\n",
         {.client_ip = S("192.0.2.1"),
          .scheme = S("http"),
          .host = S("a"),
          .pseudonym = S("s"),
          .received_version = HTTP_1_0},
         "A: b\nx-forwarded-for: 192.0.2.1\nx-forwarded-proto: http\nx-forwarded-host: a\n"
         "forwarded: for=192.0.2.1;host=a;proto=http\ncdn-loop: s\nvia: 1.0 s\n"},
        {"RFC 7239 4: a trusted one's are, and extended",
         "X-Forwarded-For: 1.1.1.1\nX-Forwarded-For: 2.2.2.2\nForwarded: for=1.1.1.1\nX-Forwarded-Proto: https\n"
         "X-Forwarded-Port: 443\n",
         {.client_ip = S("192.0.2.1"),
          .client_trusted = true,
          .scheme = S("http"),
          .host = S("a"),
          .pseudonym = S("s"),
          .received_version = HTTP_1_1},
         "X-Forwarded-Proto: https\nX-Forwarded-Port: 443\nx-forwarded-for: 1.1.1.1, 2.2.2.2, 192.0.2.1\n"
         "x-forwarded-host: a\nforwarded: for=1.1.1.1, for=192.0.2.1;host=a;proto=http\ncdn-loop: s\nvia: 1.1 s\n"},
        {"RFC 8586 2: CDN-Loop and Via are extended whoever sent them",
         "CDN-Loop: other\nVia: 1.1 x\n",
         {.client_ip = S("192.0.2.1"),
          .scheme = S("http"),
          .host = S("a"),
          .pseudonym = S("s"),
          .received_version = HTTP_3},
         "Via: 1.1 x\nx-forwarded-for: 192.0.2.1\nx-forwarded-proto: http\nx-forwarded-host: a\n"
         "forwarded: for=192.0.2.1;host=a;proto=http\ncdn-loop: other, s\nvia: 3 s\n"},
        {"a stranger's word on what he really asks for goes, in every spelling",
         "X-Original-URL: /a\nX-Rewrite-URL: /b\nx_forwarded_host: c\nX-Host: d\nX-Real-IP: 1.1.1.1\nProxy: e\n"
         "X-Originally: stays\n",
         {.client_ip = S("192.0.2.1"),
          .scheme = S("http"),
          .host = S("a"),
          .pseudonym = S("s"),
          .received_version = HTTP_1_1},
         "X-Originally: stays\nx-forwarded-for: 192.0.2.1\nx-forwarded-proto: http\nx-forwarded-host: a\n"
         "forwarded: for=192.0.2.1;host=a;proto=http\ncdn-loop: s\nvia: 1.1 s\n"},
        {"a GET is a GET, whoever says otherwise",
         "X-HTTP-Method-Override: DELETE\nX-Real-IP: 1.1.1.1\nX_Method: PUT\n",
         {.client_ip = S("192.0.2.1"),
          .client_trusted = true,
          .scheme = S("http"),
          .host = S("a"),
          .pseudonym = S("s"),
          .received_version = HTTP_1_1,
          .override_means_nothing = true},
         "X-Real-IP: 1.1.1.1\nx-forwarded-for: 192.0.2.1\nx-forwarded-proto: http\nx-forwarded-host: a\n"
         "forwarded: for=192.0.2.1;host=a;proto=http\ncdn-loop: s\nvia: 1.1 s\n"},
        {"a POST may say that it is a PUT",
         "X-HTTP-Method-Override: PUT\n",
         {.client_ip = S("192.0.2.1"),
          .scheme = S("http"),
          .host = S("a"),
          .pseudonym = S("s"),
          .received_version = HTTP_1_1},
         "X-HTTP-Method-Override: PUT\nx-forwarded-for: 192.0.2.1\nx-forwarded-proto: http\n"
         "x-forwarded-host: a\nforwarded: for=192.0.2.1;host=a;proto=http\ncdn-loop: s\nvia: 1.1 s\n"},
        {"an HTTP/1.0 request without Host",
         "",
         {.client_ip = S("192.0.2.1"),
          .scheme = S("http"),
          .pseudonym = S("s"),
          .received_version = HTTP_1_0},
         "x-forwarded-for: 192.0.2.1\nx-forwarded-proto: http\nforwarded: for=192.0.2.1;proto=http\ncdn-loop: s\n"
         "via: 1.0 s\n"},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_fields fields = fields_of(&arena, cases[i].before);
        assert_ok(http_forward_request_fields(&fields, &arena, &cases[i].context));
        const char *after = lines_of(&arena, &fields);
        if (strcmp(after, cases[i].after) != 0) fail_msg("%s: %s", cases[i].name, after);
    }
    sk_arena_free(&arena);
}

static void loops(void **state) {
    static const struct {
        const char *name, *fields;
        uint32_t count;
    } cases[] = {
        {"none", "A: b", 0},
        {"RFC 8586 2: once", "CDN-Loop: skerry", 1},
        {"RFC 8586 2: with parameters", "CDN-Loop: a; x=y, Skerry ;v=\"1,2\"", 1},
        {"RFC 8586 2: in two lines", "CDN-Loop: skerry, skerry\nCDN-Loop: skerry", 3},
        {"RFC 8586 2: another name", "CDN-Loop: skerry2, a-skerry", 0},
        {"RFC 9110 7.6.3: Via", "Via: 1.1 skerry, HTTP/2 skerry (us), 1.0 other", 2},
        {"RFC 9110 7.6.3: in a comment it is no name", "Via: 1.1 other (skerry)", 0},
        {"the greater of both", "Via: 1.1 skerry\nCDN-Loop: skerry, skerry", 2},
        {"a Via without a name", "Via: skerry", 0},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_fields fields = fields_of(&arena, cases[i].fields);
        uint32_t count = http_forward_loop_count(&fields, SK_STR("skerry"));
        if (count != cases[i].count) fail_msg("%s: %u", cases[i].name, count);
    }
    sk_arena_free(&arena);
}

static void max_forwards(void **state) {
    static const struct {
        const char *name, *before, *after; /* after NULL: it ends here */
    } cases[] = {
        {"none", "A: b\n", "A: b\n"},
        {"RFC 9110 7.6.2: counted down", "Max-Forwards: 10\nA: b\n", "A: b\nmax-forwards: 9\n"},
        {"RFC 9110 7.6.2: the last one", "Max-Forwards: 1\n", "max-forwards: 0\n"},
        {"RFC 9110 7.6.2: not forwarded at zero", "Max-Forwards: 0\n", NULL},
        {"RFC 9110 7.6.2: leading zeros", "Max-Forwards: 000\n", NULL},
        {"RFC 9110 7.6.2: over 64 bits", "Max-Forwards: 99999999999999999999999\n",
         "max-forwards: 18446744073709551614\n"},
        {"what is no number passes", "Max-Forwards: x\n", "Max-Forwards: x\n"},
    };
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_fields fields = fields_of(&arena, cases[i].before);
        if (http_forward_ends_here(&fields) != !cases[i].after) fail_msg("%s: ends", cases[i].name);
        sk_err err = http_forward_count_down(&fields, &arena);
        if (!cases[i].after) {
            assert_int_equal(err, SK_ERR_END);
            continue;
        }
        assert_ok(err);
        const char *after = lines_of(&arena, &fields);
        if (strcmp(after, cases[i].after) != 0) fail_msg("%s: %s", cases[i].name, after);
    }
    sk_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hop_by_hop_fields),
        cmocka_unit_test(who_asked),
        cmocka_unit_test(loops),
        cmocka_unit_test(max_forwards),
    };
    return SK_RUN_TESTS(tests);
}
