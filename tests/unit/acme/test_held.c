/* Which certificates of an authority are put in force. */
#include "certificates.h"
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "acme/held.h"

static char folder[] = "/tmp/skerry-acme-held-XXXXXX";
static char cert[96], key[96], live[96];
static struct certificate authority;

static int begin(void **state) {
    if (!mkdtemp(folder)) return -1;
    snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    snprintf(live, sizeof live, "%s/live.pem", folder);
    authority = certificate_make(&(struct certificate_wish){.common_name = "Test CA"});
    return 0;
}

static int end(void **state) {
    certificate_free(&authority);
    unlink(cert);
    unlink(key);
    unlink(live);
    return rmdir(folder);
}

static void save_key(EVP_PKEY *pkey) {
    FILE *file = fopen(key, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}

static void write_text(const char *path, const char *text, size_t times) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < times; i++) fputs(text, file);
    fclose(file);
}

static sk_err look(const char *cert_file, const char *key_file, const char *first, const char *second,
                   struct acme_held *held, char why[ACME_WHY_BYTES]) {
    const sk_str names[] = {sk_str_from_c(first), sk_str_from_c(second)};
    return acme_held_look(cert_file, key_file, names, second ? 2 : 1, sk_wall_now_s(), held, why);
}

static void test_certificates(void **state) {
    static const struct {
        const char *names, *first, *second;
        long from_s, to_s;
        sk_err expected;
        const char *why;
    } cases[] = {
        {"DNS:a.test", "a.test", NULL, 0, 0, SK_OK, ""},
        {"DNS:A.Test,DNS:b.test", "b.test", "a.test", 0, 0, SK_OK, ""},
        {"DNS:*.a.test,DNS:a.test", "*.a.test", "a.test", 0, 0, SK_OK, ""},
        {"DNS:a.test", "a.test", "b.test", 0, 0, SK_ERR_INVALID, "the certificate is not for b.test"},
        {"DNS:*.a.test", "w.a.test", NULL, 0, 0, SK_ERR_INVALID, "the certificate is not for w.a.test"},
        {NULL, "a.test", NULL, 0, 0, SK_ERR_INVALID, "the certificate is not for a.test"},
        {"DNS:a.test", "a.test", NULL, 600, 7200, SK_ERR_INVALID, "the certificate is not valid yet"},
        {"DNS:a.test", "a.test", NULL, -7200, -60, SK_ERR_INVALID, "the certificate has expired"},
        {"DNS:a.test", "a.test", NULL, 7200, -7200, SK_ERR_INVALID, "the certificate has no life"},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct acme_held held = {0};
        char why[ACME_WHY_BYTES] = "";
        struct certificate made = certificate_make(&(struct certificate_wish){.common_name = "server",
                                                                              .names = cases[i].names,
                                                                              .issuer = &authority,
                                                                              .valid_from_s = cases[i].from_s,
                                                                              .valid_to_s = cases[i].to_s});
        certificate_save(&made, cert);
        save_key(made.key);
        assert_err(look(cert, key, cases[i].first, cases[i].second, &held, why), cases[i].expected);
        assert_str(sk_str_from_c(why), sk_str_from_c(cases[i].why));
        assert_int_equal(held.usable, cases[i].expected == SK_OK);
        certificate_free(&made);
    }
}

static void test_what_is_none(void **state) {
    struct certificate made = certificate_make(
        &(struct certificate_wish){.common_name = "server", .names = "DNS:a.test", .issuer = &authority});
    struct acme_held held = {0};
    char why[ACME_WHY_BYTES] = "";
    assert_err(look("/nowhere/cert.pem", key, "a.test", NULL, &held, why), SK_ERR_NOT_FOUND);
    certificate_save(&made, cert);
    save_key(authority.key);
    assert_err(look(cert, key, "a.test", NULL, &held, why), SK_ERR_INVALID); /* another's key */
    assert_non_null(strstr(why, "the key does not belong to this certificate"));
    save_key(made.key);
    write_text(cert, "", 1);
    assert_err(look(cert, key, "a.test", NULL, &held, why), SK_ERR_INVALID);
    write_text(cert, "an answer of the wrong kind\n", 100);
    assert_err(look(cert, key, "a.test", NULL, &held, why), SK_ERR_INVALID);
    write_text(cert, "0123456789012345678901234567890123456789012345678901234567890123456789\n", 10000);
    assert_err(look(cert, key, "a.test", NULL, &held, why), SK_ERR_INVALID);
    assert_str(sk_str_from_c(why), SK_STR("the certificate is too large"));
    assert_false(held.usable);
    certificate_free(&made);
}

static void test_installed_as_one(void **state) {
    struct certificate made = certificate_make(
        &(struct certificate_wish){.common_name = "server", .names = "DNS:a.test", .issuer = &authority});
    struct acme_held held = {0};
    char why[ACME_WHY_BYTES] = "";
    struct stat st;
    certificate_save(&made, cert);
    save_key(made.key);
    assert_ok(acme_held_install(cert, key, live));
    assert_int_equal(stat(live, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_ok(look(live, live, "a.test", NULL, &held, why));
    assert_true(held.usable && held.not_after > sk_wall_now_s());
    unlink(key);
    assert_err(acme_held_install(cert, key, live), SK_ERR_NOT_FOUND);
    assert_ok(look(live, live, "a.test", NULL, &held, why)); /* the old one is whole */
    certificate_free(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_installed_as_one),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, begin, end);
}
