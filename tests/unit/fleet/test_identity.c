#include "fleet/identity.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/signers.h"
#include "fleet_of_test.h"
#include "io/file.h"

static struct fleet_ca *ca, *foreign, *old; /* old: made a year ago */
static sk_unix_s now;

static int set_up(void **state) {
    char path[128];
    now = sk_wall_now_s();
    test_folder_make();
    snprintf(path, sizeof path, "%s/ca", test_folder);
    assert_ok(fleet_ca_open(sk_str_from_c(path), SK_STR("acme"), now, &ca));
    snprintf(path, sizeof path, "%s/foreign", test_folder);
    assert_ok(fleet_ca_open(sk_str_from_c(path), SK_STR("acme"), now, &foreign));
    snprintf(path, sizeof path, "%s/old", test_folder);
    assert_ok(fleet_ca_open(sk_str_from_c(path), SK_STR("acme"), now - 365 * TEST_LIFE_S, &old));
    return 0;
}

static int tear_down(void **state) {
    fleet_ca_free(ca);
    fleet_ca_free(foreign);
    fleet_ca_free(old);
    test_folder_remove();
    return 0;
}

/* --- identities ---------------------------------------------------------------------------------------------- */

static void test_names(void **state) {
    struct fleet_identity *identity = test_identity(ca, "spiffe://acme/fra/edge/a", now);
    const struct fleet_caller *self = fleet_identity_self(identity);
    struct fleet_id wanted = test_id("spiffe://acme/fra/edge/a");
    assert_true(fleet_id_eq(&self->id, &wanted));
    assert_int_equal(self->issued_at, now);
    assert_int_equal(self->not_after, now + TEST_LIFE_S);
    assert_int_equal(fleet_identity_renew_at(identity), now + TEST_LIFE_S / 3 * 2);
    assert_string_equal(fleet_identity_roots_digest(identity), fleet_ca_roots_digest(ca));
    fleet_identity_unref(identity);
}

static void test_on_disk(void **state) {
    char path[128], file[160];
    struct fleet_identity *identity;
    struct sk_buf node;
    struct stat st;
    snprintf(path, sizeof path, "%s/state", test_folder);
    sk_str folder = sk_str_from_c(path);
    assert_ok(fleet_folder(folder));
    assert_err(fleet_identity_load(folder, &identity), SK_ERR_NOT_FOUND);
    test_node(ca, "spiffe://acme/fra/edge/a", now, &node);
    assert_ok(fleet_identity_save(folder, sk_buf_str(&node), fleet_ca_roots(ca)));
    assert_ok(fleet_identity_load(folder, &identity));
    fleet_identity_unref(identity);
    snprintf(file, sizeof file, "%s/node.pem", path);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    /* what does not belong together is not written over what does */
    assert_err(fleet_identity_save(folder, sk_buf_str(&node), fleet_ca_roots(foreign)), SK_ERR_INVALID);
    assert_err(fleet_identity_save(folder, SK_STR("-----BEGIN"), fleet_ca_roots(ca)), SK_ERR_MALFORMED);
    assert_ok(fleet_identity_load(folder, &identity));
    fleet_identity_unref(identity);
    /* a folder that others may read holds no secrets */
    assert_int_equal(chmod(path, 0755), 0);
    assert_err(fleet_folder(folder), SK_ERR_DENIED);
    sk_buf_free(&node);
}

/* A node whose certificate has expired must start all the same. */
static void test_expired_loads(void **state) {
    struct fleet_identity *identity = test_identity(old, "spiffe://acme/fra/edge/a", now - 30 * TEST_LIFE_S);
    assert_true(fleet_identity_self(identity)->not_after < now);
    fleet_identity_unref(identity);
}

static void test_requests_refused(void **state) {
    struct sk_buf request, certificate;
    struct fleet_id id = test_id("spiffe://acme/fra/edge/a"), other = test_id("spiffe://other/fra/edge/a");
    EVP_PKEY *key;
    sk_buf_init(&request, 0);
    sk_buf_init(&certificate, 0);
    assert_ok(fleet_key_request(&key, &request));
    assert_err(fleet_ca_issue(ca, SK_STR(""), &id, now, 60, &certificate), SK_ERR_MALFORMED);
    assert_err(fleet_ca_issue(ca, sk_buf_str(&request), &other, now, 60, &certificate), SK_ERR_INVALID);
    /* RFC 2986 3: without the key nobody can sign for it */
    request.data[200] = request.data[200] == 'A' ? 'B' : 'A';
    assert_err(fleet_ca_issue(ca, sk_buf_str(&request), &id, now, 60, &certificate), SK_ERR_MALFORMED);
    assert_int_equal(sk_buf_len(&certificate), 0);
    EVP_PKEY_free(key);
    sk_buf_free(&request);
    sk_buf_free(&certificate);
}

/* --- signatures ---------------------------------------------------------------------------------------------- */

/* Each answer is asked for three times: without memory, and of one that learns and then remembers. */
static struct fleet_signers *memory;
static sk_err verify(struct fleet_identity *judge, const struct fleet_signed *what,
                     const struct fleet_expelled *expelled, struct fleet_id *signer) {
    sk_err err = fleet_verify(judge, what, expelled, signer);
    for (int i = 0; i < 2; i++) assert_err(fleet_signers_verify(memory, judge, what, expelled, signer), err);
    return err;
}

static void test_signatures(void **state) {
    struct fleet_identity *control = test_identity(ca, "spiffe://acme/fra/control/c", now),
                          *edge = test_identity(ca, "spiffe://acme/fra/edge/a", now),
                          *stranger = test_identity(foreign, "spiffe://acme/fra/control/c", now),
                          *judge = test_identity(ca, "spiffe://acme/fra/edge/b", now);
    assert_ok(fleet_signers_create(8, &memory));
    struct fleet_identity *signers[] = {control, edge, stranger};
    const sk_err wanted[] = {SK_OK, SK_ERR_DENIED, SK_ERR_TLS_CERTIFICATE};
    for (size_t i = 0; i < SK_COUNT(signers); i++) {
        struct sk_buf signature, certificate;
        struct fleet_id signer;
        sk_buf_init(&signature, 0);
        sk_buf_init(&certificate, 0);
        assert_ok(fleet_sign(signers[i], "a purpose", SK_STR("message"), &signature));
        assert_ok(fleet_identity_certificate(signers[i], &certificate));
        struct fleet_signed what = {.purpose = "a purpose",
                                    .message = SK_STR("message"),
                                    .signature = sk_buf_str(&signature),
                                    .certificate = sk_buf_str(&certificate),
                                    .at = now,
                                    .verb = FLEET_VERB_SIGN_SNAPSHOT};
        assert_err(verify(judge, &what, NULL, &signer), wanted[i]);
        if (i == 0) { /* each part counts */
            struct fleet_signed other = what;
            other.purpose = "another";
            assert_err(verify(judge, &other, NULL, &signer), SK_ERR_MALFORMED);
            other = what;
            other.message = SK_STR("massage");
            assert_err(verify(judge, &other, NULL, &signer), SK_ERR_MALFORMED);
            other = what;
            other.at = now + 2 * TEST_LIFE_S;
            assert_err(verify(judge, &other, NULL, &signer), SK_ERR_TLS_CERTIFICATE);
            other = what;
            other.certificate = SK_STR("");
            assert_err(verify(judge, &other, NULL, &signer), SK_ERR_TLS_CERTIFICATE);
            struct fleet_expelled_one one = {fleet_identity_self(control)->id, now};
            struct fleet_expelled expelled = {&one, 1};
            assert_err(verify(judge, &what, &expelled, &signer), SK_ERR_DENIED);
            struct fleet_identity *elsewhere = test_identity(foreign, "spiffe://acme/fra/edge/c", now);
            assert_err(verify(elsewhere, &what, NULL, &signer), SK_ERR_TLS_CERTIFICATE); /* other roots */
            assert_ok(verify(judge, &what, NULL, &signer));
            fleet_identity_unref(elsewhere);
        }
        sk_buf_free(&signature);
        sk_buf_free(&certificate);
        fleet_identity_unref(signers[i]);
    }
    fleet_signers_free(memory);
    fleet_identity_unref(judge);
}

/* --- TLS ----------------------------------------------------------------------------------------------------- */

/* Both sides in memory; true when both have ended their handshake and read a byte each. */
static bool shake(SSL *client, SSL *server) {
    BIO *a, *b;
    char byte;
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(client, a, a);
    SSL_set_bio(server, b, b);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int i = 0; i < 50; i++) {
        int c = SSL_do_handshake(client), s = SSL_do_handshake(server);
        if (c == 1 && s == 1) break;
    }
    bool good = SSL_write(client, "x", 1) == 1 && SSL_read(server, &byte, 1) == 1 &&
                SSL_write(server, "y", 1) == 1 && SSL_read(client, &byte, 1) == 1;
    ERR_clear_error();
    return good;
}

/* OUT_SEEN: whom the server saw. */
static bool meet(SSL_CTX *asking, SSL_CTX *answering, sk_err *out_seen, struct fleet_caller *out_caller) {
    SSL *client = SSL_new(asking), *server = SSL_new(answering);
    bool good = shake(client, server);
    if (good) {
        struct fleet_caller control;
        *out_seen = fleet_caller_of(server, out_caller);
        assert_ok(fleet_caller_of(client, &control));
        assert_string_equal(SSL_get_version(client), "TLSv1.3");
        assert_string_equal(SSL_get0_group_name(client), "X25519MLKEM768");
    }
    SSL_free(client);
    SSL_free(server);
    return good;
}

static SSL_CTX *context_of(struct fleet_identity *identity, enum fleet_side side) {
    SSL_CTX *context;
    assert_ok(fleet_identity_context(identity, side, &context));
    return context;
}

static void test_tls(void **state) {
    struct fleet_identity *control = test_identity(ca, "spiffe://acme/fra/control/c", now),
                          *edge = test_identity(ca, "spiffe://acme/fra/edge/a", now),
                          *stranger = test_identity(foreign, "spiffe://acme/fra/edge/a", now),
                          *expired = test_identity(old, "spiffe://acme/fra/edge/a", now - 2 * TEST_LIFE_S),
                          *old_control = test_identity(old, "spiffe://acme/fra/control/c", now);
    SSL_CTX *all = context_of(control, FLEET_ANSWERING_ALL), *nodes = context_of(control, FLEET_ANSWERING);
    SSL_CTX *by_edge = context_of(edge, FLEET_ASKING), *by_stranger = context_of(stranger, FLEET_ASKING),
            *by_expired = context_of(expired, FLEET_ASKING),
            *edge_server = context_of(edge, FLEET_ANSWERING_ALL);
    uint8_t root[FLEET_DIGEST_BYTES], wrong[FLEET_DIGEST_BYTES] = {0};
    SSL_CTX *person, *deceived;
    struct fleet_caller caller;
    sk_err seen = SK_OK;
    fleet_ca_fingerprint(ca, root);
    assert_ok(fleet_stranger_context(root, &person));
    assert_ok(fleet_stranger_context(wrong, &deceived));
    assert_true(meet(by_edge, all, &seen, &caller));
    assert_int_equal(seen, SK_OK);
    assert_true(fleet_id_eq(&caller.id, &fleet_identity_self(edge)->id));
    assert_string_equal(caller.issuer, fleet_identity_self(edge)->issuer);
    assert_true(meet(by_edge, nodes, &seen, &caller));
    /* people have no certificate, and know control by its root */
    assert_true(meet(person, all, &seen, &caller));
    assert_int_equal(seen, SK_ERR_NOT_FOUND);
    assert_false(meet(person, nodes, &seen, &caller));
    assert_false(meet(deceived, all, &seen, &caller));
    assert_false(meet(person, edge_server, &seen, &caller)); /* an edge is not control */
    assert_false(meet(by_stranger, all, &seen, &caller));
    SSL_CTX *old_all = context_of(old_control, FLEET_ANSWERING_ALL);
    assert_false(meet(by_expired, old_all, &seen, &caller));
    SSL_CTX_free(old_all);
    /* whoever offers no hybrid group is refused */
    assert_int_equal(SSL_CTX_set1_groups_list(by_edge, "X25519"), 1);
    assert_false(meet(by_edge, all, &seen, &caller));
    SSL_CTX *const contexts[] = {all, nodes, by_edge, by_stranger, by_expired, edge_server, person, deceived};
    for (size_t i = 0; i < SK_COUNT(contexts); i++) SSL_CTX_free(contexts[i]);
    fleet_identity_unref(control);
    fleet_identity_unref(edge);
    fleet_identity_unref(stranger);
    fleet_identity_unref(expired);
    fleet_identity_unref(old_control);
}

/* --- rotation ------------------------------------------------------------------------------------------------ */

static void test_rotation_decided(void **state) {
    static const struct {
        struct fleet_ca_facts facts;
        enum fleet_ca_step step;
    } cases[] = {
        {{1, true, 5, 5, 5}, FLEET_CA_STAY},  /* begun by people only */
        {{2, false, 5, 4, 0}, FLEET_CA_STAY}, /* one would trust nobody */
        {{2, false, 5, 5, 0}, FLEET_CA_SWITCH},
        {{2, true, 5, 5, 4}, FLEET_CA_STAY}, /* one would be trusted by nobody */
        {{2, true, 5, 4, 5}, FLEET_CA_STAY},
        {{2, true, 5, 5, 5}, FLEET_CA_DROP},
        {{2, false, 0, 0, 0}, FLEET_CA_SWITCH},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++)
        assert_int_equal(fleet_ca_next(&cases[i].facts), cases[i].step);
}

static void test_rotation(void **state) {
    struct fleet_ca *own, *again;
    char path[128];
    struct sk_buf old_node;
    struct fleet_identity *identity;
    snprintf(path, sizeof path, "%s/rotated", test_folder);
    assert_ok(fleet_ca_open(sk_str_from_c(path), SK_STR("acme"), now, &own));
    test_node(own, "spiffe://acme/fra/edge/a", now, &old_node);
    assert_err(fleet_ca_take(own, FLEET_CA_SWITCH, now), SK_ERR_INVALID);
    assert_err(fleet_ca_take(own, FLEET_CA_DROP, now), SK_ERR_INVALID);
    static const enum fleet_ca_step steps[] = {FLEET_CA_ADD, FLEET_CA_SWITCH, FLEET_CA_DROP};
    for (size_t i = 0; i < SK_COUNT(steps); i++) {
        assert_ok(fleet_ca_take(own, steps[i], now));
        assert_int_equal(fleet_ca_root_count(own), steps[i] == FLEET_CA_DROP ? 1 : 2);
        /* the next start finds the same */
        assert_ok(fleet_ca_open(sk_str_from_c(path), SK_STR("acme"), now, &again));
        assert_string_equal(fleet_ca_roots_digest(again), fleet_ca_roots_digest(own));
        assert_int_equal(fleet_ca_issues_by_newest(again), steps[i] != FLEET_CA_ADD);
        fleet_ca_free(again);
        /* old certificates are good until the last step, new ones at every step */
        assert_err(fleet_identity_make(sk_buf_str(&old_node), fleet_ca_roots(own), &identity),
                   steps[i] == FLEET_CA_DROP ? SK_ERR_INVALID : SK_OK);
        if (steps[i] != FLEET_CA_DROP) fleet_identity_unref(identity);
        fleet_identity_unref(test_identity(own, "spiffe://acme/fra/edge/b", now));
    }
    assert_err(fleet_ca_open(sk_str_from_c(path), SK_STR("other"), now, &again), SK_ERR_INVALID);
    sk_buf_free(&old_node);
    fleet_ca_free(own);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_on_disk),
        cmocka_unit_test(test_expired_loads),
        cmocka_unit_test(test_requests_refused),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_rotation_decided),
        cmocka_unit_test(test_rotation),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
