/* What a responder is asked and what of its answers may be shown (RFC 6960, RFC 5019), with OpenSSL as the responder. */
#include "certificates.h"
#include "unit.h"

#include <openssl/ocsp.h>
#include <stdlib.h>
#include <unistd.h>

#include "wire/ocsp.h"

static char folder[] = "/tmp/skerry-ocsp-XXXXXX";
static struct certificate authority, leaf, other, delegate, pretender, stranger;
static struct wire_tls_store *store;
static struct wire_ocsp *question;

/* --- the world -------------------------------------------------------------------------------------------- */

static void append(const struct certificate *certificate, const char *path, bool key) {
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    if (key)
        assert_int_equal(PEM_write_PrivateKey(file, certificate->key, NULL, NULL, 0, NULL, NULL), 1);
    else
        assert_int_equal(PEM_write_X509(file, certificate->x509), 1);
    assert_int_equal(fclose(file), 0);
}

/* A store of one: CERTIFICATE and, if there is one, ISSUER behind it. */
static struct wire_tls_store *store_of(const struct certificate *certificate,
                                       const struct certificate *issuer) {
    static int count;
    char path[64], why[WIRE_TLS_WHY_BYTES];
    struct wire_tls_store *made;
    snprintf(path, sizeof path, "%s/%d.pem", folder, ++count);
    append(certificate, path, true);
    append(certificate, path, false);
    if (issuer) append(issuer, path, false);
    assert_ok(wire_tls_store_create(&made));
    assert_ok(wire_tls_store_add(made, path, path, why));
    return made;
}

static struct certificate make(const char *name, const struct certificate *issuer, int nid,
                               const char *value) {
    return certificate_make(&(struct certificate_wish){
        .common_name = name, .names = "DNS:a.test", .issuer = issuer, .more = {{nid, value}}});
}

static int open_world(void **state) {
    const char *why;
    if (!mkdtemp(folder)) return -1;
    authority = certificate_make(&(struct certificate_wish){.common_name = "CA"});
    stranger = certificate_make(&(struct certificate_wish){.common_name = "another CA"});
    leaf = make("leaf", &authority, NID_info_access, "OCSP;URI:http://ocsp.test:8080/a");
    other = make("other", &authority, 0, NULL);
    delegate = make("delegate", &authority, NID_ext_key_usage, "OCSPSigning");
    pretender = make("pretender", &authority, NID_ext_key_usage, "serverAuth");
    store = store_of(&leaf, &authority);
    return wire_ocsp_create(store, 0, &question, &why);
}

static int close_world(void **state) {
    char command[96];
    struct certificate *all[] = {&authority, &leaf, &other, &delegate, &pretender, &stranger};
    for (size_t i = 0; i < SK_COUNT(all); i++) certificate_free(all[i]);
    wire_ocsp_free(question);
    wire_tls_store_unref(store);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* --- answers ---------------------------------------------------------------------------------------------- */

struct wish {
    const char *name;
    const struct certificate *about, *signer; /* NULL: leaf, authority */
    int status;                               /* V_OCSP_CERTSTATUS_... */
    long from_s, until_s;                     /* from now; both 0: an hour around it; until -1: without */
    const char *said;                         /* NULL: may be shown */
    bool bare;                                /* without the signer's certificate */
};

static ASN1_GENERALIZEDTIME *in(long seconds) {
    return ASN1_GENERALIZEDTIME_adj(NULL, time(NULL), 0, seconds);
}

static size_t respond(const struct wish *wish, unsigned char **out) {
    const struct certificate *about = wish->about ? wish->about : &leaf;
    const struct certificate *signer = wish->signer ? wish->signer : &authority;
    bool usual = !wish->from_s && !wish->until_s;
    ASN1_GENERALIZEDTIME *from = in(usual ? -3600 : wish->from_s), *until = in(usual ? 3600 : wish->until_s);
    ASN1_GENERALIZEDTIME *when = in(-60);
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), about->x509, authority.x509);
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    bool revoked = wish->status == V_OCSP_CERTSTATUS_REVOKED;
    assert_non_null(OCSP_basic_add1_status(basic, id, wish->status, 0, revoked ? when : NULL, from,
                                           wish->until_s == -1 ? NULL : until));
    assert_int_equal(
        OCSP_basic_sign(basic, signer->x509, signer->key, EVP_sha256(), NULL, wish->bare ? OCSP_NOCERTS : 0),
        1);
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    *out = NULL;
    int bytes = i2d_OCSP_RESPONSE(response, out);
    assert_true(bytes > 0);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_GENERALIZEDTIME_free(from);
    ASN1_GENERALIZEDTIME_free(until);
    ASN1_GENERALIZEDTIME_free(when);
    return (size_t)bytes;
}

static sk_err check(sk_str response, struct wire_ocsp_answer *out_answer, char why[WIRE_OCSP_WHY_BYTES]) {
    why[0] = 0;
    return wire_ocsp_check(question, response, sk_wall_now_s(), out_answer, why);
}

static void what_may_be_shown(void **state) {
    const struct wish cases[] = {
        {"RFC 6960 3.2: good, by the issuer", .status = V_OCSP_CERTSTATUS_GOOD},
        {"RFC 6960 4.2.2.2: good, by its delegate", .signer = &delegate},
        {"revoked is an answer too", .status = V_OCSP_CERTSTATUS_REVOKED},
        {"five minutes between clocks are let pass", .from_s = 200, .until_s = 3600},
        {"RFC 6960 3.2: about another certificate", .about = &other, .said = "another certificate"},
        {"RFC 6960 4.2.2.2: by an authority that has not issued it", .signer = &stranger,
         .said = "not signed"},
        {"RFC 6960 4.2.2.2.1: by one that may not", .signer = &pretender, .said = "not signed"},
        {"RFC 6960 4.2.2.2: by the certificate itself", .signer = &leaf, .said = "not signed"},
        {"unknown", .status = V_OCSP_CERTSTATUS_UNKNOWN, .said = "does not know"},
        {"RFC 6960 4.2.2.1: expired", .from_s = -7200, .until_s = -3600, .said = "expired"},
        {"RFC 6960 4.2.2.1: not yet", .from_s = 600, .until_s = 3600, .said = "not valid yet"},
        {"times in the wrong order", .from_s = -60, .until_s = -61, .said = "no sense"},
        {"RFC 5019 2.2.4: without an end", .from_s = -60, .until_s = -1, .said = "until when"},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        unsigned char *der;
        char why[WIRE_OCSP_WHY_BYTES];
        struct wire_ocsp_answer answer = {0};
        size_t bytes = respond(&cases[i], &der);
        sk_err err = check((sk_str){(const char *)der, bytes}, &answer, why);
        if (err != (cases[i].said ? SK_ERR_INVALID : SK_OK) || (cases[i].said && !strstr(why, cases[i].said)))
            fail_msg("%s: %s: %s", cases[i].name, sk_err_name(err), why);
        assert_int_equal(answer.revoked, !err && cases[i].status == V_OCSP_CERTSTATUS_REVOKED);
        if (!err) assert_true(answer.this_update < answer.next_update);
        OPENSSL_free(der);
    }
}

static void bytes_that_are_no_answer(void **state) {
    unsigned char *der;
    char why[WIRE_OCSP_WHY_BYTES];
    struct wire_ocsp_answer answer;
    size_t bytes = respond(&(struct wish){.bare = true}, &der);
    char *copy = malloc(bytes + 1);
    memcpy(copy, der, bytes);
    copy[bytes] = 0;
    for (size_t cut = 0; cut < bytes; cut++)
        assert_int_equal(check((sk_str){copy, cut}, &answer, why), SK_ERR_INVALID);
    assert_int_equal(check((sk_str){copy, bytes + 1}, &answer, why), SK_ERR_INVALID);
    /* another encoding of the same is let pass (BER has some), another meaning is not */
    struct wire_ocsp_answer whole = {0};
    assert_ok(check((sk_str){copy, bytes}, &whole, why));
    for (size_t i = 0; i < bytes; i++) {
        copy[i] ^= 0x20;
        struct wire_ocsp_answer other_answer = {0};
        sk_err err = check((sk_str){copy, bytes}, &other_answer, why);
        if (err ? err != SK_ERR_INVALID : memcmp(&other_answer, &whole, sizeof whole) != 0)
            fail_msg("byte %zu of %zu: %s", i, bytes, sk_err_name(err));
        copy[i] ^= 0x20;
    }
    assert_ok(check((sk_str){copy, bytes}, &answer, why));
    free(copy);
    OPENSSL_free(der);
}

static void rfc6960_4_2_1_an_error_is_told(void **state) {
    char why[WIRE_OCSP_WHY_BYTES];
    struct wire_ocsp_answer answer;
    unsigned char *der = NULL;
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_TRYLATER, NULL);
    int bytes = i2d_OCSP_RESPONSE(response, &der);
    assert_int_equal(check((sk_str){(const char *)der, (size_t)bytes}, &answer, why), SK_ERR_INVALID);
    assert_non_null(strstr(why, "trylater"));
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
}

/* --- questions -------------------------------------------------------------------------------------------- */

static void rfc5019_2_1_the_question(void **state) {
    sk_str der = wire_ocsp_request(question);
    const unsigned char *at = (const unsigned char *)der.data;
    OCSP_REQUEST *request = d2i_OCSP_REQUEST(NULL, &at, (long)der.len);
    assert_non_null(request);
    assert_int_equal(OCSP_request_onereq_count(request), 1);
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), leaf.x509, authority.x509);
    assert_int_equal(OCSP_id_cmp(id, OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, 0))), 0);
    assert_int_equal(OCSP_REQUEST_get_ext_count(request), 0); /* no nonce */
    assert_int_equal(OCSP_request_is_signed(request), 0);
    assert_str(wire_ocsp_url(question), SK_STR("http://ocsp.test:8080/a"));
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(request);
}

static void rfc6960_a_1_the_question_in_a_path(void **state) {
    struct sk_buf segment;
    sk_buf_init(&segment, 0);
    assert_ok(wire_ocsp_request_segment(question, &segment));
    char base64[512];
    size_t n = 0;
    sk_str text = sk_buf_str(&segment);
    assert_true(text.len <= 255);
    for (size_t i = 0; i < text.len; i++) {
        assert_null(memchr("+/=", text.data[i], 3));
        unsigned byte = (unsigned char)text.data[i];
        if (byte == '%') {
            assert_int_equal(sscanf(text.data + i + 1, "%2X", &byte), 1);
            i += 2;
        }
        base64[n++] = (char)byte;
    }
    base64[n] = 0;
    unsigned char back[512];
    sk_str der = wire_ocsp_request(question);
    assert_true(EVP_DecodeBlock(back, (unsigned char *)base64, (int)n) >= (int)der.len);
    assert_memory_equal(back, der.data, der.len);
    sk_buf_free(&segment);
}

static void who_cannot_be_asked_for(void **state) {
    struct certificate secret = make("https", &authority, NID_info_access, "OCSP;URI:https://ocsp.test/");
    const struct {
        const struct certificate *certificate, *issuer;
        const char *said;
    } cases[] = {
        {&other, &authority, "names no responder"},
        {&secret, &authority, "names no responder"},
        {&leaf, NULL, "no certificate of its issuer"},
        {&leaf, &stranger, "no certificate of its issuer"},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct wire_tls_store *one = store_of(cases[i].certificate, cases[i].issuer);
        struct wire_ocsp *none = NULL;
        const char *why = "";
        assert_int_equal(wire_ocsp_create(one, 0, &none, &why), SK_ERR_UNSUPPORTED);
        assert_non_null(strstr(why, cases[i].said));
        assert_null(none);
        wire_tls_store_unref(one);
    }
    certificate_free(&secret);
}

static void rfc7633_4_a_certificate_may_insist(void **state) {
    struct certificate must = make("must", &authority, NID_tlsfeature, "status_request");
    struct wire_tls_store *one = store_of(&must, &authority);
    assert_true(wire_tls_store_at(one, 0)->must_staple);
    assert_false(wire_tls_store_at(store, 0)->must_staple);
    assert_memory_not_equal(wire_tls_store_at(one, 0)->id, wire_tls_store_at(store, 0)->id, 32);
    wire_tls_store_unref(one);
    certificate_free(&must);
}

/* --- when ------------------------------------------------------------------------------------------------- */

static void rfc5019_6_when_to_ask_again(void **state) {
    const struct wire_ocsp_answer answer = {.this_update = 1000, .next_update = 2000};
    for (uint32_t random = 0; random < 1000; random++) {
        sk_unix_s next = wire_ocsp_next(&answer, random, 1100);
        assert_in_range(next, 1500, 1625); /* at half of its life, spread over a quarter of the rest */
        next = wire_ocsp_next(&answer, random, 1600);
        assert_in_range(next, 1800, 1850); /* it was old when it came: half of what is left */
        next = wire_ocsp_next(&answer, random, 1999);
        assert_in_range(next, 2001, 2001); /* and never at once */
    }
    sk_unix_s least = 0, most = 0;
    for (uint32_t failures = 1; failures < 40; failures++) {
        sk_unix_s wait = SK_MIN(failures < 8 ? 30 << (failures - 1) : 3600, 3600);
        least = wire_ocsp_again(failures, 0, 5000),
        most = wire_ocsp_again(failures, (uint32_t)wait / 2, 5000);
        assert_int_equal(least, 5000 + wait - wait / 4);
        assert_int_equal(most, 5000 + wait - wait / 4 + wait / 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_shown),
        cmocka_unit_test(bytes_that_are_no_answer),
        cmocka_unit_test(rfc6960_4_2_1_an_error_is_told),
        cmocka_unit_test(rfc5019_2_1_the_question),
        cmocka_unit_test(rfc6960_a_1_the_question_in_a_path),
        cmocka_unit_test(who_cannot_be_asked_for),
        cmocka_unit_test(rfc7633_4_a_certificate_may_insist),
        cmocka_unit_test(rfc5019_6_when_to_ask_again),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
