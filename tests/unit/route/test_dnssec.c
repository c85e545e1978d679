#include "route/dnssec.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "route/dns_unit.h"

enum { DAY = 86400 };

static const struct dnssec_policy policy = {.zsk_lifetime_s = 30 * DAY,
                                            .publish_s = 2 * DAY,
                                            .retire_s = 16 * DAY,
                                            .signature_s = 14 * DAY,
                                            .ksk_lifetime_s = 365 * DAY,
                                            .ds_ttl_s = 2 * DAY};

static void rfc6781_4_1_1_1_keys_are_shown_before_and_after_they_sign(void **state) {
    static const struct {
        const char *what;
        int now_days;
        enum dnssec_use first, second;
    } cases[] = {
        {"the second was made just now", 28, DNSSEC_SIGNS, DNSSEC_SHOWN},
        {"a moment before its time", 29, DNSSEC_SIGNS, DNSSEC_SHOWN},
        {"its time", 30, DNSSEC_SHOWN, DNSSEC_SIGNS},
        {"signatures of the first may still be around", 45, DNSSEC_SHOWN, DNSSEC_SIGNS},
        {"all of them have expired", 46, DNSSEC_GONE, DNSSEC_SIGNS},
        {"before the first was made (a clock that stepped back)", -5, DNSSEC_SIGNS, DNSSEC_SHOWN},
    };
    static const sk_unix_s created[] = {0, 28 * DAY};
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        sk_unix_s now = (sk_unix_s)cases[i].now_days * DAY;
        if (dnssec_use_of(created, 2, 0, &policy, now) != cases[i].first ||
            dnssec_use_of(created, 2, 1, &policy, now) != cases[i].second)
            fail_msg("%s", cases[i].what);
    }
}

static void exactly_one_key_signs_at_any_time(void **state) {
    static const sk_unix_s created[] = {0, 28 * DAY, 29 * DAY, 90 * DAY};
    (void)state;
    for (sk_unix_s now = -DAY; now < 200 * DAY; now += DAY / 4) {
        int signing = 0;
        for (size_t i = 0; i < SK_COUNT(created); i++)
            signing += dnssec_use_of(created, SK_COUNT(created), i, &policy, now) == DNSSEC_SIGNS;
        assert_int_equal(signing, 1);
    }
    assert_false(dnssec_needs_key(0, &policy, 28 * DAY - 1));
    assert_true(dnssec_needs_key(0, &policy, 28 * DAY));
}

/* Which keys are shown, and which one CDS names, as "shown shown TOLD". */
static const char *ksks_at(const struct dnssec_ksk *keys, size_t count, int now_days) {
    static char text[64];
    *text = 0;
    for (size_t i = 0; i < count; i++) {
        struct dnssec_ksk_use use = dnssec_ksk_use_of(keys, count, i, &policy, (sk_unix_s)now_days * DAY);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
                 use.told    ? "TOLD"
                 : use.shown ? "shown"
                             : "gone");
        assert_true(use.shown || !use.told);
    }
    return text;
}

static void rfc7583_3_3_1_a_key_signing_key_goes_when_the_parent_has_the_next(void **state) {
    static const struct {
        const char *what;
        struct dnssec_ksk keys[3];
        size_t count;
        int now_days;
        const char *expected;
    } cases[] = {
        {"the first one, told at once", {{10 * DAY, 0}}, 1, 10, "TOLD"},
        {"the next is shown", {{10 * DAY, 0}, {375 * DAY, 0}}, 2, 375, "TOLD shown"},
        {"not everybody can have seen it", {{10 * DAY, 0}, {375 * DAY, 0}}, 2, 376, "TOLD shown"},
        {"now the parent may have it", {{10 * DAY, 0}, {375 * DAY, 0}}, 2, 377, "shown TOLD"},
        {"years without a word", {{10 * DAY, 0}, {375 * DAY, 0}}, 2, 3000, "shown TOLD"},
        {"the parent has it", {{10 * DAY, 0}, {375 * DAY, 380 * DAY}}, 2, 380, "shown TOLD"},
        {"caches may have the old DS", {{10 * DAY, 0}, {375 * DAY, 380 * DAY}}, 2, 381, "shown TOLD"},
        {"none can", {{10 * DAY, 0}, {375 * DAY, 380 * DAY}}, 2, 382, "gone TOLD"},
        {"the first is known there", {{10 * DAY, 11 * DAY}, {375 * DAY, 0}}, 2, 376, "TOLD shown"},
        {"a clock that stepped back", {{10 * DAY, 0}, {375 * DAY, 380 * DAY}}, 2, 0, "shown TOLD"},
        {"made by a clock that was ahead", {{10 * DAY, 0}, {9999 * DAY, 0}}, 2, 400, "TOLD shown"},
        {"a third", {{10 * DAY, 0}, {375 * DAY, 380 * DAY}, {740 * DAY, 0}}, 3, 742, "gone shown TOLD"},
    };
    (void)state;
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        const char *seen = ksks_at(cases[i].keys, cases[i].count, cases[i].now_days);
        if (strcmp(seen, cases[i].expected) != 0) fail_msg("%s: %s", cases[i].what, seen);
    }
}

static void a_key_signing_key_is_made_when_none_waits_for_the_parent(void **state) {
    static const struct dnssec_ksk one[] = {{10 * DAY, 0}}, waits[] = {{10 * DAY, 0}, {375 * DAY, 0}},
                                   there[] = {{10 * DAY, 0}, {375 * DAY, 380 * DAY}};
    struct dnssec_policy never = policy;
    (void)state;
    assert_true(dnssec_needs_ksk(NULL, 0, &policy, 0));
    assert_false(dnssec_needs_ksk(one, 1, &policy, 375 * DAY - 1));
    assert_true(dnssec_needs_ksk(one, 1, &policy, 375 * DAY));
    assert_false(dnssec_needs_ksk(waits, 2, &policy, 3000 * DAY));
    assert_false(dnssec_needs_ksk(there, 2, &policy, 740 * DAY - 1));
    assert_true(dnssec_needs_ksk(there, 2, &policy, 740 * DAY));
    never.ksk_lifetime_s = 0;
    assert_false(dnssec_needs_ksk(one, 1, &never, (sk_unix_s)100000 * DAY));
}

static void rfc9824_3_the_next_name_is_right_behind(void **state) {
    (void)state;
    static const uint16_t types[] = {DNS_TYPE_NXNAME, DNS_TYPE_RRSIG, DNS_TYPE_NSEC};
    static const uint8_t expected[] = {1, 0, 1, 'a', 0, 0, 17, 0, 0, 0, 0, 0,
                                       3, 0, 0, 0,   0, 0, 0,  0, 0, 0, 0, 0x80};
    uint8_t data[DNSSEC_NSEC_MAX];
    struct dns_name name = name_of("a");
    assert_int_equal(dnssec_nsec(&name, types, 3, data), sizeof expected);
    assert_memory_equal(data, expected, sizeof expected);
    /* no room for one more label: the next name must not pass 255 bytes */
    char text[256];
    for (int i = 0; i < 127; i++) memcpy(text + 2 * i, "a.", 2);
    assert_ok(dns_name_parse(sk_str_make(text, 254), NULL, &name));
    assert_true(dnssec_nsec(&name, types, 3, data) <= DNSSEC_NSEC_MAX);
    assert_memory_equal(data, name.wire, name.length);
}

static size_t files_in(const char *folder) {
    size_t count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static size_t keys_at(const char *folder, sk_unix_s now) {
    struct dnssec_keys *keys;
    struct dns_name apex = name_of("example.com");
    struct zone_extra extras[DNSSEC_EXTRAS_MAX];
    uint8_t data[DNSSEC_KEYS_MAX][DNSSEC_DNSKEY_BYTES];
    struct dnssec_signer *signer;
    assert_ok(dnssec_keys_load(folder, &policy, now, &keys));
    size_t dnskeys = 0, count = dnssec_extras(keys, &apex, data, extras);
    for (size_t i = 0; i < count; i++) dnskeys += extras[i].type == DNS_TYPE_DNSKEY;
    assert_ok(dnssec_signer_create(keys, &apex, &policy, now, &signer));
    assert_int_equal(files_in(folder), dnskeys);
    dnssec_signer_free(signer);
    return dnskeys;
}

static void keys_are_made_kept_and_rolled_by_time(void **state) {
    (void)state;
    char folder[] = "/tmp/skerry-keys-XXXXXX", path[64], command[128];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/zone", folder);
    assert_int_equal(keys_at(path, 1000 * DAY), 2);
    assert_int_equal(keys_at(path, 1001 * DAY), 2); /* the same ones */
    assert_int_equal(keys_at(path, 1028 * DAY), 3); /* the next is shown */
    assert_int_equal(keys_at(path, 1031 * DAY), 3);
    assert_int_equal(keys_at(path, 1047 * DAY), 2); /* the first is gone */
    struct dnssec_keys *keys;
    snprintf(command, sizeof command, "%s/zsk-5.pem", path);
    FILE *file = fopen(command, "w");
    assert_non_null(file);
    fputs("no key", file);
    fclose(file);
    assert_err(dnssec_keys_load(path, &policy, 1047 * DAY, &keys), SK_ERR_CORRUPT);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc6781_4_1_1_1_keys_are_shown_before_and_after_they_sign),
        cmocka_unit_test(exactly_one_key_signs_at_any_time),
        cmocka_unit_test(rfc7583_3_3_1_a_key_signing_key_goes_when_the_parent_has_the_next),
        cmocka_unit_test(a_key_signing_key_is_made_when_none_waits_for_the_parent),
        cmocka_unit_test(rfc9824_3_the_next_name_is_right_behind),
        cmocka_unit_test(keys_are_made_kept_and_rolled_by_time),
    };
    return SK_RUN_TESTS(tests);
}
