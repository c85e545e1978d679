/* The server's side of TLS over memory, with OpenSSL as the client, and the store of its certificates. */
#include "certificates.h"
#include "unit.h"

#include <malloc.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <unistd.h>

#include "wire/tls_server.h"

static struct certificate authority;
static char folder[] = "/tmp/skerry-tls-server-XXXXXX";

struct files {
    char cert[64], key[64];
};

static struct files files_for(const char *label, const char *names) {
    struct certificate made = certificate_make(
        &(struct certificate_wish){.common_name = label, .names = names, .issuer = &authority});
    struct files files;
    snprintf(files.cert, sizeof files.cert, "%s/%s.pem", folder, label);
    snprintf(files.key, sizeof files.key, "%s/%s.key", folder, label);
    certificate_save(&made, files.cert);
    FILE *file = fopen(files.key, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, made.key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    certificate_free(&made);
    return files;
}

static int make_folder(void **state) {
    if (!mkdtemp(folder)) return -1;
    authority = certificate_make(&(struct certificate_wish){.common_name = "Test CA"});
    return 0;
}

static int drop_folder(void **state) {
    char command[96];
    certificate_free(&authority);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void add(struct wire_tls_store *store, const char *label, const char *names) {
    struct files files = files_for(label, names);
    char why[WIRE_TLS_WHY_BYTES];
    assert_ok(wire_tls_store_add(store, files.cert, files.key, why));
}

static const char *file_for(const struct wire_tls_store *store, const char *name) {
    const struct wire_tls_certificate *found =
        wire_tls_store_find(store, sk_str_from_c(name), WIRE_TLS_ECDSA);
    return found ? strrchr(found->file, '/') + 1 : "";
}

/* --- the store ------------------------------------------------------------------------------------------ */

static void rfc6125_6_4_3_a_wildcard_is_one_whole_label(void **state) {
    static const struct {
        const char *name, *file;
    } cases[] = {
        {"a.test", "exact.pem"},
        {"A.Test", "exact.pem"},
        {"a.test.", "exact.pem"},
        {"x.wild.test", "wild.pem"},
        {"X.WILD.test", "wild.pem"},
        {"wild.test", ""},
        {"x.y.wild.test", ""},
        {".wild.test", ""},
        {"", ""},
        {"b.test", ""},
        {"deep.wild.test", "deep.pem"},
        {"*.wild.test", "wild.pem"},
        {"127.0.0.1", "exact.pem"},
    };
    struct wire_tls_store *store;
    assert_ok(wire_tls_store_create(&store));
    add(store, "exact", "DNS:a.test,IP:127.0.0.1");
    add(store, "wild", "DNS:*.Wild.test");
    add(store, "deep", "DNS:deep.wild.test");
    add(store, "late", "DNS:a.test"); /* the first one stays */
    for (size_t i = 0; i < SK_COUNT(cases); i++)
        assert_string_equal(file_for(store, cases[i].name), cases[i].file);
    char longer[600];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = 0;
    assert_string_equal(file_for(store, longer), "");
    assert_int_equal(wire_tls_store_count(store), 4);
    assert_int_equal(wire_tls_store_at(store, 0)->name_count, 2);
    wire_tls_store_unref(store);
}

static void thousands_of_names_are_found(void **state) {
    enum { NAMES = 3000 };
    struct wire_tls_store *store;
    char *names = malloc(NAMES * 32), *at = names, name[32];
    for (int i = 0; i < NAMES; i++) at += sprintf(at, "%sDNS:n%d.many.test", i ? "," : "", i);
    assert_ok(wire_tls_store_create(&store));
    add(store, "many", names);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "n%d.many.test", i);
        assert_string_equal(file_for(store, name), "many.pem");
    }
    assert_string_equal(file_for(store, "n3000.many.test"), "");
    free(names);
    wire_tls_store_unref(store);
}

static void what_is_wrong_with_files_is_told(void **state) {
    struct files one = files_for("one", "DNS:one.test"), two = files_for("two", "DNS:two.test");
    const struct {
        const char *cert, *key, *said;
    } cases[] = {
        {"/nowhere/x.pem", one.key, "cannot be read"}, {one.cert, "/nowhere/x.key", "cannot be read"},
        {one.key, one.key, "no certificate"},          {one.cert, one.cert, "no private key"},
        {one.cert, two.key, "does not belong"},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct wire_tls_store *store;
        char why[WIRE_TLS_WHY_BYTES] = "";
        assert_ok(wire_tls_store_create(&store));
        assert_int_equal(wire_tls_store_add(store, cases[i].cert, cases[i].key, why), SK_ERR_INVALID);
        assert_non_null(strstr(why, cases[i].said));
        assert_int_equal(wire_tls_store_count(store), 0);
        wire_tls_store_unref(store);
    }
}

/* --- connections ---------------------------------------------------------------------------------------- */

struct world {
    struct wire_tls_store *store;
    struct wire_tls_tickets *tickets;
    struct wire_tls_server *server;
    SSL_CTX *context;
};
struct link {
    struct wire_tls_conn *conn;
    SSL *client;
    BIO *in, *out;
    struct sk_buf to_client;
};

static struct world world_open(struct wire_tls_server_options options) {
    struct world world;
    assert_ok(wire_tls_store_create(&world.store));
    add(world.store, "server", "DNS:server.test");
    assert_ok(wire_tls_tickets_create(&world.tickets));
    options.store = world.store;
    options.tickets = world.tickets;
    assert_ok(wire_tls_server_create(&options, &world.server));
    world.context = SSL_CTX_new(TLS_client_method());
    return world;
}

static void world_close(struct world *world) {
    SSL_CTX_free(world->context);
    wire_tls_server_unref(world->server);
    wire_tls_store_unref(world->store);
    wire_tls_tickets_unref(world->tickets);
}

static struct link link_open(struct world *world) {
    struct link link = {
        .client = SSL_new(world->context), .in = BIO_new(BIO_s_mem()), .out = BIO_new(BIO_s_mem())};
    SSL_set_bio(link.client, link.in, link.out);
    SSL_set_connect_state(link.client);
    sk_buf_init(&link.to_client, 0);
    assert_ok(wire_tls_accept(world->server, &link.conn));
    return link;
}

static void link_close(struct link *link) {
    SSL_free(link->client);
    wire_tls_conn_free(link->conn);
    sk_buf_free(&link->to_client);
}

static size_t take(struct link *link, char *data, size_t bytes) {
    int n = BIO_read(link->out, data, (int)bytes);
    return n > 0 ? (size_t)n : 0;
}

static void give(struct link *link) {
    sk_str text = sk_buf_str(&link->to_client);
    if (text.len) assert_int_equal(BIO_write(link->in, text.data, (int)text.len), (int)text.len);
    sk_buf_clear(&link->to_client);
}

/* STEP bytes at a time towards the server. */
static sk_err shake(struct link *link, size_t step) {
    static char data[16384];
    sk_err err = SK_ERR_AGAIN;
    for (int round = 0; round < 20000 && err == SK_ERR_AGAIN; round++) {
        SSL_do_handshake(link->client);
        sk_str input = {data, take(link, data, SK_MIN(step, sizeof data))};
        err = wire_tls_conn_handshake(link->conn, &input, &link->to_client);
        if (err == SK_OK) assert_int_equal(input.len, 0);
        give(link);
    }
    SSL_do_handshake(link->client);
    return err;
}

static void a_handshake_in_pieces_and_bytes_both_ways(void **state) {
    static const size_t steps[] = {1, 7, 500, 16384};
    static char big[100000], back[100000], wire[200000];
    for (size_t i = 0; i < SK_COUNT(steps); i++) {
        struct world world = world_open((struct wire_tls_server_options){.pq = WIRE_TLS_PQ_PREFER});
        struct link link = link_open(&world);
        struct wire_tls_facts facts;
        assert_ok(shake(&link, steps[i]));
        wire_tls_conn_facts(link.conn, &facts);
        assert_string_equal(facts.version, "TLSv1.3");
        assert_true(facts.post_quantum && !facts.resumed && !facts.http2);
        memset(big, (int)i + 1, sizeof big);
        assert_ok(wire_tls_conn_write(link.conn, big, sizeof big, &link.to_client));
        give(&link);
        for (size_t at = 0, n; at < sizeof back; at += n)
            assert_int_equal(SSL_read_ex(link.client, back + at, sizeof back - at, &n), 1);
        assert_memory_equal(big, back, sizeof big);
        assert_int_equal(SSL_write(link.client, big, 50000), 50000);
        sk_str input = {wire, take(&link, wire, sizeof wire)};
        size_t at = 0, n = 0;
        sk_err err;
        while ((err = wire_tls_conn_read(link.conn, &input, &link.to_client, back + at, 999, &n)) == SK_OK)
            at += n;
        assert_int_equal(err, SK_ERR_AGAIN);
        assert_int_equal(at, 50000);
        assert_false(wire_tls_conn_has_plaintext(link.conn));
        link_close(&link);
        world_close(&world);
    }
}

static void rfc8446_6_1_close_notify_is_an_end(void **state) {
    struct world world = world_open((struct wire_tls_server_options){0});
    struct link link = link_open(&world);
    char data[1000];
    size_t n;
    assert_ok(shake(&link, 16384));
    SSL_shutdown(link.client);
    sk_str input = {data, take(&link, data, sizeof data)};
    assert_int_equal(wire_tls_conn_read(link.conn, &input, &link.to_client, data, 1, &n), SK_ERR_END);
    link_close(&link);
    world_close(&world);
}

static void garbage_is_an_error_with_an_alert(void **state) {
    struct world world = world_open((struct wire_tls_server_options){0});
    struct link link = link_open(&world);
    sk_str input = SK_STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(wire_tls_conn_handshake(link.conn, &input, &link.to_client), SK_ERR_TLS);
    assert_string_not_equal(wire_tls_conn_error(link.conn), "");
    link_close(&link);
    world_close(&world);
}

static void rfc8446_4_6_3_a_flood_of_key_updates_ends_it(void **state) {
    struct world world = world_open((struct wire_tls_server_options){0});
    struct link link = link_open(&world);
    char data[4096];
    size_t n;
    sk_err err = SK_OK;
    assert_ok(shake(&link, 16384));
    for (int i = 0; i < 100 && err != SK_ERR_TLS; i++) {
        assert_int_equal(SSL_key_update(link.client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(link.client), 1);
        sk_str input = {data, take(&link, data, sizeof data)};
        err = wire_tls_conn_read(link.conn, &input, &link.to_client, data, 1, &n);
    }
    assert_int_equal(err, SK_ERR_TLS);
    link_close(&link);
    world_close(&world);
}

/* The client's last words of the handshake, its first question and half of the next one come together. */
static void bytes_behind_the_handshake(void **state) {
    struct world world = world_open((struct wire_tls_server_options){0});
    struct link link = link_open(&world);
    static char data[16384];
    char back[100];
    size_t n, at = 0;
    sk_str input;
    sk_err err;
    SSL_do_handshake(link.client);
    input = (sk_str){data, take(&link, data, sizeof data)};
    assert_int_equal(wire_tls_conn_handshake(link.conn, &input, &link.to_client), SK_ERR_AGAIN);
    give(&link);
    assert_int_equal(SSL_do_handshake(link.client), 1);
    assert_int_equal(SSL_write(link.client, "one", 3), 3);
    assert_int_equal(SSL_write(link.client, "two", 3), 3);
    input = (sk_str){data, take(&link, data, sizeof data)};
    sk_str rest = sk_str_slice(input, input.len - 10, input.len);
    input.len -= 10;
    assert_ok(wire_tls_conn_handshake(link.conn, &input, &link.to_client));
    while (!(err = wire_tls_conn_read(link.conn, &input, &link.to_client, back + at, 10, &n))) at += n;
    assert_int_equal(err, SK_ERR_AGAIN);
    assert_int_equal(at, 3);
    assert_ok(wire_tls_conn_read(link.conn, &rest, &link.to_client, back + at, 10, &n));
    assert_int_equal(n, 3);
    assert_memory_equal(back, "onetwo", 6);
    assert_ok(wire_tls_conn_write(link.conn, "answer", 6, &link.to_client));
    wire_tls_conn_close_notify(link.conn, &link.to_client);
    give(&link);
    assert_int_equal(SSL_read(link.client, back, sizeof back), 6); /* the tickets before it were counted */
    assert_int_equal(SSL_read(link.client, back, sizeof back), 0);
    assert_int_equal(SSL_get_shutdown(link.client), SSL_RECEIVED_SHUTDOWN);
    link_close(&link);
    world_close(&world);
}

/* The client decides what is taken over: each suite, and what stays with the library. */
static void every_version_and_suite_both_ways(void **state) {
    static const struct {
        int version;
        const char *suites;
        uint8_t fragment;
    } cases[] = {
        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", TLSEXT_max_fragment_length_DISABLED},
        {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", TLSEXT_max_fragment_length_DISABLED},
        {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", TLSEXT_max_fragment_length_DISABLED},
        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", TLSEXT_max_fragment_length_512}, /* RFC 6066 section 4 */
        {TLS1_2_VERSION, NULL, TLSEXT_max_fragment_length_DISABLED},
    };
    static char data[40000], back[40000];
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct world world = world_open((struct wire_tls_server_options){0});
        struct link link = link_open(&world);
        size_t at = 0, n;
        SSL_set_min_proto_version(link.client, cases[i].version);
        SSL_set_max_proto_version(link.client, cases[i].version);
        if (cases[i].suites) SSL_set_ciphersuites(link.client, cases[i].suites);
        SSL_set_tlsext_max_fragment_length(link.client, cases[i].fragment);
        assert_ok(shake(&link, 16384));
        memset(data, 'x', sizeof data);
        assert_ok(wire_tls_conn_write(link.conn, data, 20000, &link.to_client));
        give(&link);
        while (SSL_read_ex(link.client, back + at, sizeof back - at, &n)) at += n;
        assert_int_equal(at, 20000);
        assert_int_equal(SSL_write(link.client, "question", 8), 8);
        sk_str input = {data, take(&link, data, sizeof data)};
        assert_ok(wire_tls_conn_read(link.conn, &input, &link.to_client, back, sizeof back, &n));
        assert_int_equal(n, 8);
        link_close(&link);
        world_close(&world);
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
/* What a connection keeps after its handshake: keys, not the library's connection of 20 KiB and more. */
static void an_idle_connection_is_small(void **state) {
    enum { LINKS = 20 };
    struct world world = world_open((struct wire_tls_server_options){.pq = WIRE_TLS_PQ_PREFER});
    struct link links[LINKS];
    size_t before = 0;
    for (int i = 0; i < LINKS; i++) {
        links[i] = link_open(&world);
        assert_ok(shake(&links[i], 16384));
        SSL_free(links[i].client); /* so that only the server's memory is left */
        links[i].client = NULL;
        sk_buf_free(&links[i].to_client);
        if (i == 0) before = mallinfo2().uordblks;
    }
    assert_in_range((mallinfo2().uordblks - before) / (LINKS - 1), 100, 4096);
    for (int i = 0; i < LINKS; i++) link_close(&links[i]);
    world_close(&world);
}
#define MEASURED cmocka_unit_test(an_idle_connection_is_small),
#else
#define MEASURED /* the allocator is another one */
#endif

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    SSL_SESSION **kept = SSL_get_app_data(ssl);
    SSL_SESSION_free(*kept);
    *kept = session;
    return 1;
}

/* The ticket is good for every server with the same ticket keys, and for none with others. */
static void tickets_are_shared_by_servers(void **state) {
    struct world world = world_open((struct wire_tls_server_options){0});
    struct world stranger = world_open((struct wire_tls_server_options){0});
    struct wire_tls_server *again;
    struct wire_tls_facts facts;
    SSL_SESSION *session = NULL;
    SSL_CTX_set_session_cache_mode(world.context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(world.context, keep_session);
    struct link link = link_open(&world);
    SSL_set_app_data(link.client, &session);
    assert_ok(shake(&link, 16384));
    char byte;
    SSL_read(link.client, &byte, 1);
    assert_non_null(session);
    SSL_set_shutdown(link.client, SSL_SENT_SHUTDOWN);
    link_close(&link);
    struct wire_tls_server_options options = {.store = world.store, .tickets = world.tickets};
    assert_ok(wire_tls_server_create(&options, &again));
    struct wire_tls_server *servers[] = {again, stranger.server};
    for (int i = 0; i < 2; i++) {
        struct world other = {.server = servers[i], .context = world.context};
        link = link_open(&other);
        SSL_set_app_data(link.client, &session);
        SSL_set_session(link.client, session);
        assert_ok(shake(&link, 16384));
        wire_tls_conn_facts(link.conn, &facts);
        assert_int_equal(facts.resumed, i == 0);
        SSL_set_shutdown(link.client, SSL_SENT_SHUTDOWN);
        link_close(&link);
    }
    SSL_SESSION_free(session);
    wire_tls_server_unref(again);
    world_close(&world);
    world_close(&stranger);
}

/* --- the certificate's status -------------------------------------------------------------------------------- */

/* What a client of VERSION is shown. */
static sk_str shown_status(struct world *world, int version, bool asks, char room[64]) {
    struct link link = link_open(world);
    unsigned char *response = NULL;
    SSL_set_max_proto_version(link.client, version);
    if (asks) SSL_set_tlsext_status_type(link.client, TLSEXT_STATUSTYPE_ocsp);
    assert_ok(shake(&link, 16384));
    long bytes = SSL_get_tlsext_status_ocsp_resp(link.client, &response);
    assert_true(bytes <= 64);
    if (bytes > 0) memcpy(room, response, (size_t)bytes);
    link_close(&link);
    return (sk_str){room, bytes > 0 ? (size_t)bytes : 0};
}

static void rfc6066_8_the_status_is_shown_to_who_asks(void **state) {
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    char room[64];
    sk_unix_s now = sk_wall_now_s();
    for (size_t i = 0; i < SK_COUNT(versions); i++) {
        struct world world = world_open((struct wire_tls_server_options){0});
        assert_str(shown_status(&world, versions[i], true, room), SK_STR(""));
        assert_ok(wire_tls_store_staple(world.store, 0, SK_STR("first"), now + 60));
        assert_str(shown_status(&world, versions[i], true, room), SK_STR("first"));
        assert_str(shown_status(&world, versions[i], false, room), SK_STR(""));
        assert_ok(wire_tls_store_staple(world.store, 0, SK_STR("the second"), now + 60));
        assert_str(shown_status(&world, versions[i], true, room), SK_STR("the second"));
        assert_ok(wire_tls_store_staple(world.store, 0, SK_STR("old"), now - 1));
        assert_str(shown_status(&world, versions[i], true, room), SK_STR(""));
        assert_ok(wire_tls_store_staple(world.store, 0, SK_STR(""), 0));
        assert_str(shown_status(&world, versions[i], true, room), SK_STR(""));
        world_close(&world);
    }
}

/* --- early data ------------------------------------------------------------------------------------------ */

/* A session of WORLD's, to come back with. */
static SSL_SESSION *get_session(struct world *world) {
    SSL_SESSION *session = NULL;
    char byte;
    SSL_CTX_set_session_cache_mode(world->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(world->context, keep_session);
    struct link link = link_open(world);
    SSL_set_app_data(link.client, &session);
    assert_ok(shake(&link, 16384));
    SSL_read(link.client, &byte, 1);
    assert_non_null(session);
    SSL_set_shutdown(link.client, SSL_SENT_SHUTDOWN);
    link_close(&link);
    return session;
}

/* The client's first flight with early data: how many bytes, in DATA. */
static size_t first_flight(struct link *link, SSL_SESSION **session, const char *early, char *data,
                           size_t bytes) {
    size_t n;
    SSL_set_app_data(link->client, session);
    SSL_set_session(link->client, *session);
    assert_int_equal(SSL_write_early_data(link->client, early, strlen(early), &n), 1);
    return take(link, data, bytes);
}

static void rfc8446_2_3_early_data_is_answered_at_once(void **state) {
    static const size_t steps[] = {1, 100, 16384};
    for (size_t i = 0; i < SK_COUNT(steps); i++) {
        static char data[16384], back[1000];
        struct world world = world_open((struct wire_tls_server_options){.early_data = true});
        SSL_SESSION *session = get_session(&world);
        struct link link = link_open(&world);
        struct wire_tls_facts facts;
        size_t bytes = first_flight(&link, &session, "question", data, sizeof data), n = 0, at = 0;
        sk_err err = SK_OK;
        for (size_t from = 0; from < bytes && !wire_tls_conn_early(link.conn); from += steps[i]) {
            sk_str input = {data + from, SK_MIN(steps[i], bytes - from)};
            assert_int_equal(wire_tls_conn_handshake(link.conn, &input, &link.to_client), SK_ERR_AGAIN);
        }
        assert_true(wire_tls_conn_early(link.conn) && wire_tls_conn_has_plaintext(link.conn));
        wire_tls_conn_facts(link.conn, &facts);
        assert_true(facts.early && facts.resumed);
        assert_string_not_equal(facts.group, "");
        sk_str none = {0};
        assert_ok(wire_tls_conn_read(link.conn, &none, &link.to_client, back, 3, &n));
        assert_int_equal(n, 3);
        assert_ok(wire_tls_conn_read(link.conn, &none, &link.to_client, back + 3, 100, &n));
        assert_memory_equal(back, "question", 8);
        assert_int_equal(wire_tls_conn_read(link.conn, &none, &link.to_client, back, 100, &n), SK_ERR_AGAIN);
        assert_ok(wire_tls_conn_write(link.conn, "early answer", 12, &link.to_client));
        give(&link);
        assert_int_equal(SSL_do_handshake(link.client), 1);
        assert_int_equal(SSL_get_early_data_status(link.client), SSL_EARLY_DATA_ACCEPTED);
        assert_int_equal(SSL_read(link.client, back, sizeof back), 12);
        /* the handshake's end, and what comes behind it */
        assert_true(wire_tls_conn_early(link.conn));
        assert_int_equal(SSL_write(link.client, "more", 4), 4);
        sk_str input = {data, take(&link, data, sizeof data)};
        while (!(err = wire_tls_conn_read(link.conn, &input, &link.to_client, back + at, 2, &n))) at += n;
        assert_int_equal(err, SK_ERR_AGAIN);
        assert_int_equal(at, 4);
        assert_memory_equal(back, "more", 4);
        assert_false(wire_tls_conn_early(link.conn));
        wire_tls_conn_facts(link.conn, &facts);
        assert_false(facts.early);
        assert_ok(wire_tls_conn_write(link.conn, "late answer", 11, &link.to_client));
        wire_tls_conn_close_notify(link.conn, &link.to_client);
        give(&link);
        assert_int_equal(SSL_read(link.client, back, sizeof back),
                         11); /* the records before it were counted */
        assert_int_equal(SSL_read(link.client, back, sizeof back), 0);
        assert_int_equal(SSL_get_shutdown(link.client), SSL_RECEIVED_SHUTDOWN);
        link_close(&link);
        SSL_SESSION_free(session);
        world_close(&world);
    }
}

/* RFC 8446 section 8.2: also where another server of the same process gets the copy. */
static void rfc8446_8_2_a_copy_of_early_data_is_not_taken(void **state) {
    static char data[16384], back[100];
    struct world world = world_open((struct wire_tls_server_options){.early_data = true});
    SSL_SESSION *session = get_session(&world);
    struct link link = link_open(&world);
    struct wire_tls_server *again;
    struct wire_tls_server_options options = {
        .store = world.store, .tickets = world.tickets, .early_data = true};
    assert_ok(wire_tls_server_create(&options, &again));
    struct wire_tls_server *servers[] = {world.server, world.server, again};
    size_t bytes = first_flight(&link, &session, "question", data, sizeof data), n;
    for (size_t i = 0; i < SK_COUNT(servers); i++) {
        struct sk_buf output;
        struct wire_tls_conn *conn;
        sk_str input = {data, bytes}, none = {0};
        sk_buf_init(&output, 0);
        assert_ok(wire_tls_accept(servers[i], &conn));
        assert_int_equal(wire_tls_conn_handshake(conn, &input, &output), SK_ERR_AGAIN);
        assert_int_equal(wire_tls_conn_early(conn), i == 0);
        if (i)
            assert_int_equal(wire_tls_conn_read(conn, &none, &output, back, sizeof back, &n), SK_ERR_AGAIN);
        wire_tls_conn_free(conn);
        sk_buf_free(&output);
    }
    SSL_set_shutdown(link.client, SSL_SENT_SHUTDOWN);
    link_close(&link);
    SSL_SESSION_free(session);
    wire_tls_server_unref(again);
    world_close(&world);
}

/* It is skipped, and the client learns that it has to send it again (RFC 8446 section 4.2.10). */
static void early_data_is_not_taken_unless_allowed(void **state) {
    static char data[16384], back[100];
    struct world world = world_open((struct wire_tls_server_options){.early_data = true});
    SSL_SESSION *session = get_session(&world);
    struct wire_tls_server *careful;
    struct wire_tls_server_options options = {.store = world.store, .tickets = world.tickets};
    assert_ok(wire_tls_server_create(&options, &careful));
    struct world other = {.server = careful, .context = world.context};
    struct link link = link_open(&other);
    size_t n, bytes = first_flight(&link, &session, "question", data, sizeof data);
    sk_str input = {data, bytes};
    assert_int_equal(wire_tls_conn_handshake(link.conn, &input, &link.to_client), SK_ERR_AGAIN);
    assert_false(wire_tls_conn_early(link.conn));
    give(&link);
    assert_ok(shake(&link, 16384));
    assert_int_equal(SSL_get_early_data_status(link.client), SSL_EARLY_DATA_REJECTED);
    assert_int_equal(SSL_write(link.client, "again", 5), 5);
    input = (sk_str){data, take(&link, data, sizeof data)};
    assert_ok(wire_tls_conn_read(link.conn, &input, &link.to_client, back, sizeof back, &n));
    assert_int_equal(n, 5);
    link_close(&link);
    SSL_SESSION_free(session);
    wire_tls_server_unref(careful);
    world_close(&world);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc6125_6_4_3_a_wildcard_is_one_whole_label),
        cmocka_unit_test(thousands_of_names_are_found),
        cmocka_unit_test(what_is_wrong_with_files_is_told),
        cmocka_unit_test(a_handshake_in_pieces_and_bytes_both_ways),
        cmocka_unit_test(bytes_behind_the_handshake),
        cmocka_unit_test(every_version_and_suite_both_ways),
        MEASURED cmocka_unit_test(rfc8446_6_1_close_notify_is_an_end),
        cmocka_unit_test(garbage_is_an_error_with_an_alert),
        cmocka_unit_test(rfc8446_4_6_3_a_flood_of_key_updates_ends_it),
        cmocka_unit_test(tickets_are_shared_by_servers),
        cmocka_unit_test(rfc6066_8_the_status_is_shown_to_who_asks),
        cmocka_unit_test(rfc8446_2_3_early_data_is_answered_at_once),
        cmocka_unit_test(rfc8446_8_2_a_copy_of_early_data_is_not_taken),
        cmocka_unit_test(early_data_is_not_taken_unless_allowed),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
