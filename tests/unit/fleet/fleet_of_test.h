/* A fleet for tests: a folder, its authority, and nodes made as joining makes them. */
#ifndef SK_TESTS_FLEET_OF_TEST_H
#define SK_TESTS_FLEET_OF_TEST_H

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "fleet/ca.h"
#include "unit.h"

#define TEST_LIFE_S 86400

static char test_folder[64];

static inline void test_folder_make(void) {
    snprintf(test_folder, sizeof test_folder, "/tmp/skerry-fleet-XXXXXX");
    assert_non_null(mkdtemp(test_folder));
}
static inline void test_folder_remove(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", test_folder);
    assert_int_equal(system(command), 0);
}

static inline struct fleet_id test_id(const char *text) {
    struct fleet_id id;
    assert_ok(fleet_id_parse(sk_str_from_c(text), &id));
    return id;
}

/* node.pem of a fresh node. */
static inline void test_node(const struct fleet_ca *ca, const char *name, sk_unix_s now, struct sk_buf *out) {
    struct sk_buf request, certificate;
    struct fleet_id id = test_id(name);
    EVP_PKEY *key;
    sk_buf_init(&request, 0);
    sk_buf_init(&certificate, 0);
    sk_buf_init(out, 0);
    assert_ok(fleet_key_request(&key, &request));
    assert_ok(fleet_ca_issue(ca, sk_buf_str(&request), &id, now, TEST_LIFE_S, &certificate));
    assert_ok(fleet_node_pem(key, sk_buf_str(&certificate), out));
    EVP_PKEY_free(key);
    sk_buf_free(&request);
    sk_buf_free(&certificate);
}

static inline struct fleet_identity *test_identity(const struct fleet_ca *ca, const char *name,
                                                   sk_unix_s now) {
    struct fleet_identity *identity;
    struct sk_buf node;
    test_node(ca, name, now, &node);
    assert_ok(fleet_identity_make(sk_buf_str(&node), fleet_ca_roots(ca), &identity));
    sk_buf_free(&node);
    return identity;
}

#endif
