/* The TLS engine against OpenSSL as the peer, both over memory: no socket. */
#include "certificates.h"
#include "unit.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <unistd.h>

#include "wire/tls.h"

static struct certificate authority, stranger, good;
static char ca_path[] = "/tmp/skerry-tls-ca-XXXXXX";

static int make_authority(void **state) {
    authority = certificate_make(&(struct certificate_wish){.common_name = "Test CA"});
    stranger = certificate_make(&(struct certificate_wish){.common_name = "Another CA"});
    good = certificate_make(
        &(struct certificate_wish){.common_name = "origin",
                                   .names = "DNS:origin.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1",
                                   .issuer = &authority});
    int fd = mkstemp(ca_path);
    if (fd < 0) return -1;
    close(fd);
    certificate_save(&authority, ca_path);
    return 0;
}

static int drop_authority(void **state) {
    certificate_free(&authority), certificate_free(&stranger), certificate_free(&good);
    return unlink(ca_path);
}

/* --- a peer ----------------------------------------------------------------------------------------- */

struct peer {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
};

static SSL_CTX *server_context(const struct certificate *certificate) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_security_level(context, 0); /* so that a test may ask for what the client must refuse */
    assert_int_equal(SSL_CTX_use_certificate(context, certificate->x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, certificate->key), 1);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
    return context;
}

static struct peer peer_open(SSL_CTX *context) {
    struct peer peer = {context, SSL_new(context), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
    SSL_set_bio(peer.ssl, peer.in, peer.out);
    SSL_set_accept_state(peer.ssl);
    return peer;
}

/* Carries what lies ready both ways. */
static void carry(struct wire_tls *tls, struct peer *peer) {
    char data[4096];
    size_t n;
    int m;
    while ((n = wire_tls_drain(tls, data, sizeof data)))
        assert_int_equal(BIO_write(peer->in, data, (int)n), n);
    while ((m = BIO_read(peer->out, data, sizeof data)) > 0) assert_ok(wire_tls_feed(tls, data, (size_t)m));
}

static sk_err shake(struct wire_tls *tls, struct peer *peer) {
    sk_err err = SK_ERR_AGAIN;
    for (int round = 0; round < 10 && err == SK_ERR_AGAIN; round++) {
        err = wire_tls_handshake(tls);
        carry(tls, peer);
        (void)SSL_do_handshake(peer->ssl);
        carry(tls, peer);
    }
    return err;
}

static struct wire_tls_context *client_context(const char *ca_file, bool verify) {
    struct wire_tls_context *context;
    assert_ok(wire_tls_client_context(
        &(struct wire_tls_client_options){.ca_file = ca_file, .verify = verify, .pq = WIRE_TLS_PQ_OFFER},
        &context));
    return context;
}

static struct wire_tls *client(struct wire_tls_context *context, const char *host) {
    struct wire_tls *tls;
    assert_ok(wire_tls_client(context, sk_str_from_c(host), &tls));
    return tls;
}

/* --- who is accepted -------------------------------------------------------------------------------- */

static void test_certificates(void **state) {
    static const struct {
        const char *behaviour, *host, *names;
        long from_s, to_s;
        bool known_issuer, verify;
        sk_err expected;
        const char *error;
    } cases[] = {
        {"name matches", "origin.test", "DNS:origin.test", 0, 0, true, true, SK_OK, ""},
        {"a trailing dot is not part of the name", "origin.test.", "DNS:origin.test", 0, 0, true, true, SK_OK,
         ""},
        {"RFC 6125 6.4.3: wildcard of one label", "a.wild.test", "DNS:*.wild.test", 0, 0, true, true, SK_OK,
         ""},
        {"wildcard does not span labels", "a.b.wild.test", "DNS:*.wild.test", 0, 0, true, true,
         SK_ERR_TLS_CERTIFICATE, "hostname mismatch"},
        {"partial wildcard refused", "foo.wild.test", "DNS:f*.wild.test", 0, 0, true, true,
         SK_ERR_TLS_CERTIFICATE, "hostname mismatch"},
        {"another name", "other.test", "DNS:origin.test", 0, 0, true, true, SK_ERR_TLS_CERTIFICATE,
         "hostname mismatch"},
        {"IPv4 address", "127.0.0.1", "IP:127.0.0.1", 0, 0, true, true, SK_OK, ""},
        {"IPv6 address in brackets", "[::1]", "IP:::1", 0, 0, true, true, SK_OK, ""},
        {"another address", "127.0.0.2", "IP:127.0.0.1", 0, 0, true, true, SK_ERR_TLS_CERTIFICATE,
         "IP address mismatch"},
        {"an address as a DNS name does not count", "127.0.0.1", "DNS:127.0.0.1", 0, 0, true, true,
         SK_ERR_TLS_CERTIFICATE, "IP address mismatch"},
        {"expired", "origin.test", "DNS:origin.test", -7200, -3600, true, true, SK_ERR_TLS_CERTIFICATE,
         "certificate has expired"},
        {"not valid yet", "origin.test", "DNS:origin.test", 3600, 7200, true, true, SK_ERR_TLS_CERTIFICATE,
         "certificate is not yet valid"},
        {"unknown issuer", "origin.test", "DNS:origin.test", 0, 0, false, true, SK_ERR_TLS_CERTIFICATE,
         "unable to get local issuer certificate"},
        {"verify: off takes any", "other.test", "DNS:origin.test", -7200, -3600, false, false, SK_OK, ""},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct certificate shown = certificate_make(&(struct certificate_wish){
            "server", cases[i].names, cases[i].known_issuer ? &authority : &stranger, cases[i].from_s,
            cases[i].to_s});
        struct peer peer = peer_open(server_context(&shown));
        struct wire_tls_context *context = client_context(ca_path, cases[i].verify);
        struct wire_tls *tls = client(context, cases[i].host);
        sk_err err = shake(tls, &peer);
        if (err != cases[i].expected || strcmp(wire_tls_error(tls), cases[i].error) != 0)
            fail_msg("%s: %s, \"%s\"", cases[i].behaviour, sk_err_name(err), wire_tls_error(tls));
        wire_tls_free(tls);
        wire_tls_context_free(context);
        SSL_free(peer.ssl);
        SSL_CTX_free(peer.context);
        certificate_free(&shown);
    }
}

static void test_pinned_leaf(void **state) {
    char path[] = "/tmp/skerry-tls-leaf-XXXXXX";
    close(mkstemp(path));
    certificate_save(&good, path);
    struct peer peer = peer_open(server_context(&good));
    struct wire_tls_context *context = client_context(path, true);
    struct wire_tls *tls = client(context, "origin.test");
    assert_ok(shake(tls, &peer));
    wire_tls_free(tls);
    wire_tls_context_free(context);
    SSL_free(peer.ssl);
    SSL_CTX_free(peer.context);
    unlink(path);
}

static void test_ca_file_that_cannot_be_read(void **state) {
    struct wire_tls_context *context;
    assert_err(
        wire_tls_client_context(
            &(struct wire_tls_client_options){.ca_file = "/nonexistent.pem", .verify = true}, &context),
        SK_ERR_INVALID);
    assert_err(wire_tls_client_context(
                   &(struct wire_tls_client_options){.ca_file = "/dev/null", .verify = true}, &context),
               SK_ERR_INVALID);
}

static void test_host_that_is_none(void **state) {
    struct wire_tls_context *context = client_context(NULL, true);
    struct wire_tls *tls;
    char long_name[300];
    memset(long_name, 'a', sizeof long_name);
    assert_err(wire_tls_client(context, SK_STR(""), &tls), SK_ERR_INVALID);
    assert_err(wire_tls_client(context, SK_STR("a\0b"), &tls), SK_ERR_INVALID);
    assert_err(wire_tls_client(context, sk_str_make(long_name, sizeof long_name), &tls), SK_ERR_INVALID);
    wire_tls_context_free(context);
}

/* --- what is negotiated ----------------------------------------------------------------------------- */

static void test_negotiation(void **state) {
    static const struct {
        const char *behaviour, *groups;
        int version; /* the peer's only one; 0: any */
        sk_err expected;
        const char *group, *negotiated;
    } cases[] = {
        {"ML-KEM hybrid where the peer knows it", NULL, 0, SK_OK, "X25519MLKEM768", "TLSv1.3"},
        {"X25519 where it does not", "X25519:secp256r1", 0, SK_OK, "x25519", "TLSv1.3"},
        {"P-256 by a second hello", "secp256r1", 0, SK_OK, "secp256r1", "TLSv1.3"},
        {"TLS 1.2 still allowed", NULL, TLS1_2_VERSION, SK_OK, "x25519", "TLSv1.2"},
        {"TLS 1.1 refused (RFC 8996)", NULL, TLS1_1_VERSION, SK_ERR_TLS, NULL, NULL},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        SSL_CTX *server = server_context(&good);
        if (cases[i].groups) assert_int_equal(SSL_CTX_set1_groups_list(server, cases[i].groups), 1);
        SSL_CTX_set_min_proto_version(server, cases[i].version);
        SSL_CTX_set_max_proto_version(server, cases[i].version);
        struct peer peer = peer_open(server);
        struct wire_tls_context *context = client_context(ca_path, true);
        struct wire_tls *tls = client(context, "origin.test");
        sk_err err = shake(tls, &peer);
        if (err != cases[i].expected)
            fail_msg("%s: %s, %s", cases[i].behaviour, sk_err_name(err), wire_tls_error(tls));
        if (cases[i].group) assert_string_equal(wire_tls_group(tls), cases[i].group);
        if (cases[i].negotiated) assert_string_equal(wire_tls_version(tls), cases[i].negotiated);
        wire_tls_free(tls);
        wire_tls_context_free(context);
        SSL_free(peer.ssl);
        SSL_CTX_free(server);
    }
}

static int hellos;

static void count_hellos(int writing, int version, int type, const void *data, size_t bytes, SSL *ssl,
                         void *arg) {
    if (!writing && type == SSL3_RT_HANDSHAKE && bytes &&
        *(const unsigned char *)data == SSL3_MT_CLIENT_HELLO)
        hellos++;
}

/* Policies against peers: what is agreed on, and whether it took a second hello (RFC 8446 4.1.4). */
static void test_key_exchange_by_policy(void **state) {
#define KNOWS "X25519MLKEM768 / X25519:secp256r1"
#define KNOWS_OTHER "SecP256r1MLKEM768 / secp256r1"
#define FIRST_CLASSICAL "X25519 / X25519MLKEM768"
#define KNOWS_NOT "X25519:secp256r1"
    static const struct {
        enum wire_tls_pq pq;
        const char *groups; /* NULL: TLS 1.2 */
        const char *agreed; /* NULL: refused */
        int hellos;
    } cases[] = {
        {WIRE_TLS_PQ_OFF, KNOWS, "x25519", 1},
        {WIRE_TLS_PQ_OFF, "X25519MLKEM768", NULL, 1},
        {WIRE_TLS_PQ_OFF, NULL, "x25519", 1},
        {WIRE_TLS_PQ_ADVERTISE, KNOWS, "X25519MLKEM768", 2},
        {WIRE_TLS_PQ_ADVERTISE, KNOWS_NOT, "x25519", 1},
        {WIRE_TLS_PQ_ADVERTISE, NULL, "x25519", 1},
        {WIRE_TLS_PQ_OFFER, KNOWS, "X25519MLKEM768", 1},
        {WIRE_TLS_PQ_OFFER, KNOWS_OTHER, "SecP256r1MLKEM768", 2},
        {WIRE_TLS_PQ_OFFER, "SecP384r1MLKEM1024", "SecP384r1MLKEM1024", 2},
        {WIRE_TLS_PQ_OFFER, FIRST_CLASSICAL, "x25519", 1},
        {WIRE_TLS_PQ_OFFER, KNOWS_NOT, "x25519", 1},
        {WIRE_TLS_PQ_OFFER, NULL, "x25519", 1},
        {WIRE_TLS_PQ_PREFER, KNOWS, "X25519MLKEM768", 1},
        {WIRE_TLS_PQ_PREFER, KNOWS_NOT, "x25519", 2},
        {WIRE_TLS_PQ_PREFER, NULL, "x25519", 1},
        {WIRE_TLS_PQ_REQUIRE, KNOWS, "X25519MLKEM768", 1},
        {WIRE_TLS_PQ_REQUIRE, FIRST_CLASSICAL, "X25519MLKEM768", 1},
        {WIRE_TLS_PQ_REQUIRE, KNOWS_OTHER, "SecP256r1MLKEM768", 2},
        {WIRE_TLS_PQ_REQUIRE, KNOWS_NOT, NULL, 1},
        {WIRE_TLS_PQ_REQUIRE, NULL, NULL, 1},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        SSL_CTX *server = server_context(&good);
        SSL_CTX_set_msg_callback(server, count_hellos);
        if (!cases[i].groups) SSL_CTX_set_max_proto_version(server, TLS1_2_VERSION);
        if (cases[i].groups) assert_int_equal(SSL_CTX_set1_groups_list(server, cases[i].groups), 1);
        struct peer peer = peer_open(server);
        struct wire_tls_context *context;
        struct wire_tls_client_options options = {.ca_file = ca_path, .verify = true, .pq = cases[i].pq};
        assert_ok(wire_tls_client_context(&options, &context));
        struct wire_tls *tls = client(context, "origin.test");
        hellos = 0;
        sk_err err = shake(tls, &peer);
        bool refused = err == SK_ERR_TLS && !cases[i].agreed, agreed = !err && cases[i].agreed;
        if (!refused && !(agreed && !strcmp(wire_tls_group(tls), cases[i].agreed)))
            fail_msg("%zu: %s, %s, %s", i, sk_err_name(err), wire_tls_error(tls), wire_tls_group(tls));
        if (refused && cases[i].pq == WIRE_TLS_PQ_REQUIRE)
            assert_string_equal(wire_tls_error(tls),
                                "no post-quantum key exchange, which `pq: require` asks for");
        assert_int_equal(hellos, cases[i].hellos);
        wire_tls_free(tls);
        wire_tls_context_free(context);
        SSL_free(peer.ssl);
        SSL_CTX_free(server);
    }
}

/* --- expected names ----------------------------------------------------------------------------------- */

static void test_expected_names(void **state) {
    static const struct {
        const char *behaviour, *names, *expected, *error; /* NULL error: accepted */
    } cases[] = {
        {"a DNS name instead of the host", "DNS:other.test", "other.test", NULL},
        {"the host no longer counts", "DNS:origin.test", "other.test", "hostname mismatch"},
        {"an id of SPIFFE", "URI:spiffe://a.test/edge/7,DNS:x.test", "spiffe://a.test/edge/7", NULL},
        {"another one", "URI:spiffe://a.test/edge/70", "spiffe://a.test/edge/7",
         "the certificate does not carry the expected URI"},
        {"a DNS name is no URI", "DNS:origin.test", "spiffe://a.test/edge/7",
         "the certificate does not carry the expected URI"},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct certificate shown =
            certificate_make(&(struct certificate_wish){"server", cases[i].names, &authority, 0, 0});
        struct peer peer = peer_open(server_context(&shown));
        struct wire_tls_context *context = client_context(ca_path, true);
        struct wire_tls *tls = client(context, "origin.test");
        assert_ok(wire_tls_expect(tls, sk_str_from_c(cases[i].expected)));
        sk_err err = shake(tls, &peer);
        if (err != (cases[i].error ? SK_ERR_TLS_CERTIFICATE : SK_OK) ||
            (err && strcmp(wire_tls_error(tls), cases[i].error) != 0))
            fail_msg("%s: %s, \"%s\"", cases[i].behaviour, sk_err_name(err), wire_tls_error(tls));
        wire_tls_free(tls);
        wire_tls_context_free(context);
        SSL_free(peer.ssl);
        SSL_CTX_free(peer.context);
        certificate_free(&shown);
    }
}

static void test_expected_names_that_are_none(void **state) {
    struct wire_tls_context *context = client_context(ca_path, true);
    struct wire_tls *tls = client(context, "origin.test");
    char long_name[300];
    memset(long_name, 'a', sizeof long_name);
    assert_err(wire_tls_expect(tls, SK_STR("")), SK_ERR_INVALID);
    assert_err(wire_tls_expect(tls, SK_STR("a\0b")), SK_ERR_INVALID);
    assert_err(wire_tls_expect(tls, sk_str_make(long_name, sizeof long_name)), SK_ERR_INVALID);
    wire_tls_free(tls);
    wire_tls_context_free(context);
}

/* --- protocols ---------------------------------------------------------------------------------------- */

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                     const unsigned char *offered, unsigned bytes, void *arg) {
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_bytes, ours, sizeof ours - 1, offered, bytes) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void test_protocols(void **state) {
    static const struct {
        enum wire_tls_protocols offered;
        bool http2;
    } cases[] = {{WIRE_TLS_HTTP_1, false}, {WIRE_TLS_HTTP_2, true}, {WIRE_TLS_HTTP_1_AND_2, true}};
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        SSL_CTX *server = server_context(&good);
        SSL_CTX_set_alpn_select_cb(server, choose_h2, NULL);
        struct peer peer = peer_open(server);
        struct wire_tls_context *context = client_context(ca_path, true);
        struct wire_tls *tls = client(context, "origin.test");
        struct wire_tls_facts facts;
        assert_ok(wire_tls_offer_protocols(tls, cases[i].offered));
        assert_ok(shake(tls, &peer));
        wire_tls_facts(tls, &facts);
        assert_int_equal(facts.http2, cases[i].http2);
        assert_true(facts.post_quantum && !facts.resumed);
        wire_tls_free(tls);
        wire_tls_context_free(context);
        SSL_free(peer.ssl);
        SSL_CTX_free(server);
    }
}

static void test_server_name(void **state) {
    static const char *const cases[][2] = {
        {"origin.test", "origin.test"}, {"127.0.0.1", NULL}, {"[::1]", NULL}};
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct peer peer = peer_open(server_context(&good));
        struct wire_tls_context *context = client_context(ca_path, true);
        struct wire_tls *tls = client(context, cases[i][0]);
        assert_ok(shake(tls, &peer));
        const char *sent = SSL_get_servername(peer.ssl, TLSEXT_NAMETYPE_host_name);
        if (cases[i][1])
            assert_string_equal(sent, cases[i][1]);
        else
            assert_null(sent);
        wire_tls_free(tls);
        wire_tls_context_free(context);
        SSL_free(peer.ssl);
        SSL_CTX_free(peer.context);
    }
}

/* --- sessions --------------------------------------------------------------------------------------- */

static void check_resumption(int version) {
    SSL_CTX *server = server_context(&good);
    SSL_CTX_set_max_proto_version(server, version);
    struct wire_tls_context *context = client_context(ca_path, true);
    struct wire_tls_session *session = NULL;
    for (int round = 0; round < 3; round++) {
        struct peer peer = peer_open(server);
        struct wire_tls *tls = client(context, "origin.test");
        char byte;
        size_t n;
        wire_tls_offer(tls, session);
        assert_ok(shake(tls, &peer));
        assert_int_equal(wire_tls_resumed(tls), round > 0);
        assert_err(wire_tls_read(tls, &byte, 1, &n), SK_ERR_AGAIN); /* takes the tickets in */
        struct wire_tls_session *newer = wire_tls_take_session(tls);
        assert_null(wire_tls_take_session(tls));
        if (newer) {
            wire_tls_session_free(session);
            session = newer;
        }
        assert_non_null(session);
        wire_tls_free(tls);
        SSL_free(peer.ssl);
    }
    wire_tls_session_free(session);
    wire_tls_context_free(context);
    SSL_CTX_free(server);
}

static void test_resumption(void **state) {
    check_resumption(TLS1_3_VERSION);
    check_resumption(TLS1_2_VERSION);
}

/* --- bytes ------------------------------------------------------------------------------------------ */

static void test_bytes_both_ways(void **state) {
    static char sent[100000], got[sizeof sent];
    struct peer peer = peer_open(server_context(&good));
    struct wire_tls_context *context = client_context(ca_path, true);
    struct wire_tls *tls = client(context, "origin.test");
    size_t n, total = 0;
    assert_ok(shake(tls, &peer));
    for (size_t i = 0; i < sizeof sent; i++) sent[i] = (char)(i * 31);
    assert_ok(wire_tls_write(tls, sent, sizeof sent));
    carry(tls, &peer);
    while (total < sizeof got && SSL_read_ex(peer.ssl, got + total, sizeof got - total, &n) == 1) total += n;
    assert_int_equal(total, sizeof sent);
    assert_memory_equal(sent, got, sizeof sent);
    assert_int_equal(SSL_write(peer.ssl, sent, sizeof sent), sizeof sent);
    memset(got, 0, sizeof got);
    carry(tls, &peer);
    for (total = 0; wire_tls_read(tls, got + total, sizeof got - total, &n) == SK_OK; total += n)
        if (total + n == sizeof got) break;
    assert_memory_equal(sent, got, sizeof sent);
    assert_err(wire_tls_read(tls, got, sizeof got, &n), SK_ERR_AGAIN);
    SSL_shutdown(peer.ssl);
    carry(tls, &peer);
    assert_err(wire_tls_read(tls, got, sizeof got, &n), SK_ERR_END);
    wire_tls_close_notify(tls);
    carry(tls, &peer);
    assert_int_equal(SSL_read(peer.ssl, got, 1), 0);
    assert_int_equal(SSL_get_error(peer.ssl, 0), SSL_ERROR_ZERO_RETURN);
    wire_tls_free(tls);
    wire_tls_context_free(context);
    SSL_free(peer.ssl);
    SSL_CTX_free(peer.context);
}

static void test_peer_that_does_not_speak_tls(void **state) {
    struct wire_tls_context *context = client_context(ca_path, true);
    struct wire_tls *tls = client(context, "origin.test");
    assert_err(wire_tls_handshake(tls), SK_ERR_AGAIN);
    assert_ok(wire_tls_feed(tls, "HTTP/1.1 400 Bad Request\r\n\r\n", 28));
    assert_err(wire_tls_handshake(tls), SK_ERR_TLS);
    assert_true(strlen(wire_tls_error(tls)) > 0);
    wire_tls_free(tls);
    wire_tls_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_pinned_leaf),
        cmocka_unit_test(test_ca_file_that_cannot_be_read),
        cmocka_unit_test(test_host_that_is_none),
        cmocka_unit_test(test_negotiation),
        cmocka_unit_test(test_key_exchange_by_policy),
        cmocka_unit_test(test_expected_names),
        cmocka_unit_test(test_expected_names_that_are_none),
        cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_server_name),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_bytes_both_ways),
        cmocka_unit_test(test_peer_that_does_not_speak_tls),
    };
    return cmocka_run_group_tests(tests, make_authority, drop_authority);
}
