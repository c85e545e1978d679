#include "wire/ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/tls_store_internal.h"

#define URL_MAX_BYTES 512
#define SKEW_S 300
#define SEGMENT_MAX_BYTES 255
#define NEXT_MIN_S 2
#define AGAIN_FIRST_S 30
#define AGAIN_LAST_S 3600

struct wire_ocsp {
    X509 *issuer; /* a reference */
    OCSP_CERTID *id;
    char *url;
    unsigned char *request; /* the library's */
    size_t request_bytes;
};

/* --- the question --------------------------------------------------------------------------------------- */

static bool is_plain(const char *url) {
    size_t bytes = strlen(url);
    for (size_t i = 0; i < bytes; i++)
        if (url[i] <= ' ' || url[i] > '~') return false;
    return bytes <= URL_MAX_BYTES;
}

/* The first address by http that the certificate names (RFC 5280 section 4.2.2.1). NULL: none. */
static char *find_url(X509 *leaf) {
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(leaf);
    char *found = NULL;
    for (int i = 0; i < sk_OPENSSL_STRING_num(urls) && !found; i++) {
        const char *url = sk_OPENSSL_STRING_value(urls, i);
        sk_str text = sk_str_from_c(url);
        if (text.len > 7 && sk_str_ieq(sk_str_slice(text, 0, 7), SK_STR("http://")) && is_plain(url))
            found = strdup(url);
    }
    X509_email_free(urls);
    return found;
}

static X509 *find_issuer(X509 *leaf, STACK_OF(X509) * chain) {
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *issuer = sk_X509_value(chain, i);
        if (X509_check_issued(issuer, leaf) == X509_V_OK) return issuer;
    }
    return NULL;
}

/* RFC 5019 section 2.1.1: one certificate, by SHA-1, not signed; and no nonce, so that answers can be made before. */
static bool make_request(struct wire_ocsp *ocsp, X509 *leaf) {
    ocsp->id = OCSP_cert_to_id(EVP_sha1(), leaf, ocsp->issuer);
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *id = ocsp->id ? OCSP_CERTID_dup(ocsp->id) : NULL;
    bool made = request && id && OCSP_request_add0_id(request, id);
    if (!made) OCSP_CERTID_free(id);
    int bytes = made ? i2d_OCSP_REQUEST(request, &ocsp->request) : -1;
    OCSP_REQUEST_free(request);
    ocsp->request_bytes = bytes > 0 ? (size_t)bytes : 0;
    return bytes > 0;
}

sk_err wire_ocsp_create(const struct wire_tls_store *store, uint32_t index, struct wire_ocsp **out_ocsp,
                        const char **out_why) {
    const struct wire_tls_pair *pair = wire_tls_store_pair(store, index);
    X509 *issuer = find_issuer(pair->leaf, pair->chain);
    char *url = find_url(pair->leaf);
    struct wire_ocsp *ocsp = url && issuer ? calloc(1, sizeof *ocsp) : NULL;
    ERR_clear_error();
    if (!ocsp) {
        *out_why = !url ? "the certificate names no responder by http"
                        : "no certificate of its issuer stands behind it in its file";
        bool lacks = !url || !issuer;
        free(url);
        return lacks ? SK_ERR_UNSUPPORTED : SK_ERR_NO_MEMORY;
    }
    *ocsp = (struct wire_ocsp){.issuer = issuer, .url = url};
    if (X509_up_ref(issuer) != 1) ocsp->issuer = NULL;
    if (!ocsp->issuer || !make_request(ocsp, pair->leaf)) {
        wire_ocsp_free(ocsp);
        ERR_clear_error();
        return SK_ERR_NO_MEMORY;
    }
    *out_ocsp = ocsp;
    return SK_OK;
}

void wire_ocsp_free(struct wire_ocsp *ocsp) {
    if (!ocsp) return;
    X509_free(ocsp->issuer);
    OCSP_CERTID_free(ocsp->id);
    OPENSSL_free(ocsp->request);
    free(ocsp->url);
    free(ocsp);
}

sk_str wire_ocsp_url(const struct wire_ocsp *ocsp) { return sk_str_from_c(ocsp->url); }

sk_str wire_ocsp_request(const struct wire_ocsp *ocsp) {
    return (sk_str){(const char *)ocsp->request, ocsp->request_bytes};
}

static sk_err escape(struct sk_buf *out, const char *base64) {
    sk_err err = SK_OK;
    for (const char *at = base64; *at && !err; at++)
        if (*at == '+' || *at == '/' || *at == '=')
            err = sk_buf_printf(out, "%%%02X", (unsigned)*at);
        else
            err = sk_buf_append(out, (sk_str){at, 1});
    return err;
}

sk_err wire_ocsp_request_segment(const struct wire_ocsp *ocsp, struct sk_buf *out) {
    unsigned char base64[SEGMENT_MAX_BYTES + 1];
    if ((ocsp->request_bytes + 2) / 3 * 4 > SEGMENT_MAX_BYTES) return SK_ERR_TOO_LARGE;
    EVP_EncodeBlock(base64, ocsp->request, (int)ocsp->request_bytes);
    struct sk_buf segment;
    sk_buf_init(&segment, 0);
    sk_err err = escape(&segment, (const char *)base64);
    if (!err && sk_buf_len(&segment) > SEGMENT_MAX_BYTES) err = SK_ERR_TOO_LARGE;
    if (!err) err = sk_buf_append(out, sk_buf_str(&segment));
    sk_buf_free(&segment);
    return err;
}

/* --- the answer ----------------------------------------------------------------------------------------- */

static sk_err wrong(char why[WIRE_OCSP_WHY_BYTES], const char *what) {
    snprintf(why, WIRE_OCSP_WHY_BYTES, "%s", what);
    return SK_ERR_INVALID;
}

/* NULL with WHY: these bytes are no answer, or say that there is none. */
static OCSP_BASICRESP *read_answer(sk_str response, char why[WIRE_OCSP_WHY_BYTES]) {
    const unsigned char *at = (const unsigned char *)response.data, *end = at + response.len;
    OCSP_BASICRESP *basic = NULL;
    OCSP_RESPONSE *whole = response.len && response.len <= WIRE_OCSP_MAX_BYTES
                               ? d2i_OCSP_RESPONSE(NULL, &at, (long)response.len)
                               : NULL;
    int status = whole ? OCSP_response_status(whole) : 0;
    if (!whole || at != end)
        (void)!wrong(why, "what came is no OCSP response");
    else if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        snprintf(why, WIRE_OCSP_WHY_BYTES, "the responder says: %s", OCSP_response_status_str(status));
    else if (!(basic = OCSP_response_get1_basic(whole)))
        (void)!wrong(why, "the response is of no known type");
    OCSP_RESPONSE_free(whole);
    return basic;
}

/* The issuer is what is trusted here, whoever trusts it in turn. */
static sk_err check_signature(const struct wire_ocsp *ocsp, OCSP_BASICRESP *basic, sk_unix_s now,
                              char why[WIRE_OCSP_WHY_BYTES]) {
    X509_STORE *trusted = X509_STORE_new();
    STACK_OF(X509) *known = sk_X509_new_null();
    bool made = trusted && known && X509_STORE_add_cert(trusted, ocsp->issuer) == 1 &&
                sk_X509_push(known, ocsp->issuer) > 0;
    int good = 0;
    if (made) {
        X509_VERIFY_PARAM *param = X509_STORE_get0_param(trusted);
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
        X509_VERIFY_PARAM_set_time(param, (time_t)now);
        good = OCSP_basic_verify(basic, known, trusted, OCSP_NOEXPLICIT);
    }
    sk_X509_free(known);
    X509_STORE_free(trusted);
    if (!made) return SK_ERR_NO_MEMORY;
    return good > 0 ? SK_OK : wrong(why, "the response is not signed by the issuer or its delegate");
}

static sk_unix_s time_of(const ASN1_GENERALIZEDTIME *time) {
    struct tm tm;
    return time && ASN1_TIME_to_tm(time, &tm) == 1 ? (sk_unix_s)timegm(&tm) : 0;
}

/* RFC 6960 section 4.2.2.1. */
static sk_err check_times(const struct wire_ocsp_answer *answer, sk_unix_s now,
                          char why[WIRE_OCSP_WHY_BYTES]) {
    if (!answer->next_update) return wrong(why, "the response does not say until when it holds");
    if (!answer->this_update || answer->this_update >= answer->next_update)
        return wrong(why, "the response's times make no sense");
    if (answer->this_update > now + SKEW_S) return wrong(why, "the response is not valid yet");
    if (answer->next_update <= now) return wrong(why, "the response has expired");
    return SK_OK;
}

static sk_err check_status(const struct wire_ocsp *ocsp, OCSP_BASICRESP *basic, sk_unix_s now,
                           struct wire_ocsp_answer *out_answer, char why[WIRE_OCSP_WHY_BYTES]) {
    int status, reason;
    ASN1_GENERALIZEDTIME *revoked, *from, *until;
    if (OCSP_resp_find_status(basic, ocsp->id, &status, &reason, &revoked, &from, &until) != 1)
        return wrong(why, "the response is about another certificate");
    struct wire_ocsp_answer answer = {.revoked = status == V_OCSP_CERTSTATUS_REVOKED,
                                      .this_update = time_of(from),
                                      .next_update = time_of(until)};
    sk_err err = check_times(&answer, now, why);
    if (err) return err;
    if (!answer.revoked && status != V_OCSP_CERTSTATUS_GOOD)
        return wrong(why, "the responder does not know the certificate");
    *out_answer = answer;
    return SK_OK;
}

sk_err wire_ocsp_check(const struct wire_ocsp *ocsp, sk_str response, sk_unix_s now,
                       struct wire_ocsp_answer *out_answer, char why[WIRE_OCSP_WHY_BYTES]) {
    ERR_clear_error();
    OCSP_BASICRESP *basic = read_answer(response, why);
    sk_err err = basic ? check_signature(ocsp, basic, now, why) : SK_ERR_INVALID;
    if (!err) err = check_status(ocsp, basic, now, out_answer, why);
    OCSP_BASICRESP_free(basic);
    ERR_clear_error();
    return err;
}

/* --- when --------------------------------------------------------------------------------------------------- */

sk_unix_s wire_ocsp_next(const struct wire_ocsp_answer *answer, uint32_t random, sk_unix_s now) {
    sk_unix_s end = SK_MAX(answer->next_update, now);
    sk_unix_s half = answer->this_update + (answer->next_update - answer->this_update) / 2;
    if (half <= now) half = now + (end - now) / 2;
    sk_unix_s next = half + (sk_unix_s)(random % (uint64_t)((end - half) / 4 + 1));
    return SK_MAX(next, now + NEXT_MIN_S);
}

sk_unix_s wire_ocsp_again(uint32_t failures, uint32_t random, sk_unix_s now) {
    sk_unix_s wait = AGAIN_FIRST_S;
    for (uint32_t i = 1; i < failures && wait < AGAIN_LAST_S; i++) wait *= 2;
    wait = SK_MIN(wait, (sk_unix_s)AGAIN_LAST_S);
    return now + wait - wait / 4 + (sk_unix_s)(random % (uint64_t)(wait / 2 + 1));
}
