/* Origins behind TLS: who is believed, and that all else is as without it. */
#include "certificates.h"
#include "script.h"

#include <signal.h>

static struct answer first, second;
static struct certificate authority, stranger;
static char ca_path[] = "/tmp/skerry-origin-ca-XXXXXX";

static int make_authority(void **state) {
    signal(SIGPIPE, SIG_IGN);
    authority = certificate_make(&(struct certificate_wish){.common_name = "Test CA"});
    stranger = certificate_make(&(struct certificate_wish){.common_name = "Another CA"});
    int fd = mkstemp(ca_path);
    if (fd < 0) return -1;
    close(fd);
    certificate_save(&authority, ca_path);
    return 0;
}

static int drop_authority(void **state) {
    certificate_free(&authority), certificate_free(&stranger);
    return unlink(ca_path);
}

static SSL_CTX *server_context(const struct certificate *certificate) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(context, certificate->x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, certificate->key), 1);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
    return context;
}

/* --- scripts ------------------------------------------------------------------------------------------------ */

#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static char seen_name[256];
static _Atomic int resumed;

static void note_session(struct script_connection *connection) {
    const char *name = SSL_get_servername(connection->ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(seen_name, sizeof seen_name, "%s", name ? name : "");
    resumed += SSL_session_reused(connection->ssl);
}

static void play_many(struct script_connection *connection) {
    note_session(connection);
    while (script_read_head(connection)) script_send(connection, HELLO);
}

static void play_one_each(struct script_connection *connection) {
    note_session(connection);
    if (script_read_head(connection))
        script_send(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    script_await_close(connection);
}

/* Ends with close_notify, as it should ... */
static void play_until_close(struct script_connection *connection) {
    if (script_read_head(connection)) script_send(connection, "HTTP/1.1 200 OK\r\n\r\nhello");
}

/* ... or is cut off, which nobody can tell from an attack. */
static void play_truncated(struct script_connection *connection) {
    if (script_read_head(connection)) script_send(connection, "HTTP/1.1 200 OK\r\n\r\nhello");
    SSL_set_quiet_shutdown(connection->ssl, 1);
}

static void tell_one(struct story *story) { ask(story, &first); }
static void tell_two(struct story *story) {
    ask(story, &first);
    ask(story, &second);
}

/* --- certificates ------------------------------------------------------------------------------------------- */

static void test_certificates(void **state) {
    static const struct {
        const char *behaviour, *names, *host;
        long from_s, to_s;
        bool known_issuer, verify, pinned;
        sk_err expected;
        const char *detail, *server_name;
    } cases[] = {
        {"good, by address", "IP:127.0.0.1", "", 0, 0, true, true, true, SK_OK, NULL, ""},
        {"good, by the name of `host`", "DNS:origin.test", "origin.test:8443", 0, 0, true, true, true, SK_OK,
         NULL, "origin.test"},
        {"wrong name", "DNS:other.test", "origin.test", 0, 0, true, true, true, SK_ERR_TLS_CERTIFICATE,
         "hostname mismatch", NULL},
        {"wrong address", "IP:127.0.0.9", "", 0, 0, true, true, true, SK_ERR_TLS_CERTIFICATE,
         "IP address mismatch", NULL},
        {"expired", "IP:127.0.0.1", "", -7200, -3600, true, true, true, SK_ERR_TLS_CERTIFICATE,
         "certificate has expired", NULL},
        {"unknown issuer", "IP:127.0.0.1", "", 0, 0, false, true, true, SK_ERR_TLS_CERTIFICATE,
         "unable to get local issuer certificate", NULL},
        {"not in the system's store", "IP:127.0.0.1", "", 0, 0, true, true, false, SK_ERR_TLS_CERTIFICATE,
         "unable to get local issuer certificate", NULL},
        {"verify: off", "DNS:other.test", "origin.test", -7200, -3600, false, false, false, SK_OK, NULL,
         "origin.test"},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct certificate shown = certificate_make(&(struct certificate_wish){
            "server", cases[i].names, cases[i].known_issuer ? &authority : &stranger, cases[i].from_s,
            cases[i].to_s});
        SSL_CTX *context = server_context(&shown);
        struct story story = story_new();
        struct script_server server;
        script_start(&server, "127.0.0.1", play_many, context);
        struct config_origin *origin = story_origin(&story, "https", "127.0.0.1", server.port);
        origin->host = sk_str_from_c(cases[i].host);
        origin->verify = cases[i].verify;
        if (cases[i].pinned) origin->ca_file = sk_str_from_c(ca_path);
        story_run(&story, tell_one);
        script_stop(&server);
        sk_str detail = sk_str_from_c(first.result.detail);
        if (first.err != cases[i].expected || !sk_str_eq(detail, sk_str_from_c(cases[i].detail)))
            fail_msg("%s: %s, %.*s", cases[i].behaviour, sk_err_name(first.err), SK_STR_ARGS(detail));
        if (first.err) assert_int_equal(first.result.phase, ORIGIN_PHASE_TLS);
        if (cases[i].server_name) assert_string_equal(seen_name, cases[i].server_name);
        SSL_CTX_free(context);
        certificate_free(&shown);
    }
}

static void test_ca_file_that_cannot_be_read(void **state) {
    struct story story = story_new();
    struct origin_registry *registry;
    struct origin_group *group;
    struct config_origin *origin = story_origin(&story, "https", "127.0.0.1", 443);
    story.site.origins = story.origins;
    origin->ca_file = SK_STR("/nonexistent.pem");
    assert_ok(origin_registry_create(&registry));
    assert_err(origin_group_create(registry, &story.site, &group), SK_ERR_INVALID);
    origin->ca_file = SK_STR("/dev/null");
    assert_err(origin_group_create(registry, &story.site, &group), SK_ERR_INVALID);
    origin_registry_destroy(registry);
}

/* --- the rest of the way -------------------------------------------------------------------------------------- */

static struct certificate good;

/* Starts a good server and an origin that believes it. */
static struct config_origin *start_good(struct story *story, struct script_server *server, script_play *play,
                                        int version) {
    good = certificate_make(&(struct certificate_wish){"server", "IP:127.0.0.1", &authority, 0, 0});
    SSL_CTX *context = server_context(&good);
    SSL_CTX_set_max_proto_version(context, version);
    script_start(server, "127.0.0.1", play, context);
    struct config_origin *origin = story_origin(story, "https", "127.0.0.1", server->port);
    origin->ca_file = sk_str_from_c(ca_path);
    return origin;
}

static void run_good(script_play *play, void (*tell)(struct story *story), int version,
                     int *out_connections) {
    struct story story = story_new();
    struct script_server server;
    start_good(&story, &server, play, version);
    story_run(&story, tell);
    if (out_connections) *out_connections = server.accepted;
    script_stop(&server);
    SSL_CTX_free(server.tls);
    certificate_free(&good);
}

static void test_connections_are_used_again(void **state) {
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < SK_COUNT(versions); i++) {
        int connections;
        run_good(play_many, tell_two, versions[i], &connections);
        assert_int_equal(second.status, 200);
        assert_int_equal(connections, 1);
    }
}

static void test_sessions_are_resumed(void **state) {
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < SK_COUNT(versions); i++) {
        int connections;
        resumed = 0;
        run_good(play_one_each, tell_two, versions[i], &connections);
        assert_int_equal(second.status, 200);
        assert_int_equal(connections, 2);
        assert_int_equal(resumed, 1);
    }
}

static void test_end_of_connection(void **state) {
    run_good(play_until_close, tell_one, 0, NULL);
    assert_int_equal(first.read_err, SK_ERR_END);
    run_good(play_truncated, tell_one, 0, NULL);
    assert_int_equal(first.read_err, SK_ERR_CLOSED); /* RFC 9112 9.8 */
    assert_memory_equal(first.body, "hello", 5);
}

/* Longer than anything that sockets take in one go, both ways. */
static struct pieces pieces;

static void play_swallow(struct script_connection *connection) {
    static char large[1000000];
    char text[64];
    if (!script_read_head(connection)) return;
    if (!script_read_body(connection, 100 * 65535)) return;
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", sizeof large);
    script_send(connection, text);
    script_send_bytes(connection, large, sizeof large);
    script_await_close(connection);
}

static void tell_large(struct story *story) {
    static char large[65536];
    struct http_request request = story_request(HTTP_METHOD_PUT, "PUT");
    memset(large, 'x', sizeof large - 1);
    pieces = (struct pieces){.piece = large, .count = 100, .story = story, .end = SK_ERR_END};
    request.body_kind = HTTP_BODY_LENGTH;
    request.content_length = 100 * 65535;
    ask_as(story,
           &(struct origin_request){
               .group = story->group, .request = &request, .body = {pieces_read, NULL, &pieces}},
           &first);
    expect(story, first.status == 200 && first.read_err == SK_ERR_END, "%s %s", sk_err_name(first.err),
           sk_err_name(first.read_err));
    expect(story, story_count(story, OBSERVE_ORIGIN_BYTES_RECEIVED) > 1000000, "received");
}

static void test_large(void **state) { run_good(play_swallow, tell_large, 0, NULL); }

static void play_tunnel(struct script_connection *connection) {
    if (!script_read_head(connection)) return;
    script_send(connection,
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n");
    while (script_fill(connection)) {
        script_send_bytes(connection, connection->data, connection->len);
        connection->len = 0;
    }
}

static void tell_tunnel(struct story *story) {
    struct http_request request = story_request(HTTP_METHOD_GET, "GET");
    request.upgrade = SK_STR("echo");
    struct origin_request asked = {.group = story->group, .request = &request};
    struct origin_exchange *exchange;
    const struct http_response *response;
    sk_time_ns deadline = io_loop_now(story->loop) + 10 * SK_NS_PER_S;
    char got[64] = "";
    size_t n = 0;
    sk_err err = origin_exchange_open(story->thread, &asked, &exchange, &response, &first.result);
    expect(story, !err, "%s", sk_err_name(err));
    if (err) return;
    err = origin_exchange_tunnel_write(exchange, "ping", 4, deadline);
    if (!err) err = origin_exchange_tunnel_read(exchange, got, sizeof got, deadline, &n);
    expect(story, !err && n == 4 && !memcmp(got, "ping", 4), "%s, %zu bytes", sk_err_name(err), n);
    origin_exchange_tunnel_shutdown(exchange);
    err = origin_exchange_tunnel_read(exchange, got, sizeof got, deadline, &n);
    expect(story, err == SK_ERR_END, "%s", sk_err_name(err));
    origin_exchange_close(exchange);
}

static void test_tunnel(void **state) { run_good(play_tunnel, tell_tunnel, 0, NULL); }

/* Somebody who does not speak TLS, and somebody who does not speak at all. */
static void play_plain(struct script_connection *connection) {
    script_send(connection, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    script_await_close(connection);
}
static void play_silence(struct script_connection *connection) { script_await_close(connection); }
static void play_close(struct script_connection *connection) { script_fill(connection); }

static void test_no_tls(void **state) {
    static const struct {
        const char *behaviour;
        script_play *play;
        sk_err expected;
    } cases[] = {
        {"plain HTTP", play_plain, SK_ERR_TLS},
        {"silence", play_silence, SK_ERR_TIMEOUT},
        {"closed", play_close, SK_ERR_CLOSED},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct story story = story_new();
        struct script_server server;
        if (cases[i].expected == SK_ERR_TIMEOUT) story.site.origin.connect_timeout_ms = 300;
        script_start(&server, "127.0.0.1", cases[i].play, NULL);
        story_origin(&story, "https", "127.0.0.1", server.port);
        story_run(&story, tell_one);
        script_stop(&server);
        if (first.err != cases[i].expected || first.result.phase != ORIGIN_PHASE_TLS)
            fail_msg("%s: %s, %s", cases[i].behaviour, sk_err_name(first.err),
                     origin_phase_text(first.result.phase));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_ca_file_that_cannot_be_read),
        cmocka_unit_test(test_connections_are_used_again),
        cmocka_unit_test(test_sessions_are_resumed),
        cmocka_unit_test(test_end_of_connection),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_no_tls),
    };
    return cmocka_run_group_tests(tests, make_authority, drop_authority);
}
