/* Request heads: what is refused and with which reason, what is accepted and how it is understood. */
#include "h1_cases.h"

static struct wire_h1_limits limits;

struct refused_case {
    const char *name;
    sk_str input;
    enum wire_h1_refusal refusal;
};
#define HEAD(text) SK_STR_INIT(text)
#define REFUSED(name, text, refusal) {name, SK_STR_INIT(text), WIRE_H1_REFUSAL_##refusal}
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

/* Heads that two parties might read differently, and heads that are no HTTP at all. */
static const struct refused_case refused_cases[] = {
    /* both ways to frame */
    REFUSED("RFC 9112 6.1: Content-Length and chunked",
            POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", LENGTH_AND_CHUNKED),
    REFUSED("RFC 9112 6.1: chunked and Content-Length",
            POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", LENGTH_AND_CHUNKED),
    REFUSED("RFC 9112 6.1: both, in capitals", POST "CONTENT-LENGTH: 5\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n",
            LENGTH_AND_CHUNKED),
    REFUSED("RFC 9112 6.1: both, the length zero",
            POST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", LENGTH_AND_CHUNKED),
    REFUSED("RFC 9112 6.1: both, on a GET", GET "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            LENGTH_AND_CHUNKED),
    REFUSED("RFC 9112 6.1: both, the coding unknown",
            POST "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n", LENGTH_AND_CHUNKED),

    /* Content-Length */
    REFUSED("RFC 9112 6.3: two lengths that differ", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
            LENGTH_REPEATED),
    REFUSED("RFC 9112 6.3: two lengths that agree", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
            LENGTH_REPEATED),
    REFUSED("RFC 9112 6.3: two lengths apart", POST "Content-Length: 5\r\nX: y\r\ncontent-length: 6\r\n\r\n",
            LENGTH_REPEATED),
    REFUSED("RFC 9110 8.6: a list of equal lengths", POST "Content-Length: 5, 5\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: a list without space", POST "Content-Length: 5,5\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: a list of different lengths", POST "Content-Length: 5, 6\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: plus sign", POST "Content-Length: +5\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: minus sign", POST "Content-Length: -5\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: minus zero", POST "Content-Length: -0\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: hexadecimal", POST "Content-Length: 0x5\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: hexadecimal digits", POST "Content-Length: 1f\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: a fraction", POST "Content-Length: 5.0\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: an exponent", POST "Content-Length: 5e1\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: inner space", POST "Content-Length: 5 5\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: a vertical tab before it", POST "Content-Length: \v5\r\n\r\n", FIELD_VALUE),
    REFUSED("RFC 9110 8.6: a form feed after it", POST "Content-Length: 5\f\r\n\r\n", FIELD_VALUE),
    REFUSED("RFC 9110 8.6: a no-break space before it",
            POST "Content-Length: \xa0"
                 "5\r\n\r\n",
            LENGTH_INVALID),
    REFUSED("a tab after a length, which llhttp refuses", POST "Content-Length: 5\t\r\n\r\n", FIELD_VALUE),
    REFUSED("RFC 9110 8.6: quoted", POST "Content-Length: \"5\"\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: empty", POST "Content-Length:\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: only space", POST "Content-Length:  \r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: a word", POST "Content-Length: five\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: with a parameter", POST "Content-Length: 5;x\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: over 63 bits", POST "Content-Length: 9223372036854775808\r\n\r\n", LENGTH_INVALID),
    REFUSED("RFC 9110 8.6: over 64 bits", POST "Content-Length: 18446744073709551621\r\n\r\n",
            LENGTH_INVALID),
    REFUSED(
        "RFC 9110 8.6: a hundred nines",
        POST
        "Content-Length: 9999999999999999999999999999999999999999999999999999999999999999999999999999999999"
        "999999999999999999\r\n\r\n",
        LENGTH_INVALID),

    /* Transfer-Encoding */
    REFUSED("RFC 9112 6.1: Transfer-Encoding in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", TRANSFER_ENCODING_1_0),
    REFUSED("RFC 9112 6.3: identity", POST "Transfer-Encoding: identity\r\n\r\n", TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.3: xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n", TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.3: chunkedx", POST "Transfer-Encoding: chunkedx\r\n\r\n", TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.3: gzip alone", POST "Transfer-Encoding: gzip\r\n\r\n", TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.3: chunked is not last", POST "Transfer-Encoding: chunked, gzip\r\n\r\n",
            TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.3: chunked, identity", POST "Transfer-Encoding: chunked, identity\r\n\r\n",
            TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.1: chunked twice", POST "Transfer-Encoding: chunked, chunked\r\n\r\n",
            TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.1: chunked twice, in two lines",
            POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.1: chunked and another line",
            POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.1: another line and chunked",
            POST "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n\r\n", TRANSFER_ENCODING),
    REFUSED("RFC 9112 7: chunked has no parameters", POST "Transfer-Encoding: chunked;q=1\r\n\r\n",
            TRANSFER_ENCODING),
    REFUSED("RFC 9112 7: quoted", POST "Transfer-Encoding: \"chunked\"\r\n\r\n", TRANSFER_ENCODING),
    REFUSED("RFC 9112 7: a vertical tab before it", POST "Transfer-Encoding: \vchunked\r\n\r\n", FIELD_VALUE),
    REFUSED("RFC 9112 7: empty", POST "Transfer-Encoding:\r\n\r\n", TRANSFER_ENCODING),
    REFUSED("RFC 9112 7: only a comma", POST "Transfer-Encoding: ,\r\n\r\n", TRANSFER_ENCODING),
    REFUSED("RFC 9112 7: chunked with empty elements", POST "Transfer-Encoding: ,chunked\r\n\r\n",
            TRANSFER_ENCODING),
    REFUSED("RFC 9112 6.1: a coding we do not know before chunked",
            POST "Transfer-Encoding: gzip, chunked\r\n\r\n", TRANSFER_CODING),

    /* field lines */
    REFUSED("RFC 9112 5.1: space before the colon", POST "Content-Length : 5\r\n\r\n",
            FIELD_SPACE_BEFORE_COLON),
    REFUSED("RFC 9112 5.1: tab before the colon", POST "Transfer-Encoding\t: chunked\r\n\r\n",
            FIELD_SPACE_BEFORE_COLON),
    REFUSED("RFC 9112 5.1: space inside the name", GET "Content Length: 5\r\n\r\n", FIELD_NAME),
    REFUSED("RFC 9112 5: no colon", GET "Content-Length\r\n\r\n", FIELD_NAME),
    REFUSED("RFC 9112 5: an empty name", GET ": 5\r\n\r\n", FIELD_NAME),
    REFUSED("RFC 9110 5.1: a name with a slash", GET "X/Y: 5\r\n\r\n", FIELD_NAME),
    REFUSED("RFC 9110 5.1: a name with a byte over 0x7f", GET "X\xe4: 5\r\n\r\n", FIELD_NAME),
    REFUSED("RFC 9110 5.1: a name in quotes", GET "\"Content-Length\": 5\r\n\r\n", FIELD_NAME),
    REFUSED("RFC 9110 5.1: a control byte in a name", GET "Content\x01Length: 5\r\n\r\n", FIELD_NAME),
    REFUSED("RFC 9110 5.1: a pseudo field", GET ":authority: b\r\n\r\n", FIELD_NAME),
    REFUSED("RFC 9112 5.2: a folded line", GET "X: y\r\n z\r\n\r\n", OBS_FOLD),
    REFUSED("RFC 9112 5.2: folded with a tab", GET "X: y\r\n\tz\r\n\r\n", OBS_FOLD),
    REFUSED("RFC 9112 5.2: a folded coding", POST "Transfer-Encoding:\r\n chunked\r\n\r\n", OBS_FOLD),
    REFUSED("RFC 9112 5.2: a hidden length", GET "X: y\r\n Content-Length: 5\r\n\r\n", OBS_FOLD),
    REFUSED("RFC 9112 2.2: white space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            OBS_FOLD),
    REFUSED("RFC 9110 5.5: NUL in a value", GET "X: a\0b\r\n\r\n", NUL),
    REFUSED("RFC 9110 5.5: NUL in a name", GET "X\0: a\r\n\r\n", NUL),
    REFUSED("RFC 9110 5.5: a control byte in a value", GET "X: a\x01\r\n\r\n", FIELD_VALUE),
    REFUSED("RFC 9110 5.5: DEL in a value",
            GET "X: a\x7f"
                "b\r\n\r\n",
            FIELD_VALUE),
    REFUSED("RFC 9112 2.2: bare CR in a value", GET "X: a\rContent-Length: 5\r\n\r\n", BARE_CR),
    REFUSED("RFC 9112 2.2: bare CR in a name", GET "X\rY: a\r\n\r\n", BARE_CR),
    REFUSED("RFC 9112 2.2: CR CR LF", GET "X: a\r\r\n\r\n", BARE_CR),
    REFUSED("RFC 9112 2.2: bare CR before the end", GET "X: a\r\n\r\r\n\r\n", BARE_CR),
    REFUSED("RFC 9112 2.2: bare LF ends a line", "GET / HTTP/1.1\nHost: a\r\n\r\n", BARE_LF),
    REFUSED("RFC 9112 2.2: bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", BARE_LF),
    REFUSED("RFC 9112 2.2: bare LF at the end", GET "\n", BARE_LF),
    REFUSED("RFC 9112 2.2: bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", BARE_LF),
    REFUSED("RFC 9112 2.2: bare LF in a value", GET "X: a\nContent-Length: 5\r\n\r\n", BARE_LF),
    REFUSED("RFC 9112 2.2: bare LF before the request", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BARE_LF),
    REFUSED("RFC 9112 2.2: more than two empty lines first", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            REQUEST_LINE),

    /* request line */
    REFUSED("RFC 9112 3: no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", REQUEST_LINE),
    REFUSED("RFC 9112 3: no version (HTTP/0.9)", "GET /\r\n\r\n", REQUEST_LINE),
    REFUSED("RFC 9112 3: a word alone", "GET\r\nHost: a\r\n\r\n", REQUEST_LINE),
    REFUSED("RFC 9112 3: two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", REQUEST_LINE),
    REFUSED("RFC 9112 3: two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", REQUEST_LINE),
    REFUSED("RFC 9112 3: space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", REQUEST_LINE),
    REFUSED("RFC 9112 3: space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", REQUEST_LINE),
    REFUSED("RFC 9112 3: a tab for the space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", METHOD),
    REFUSED("RFC 9112 3: space first", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", REQUEST_LINE),
    REFUSED("RFC 9112 3: two requests in a line", "GET / HTTP/1.1 GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            REQUEST_LINE),
    REFUSED("RFC 9112 2.3: lower-case http", "GET / http/1.1\r\nHost: a\r\n\r\n", REQUEST_LINE),
    REFUSED("RFC 9112 2.3: two digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", REQUEST_LINE),
    REFUSED("RFC 9112 2.3: no digits", "GET / HTTP/x.y\r\nHost: a\r\n\r\n", REQUEST_LINE),
    REFUSED("RFC 9112 2.3: another protocol", "GET / RTSP/1.0\r\nHost: a\r\n\r\n", REQUEST_LINE),
    REFUSED("RFC 9110 2.5: HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", VERSION),
    REFUSED("RFC 9113 3.4: the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION),
    REFUSED("RFC 9110 2.5: HTTP/0.9 by name", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", VERSION),
    REFUSED("RFC 9110 9.1: a method with a byte that is no tchar", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
            METHOD),
    REFUSED("RFC 9110 9.1: a method with a colon", "Host: a\r\n\r\n", METHOD),
    REFUSED("RFC 9110 9.1: a method over 32 bytes",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n", METHOD),
    REFUSED("RFC 9110 9.3.6: CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", CONNECT),
    REFUSED("RFC 9112 3.2: NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", NUL),
    REFUSED("RFC 9112 3.2: bare CR in the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", BARE_CR),
    REFUSED("RFC 9112 3.2: no slash", "GET index.html HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    REFUSED("RFC 9112 3.2.3: authority-form without CONNECT", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    REFUSED("RFC 9112 3.2.4: asterisk without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    REFUSED("RFC 9112 3.2.4: asterisk and more", "OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    REFUSED("RFC 9112 3.2: a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    REFUSED("RFC 3986 2: a byte over 0x7f", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    REFUSED("RFC 3986 2: a control byte", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    REFUSED("RFC 3986 2: angle brackets", "GET /<script> HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    REFUSED("RFC 9112 3.2.2: another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    REFUSED("RFC 9112 3.2.2: one slash", "GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    REFUSED("RFC 9110 4.2.1: no host", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),
    REFUSED("RFC 9110 4.2.4: userinfo", "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", TARGET),

    /* Host */
    REFUSED("RFC 9112 3.2: no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", HOST_MISSING),
    REFUSED("RFC 9112 3.2: no fields at all", "GET / HTTP/1.1\r\n\r\n", HOST_MISSING),
    REFUSED("RFC 9112 3.2: no Host beside absolute-form", "GET http://a/ HTTP/1.1\r\nX: y\r\n\r\n",
            HOST_MISSING),
    REFUSED("RFC 9112 3.2: two that differ", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", HOST_REPEATED),
    REFUSED("RFC 9112 3.2: two that agree", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HOST_REPEATED),
    REFUSED("RFC 9112 3.2: two in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", HOST_REPEATED),
    REFUSED("RFC 9112 3.2: empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", HOST_INVALID),
    REFUSED("RFC 9110 7.2: with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", HOST_INVALID),
    REFUSED("RFC 9110 7.2: with userinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", HOST_INVALID),
    REFUSED("RFC 9110 7.2: a list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", HOST_INVALID),
    REFUSED("RFC 9110 7.2: with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", HOST_INVALID),
    REFUSED("RFC 9110 7.2: a word for the port", "GET / HTTP/1.1\r\nHost: a:http\r\n\r\n", HOST_INVALID),
    REFUSED("RFC 9110 7.2: a port over 65535", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", HOST_INVALID),
    REFUSED("RFC 9110 7.2: two ports", "GET / HTTP/1.1\r\nHost: a:80:81\r\n\r\n", HOST_INVALID),
    REFUSED("RFC 9110 7.2: an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", HOST_INVALID),
    REFUSED("RFC 9112 3.2.2: another host", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", HOST_DISAGREES),
    REFUSED("RFC 9112 3.2.2: another port", "GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n", HOST_DISAGREES),
    REFUSED("RFC 9112 3.2.2: a subdomain", "GET http://a.b/ HTTP/1.1\r\nHost: b\r\n\r\n", HOST_DISAGREES),
    REFUSED("RFC 9112 3.2.2: https and port 80", "GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n",
            HOST_DISAGREES),

    /* Connection, Upgrade, Expect */
    REFUSED("RFC 9110 7.6.1: an option that is no token", GET "Connection: a b\r\n\r\n", UPGRADE_INVALID),
    REFUSED("RFC 9110 7.6.1: more options than anybody needs",
            GET "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n\r\n",
            UPGRADE_INVALID),
    REFUSED("RFC 9110 7.8: an empty Upgrade", GET "Connection: upgrade\r\nUpgrade:\r\n\r\n", UPGRADE_INVALID),
    REFUSED("RFC 9110 7.8: two Upgrades",
            GET "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n", UPGRADE_INVALID),
    REFUSED("RFC 9110 7.8: no token", GET "Connection: upgrade\r\nUpgrade: a b\r\n\r\n", UPGRADE_INVALID),
    REFUSED("RFC 9110 10.1.1: an unknown expectation", POST "Content-Length: 5\r\nExpect: 200-ok\r\n\r\n",
            EXPECTATION),

    /* no HTTP at all */
    REFUSED("a TLS hello on a plain port", "\x16\x03\x01\x02\x01", REQUEST_LINE),
    REFUSED("NUL bytes", "\0\0\0\0", REQUEST_LINE),
    REFUSED("SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n", REQUEST_LINE),
    REFUSED("the PROXY protocol where none was agreed", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n\r\n",
            REQUEST_LINE),
};

static enum wire_h1_refusal refusal_of(sk_str input, size_t cut, size_t step) {
    struct wire_h1_parser parser;
    struct sk_arena arena;
    struct http_request request;
    size_t bytes;
    wire_h1_parser_init(&parser);
    sk_arena_init(&arena, 4096, 0);
    enum wire_h1_result result = offer_request(&parser, &limits, input, cut, step, &arena, &request, &bytes);
    sk_arena_free(&arena);
    return result == WIRE_H1_REFUSED ? parser.refusal : WIRE_H1_REFUSAL_NONE;
}

static void refused_with_the_same_reason_however_it_is_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < SK_COUNT(refused_cases); i++) {
        const struct refused_case *c = &refused_cases[i];
        for (size_t cut = 0; cut <= c->input.len; cut++) {
            enum wire_h1_refusal got = refusal_of(c->input, cut, c->input.len);
            if (got != c->refusal) fail_msg("%s, cut at %zu: %s", c->name, cut, wire_h1_refusal_text(got));
        }
        enum wire_h1_refusal got = refusal_of(c->input, 0, 1);
        if (got != c->refusal) fail_msg("%s, byte by byte: %s", c->name, wire_h1_refusal_text(got));
    }
}

/* ---- limits ------------------------------------------------------------------------------------------ */

/* "GET /aaa... HTTP/1.1" with a target of BYTES. */
static sk_str head_with_target(struct sk_arena *arena, size_t bytes) {
    char *target = sk_arena_alloc(arena, bytes);
    assert_non_null(target);
    memset(target, 'a', bytes);
    target[0] = '/';
    return sk_arena_printf(arena, "GET %.*s HTTP/1.1\r\nHost: a\r\n\r\n", (int)bytes, target);
}

static sk_str head_with_fields(struct sk_arena *arena, size_t count, size_t value_bytes) {
    struct sk_buf buf;
    char *value = sk_arena_alloc(arena, value_bytes + 1);
    assert_non_null(value);
    memset(value, 'v', value_bytes);
    sk_buf_init(&buf, 0);
    assert_ok(sk_buf_append(&buf, SK_STR("GET / HTTP/1.1\r\nHost: a\r\n")));
    for (size_t i = 1; i < count; i++)
        assert_ok(sk_buf_printf(&buf, "X%zu: %.*s\r\n", i, (int)value_bytes, value));
    assert_ok(sk_buf_append(&buf, SK_STR("\r\n")));
    sk_str head = sk_arena_copy(arena, sk_buf_str(&buf));
    sk_buf_free(&buf);
    return head;
}

static void limits_hold_to_the_byte(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 65536, 0);
    struct {
        const char *name;
        sk_str input;
        enum wire_h1_refusal refusal;
    } cases[] = {
        {"RFC 9112 3: a target at the limit", head_with_target(&arena, limits.target_bytes),
         WIRE_H1_REFUSAL_NONE},
        {"RFC 9112 3: 414 over it", head_with_target(&arena, limits.target_bytes + 1),
         WIRE_H1_REFUSAL_TARGET_TOO_LONG},
        {"RFC 9112 3: 414 far over it", head_with_target(&arena, limits.target_bytes + 5000),
         WIRE_H1_REFUSAL_TARGET_TOO_LONG},
        {"RFC 6585 5: fields at the limit", head_with_fields(&arena, limits.field_count, 1),
         WIRE_H1_REFUSAL_NONE},
        {"RFC 6585 5: 431 over it", head_with_fields(&arena, limits.field_count + 1, 1),
         WIRE_H1_REFUSAL_TOO_MANY_FIELDS},
        {"RFC 6585 5: 431 for a large head", head_with_fields(&arena, 2, limits.head_bytes),
         WIRE_H1_REFUSAL_HEAD_TOO_LARGE},
        {"RFC 6585 5: a large head below the limit", head_with_fields(&arena, 2, limits.head_bytes - 40),
         WIRE_H1_REFUSAL_NONE},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        for (size_t cut = 0; cut <= cases[i].input.len; cut += 509) {
            enum wire_h1_refusal got = refusal_of(cases[i].input, cut, cases[i].input.len);
            if (got != cases[i].refusal)
                fail_msg("%s, cut at %zu: %s", cases[i].name, cut, wire_h1_refusal_text(got));
        }
    }
    sk_arena_free(&arena);
}

static void endless_heads_are_refused_before_they_end(void **state) {
    struct sk_arena arena;
    (void)state;
    sk_arena_init(&arena, 65536, 0);
    sk_str target = head_with_target(&arena, limits.target_bytes + 5000);
    sk_str fields = head_with_fields(&arena, 2, limits.head_bytes + 10);
    sk_str method = head_with_target(&arena, limits.target_bytes + 5000);
    assert_int_equal(refusal_of(sk_str_slice(target, 0, limits.target_bytes + 200), 0, 100),
                     WIRE_H1_REFUSAL_TARGET_TOO_LONG);
    assert_int_equal(refusal_of(sk_str_slice(fields, 0, limits.head_bytes), 0, 1000),
                     WIRE_H1_REFUSAL_HEAD_TOO_LARGE);
    assert_int_equal(refusal_of(sk_str_slice(fields, 0, limits.head_bytes - 1), 0, 1000),
                     WIRE_H1_REFUSAL_NONE);
    method = sk_str_slice(method, 5, method.len - 100); /* a thousand letters and no space */
    assert_int_equal(refusal_of(method, 0, 100), WIRE_H1_REFUSAL_METHOD);
    sk_arena_free(&arena);
}

static void a_full_arena_refuses_the_head(void **state) {
    struct wire_h1_parser parser;
    struct sk_arena arena;
    struct http_request request;
    size_t bytes;
    (void)state;
    wire_h1_parser_init(&parser);
    sk_arena_init(&arena, 256, 256);
    assert_int_equal(wire_h1_parse_request(&parser, &limits, SK_STR(GET "\r\n"), &arena, &request, &bytes),
                     WIRE_H1_REFUSED);
    assert_int_equal(parser.refusal, WIRE_H1_REFUSAL_HEAD_TOO_LARGE);
    sk_arena_free(&arena);
}

/* ---- what is accepted -------------------------------------------------------------------------------- */

struct accepted_case {
    const char *name;
    sk_str input;
    enum http_method method;
    enum http_version version;
    sk_str target, path, query, authority, scheme, upgrade;
    enum http_body_kind body;
    uint64_t length;
    bool keep_alive, expect;
    uint32_t fields;
};
#define S(text) SK_STR_INIT(text)

static const struct accepted_case accepted_cases[] = {
    {"RFC 9112 3.2.1: origin-form", S("GET /a/b?c=d HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n"),
     HTTP_METHOD_GET, HTTP_1_1, S("/a/b?c=d"), S("/a/b"), S("c=d"), S("example.org"), .keep_alive = true,
     .fields = 2},
    {"RFC 9112 3.2.1: an empty query is there", S("GET /? HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_METHOD_GET,
     HTTP_1_1, S("/?"), S("/"), S(""), S("a"), .keep_alive = true, .fields = 1},
    {"RFC 9112 3.2.1: two slashes are no authority",
     S("GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_1,
     S("//b/c"),
     S("//b/c"),
     {NULL, 0},
     S("a"),
     .keep_alive = true,
     .fields = 1},
    {"RFC 9112 3.2.2: absolute-form becomes origin-form",
     S("GET HTTP://A:80/b?c HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_METHOD_GET, HTTP_1_1, S("/b?c"), S("/b"),
     S("c"), S("A:80"), S("http"), .keep_alive = true, .fields = 1},
    {"RFC 9112 3.2.2: https",
     S("GET https://a HTTP/1.1\r\nHost: a:443\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     S("https"),
     .keep_alive = true,
     .fields = 1},
    {"RFC 9112 3.2.2: absolute-form with a query alone", S("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n"),
     HTTP_METHOD_GET, HTTP_1_1, S("/?b"), S("/"), S("b"), S("a"), S("http"), .keep_alive = true, .fields = 1},
    {"RFC 9112 3.2.4: asterisk-form",
     S("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
     HTTP_METHOD_OPTIONS,
     HTTP_1_1,
     S("*"),
     S("*"),
     {NULL, 0},
     S("a"),
     .keep_alive = true,
     .fields = 1},
    {"RFC 9112 3.2.4: OPTIONS of a whole server",
     S("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n"),
     HTTP_METHOD_OPTIONS,
     HTTP_1_1,
     S("*"),
     S("*"),
     {NULL, 0},
     S("a"),
     S("http"),
     .keep_alive = true,
     .fields = 1},
    {"RFC 9112 3.2.4: OPTIONS of the root",
     S("OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
     HTTP_METHOD_OPTIONS,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     S("http"),
     .keep_alive = true,
     .fields = 1},
    {"RFC 9110 7.2: a port and an IPv6 address",
     S("GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("[2001:db8::1]:8080"),
     .keep_alive = true,
     .fields = 1},
    {"RFC 9110 9.1: a method that nobody registered",
     S("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n"),
     HTTP_METHOD_OTHER,
     HTTP_1_1,
     S("/pot"),
     S("/pot"),
     {NULL, 0},
     S("a"),
     .keep_alive = true,
     .fields = 1},
    {"RFC 9110 9.1: methods are case-sensitive",
     S("get / HTTP/1.1\r\nHost: a\r\n\r\n"),
     HTTP_METHOD_OTHER,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = true,
     .fields = 1},
    {"a method that llhttp treats in its own way",
     S("SOURCE / HTTP/1.1\r\nHost: a\r\n\r\n"),
     HTTP_METHOD_OTHER,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = true,
     .fields = 1},
    {"PURGE",
     S("PURGE /a HTTP/1.1\r\nHost: a\r\n\r\n"),
     HTTP_METHOD_PURGE,
     HTTP_1_1,
     S("/a"),
     S("/a"),
     {NULL, 0},
     S("a"),
     .keep_alive = true,
     .fields = 1},
    {"bytes that browsers send raw", S("GET /a|b^`{}\"\\?c[]=1 HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_METHOD_GET,
     HTTP_1_1, S("/a|b^`{}\"\\?c[]=1"), S("/a|b^`{}\"\\"), S("c[]=1"), S("a"), .keep_alive = true,
     .fields = 1},
    {"RFC 9110 2.5: HTTP/1.2 is read as 1.1",
     S("GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = true,
     .fields = 1},
    {"RFC 9112 2.2: empty lines before it are skipped",
     S("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = true,
     .fields = 1},
    {"RFC 9112 3.2: HTTP/1.0 may have no Host",
     S("GET / HTTP/1.0\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_0,
     S("/"),
     S("/"),
     {NULL, 0},
     {NULL, 0},
     .keep_alive = false,
     .fields = 0},
    {"RFC 9112 9.3: HTTP/1.0 closes by default",
     S("GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_0,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = false,
     .fields = 1},
    {"RFC 9112 9.3: HTTP/1.0 with keep-alive",
     S("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_0,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = true,
     .fields = 2},
    {"RFC 9112 9.3: close",
     S(GET "Connection: close\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = false,
     .fields = 2},
    {"RFC 9112 9.3: close wins over keep-alive",
     S(GET "Connection: keep-alive, close\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = false,
     .fields = 2},
    {"RFC 9112 9.3: close wins in any order",
     S(GET "Connection: Close\r\nConnection: keep-alive\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = false,
     .fields = 3},
    {"RFC 9112 9.3: close wins in HTTP/1.0",
     S("GET / HTTP/1.0\r\nHost: a\r\nConnection: close, keep-alive\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_0,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = false,
     .fields = 2},
    {"RFC 9112 6.3: neither length nor coding means no content",
     S(POST "\r\n"),
     HTTP_METHOD_POST,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = true,
     .fields = 1},
    {"RFC 9112 6.3: a length",
     S(POST "Content-Length: 5\r\n\r\n"),
     HTTP_METHOD_POST,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .body = HTTP_BODY_LENGTH,
     .length = 5,
     .keep_alive = true,
     .fields = 2},
    {"RFC 9110 5.5: white space around a length is none of it",
     S(POST "Content-Length: \t 5 \r\n\r\n"),
     HTTP_METHOD_POST,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .body = HTTP_BODY_LENGTH,
     .length = 5,
     .keep_alive = true,
     .fields = 2},
    {"RFC 9110 8.6: leading zeros",
     S(POST "Content-Length: 0005\r\n\r\n"),
     HTTP_METHOD_POST,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .body = HTTP_BODY_LENGTH,
     .length = 5,
     .keep_alive = true,
     .fields = 2},
    {"RFC 9110 8.6: the greatest length",
     S(POST "Content-Length: 9223372036854775807\r\n\r\n"),
     HTTP_METHOD_POST,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .body = HTTP_BODY_LENGTH,
     .length = INT64_MAX,
     .keep_alive = true,
     .fields = 2},
    {"RFC 9112 6.3: chunked",
     S(POST "Transfer-Encoding: Chunked\r\n\r\n"),
     HTTP_METHOD_POST,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .body = HTTP_BODY_CHUNKED,
     .keep_alive = true,
     .fields = 2},
    {"RFC 9110 9.3.1: a GET may have content",
     S(GET "Content-Length: 5\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .body = HTTP_BODY_LENGTH,
     .length = 5,
     .keep_alive = true,
     .fields = 2},
    {"RFC 9110 10.1.1: 100-continue",
     S(POST "Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n"),
     HTTP_METHOD_POST,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .body = HTTP_BODY_LENGTH,
     .length = 5,
     .keep_alive = true,
     .expect = true,
     .fields = 3},
    {"RFC 9110 10.1.1: ignored without content",
     S(GET "Expect: 100-continue\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = true,
     .fields = 2},
    {"RFC 9110 10.1.1: ignored in HTTP/1.0",
     S("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"),
     HTTP_METHOD_POST,
     HTTP_1_0,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .body = HTTP_BODY_LENGTH,
     .length = 5,
     .fields = 3},
    {"RFC 9110 7.8: an upgrade",
     S(GET "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .upgrade = S("websocket"),
     .keep_alive = true,
     .fields = 3},
    {"RFC 9110 7.8: Upgrade that Connection does not name",
     S(GET "Upgrade: websocket\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_1,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .keep_alive = true,
     .fields = 2},
    {"RFC 9110 7.8: ignored in HTTP/1.0",
     S("GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
     HTTP_METHOD_GET,
     HTTP_1_0,
     S("/"),
     S("/"),
     {NULL, 0},
     S("a"),
     .fields = 3},
};

static void assert_accepted(const struct accepted_case *c, const struct http_request *request) {
    assert_int_equal(request->method, c->method);
    assert_int_equal(request->version, c->version);
    assert_str(request->target, c->target);
    assert_str(request->path, c->path);
    assert_str(request->query, c->query);
    assert_int_equal(request->query.data != NULL, c->query.data != NULL);
    assert_str(request->authority, c->authority);
    assert_str(request->scheme, c->scheme);
    assert_str(request->upgrade, c->upgrade);
    assert_int_equal(request->body_kind, c->body);
    assert_int_equal(request->content_length, c->length);
    assert_int_equal(request->keep_alive, c->keep_alive);
    assert_int_equal(request->expect_continue, c->expect);
    assert_int_equal(request->fields.count, c->fields);
}

static void accepted_and_understood_however_it_is_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < SK_COUNT(accepted_cases); i++) {
        const struct accepted_case *c = &accepted_cases[i];
        for (size_t cut = 0; cut <= c->input.len; cut++) {
            struct wire_h1_parser parser;
            struct sk_arena arena;
            struct http_request request;
            size_t bytes = 0;
            wire_h1_parser_init(&parser);
            sk_arena_init(&arena, 4096, 0);
            enum wire_h1_result result = offer_request(&parser, &limits, c->input, cut,
                                                       cut % 2 ? 1 : c->input.len, &arena, &request, &bytes);
            if (result != WIRE_H1_HEAD) fail_msg("%s: %s", c->name, wire_h1_refusal_text(parser.refusal));
            assert_int_equal(bytes, c->input.len);
            assert_accepted(c, &request);
            assert_int_equal(wire_h1_message_done(&parser), c->body == HTTP_BODY_NONE);
            sk_arena_free(&arena);
        }
    }
}

static void fields_have_ids_and_trimmed_values(void **state) {
    struct wire_h1_parser parser;
    struct sk_arena arena;
    struct http_request request;
    size_t bytes;
    static const struct {
        sk_str name, value;
        enum http_field_id id;
    } expected[] = {
        {S("hOST"), S("a"), HTTP_FIELD_HOST},
        {S("Accept"), S("text/html,  */*"), HTTP_FIELD_ACCEPT},
        {S("X-Empty"), S(""), HTTP_FIELD_UNKNOWN},
        {S("Cookie"), S("a=\xc3\xa4; b"), HTTP_FIELD_COOKIE},
        {S("Connection"), S("keep-alive"), HTTP_FIELD_CONNECTION},
        {S("X-Colons"), S(":a:b:"), HTTP_FIELD_UNKNOWN},
        {S("X-Tab"), S("a\tb"), HTTP_FIELD_UNKNOWN},
    };
    sk_str input = SK_STR(
        "GET / HTTP/1.1\r\nhOST: a\r\nAccept:text/html,  */*  \t\r\nX-Empty:   \r\n"
        "Cookie: a=\xc3\xa4; b\r\nConnection: keep-alive \r\nX-Colons: :a:b:\r\nX-Tab: a\tb\r\n\r\nGET");
    (void)state;
    wire_h1_parser_init(&parser);
    sk_arena_init(&arena, 4096, 0);
    assert_int_equal(wire_h1_parse_request(&parser, &limits, input, &arena, &request, &bytes), WIRE_H1_HEAD);
    assert_int_equal(bytes, input.len - 3);
    assert_int_equal(request.fields.count, SK_COUNT(expected));
    for (size_t i = 0; i < SK_COUNT(expected); i++) {
        assert_str(request.fields.items[i].name, expected[i].name);
        assert_str(request.fields.items[i].value, expected[i].value);
        assert_int_equal(request.fields.items[i].id, expected[i].id);
    }
    sk_arena_free(&arena);
}

/* RFC 9112 9.3.2: the parser takes one head at a time and stops at its end. */
static void pipelined_requests_come_one_by_one(void **state) {
    struct wire_h1_parser parser;
    struct sk_arena arena;
    struct http_request request;
    sk_str input = SK_STR("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
                          "\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    static const sk_str targets[] = {S("/1"), S("/2"), S("/3")};
    (void)state;
    wire_h1_parser_init(&parser);
    sk_arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < SK_COUNT(targets); i++) {
        size_t bytes;
        assert_int_equal(wire_h1_parse_request(&parser, &limits, input, &arena, &request, &bytes),
                         WIRE_H1_HEAD);
        assert_str(request.target, targets[i]);
        input = sk_str_slice(input, bytes, input.len);
    }
    assert_int_equal(input.len, 0);
    sk_arena_free(&arena);
}

static void a_copy_outlives_its_input(void **state) {
    struct wire_h1_parser parser;
    struct sk_arena arena;
    struct http_request request, copy;
    size_t bytes;
    char input[] = "POST /a?b HTTP/1.1\r\nHost: h\r\nX: y\r\nConnection: upgrade\r\nUpgrade: u\r\n\r\n";
    (void)state;
    wire_h1_parser_init(&parser);
    sk_arena_init(&arena, 4096, 0);
    assert_int_equal(wire_h1_parse_request(&parser, &limits, sk_str_make(input, sizeof(input) - 1), &arena,
                                           &request, &bytes),
                     WIRE_H1_HEAD);
    assert_ok(wire_h1_request_copy(&arena, &request, &copy));
    memset(input, '!', sizeof(input));
    assert_str(copy.method_text, SK_STR("POST"));
    assert_str(copy.target, SK_STR("/a?b"));
    assert_str(copy.path, SK_STR("/a"));
    assert_str(copy.query, SK_STR("b"));
    assert_str(copy.authority, SK_STR("h"));
    assert_str(copy.upgrade, SK_STR("u"));
    assert_str(copy.fields.items[1].name, SK_STR("X"));
    assert_str(copy.fields.items[1].value, SK_STR("y"));
    assert_int_equal(copy.fields.count, 4);
    sk_arena_free(&arena);
}

static const struct {
    enum wire_h1_refusal refusal;
    uint16_t status;
    const char *text;
} refusal_table[] = {
#define X(name, status, text) {WIRE_H1_REFUSAL_##name, status, text},
    WIRE_H1_REFUSAL_TABLE(X)
#undef X
};

/* The edge answers these; a row without a status or a text would leave it without words. */
static void every_refusal_has_a_status_and_a_text(void **state) {
    (void)state;
    for (size_t i = 0; i < SK_COUNT(refusal_table); i++) {
        assert_int_equal(wire_h1_refusal_status(refusal_table[i].refusal), refusal_table[i].status);
        assert_string_equal(wire_h1_refusal_text(refusal_table[i].refusal), refusal_table[i].text);
        if (refusal_table[i].refusal == WIRE_H1_REFUSAL_NONE) continue;
        assert_in_range(refusal_table[i].status, 400, 599);
        assert_true(refusal_table[i].text[0] != '\0');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_with_the_same_reason_however_it_is_cut),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(endless_heads_are_refused_before_they_end),
        cmocka_unit_test(a_full_arena_refuses_the_head),
        cmocka_unit_test(accepted_and_understood_however_it_is_cut),
        cmocka_unit_test(fields_have_ids_and_trimmed_values),
        cmocka_unit_test(pipelined_requests_come_one_by_one),
        cmocka_unit_test(a_copy_outlives_its_input),
        cmocka_unit_test(every_refusal_has_a_status_and_a_text),
    };
    wire_h1_limits_default(&limits);
    return SK_RUN_TESTS(tests);
}
