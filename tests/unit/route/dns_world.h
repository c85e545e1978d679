/* A small world to answer from, for programs that send it anything: the zone "x", the same records signed as "s", and a
 * name routed to one site; and what must hold of every answer. */
#ifndef SK_TESTS_ROUTE_DNS_WORLD_H
#define SK_TESTS_ROUTE_DNS_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "route/answer.h"
#include "route/dnssec.h"

#define DNS_WORLD_50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define DNS_WORLD_250 DNS_WORLD_50 DNS_WORLD_50 DNS_WORLD_50 DNS_WORLD_50 DNS_WORLD_50
static const char dns_world_zone[] =
    "$TTL 3600\n@ SOA ns h 7 3600 900 604800 300\n@ NS ns\n@ MX 10 m\nns A 192.0.2.1\n"
    "m AAAA 2001:db8::1\na A 192.0.2.2\nb CNAME a\nl CNAME l2\nl2 CNAME l\n"
    "*.w TXT x\nd NS n.d\nn.d A 192.0.2.3\no DNAME a.x.\nx.y.z A 192.0.2.4\n"
    "t TXT \"" DNS_WORLD_250 "\" \"" DNS_WORLD_250 "\" \"" DNS_WORLD_250 "\" \"" DNS_WORLD_250 "\"\n";

static inline void dns_world_need(bool condition) {
    if (!condition) abort();
}

/* The zone "s": the same records, signed. */
static inline struct zone *dns_world_signed_zone(void) {
    char folder[] = "/tmp/skerry-fuzz-XXXXXX", keys_path[64], command[64];
    struct dns_name apex;
    struct dnssec_policy policy;
    struct dnssec_keys *keys;
    struct dnssec_signer *signer;
    struct zone_extra extras[DNSSEC_EXTRAS_MAX];
    uint8_t data[DNSSEC_KEYS_MAX][DNSSEC_DNSKEY_BYTES];
    struct zone *zone;
    struct sk_buf problems;
    sk_buf_init(&problems, 0);
    dns_world_need(mkdtemp(folder) != NULL);
    snprintf(keys_path, sizeof keys_path, "%s/keys", folder);
    dnssec_policy_default(&policy);
    dns_world_need(!dns_name_parse(SK_STR("s"), NULL, &apex));
    dns_world_need(!dnssec_keys_load(keys_path, &policy, 1700000000, &keys));
    size_t count = dnssec_extras(keys, &apex, data, extras);
    dns_world_need(
        !zone_parse_with(sk_str_from_c(dns_world_zone), "fuzz", &apex, extras, count, &zone, &problems));
    dns_world_need(!dnssec_signer_create(keys, &apex, &policy, 1700000000, &signer) &&
                   !zone_sign(zone, signer));
    snprintf(command, sizeof command, "rm -r %s", folder);
    dns_world_need(system(command) == 0);
    sk_buf_free(&problems);
    return zone;
}

/* RATE NULL: no limits. */
static inline struct answer_snapshot *dns_world_make(const struct rate_options *rate) {
    struct answer_snapshot *snapshot;
    struct dns_name apex, name;
    struct answer_routed routed;
    struct answer_options options;
    struct answer_zones *zones;
    struct zone *zones_in[2];
    struct sk_buf problems;
    struct decide_weights weights;
    uint8_t mark_data[4];
    static struct io_addr addresses[2];
    static bool up[2] = {true, true};
    sk_buf_init(&problems, 0);
    dns_world_need(!dns_name_parse(SK_STR("x"), NULL, &apex) && !dns_name_parse(SK_STR("r.x"), NULL, &name));
    answer_routed_default(&name, &routed);
    struct zone_extra mark = answer_routed_mark(&routed, 0, mark_data);
    dns_world_need(
        !zone_parse_with(sk_str_from_c(dns_world_zone), "fuzz", &apex, &mark, 1, &zones_in[0], &problems));
    zones_in[1] = dns_world_signed_zone();
    dns_world_need(!answer_zones_create(zones_in, 2, &routed, 1, &zones));
    dns_world_need(!io_addr_parse(SK_STR("192.0.2.80:1"), &addresses[0]) &&
                   !io_addr_parse(SK_STR("[2001:db8::80]:1"), &addresses[1]));
    struct table_site site = {.decide = {.name = SK_STR_INIT("s"), .up = true, .capacity = 1, .cost = 1},
                              .addresses = addresses,
                              .address_up = up,
                              .address_count = 2};
    decide_weights_default(&weights);
    struct table_input input = {.sites = &site, .site_count = 1, .weights = &weights, .version = 1};
    answer_options_default(&options);
    options.nsid = SK_STR("nsid");
    options.version = SK_STR("version");
    options.rate = rate ? *rate : (struct rate_options){0};
    struct answer_snapshot_input snapshot_input = {
        .zones = zones, .sites = &site, .site_count = 1, .options = &options};
    dns_world_need(!table_build(&input, &snapshot_input.table));
    dns_world_need(!answer_snapshot_create(&snapshot_input, &snapshot));
    answer_zones_unref(zones);
    sk_buf_free(&problems);
    return snapshot;
}

static inline size_t dns_world_step_name(const uint8_t *out, size_t at, size_t end) {
    for (;;) {
        dns_world_need(at < end);
        uint8_t length = out[at];
        if (length >= 0xc0) {
            dns_world_need(at + 2 <= end && ((size_t)(length & 0x3f) << 8 | out[at + 1]) < at);
            return at + 2;
        }
        dns_world_need(length < 64);
        at += 1 + (size_t)length;
        if (length == 0) return at;
    }
}

/* OUT answers QUERY, and every record of it can be stepped over. */
static inline void dns_world_check(const uint8_t *query, const uint8_t *out, size_t bytes) {
    dns_world_need(bytes >= 12 && (out[2] & 0x80) && out[0] == query[0] && out[1] == query[1]);
    size_t at = 12, records = 0;
    for (int i = 6; i < 12; i += 2) records += (size_t)out[i] << 8 | out[i + 1];
    if (out[5]) at = dns_world_step_name(out, at, bytes) + 4;
    while (records--) {
        at = dns_world_step_name(out, at, bytes) + 10;
        dns_world_need(at <= bytes);
        at += (size_t)out[at - 2] << 8 | out[at - 1];
    }
    dns_world_need(at == bytes);
}

#endif
