/* One request to one origin that behaves, or does not: what arrives, which phase is named, and whether the
 * connection is used again. */
#include "script.h"

#include <signal.h>

/* Static: too large for a fiber's stack, and one test runs at a time. */
static struct answer first, second;

/* --- responses as bytes ------------------------------------------------------------------------------------ */

enum afterwards { STAY, CLOSE, RESET };

struct response_case {
    const char *behaviour, *bytes;
    enum afterwards afterwards;
    sk_err err;
    enum origin_phase phase;
    uint16_t status;
    const char *body;
    sk_err read_err;
    bool reused;             /* a second request goes over the same connection */
    enum http_method method; /* 0: GET */
};

static const struct response_case *playing;

static void play_case(struct script_connection *connection) {
    while (script_read_head(connection)) {
        script_send(connection, playing->bytes);
        if (playing->afterwards == RESET) script_reset(connection);
        if (playing->afterwards != STAY) return;
    }
}

#define OK "HTTP/1.1 200 OK\r\n"
#define HEAD_FAILS .err = SK_ERR_MALFORMED, .phase = ORIGIN_PHASE_HEAD
#define GOOD .status = 200, .read_err = SK_ERR_END

static const struct response_case response_cases[] = {
    {"RFC 9112 6.3: Content-Length", OK "Content-Length: 5\r\n\r\nhello", STAY, GOOD, .body = "hello",
     .reused = true},
    {"an empty body", OK "Content-Length: 0\r\n\r\n", STAY, GOOD, .body = "", .reused = true},
    {"RFC 9112 7.1: chunked", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
     STAY, GOOD, .body = "hello world", .reused = true},
    {"RFC 9112 6.3: until the end of the connection", OK "\r\nhello", CLOSE, GOOD, .body = "hello"},
    {"RFC 9112 9.3: Connection: close", OK "Connection: close\r\nContent-Length: 5\r\n\r\nhello", STAY, GOOD,
     .body = "hello"},
    {"HTTP/1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", CLOSE, GOOD,
     .body = "hello"},
    {"HTTP/1.0 until the end of the connection", "HTTP/1.0 200 OK\r\n\r\nhello", CLOSE, GOOD,
     .body = "hello"},
    {"HTTP/1.0 that keeps alive",
     "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", STAY, GOOD,
     .body = "hello", .reused = true},
    {"RFC 9110 15.3.5: 204 has no content", "HTTP/1.1 204 No Content\r\n\r\n", STAY, .status = 204,
     .read_err = SK_ERR_END, .body = "", .reused = true},
    {"RFC 9110 15.4.5: 304 has no content", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", STAY,
     .status = 304, .read_err = SK_ERR_END, .body = "", .reused = true},
    {"RFC 9110 9.3.2: HEAD has no content", OK "Content-Length: 5\r\n\r\n", STAY, GOOD, .body = "",
     .reused = true, .method = HTTP_METHOD_HEAD},
    {"RFC 9110 15.2.1: 100 is swallowed", "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 5\r\n\r\nhello",
     STAY, GOOD, .body = "hello", .reused = true},
    {"an error status is an answer", "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", STAY, .status = 503,
     .read_err = SK_ERR_END, .body = "no", .reused = true},

    {"cut off within its length", OK "Content-Length: 10\r\n\r\nhello", CLOSE, .status = 200, .body = "hello",
     .read_err = SK_ERR_CLOSED},
    {"reset within its length", OK "Content-Length: 10\r\n\r\nhello", RESET, .status = 200, .body = "hello",
     .read_err = SK_ERR_RESET},
    {"cut off within a chunk", OK "Transfer-Encoding: chunked\r\n\r\n9\r\nhello", CLOSE, .status = 200,
     .body = "hello", .read_err = SK_ERR_CLOSED},
    {"cut off before the last chunk", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", CLOSE,
     .status = 200, .body = "hello", .read_err = SK_ERR_CLOSED},
    {"slow within its length", OK "Content-Length: 10\r\n\r\nhello", STAY, .status = 200, .body = "hello",
     .read_err = SK_ERR_TIMEOUT},
    {"RFC 9112 7.1: a chunk size that is none", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n",
     STAY, .status = 200, .read_err = SK_ERR_MALFORMED},
    {"longer than its length: the rest is nobody's", OK "Content-Length: 5\r\n\r\nhello, world", STAY, GOOD,
     .body = "hello"},
    {"a second response that nobody asked for",
     OK "Content-Length: 5\r\n\r\nhello" OK "Content-Length: 0\r\n\r\n", STAY, GOOD, .body = "hello"},
    {"bytes after the last chunk", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nmore", STAY,
     GOOD, .body = "hello"},

    {"closed without a byte", "", CLOSE, .err = SK_ERR_CLOSED, .phase = ORIGIN_PHASE_FIRST_BYTE},
    {"reset without a byte", "", RESET, .err = SK_ERR_RESET, .phase = ORIGIN_PHASE_FIRST_BYTE},
    {"silent", "", STAY, .err = SK_ERR_TIMEOUT, .phase = ORIGIN_PHASE_FIRST_BYTE},
    {"silent within its head", OK "Content-Le", STAY, .err = SK_ERR_TIMEOUT, .phase = ORIGIN_PHASE_HEAD},
    {"closed within its head", OK "Content-Le", CLOSE, .err = SK_ERR_CLOSED, .phase = ORIGIN_PHASE_HEAD},
    {"silent after a 1xx", "HTTP/1.1 102 Processing\r\n\r\n", STAY, .err = SK_ERR_TIMEOUT,
     .phase = ORIGIN_PHASE_FIRST_BYTE},
    {"garbage", "\x16\x03\x01 this is not HTTP\r\n\r\n", STAY, HEAD_FAILS},
    {"HTTP/0.9", "<html>hello</html>\r\n\r\n", CLOSE, HEAD_FAILS},
    {"RFC 9112 6.1: both length and chunked",
     OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", STAY, HEAD_FAILS},
    {"RFC 9112 6.3: lengths that differ", OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", STAY,
     HEAD_FAILS},
    {"RFC 9110 15.2.2: a 101 that was not asked for",
     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", STAY, HEAD_FAILS},
};

static void tell_case(struct story *story) {
    bool head = playing->method == HTTP_METHOD_HEAD;
    struct http_request request =
        head ? story_request(HTTP_METHOD_HEAD, "HEAD") : story_request(HTTP_METHOD_GET, "GET");
    struct origin_request asked = {.group = story->group, .request = &request};
    ask_as(story, &asked, &first);
    ask_as(story, &asked, &second);
}

static void test_responses(void **state) {
    for (size_t i = 0; i < SK_COUNT(response_cases); i++) {
        const struct response_case *c = playing = &response_cases[i];
        struct story story = story_new();
        struct script_server server;
        if (c->err == SK_ERR_TIMEOUT || c->read_err == SK_ERR_TIMEOUT) story_impatient(&story);
        script_start(&server, "127.0.0.1", play_case, NULL);
        story_origin(&story, "http", "127.0.0.1", server.port);
        story_run(&story, tell_case);
        int connections = server.accepted;
        script_stop(&server);
        if (first.err != c->err || first.result.phase != c->phase || first.status != c->status)
            fail_msg("%s: %s, %s, status %u", c->behaviour, sk_err_name(first.err),
                     origin_phase_text(first.result.phase), first.status);
        if (first.read_err != c->read_err)
            fail_msg("%s: body ends with %s", c->behaviour, sk_err_name(first.read_err));
        if (c->body && !sk_str_eq(sk_str_make(first.body, first.bytes), sk_str_from_c(c->body)))
            fail_msg("%s: body \"%.*s\"", c->behaviour, (int)first.bytes, first.body);
        if (connections != (c->reused ? 1 : 2)) fail_msg("%s: %d connections", c->behaviour, connections);
        if (second.err != first.err || second.read_err != first.read_err)
            fail_msg("%s: not the same again: %s", c->behaviour, sk_err_name(second.err));
        assert_int_equal(first.result.tries, 1);
    }
}

/* --- heads --------------------------------------------------------------------------------------------------- */

static void play_endless_head(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    script_send(connection, OK);
    for (int i = 0; i < 100000; i++)
        if (!script_send(connection,
                         "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"))
            return;
}

static void play_one_long_field(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    script_send(connection, OK "X-Filler: ");
    while (script_send(connection,
                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")) {
    }
}

static void play_endless_informational(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    while (script_send(connection, "HTTP/1.1 102 Processing\r\n\r\n")) {
    }
}

static void tell_one(struct story *story) { ask(story, &first); }

static void run_with(struct story *story, script_play *play, void (*tell)(struct story *story)) {
    struct script_server server;
    script_start(&server, "127.0.0.1", play, NULL);
    story_origin(story, "http", "127.0.0.1", server.port);
    story_run(story, tell);
    script_stop(&server);
}

static void run_alone(script_play *play, void (*tell)(struct story *story)) {
    struct story story = story_new();
    run_with(&story, play, tell);
}

static void run_impatient(script_play *play, void (*tell)(struct story *story)) {
    struct story story = story_new();
    story_impatient(&story);
    run_with(&story, play, tell);
}

static void test_endless_heads(void **state) {
    run_alone(play_endless_head, tell_one);
    assert_int_equal(first.err, SK_ERR_TOO_LARGE);
    assert_int_equal(first.result.phase, ORIGIN_PHASE_HEAD);
    run_alone(play_one_long_field, tell_one);
    assert_int_equal(first.err, SK_ERR_TOO_LARGE);
    run_alone(play_endless_informational, tell_one);
    assert_int_equal(first.err, SK_ERR_MALFORMED);
    assert_string_equal(first.result.detail, "too many informational responses");
}

/* One byte a tenth of a second: each wait is short, but the head as a whole comes too late. */
static void play_dribbling_head(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    const char *text = OK "Content-Length: 0\r\n\r\n";
    for (const char *at = text; *at && script_send_bytes(connection, at, 1); at++) script_sleep_ms(100);
}

static void test_dribbling_head(void **state) {
    run_impatient(play_dribbling_head, tell_one);
    assert_int_equal(first.err, SK_ERR_TIMEOUT);
    assert_int_equal(first.result.phase, ORIGIN_PHASE_HEAD);
}

/* --- informational responses --------------------------------------------------------------------------------- */

static void play_early_hints(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    script_send(connection, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    script_sleep_ms(50);
    script_send(connection,
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n");
    script_send(connection, OK "Content-Length: 5\r\n\r\nhello");
    script_await_close(connection);
}

static char informed[256];

static void on_informational(void *arg, const struct http_response *response) {
    size_t used = strlen(informed);
    snprintf(informed + used, sizeof informed - used, "%u %.*s;", response->status,
             SK_STR_ARGS(http_fields_value(&response->fields, HTTP_FIELD_LINK)));
}

static void tell_early_hints(struct story *story) {
    struct http_request request = story_request(HTTP_METHOD_GET, "GET");
    ask_as(story,
           &(struct origin_request){
               .group = story->group, .request = &request, .on_informational = on_informational},
           &first);
}

static void test_early_hints(void **state) {
    informed[0] = 0;
    run_alone(play_early_hints, tell_early_hints);
    assert_int_equal(first.status, 200);
    assert_string_equal(informed, "103 </a.css>;103 </b.css>;");
}

/* --- request heads and bodies -------------------------------------------------------------------------------- */

static char seen_head[70000], seen_body[4096];

static bool ends_with_last_chunk(const struct script_connection *connection) {
    sk_str data = {connection->data, connection->len};
    return sk_str_find(data, SK_STR("0\r\n")) < data.len && sk_str_ends_with(data, SK_STR("\r\n\r\n"));
}

/* Keeps what came, up to the last chunk or the length's end. */
static void play_keep_request(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    script_keep_head(connection, seen_head, sizeof seen_head);
    char *length = strstr(connection->head, "Content-Length: ");
    size_t wanted = length ? strtoul(length + 16, NULL, 10) : 0;
    while (length ? connection->len < wanted : !ends_with_last_chunk(connection))
        if (!script_fill(connection)) return;
    memcpy(seen_body, connection->data, connection->len);
    seen_body[connection->len] = 0;
    script_send(connection, OK "Content-Length: 0\r\n\r\n");
}

static struct pieces pieces;
static enum http_body_kind body_kind;
static const struct http_fields *sent_trailers;

static const struct http_fields *trailers_of(void *arg) { return sent_trailers; }

static void tell_upload(struct story *story) {
    struct http_request request = story_request(HTTP_METHOD_PUT, "PUT");
    request.body_kind = body_kind;
    request.content_length = strlen(pieces.piece) * (size_t)pieces.count;
    pieces.story = story;
    ask_as(story,
           &(struct origin_request){
               .group = story->group, .request = &request, .body = {pieces_read, trailers_of, &pieces}},
           &first);
}

static void test_request_bodies(void **state) {
    struct http_field trailer = {SK_STR_INIT("X-Sum"), SK_STR_INIT("42"), HTTP_FIELD_UNKNOWN};
    struct http_fields trailers = {&trailer, 1, 1};
    pieces = (struct pieces){.piece = "hello ", .count = 3, .pause_ms = 20, .end = SK_ERR_END};
    body_kind = HTTP_BODY_LENGTH;
    run_alone(play_keep_request, tell_upload);
    assert_int_equal(first.status, 200);
    assert_string_equal(seen_body, "hello hello hello ");
    assert_non_null(strstr(seen_head, "PUT /path?q HTTP/1.1\r\nHost: site.test\r\n"));
    assert_non_null(strstr(seen_head, "Content-Length: 18\r\n"));

    pieces.taken = 0;
    body_kind = HTTP_BODY_CHUNKED;
    run_alone(play_keep_request, tell_upload);
    assert_int_equal(first.status, 200);
    assert_string_equal(seen_body, "6\r\nhello \r\n6\r\nhello \r\n6\r\nhello \r\n0\r\n\r\n");

    pieces.taken = 0;
    sent_trailers = &trailers;
    run_alone(play_keep_request, tell_upload);
    sent_trailers = NULL;
    assert_non_null(strstr(seen_body, "0\r\nX-Sum: 42\r\n\r\n"));
}

static void test_client_that_fails(void **state) {
    static const struct {
        const char *behaviour;
        sk_err end, expected;
        enum http_body_kind kind;
    } cases[] = {
        {"the client resets", SK_ERR_RESET, SK_ERR_RESET, HTTP_BODY_CHUNKED},
        {"the client is too slow", SK_ERR_TIMEOUT, SK_ERR_TIMEOUT, HTTP_BODY_LENGTH},
        {"the client ends before its length", SK_ERR_END, SK_ERR_CLOSED, HTTP_BODY_LENGTH},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        /* Three pieces are promised and two come. */
        static char twice[] = "hello hello ";
        pieces = (struct pieces){.piece = twice, .count = 3, .taken = 1, .end = cases[i].end};
        body_kind = cases[i].kind;
        run_alone(play_keep_request, tell_upload);
        if (first.err != cases[i].expected || first.result.phase != ORIGIN_PHASE_BODY_READ)
            fail_msg("%s: %s, %s", cases[i].behaviour, sk_err_name(first.err),
                     origin_phase_text(first.result.phase));
    }
}

static void play_refuse_upload(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    script_send(connection, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    script_sleep_ms(300); /* does not read; the client's bytes fill the buffers */
}

static void test_early_response(void **state) {
    static char large[65536];
    memset(large, 'x', sizeof large - 1);
    /* While the client pauses, so that only the origin's word can end the wait ... */
    pieces = (struct pieces){.piece = "x", .count = 1000000, .pause_ms = 30000, .end = SK_ERR_END};
    body_kind = HTTP_BODY_CHUNKED;
    run_alone(play_refuse_upload, tell_upload);
    assert_int_equal(first.status, 413);
    assert_memory_equal(first.body, "no", 2);
    /* ... and while it sends more than the sockets take. */
    pieces = (struct pieces){.piece = large, .count = 1000000, .end = SK_ERR_END};
    run_alone(play_refuse_upload, tell_upload);
    assert_int_equal(first.status, 413);
}

static void play_not_reading(struct script_connection *connection) { script_await_close(connection); }

static void play_never_read(struct script_connection *connection) {
    script_read_head(connection);
    script_sleep_ms(1500);
}

static void test_origin_that_does_not_take_the_body(void **state) {
    static char large[65536];
    memset(large, 'x', sizeof large - 1);
    pieces = (struct pieces){.piece = large, .count = 1000000, .end = SK_ERR_END};
    body_kind = HTTP_BODY_CHUNKED;
    run_impatient(play_never_read, tell_upload);
    assert_int_equal(first.err, SK_ERR_TIMEOUT);
    assert_int_equal(first.result.phase, ORIGIN_PHASE_SEND);
}

static void test_silence_after_the_body(void **state) {
    pieces = (struct pieces){.piece = "hello", .count = 1, .end = SK_ERR_END};
    body_kind = HTTP_BODY_LENGTH;
    run_impatient(play_not_reading, tell_upload);
    assert_int_equal(first.err, SK_ERR_TIMEOUT);
    assert_int_equal(first.result.phase, ORIGIN_PHASE_FIRST_BYTE);
}

/* --- host ------------------------------------------------------------------------------------------------------ */

static void tell_without_host(struct story *story) {
    struct http_request request = story_request(HTTP_METHOD_GET, "GET");
    request.authority = (sk_str){0};
    ask_as(story, &(struct origin_request){.group = story->group, .request = &request}, &first);
}

static void test_host(void **state) {
    char expected[128];
    struct story story = story_new();
    run_with(&story, play_keep_request, tell_without_host);
    snprintf(expected, sizeof expected, "Host: 127.0.0.1:%u\r\n", story.origins[0].port);
    assert_non_null(strstr(seen_head, expected)); /* RFC 9112 3.2: never without */
    struct script_server server;
    script_start(&server, "127.0.0.1", play_keep_request, NULL);
    story = story_new();
    struct config_origin *origin = story_origin(&story, "http", "127.0.0.1", server.port);
    origin->host = SK_STR("configured.test");
    story_run(&story, tell_one);
    script_stop(&server);
    assert_non_null(strstr(seen_head, "Host: configured.test\r\n"));
}

/* --- trailers, tunnels, large bodies --------------------------------------------------------------------------- */

static void play_trailers(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    script_send(connection, OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 4");
    script_sleep_ms(30);
    script_send(connection, "2\r\n\r\n");
    script_await_close(connection);
}

static void tell_trailers(struct story *story) {
    struct http_request request = story_request(HTTP_METHOD_GET, "GET");
    struct origin_request asked = {.group = story->group, .request = &request};
    struct origin_exchange *exchange;
    const struct http_response *response;
    memset(&first, 0, sizeof first);
    sk_err err = origin_exchange_open(story->thread, &asked, &exchange, &response, &first.result);
    expect(story, !err, "%s", sk_err_name(err));
    if (err) return;
    expect(story, !origin_exchange_trailers(exchange), "before the end");
    read_all(exchange, &first);
    const struct http_fields *trailers = origin_exchange_trailers(exchange);
    expect(story, trailers && trailers->count == 1, "none");
    if (trailers)
        expect(story, sk_str_eq(trailers->items[0].value, SK_STR("42")), "%.*s",
               SK_STR_ARGS(trailers->items[0].value));
    origin_exchange_close(exchange);
}

static void test_trailers(void **state) { run_alone(play_trailers, tell_trailers); }

static void play_tunnel(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    script_keep_head(connection, seen_head, sizeof seen_head);
    script_send(connection,
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nearly");
    while (script_fill(connection)) { /* echoes until the other end says that it has no more */
        script_send_bytes(connection, connection->data, connection->len);
        connection->len = 0;
    }
    script_send(connection, "late");
}

static void tell_tunnel(struct story *story) {
    struct http_request request = story_request(HTTP_METHOD_GET, "GET");
    request.upgrade = SK_STR("echo");
    struct origin_request asked = {.group = story->group, .request = &request};
    struct origin_exchange *exchange;
    const struct http_response *response;
    sk_time_ns deadline = io_loop_now(story->loop) + 10 * SK_NS_PER_S;
    char got[64] = "";
    size_t n, used = 0;
    sk_err err = origin_exchange_open(story->thread, &asked, &exchange, &response, &first.result);
    expect(story, !err, "%s", sk_err_name(err));
    if (err) return;
    expect(story, response->status == 101, "%u", response->status);
    err = origin_exchange_tunnel_write(exchange, "ping", 4, deadline);
    expect(story, !err, "%s", sk_err_name(err));
    while (!err && used < 9) {
        err = origin_exchange_tunnel_read(exchange, got + used, sizeof got - 1 - used, deadline, &n);
        if (!err) used += n;
    }
    expect(story, !strcmp(got, "earlyping"), "%s: %s", got, sk_err_name(err));
    origin_exchange_tunnel_shutdown(exchange);
    while (!(err = origin_exchange_tunnel_read(exchange, got + used, sizeof got - 1 - used, deadline, &n)))
        used += n;
    expect(story, err == SK_ERR_END, "%s", sk_err_name(err));
    expect(story, !strcmp(got, "earlypinglate"), "%s", got);
    origin_exchange_close(exchange);
}

static void test_tunnel(void **state) {
    run_alone(play_tunnel, tell_tunnel);
    assert_non_null(strstr(seen_head, "Upgrade: echo\r\n"));
    assert_non_null(strstr(seen_head, "Connection: upgrade\r\n"));
}

#define LARGE 3000000

static char large_byte(size_t i) { return (char)(i * 2654435761u >> 13); }

static void play_large(struct script_connection *connection) {
    static char piece[50000];
    while (script_read_head(connection)) {
        bool chunked = strstr(connection->head, "/chunked");
        char text[64];
        snprintf(text, sizeof text,
                 chunked ? OK "Transfer-Encoding: chunked\r\n\r\n" : OK "Content-Length: %d\r\n\r\n", LARGE);
        script_send(connection, text);
        for (size_t at = 0; at < LARGE; at += sizeof piece) {
            for (size_t i = 0; i < sizeof piece; i++) piece[i] = large_byte(at + i);
            snprintf(text, sizeof text, "%zx\r\n", sizeof piece);
            if (chunked) script_send(connection, text);
            script_send_bytes(connection, piece, sizeof piece);
            if (chunked) script_send(connection, "\r\n");
        }
        if (chunked) script_send(connection, "0\r\n\r\n");
    }
}

static void tell_large(struct story *story) {
    static const char *const targets[] = {"/length", "/chunked"};
    static char data[7919]; /* no divisor of anything */
    for (size_t i = 0; i < SK_COUNT(targets); i++) {
        struct http_request request = story_request(HTTP_METHOD_GET, "GET");
        struct origin_exchange *exchange;
        const struct http_response *response;
        struct origin_request asked = {.group = story->group, .request = &request};
        size_t total = 0, n;
        request.target = sk_str_from_c(targets[i]);
        sk_err err = origin_exchange_open(story->thread, &asked, &exchange, &response, &first.result);
        expect(story, !err, "%s", sk_err_name(err));
        if (err) return;
        while (!(err = origin_exchange_read(exchange, data, sizeof data, &n))) {
            for (size_t j = 0; j < n; j++)
                if (data[j] != large_byte(total + j))
                    expect(story, false, "byte %zu of %s", total + j, targets[i]);
            total += n;
        }
        expect(story, err == SK_ERR_END && total == LARGE, "%s after %zu", sk_err_name(err), total);
        origin_exchange_close(exchange);
    }
    expect(story, story_count(story, OBSERVE_ORIGIN_CONNECTIONS) == 1, "not reused");
}

static void test_large_bodies(void **state) { run_alone(play_large, tell_large); }

static void play_two(struct script_connection *connection) {
    while (script_read_head(connection))
        script_send(connection, OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
}

/* Whoever knows the length may stop before he was told that it is the end. */
static void tell_stop_at_the_last_byte(struct story *story) {
    for (int i = 0; i < 2; i++) {
        struct http_request request = story_request(HTTP_METHOD_GET, "GET");
        struct origin_request asked = {.group = story->group, .request = &request};
        struct origin_exchange *exchange;
        const struct http_response *response;
        char data[5];
        size_t n;
        sk_err err = origin_exchange_open(story->thread, &asked, &exchange, &response, &first.result);
        if (!err) err = origin_exchange_read(exchange, data, 5, &n);
        expect(story, !err && n == 5, "%s", sk_err_name(err));
        origin_exchange_close(exchange);
    }
    expect(story, story_count(story, OBSERVE_ORIGIN_CONNECTIONS) == 1, "not reused");
}

static void test_stop_at_the_last_byte(void **state) { run_alone(play_two, tell_stop_at_the_last_byte); }

/* --- cancelled --------------------------------------------------------------------------------------------------- */

static void ask_in_fiber(void *arg) { ask(arg, &first); }

static void tell_cancelled(struct story *story) {
    struct io_fiber *fiber;
    sk_err err = io_fiber_spawn(story->loop, "asker", ask_in_fiber, story, &fiber);
    expect(story, !err, "%s", sk_err_name(err));
    err = io_fiber_sleep_until(io_loop_now(story->loop) + 100 * SK_NS_PER_MS);
    expect(story, !err, "%s", sk_err_name(err));
    io_fiber_cancel(fiber);
    while (io_fiber_count(story->loop) > 1) io_fiber_yield();
}

static void test_cancelled(void **state) {
    run_alone(play_not_reading, tell_cancelled);
    assert_int_equal(first.err, SK_ERR_CANCELLED);
}

static void upload_in_fiber(void *arg) { tell_upload(arg); }

static void tell_cancelled_upload(struct story *story) {
    struct io_fiber *fiber;
    sk_err err = io_fiber_spawn(story->loop, "asker", upload_in_fiber, story, &fiber);
    expect(story, !err, "%s", sk_err_name(err));
    err = io_fiber_sleep_until(io_loop_now(story->loop) + 100 * SK_NS_PER_MS);
    expect(story, !err, "%s", sk_err_name(err));
    io_fiber_cancel(fiber);
    while (io_fiber_count(story->loop) > 1) io_fiber_yield();
}

static void test_cancelled_upload(void **state) {
    pieces = (struct pieces){.piece = "x", .count = 1000000, .pause_ms = 30000, .end = SK_ERR_END};
    body_kind = HTTP_BODY_CHUNKED;
    run_alone(play_not_reading, tell_cancelled_upload);
    assert_int_equal(first.err, SK_ERR_CANCELLED);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_endless_heads),
        cmocka_unit_test(test_dribbling_head),
        cmocka_unit_test(test_early_hints),
        cmocka_unit_test(test_request_bodies),
        cmocka_unit_test(test_client_that_fails),
        cmocka_unit_test(test_early_response),
        cmocka_unit_test(test_origin_that_does_not_take_the_body),
        cmocka_unit_test(test_silence_after_the_body),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_stop_at_the_last_byte),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_cancelled_upload),
    };
    return SK_RUN_TESTS(tests);
}
