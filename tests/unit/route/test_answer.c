#include <math.h>
#include <strings.h>

#include "route/dns_unit.h"

static const char zone_text[] =
    "$TTL 3600\n"
    "@ IN SOA ns1 hostmaster 7 3600 900 604800 300\n"
    "  NS ns1\n"
    "  NS ns2.example.net.\n"
    "  MX 10 mail\n"
    "ns1 A 192.0.2.1\n"
    "www 300 A 192.0.2.2\n"
    "mail AAAA 2001:db8::25\n"
    "alias CNAME www\n"
    "far CNAME www.example.net.\n"
    "dangling CNAME nowhere\n"
    "c1 CNAME c2\nc2 CNAME c3\nc3 CNAME c4\nc4 CNAME c5\nc5 CNAME c6\nc6 CNAME c7\n"
    "c7 CNAME c8\nc8 CNAME c9\nc9 CNAME c10\nc10 A 192.0.2.10\n"
    "loop CNAME loop2\nloop2 CNAME loop\n"
    "*.wild 60 A 192.0.2.3\n"
    "a.b.c A 192.0.2.4\n"
    "sub NS ns.sub\n"
    "    NS ns1\n"
    "ns.sub A 192.0.2.5\n"
    "old DNAME www.example.com.\n"
    "under.www A 192.0.2.6\n"
    "tocdn CNAME cdn\n"
    "onlytxt TXT hello\n";

static const char child_text[] = "$TTL 60\n"
                                 "@ SOA ns hostmaster 1 1 1 1 10\n"
                                 "  NS ns\n"
                                 "ns A 192.0.2.66\n";

struct world {
    struct answer_snapshot *snapshot;
    struct answerer *answerer;
    struct answer_options options;
    sk_time_ns now;
};

static const struct answer_options *default_options(void) {
    static struct answer_options options;
    answer_options_default(&options);
    memset(options.secrets.current, 7, sizeof options.secrets.current);
    memset(&options.rate, 0, sizeof options.rate);
    return &options;
}

enum { SITES = 3 };

/* Two sites for Europe and America by override, a third for everybody else. */
static struct table *make_table(struct table_site sites[SITES]) {
    static struct io_addr addresses[SITES][3];
    static bool up[3] = {true, true, true};
    static const char *const names[SITES] = {"fra", "nyc", "sin"};
    for (int i = 0; i < SITES; i++) {
        char text[64];
        snprintf(text, sizeof text, "203.0.113.%d:443", 10 + i);
        addresses[i][0] = addr_of(text);
        snprintf(text, sizeof text, "[2001:db8:%d::1]:443", i + 1);
        addresses[i][1] = addr_of(text);
        sites[i] = (struct table_site){.decide = {.name = sk_str_from_c(names[i]),
                                                  .latitude = NAN,
                                                  .longitude = NAN,
                                                  .up = true,
                                                  .hit_ratio = NAN,
                                                  .cost = 1,
                                                  .capacity = 1},
                                       .addresses = addresses[i],
                                       .address_up = up,
                                       .address_count = 2};
    }
    struct table_override overrides[2] = {{.by_prefix = true, .sites = {0, 1}, .site_count = 2},
                                          {.by_prefix = true, .sites = {1, 0}, .site_count = 2}};
    assert_ok(io_prefix_parse(SK_STR("198.51.100.0/24"), &overrides[0].prefix));
    assert_ok(io_prefix_parse(SK_STR("2001:db8:aaaa::/48"), &overrides[1].prefix));
    struct decide_weights weights;
    decide_weights_default(&weights);
    struct table_input input = {.sites = sites,
                                .site_count = SITES,
                                .overrides = overrides,
                                .override_count = 2,
                                .weights = &weights,
                                .version = 1};
    struct table *table;
    assert_ok(table_build(&input, &table));
    return table;
}

static struct world world_with(const struct answer_options *options, bool with_table) {
    struct world w = {.now = SK_NS_PER_S};
    struct answer_routed routed[2];
    struct zone_extra marks[2];
    uint8_t data[2][4];
    struct dns_name cdn = name_of("cdn.example.com"), star = name_of("*.r.example.com");
    answer_routed_default(&cdn, &routed[0]);
    answer_routed_default(&star, &routed[1]);
    for (uint32_t i = 0; i < 2; i++) marks[i] = answer_routed_mark(&routed[i], i, data[i]);
    struct zone *list[] = {zone_of("example.com", zone_text, marks, 2),
                           zone_of("child.example.com", child_text, NULL, 0),
                           zone_of("example.org", child_text, NULL, 0)};
    struct answer_zones *zones;
    assert_ok(answer_zones_create(list, SK_COUNT(list), routed, 2, &zones));
    struct table_site sites[SITES];
    struct answer_snapshot_input input = {.zones = zones,
                                          .table = with_table ? make_table(sites) : NULL,
                                          .sites = sites,
                                          .site_count = SITES,
                                          .options = options};
    assert_ok(answer_snapshot_create(&input, &w.snapshot));
    answer_zones_unref(zones);
    assert_ok(answerer_create(NULL, &w.answerer));
    return w;
}

static void end(struct world *w) {
    answer_snapshot_unref(w->snapshot);
    answerer_free(w->answerer);
}

static const char *reply_to(struct world *w, const struct asked *q, enum answer_transport transport,
                            const char *client_text) {
    static uint8_t out[65535];
    struct io_addr client = addr_of(client_text);
    size_t bytes = answer_query(w->answerer, w->snapshot, transport, &client, q->data, q->bytes, w->now,
                                1700000000, out, sizeof out, NULL);
    if (transport == ANSWER_UDP) assert_true(bytes <= DNS_UDP_PAYLOAD);
    return shown(out, bytes);
}

static const char *reply(struct world *w, const struct asked *q) {
    return reply_to(w, q, ANSWER_UDP, "192.0.2.200:5353");
}

static void static_answers(void **state) {
    static const struct {
        const char *what, *name;
        uint16_t type;
        const char *expected;
    } cases[] = {
        {"RFC 1034 4.3.2: a match is authoritative", "www.example.com", DNS_TYPE_A,
         "NOERROR aa | www.example.com 300 A 192.0.2.2 | |"},
        {"the case of the question comes back in it, the answer points there", "WWW.example.COM", DNS_TYPE_A,
         "NOERROR aa | www.example.com 300 A 192.0.2.2 | |"},
        {"RFC 2308 2.2: no data: SOA with the smaller of TTL and minimum", "www.example.com", DNS_TYPE_AAAA,
         "NOERROR aa | | example.com 300 SOA |"},
        {"RFC 2308 2.1: no name", "nope.example.com", DNS_TYPE_A, "NXDOMAIN aa | | example.com 300 SOA |"},
        {"RFC 8020: an empty non-terminal is no data", "b.c.example.com", DNS_TYPE_A,
         "NOERROR aa | | example.com 300 SOA |"},
        {"RFC 1034 3.6.2: CNAME and what it leads to", "alias.example.com", DNS_TYPE_A,
         "NOERROR aa | alias.example.com 3600 CNAME www.example.com www.example.com 300 A 192.0.2.2 | |"},
        {"CNAME asked for is not followed", "alias.example.com", DNS_TYPE_CNAME,
         "NOERROR aa | alias.example.com 3600 CNAME www.example.com | |"},
        {"CNAME to a name without the type", "alias.example.com", DNS_TYPE_AAAA,
         "NOERROR aa | alias.example.com 3600 CNAME www.example.com | example.com 300 SOA |"},
        {"RFC 6604 3: the rcode is that of the chain's end", "dangling.example.com", DNS_TYPE_A,
         "NXDOMAIN aa | dangling.example.com 3600 CNAME nowhere.example.com | example.com 300 SOA |"},
        {"CNAME out of the zone ends the answer", "far.example.com", DNS_TYPE_A,
         "NOERROR aa | far.example.com 3600 CNAME www.example.net | |"},
        {"RFC 4592 2.2.1: a wildcard takes the question's name", "x.y.wild.example.com", DNS_TYPE_A,
         "NOERROR aa | x.y.wild.example.com 60 A 192.0.2.3 | |"},
        {"RFC 4592: wildcard without the type", "x.wild.example.com", DNS_TYPE_TXT,
         "NOERROR aa | | example.com 300 SOA |"},
        {"the wildcard itself can be asked for", "*.wild.example.com", DNS_TYPE_A,
         "NOERROR aa | *.wild.example.com 60 A 192.0.2.3 | |"},
        {"RFC 1034 4.3.2 3b: a referral is not authoritative, with glue", "x.sub.example.com", DNS_TYPE_A,
         "NOERROR | | sub.example.com 3600 NS ns.sub.example.com sub.example.com 3600 NS ns1.example.com "
         "| ns.sub.example.com 3600 A 192.0.2.5 ns1.example.com 3600 A 192.0.2.1"},
        {"glue itself is below the cut", "ns.sub.example.com", DNS_TYPE_A,
         "NOERROR | | sub.example.com 3600 NS ns.sub.example.com sub.example.com 3600 NS ns1.example.com "
         "| ns.sub.example.com 3600 A 192.0.2.5 ns1.example.com 3600 A 192.0.2.1"},
        {"RFC 4035 3.1.4.1: DS at a cut is the parent's to answer", "sub.example.com", DNS_TYPE_DS,
         "NOERROR aa | | example.com 300 SOA |"},
        {"RFC 6672 3.1: DNAME with the CNAME made from it", "under.old.example.com", DNS_TYPE_A,
         "NOERROR aa | old.example.com 3600 DNAME www.example.com under.old.example.com 3600 CNAME "
         "under.www.example.com under.www.example.com 3600 A 192.0.2.6 | |"},
        {"the DNAME's own name is not redirected", "old.example.com", DNS_TYPE_DNAME,
         "NOERROR aa | old.example.com 3600 DNAME www.example.com | |"},
        {"MX brings the addresses along", "example.com", DNS_TYPE_MX,
         "NOERROR aa | example.com 3600 MX mail.example.com | | mail.example.com 3600 AAAA 2001:db8::25"},
        {"RFC 8482 4.1: ANY gets one set", "example.com", DNS_TYPE_ANY,
         "NOERROR aa | example.com 3600 NS ns1.example.com example.com 3600 NS ns2.example.net | "
         "| ns1.example.com 3600 A 192.0.2.1"},
        {"the longest zone answers", "nope.child.example.com", DNS_TYPE_A,
         "NXDOMAIN aa | | child.example.com 10 SOA |"},
        {"DS of a zone of ours below another of ours comes from above", "child.example.com", DNS_TYPE_DS,
         "NXDOMAIN aa | | example.com 300 SOA |"},
        {"a name of nobody's: REFUSED", "www.example.net", DNS_TYPE_A, "REFUSED | | |"},
        {"RFC 5936 4.2: AXFR is not for UDP", "example.com", DNS_TYPE_AXFR, "REFUSED | | |"},
        {"RFC 1995 2: IXFR over UDP gets the SOA", "child.example.com", DNS_TYPE_IXFR,
         "NOERROR aa | child.example.com 60 SOA | |"},
        {"RFC 9824 3.4: NXNAME is no type to ask for", "www.example.com", DNS_TYPE_NXNAME, "FORMERR | | |"},
        {"our marks cannot be asked for", "cdn.example.com", ZONE_TYPE_MARK,
         "NOERROR aa | | example.com 300 SOA |"},
    };
    (void)state;
    struct world w = world_with(default_options(), true);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct asked q = ask(cases[i].name, cases[i].type);
        const char *got = reply(&w, &q);
        if (strcasecmp(got, cases[i].expected))
            fail_msg("%s:\n got      %s\n expected %s", cases[i].what, got, cases[i].expected);
    }
    end(&w);
}

static size_t occurrences(const char *text, const char *part) {
    size_t count = 0;
    for (; (text = strstr(text, part)) != NULL; text++) count++;
    return count;
}

static void chains_are_bounded(void **state) {
    (void)state;
    struct world w = world_with(default_options(), false);
    struct asked q = ask("c1.example.com", DNS_TYPE_A);
    assert_int_equal(occurrences(reply(&w, &q), "CNAME"), 9);
    q = ask("loop.example.com", DNS_TYPE_A);
    assert_true(occurrences(reply(&w, &q), "CNAME") <= 9);
    q = ask("c2.example.com", DNS_TYPE_A);
    assert_non_null(strstr(reply(&w, &q), "c10.example.com 3600 A 192.0.2.10"));
    end(&w);
}

static void extended_dns(void **state) {
    (void)state;
    struct answer_options options = *default_options();
    options.nsid = SK_STR("fra-1");
    struct world w = world_with(&options, true);
    struct asked q = ask("www.example.com", DNS_TYPE_A);
    ask_edns(&q, 4096, true);
    assert_string_equal(reply(&w, &q), "NOERROR aa | www.example.com 300 A 192.0.2.2 | | OPT 1232 do");
    /* RFC 5001 2.1: only who asks is told */
    ask_option(&q, 3, "", 0);
    assert_string_equal(reply(&w, &q),
                        "NOERROR aa | www.example.com 300 A 192.0.2.2 | | OPT 1232 do nsid fra-1");
    q = ask("www.example.net", DNS_TYPE_A);
    ask_edns(&q, 512, false);
    assert_string_equal(reply(&w, &q), "REFUSED | | | OPT 1232 ede 20");
    /* RFC 6891 6.1.3 */
    q.data[q.options_at - 3] = 1;
    assert_string_equal(reply(&w, &q), "NOERROR | | | OPT 1232 ext 1");
    end(&w);
}

/* The longest name, a client that takes 512 bytes, and all that OPT can hold. */
static void a_long_nsid_yields_to_the_question(void **state) {
    (void)state;
    char name[256] = "", nsid[255];
    struct answer_options options = *default_options();
    for (size_t i = 0; i < sizeof name - 3; i++) name[i] = i % 50 == 49 ? '.' : 'a';
    memset(nsid, 'n', sizeof nsid);
    options.nsid = sk_str_make(nsid, sizeof nsid);
    struct world w = world_with(&options, true);
    struct asked q = ask(name, DNS_TYPE_A);
    static const uint8_t subnet[] = {0, 2, 128, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    ask_edns(&q, 512, false);
    ask_option(&q, 8, subnet, sizeof subnet);
    ask_option(&q, 10, "client01", 8);
    ask_option(&q, 3, "", 0);
    assert_string_equal(reply(&w, &q), "REFUSED | | | OPT 1232 ecs 128/0 cookie 24 ede 20");
    end(&w);
}

static void other_opcodes_and_classes(void **state) {
    (void)state;
    struct answer_options options = *default_options();
    struct world w = world_with(&options, false);
    struct asked q = ask("example.com", DNS_TYPE_SOA);
    for (int opcode = 1; opcode < 16; opcode++) {
        q.data[2] = (uint8_t)(opcode << 3);
        assert_non_null(strstr(reply(&w, &q), "NOTIMP"));
    }
    q = ask("version.bind", DNS_TYPE_TXT);
    q.data[q.bytes - 1] = 3;
    assert_string_equal(reply(&w, &q), "REFUSED | | |");
    end(&w);
    options.version = SK_STR("Skerry");
    w = world_with(&options, false);
    assert_string_equal(reply(&w, &q), "NOERROR aa | version.bind 0 TXT | |");
    q = ask("id.server", DNS_TYPE_TXT);
    q.data[q.bytes - 1] = 3;
    assert_string_equal(reply(&w, &q), "REFUSED | | |");
    end(&w);
}

static void no_answer_to_what_is_no_query(void **state) {
    (void)state;
    struct world w = world_with(default_options(), false);
    struct asked q = ask("www.example.com", DNS_TYPE_A);
    q.data[2] |= 0x80;
    assert_string_equal(reply(&w, &q), "");
    q = ask("www.example.com", DNS_TYPE_A);
    q.bytes = 11;
    assert_string_equal(reply(&w, &q), "");
    q.bytes = 20;
    assert_string_equal(reply(&w, &q), "FORMERR | | |");
    end(&w);
}

/* A zone with one set too large for UDP. */
static struct world large_world(void) {
    static char text[32768];
    size_t used = (size_t)snprintf(text, sizeof text, "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\n");
    for (int i = 0; i < 200; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "big A 10.0.0.%d\n", i);
    for (int i = 0; i < 40; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "cut NS ns%d.cut\nns%d.cut A 10.0.1.%d\n",
                                 i, i, i);
    struct world w = {.now = SK_NS_PER_S};
    struct zone *zone = zone_of("example.com", text, NULL, 0);
    struct answer_zones *zones;
    assert_ok(answer_zones_create(&zone, 1, NULL, 0, &zones));
    struct answer_snapshot_input input = {.zones = zones, .options = default_options()};
    assert_ok(answer_snapshot_create(&input, &w.snapshot));
    answer_zones_unref(zones);
    assert_ok(answerer_create(NULL, &w.answerer));
    return w;
}

static void what_does_not_fit_is_truncated(void **state) {
    (void)state;
    struct world w = large_world();
    struct asked q = ask("big.example.com", DNS_TYPE_A);
    assert_string_equal(reply(&w, &q), "NOERROR aa tc | | |");
    ask_edns(&q, 65535, false);
    assert_string_equal(reply(&w, &q), "NOERROR aa tc | | | OPT 1232");
    const char *tcp = reply_to(&w, &q, ANSWER_TCP, "192.0.2.1:1");
    assert_int_equal(occurrences(tcp, "10.0.0."), 200);
    assert_null(strstr(tcp, " tc"));
    /* RFC 9471 3: a referral without all of its glue is truncated */
    q = ask("x.cut.example.com", DNS_TYPE_A);
    assert_non_null(strstr(reply(&w, &q), " tc"));
    assert_int_equal(occurrences(reply_to(&w, &q, ANSWER_TCP, "192.0.2.1:1"), "10.0.1."), 40);
    end(&w);
}

static void ask_subnet(struct asked *q, uint16_t family, uint8_t bits, const char *ip_text) {
    uint8_t option[20] = {0, (uint8_t)family, bits}, ip[16];
    assert_int_equal(inet_pton(family == 1 ? AF_INET : AF_INET6, ip_text, ip), 1);
    memcpy(option + 4, ip, (size_t)(bits + 7) / 8);
    ask_edns(q, 1232, false);
    ask_option(q, 8, option, 4 + (size_t)(bits + 7) / 8);
}

static void routed_names(void **state) {
    static const struct {
        const char *what, *name;
        uint16_t type;
        uint16_t family; /* 0: no subnet */
        uint8_t bits;
        const char *subnet, *client, *expected;
    } cases[] = {
        {"by the resolver's address without a subnet", "cdn.example.com", DNS_TYPE_A, 0, 0, "",
         "198.51.100.9:53",
         "NOERROR aa | cdn.example.com 30 A 203.0.113.10 cdn.example.com 30 A 203.0.113.11 | |"},
        {"RFC 7871 7.2.1: by the subnet, with the scope for which it holds", "cdn.example.com", DNS_TYPE_A, 1,
         24, "198.51.100.0", "192.0.2.1:53",
         "NOERROR aa | cdn.example.com 30 A 203.0.113.10 cdn.example.com 30 A 203.0.113.11 | | OPT 1232 ecs "
         "24/24"},
        {"RFC 7871 7.2.1: a source of less bits gets the scope that is needed", "cdn.example.com",
         DNS_TYPE_AAAA, 2, 48, "2001:db8:aaaa::", "192.0.2.1:53",
         "NOERROR aa | cdn.example.com 30 AAAA 2001:db8:2::1 cdn.example.com 30 AAAA 2001:db8:1::1 | "
         "| OPT 1232 ecs 48/48"},
        {"RFC 7871 7.1.2: a source of /0 wants no place told: scope 0, by the resolver", "cdn.example.com",
         DNS_TYPE_A, 1, 0, "0.0.0.0", "198.51.100.9:53",
         "NOERROR aa | cdn.example.com 30 A 203.0.113.10 cdn.example.com 30 A 203.0.113.11 | | OPT 1232 ecs 0/0"},
        {"RFC 7871 7.2.1: what is the same for all has scope 0", "www.example.com", DNS_TYPE_A, 1, 24,
         "198.51.100.0", "192.0.2.1:53",
         "NOERROR aa | www.example.com 300 A 192.0.2.2 | | OPT 1232 ecs 24/0"},
        {"a routed name's other types", "cdn.example.com", DNS_TYPE_TXT, 0, 0, "", "198.51.100.9:53",
         "NOERROR aa | | example.com 300 SOA |"},
        {"behind a CNAME", "tocdn.example.com", DNS_TYPE_A, 1, 24, "198.51.100.0", "192.0.2.1:53",
         "NOERROR aa | tocdn.example.com 3600 CNAME cdn.example.com cdn.example.com 30 A 203.0.113.10 "
         "cdn.example.com 30 A 203.0.113.11 | | OPT 1232 ecs 24/24"},
        {"a routed wildcard", "any.r.example.com", DNS_TYPE_A, 0, 0, "", "198.51.100.9:53",
         "NOERROR aa | any.r.example.com 30 A 203.0.113.10 any.r.example.com 30 A 203.0.113.11 | |"},
        {"HTTPS for a routed name (RFC 9460)", "cdn.example.com", DNS_TYPE_HTTPS, 0, 0, "", "198.51.100.9:53",
         "NOERROR aa | cdn.example.com 30 HTTPS | |"},
        {"ANY for a routed name", "cdn.example.com", DNS_TYPE_ANY, 0, 0, "", "198.51.100.9:53",
         "NOERROR aa | cdn.example.com 30 A 203.0.113.10 cdn.example.com 30 A 203.0.113.11 | |"},
    };
    (void)state;
    struct world w = world_with(default_options(), true);
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct asked q = ask(cases[i].name, cases[i].type);
        if (cases[i].family) ask_subnet(&q, cases[i].family, cases[i].bits, cases[i].subnet);
        const char *got = reply_to(&w, &q, ANSWER_UDP, cases[i].client);
        if (strcmp(got, cases[i].expected))
            fail_msg("%s:\n got      %s\n expected %s", cases[i].what, got, cases[i].expected);
    }
    end(&w);
}

static void https_record_of_a_routed_name(void **state) {
    (void)state;
    static uint8_t out[2048];
    struct world w = world_with(default_options(), true);
    struct asked q = ask("cdn.example.com", DNS_TYPE_HTTPS);
    struct io_addr client = addr_of("198.51.100.9:53");
    size_t bytes = answer_query(w.answerer, w.snapshot, ANSWER_UDP, &client, q.data, q.bytes, 0, 0, out,
                                sizeof out, NULL);
    /* the rdata as RFC 9460 2.2 has it: priority, target, alpn, ipv4hint, ipv6hint */
    static const char text[] = "1 . alpn=h3,h2 ipv4hint=203.0.113.10,203.0.113.11 "
                               "ipv6hint=2001:db8:1::1,2001:db8:2::1";
    uint8_t expected[256];
    size_t expected_bytes;
    assert_ok(dns_rdata_parse(DNS_TYPE_HTTPS, sk_str_from_c(text), NULL, expected, sizeof expected,
                              &expected_bytes));
    assert_true(bytes > expected_bytes);
    assert_memory_equal(out + bytes - expected_bytes, expected, expected_bytes);
    end(&w);
}

static void without_a_table_routed_names_are_still_there(void **state) {
    (void)state;
    struct world w = world_with(default_options(), false);
    struct asked q = ask("cdn.example.com", DNS_TYPE_A);
    assert_string_equal(reply(&w, &q), "NOERROR aa | | example.com 300 SOA |");
    end(&w);
}

static void cookies(void **state) {
    (void)state;
    static uint8_t out[2048];
    struct answer_options options = *default_options();
    options.badcookie_above = 2;
    struct world w = world_with(&options, false);
    struct io_addr client = addr_of("198.51.100.9:53");
    struct asked q = ask("www.example.com", DNS_TYPE_A);
    ask_edns(&q, 1232, false);
    ask_option(&q, 10, "client01", 8);
    size_t bytes = answer_query(w.answerer, w.snapshot, ANSWER_UDP, &client, q.data, q.bytes, w.now,
                                1700000000, out, sizeof out, NULL);
    /* RFC 7873 5.2.3: a client part alone is answered, with a server part to come back with */
    assert_string_equal(shown(out, bytes),
                        "NOERROR aa | www.example.com 300 A 192.0.2.2 | | OPT 1232 cookie 24");
    uint8_t cookie[24];
    memcpy(cookie, out + bytes - 24, 24);
    struct asked good = ask("www.example.com", DNS_TYPE_A);
    ask_edns(&good, 1232, false);
    ask_option(&good, 10, cookie, 24);
    for (int i = 0; i < 10; i++) { /* also when busy */
        bytes = answer_query(w.answerer, w.snapshot, ANSWER_UDP, &client, good.data, good.bytes, w.now,
                             1700000000, out, sizeof out, NULL);
        assert_non_null(strstr(shown(out, bytes), "NOERROR"));
        assert_memory_equal(out + bytes - 24, cookie, 24);
    }
    /* RFC 7873 5.2.4: busy, and not ours */
    cookie[20] ^= 1;
    struct asked bad = ask("www.example.com", DNS_TYPE_A);
    ask_edns(&bad, 1232, false);
    ask_option(&bad, 10, cookie, 24);
    assert_string_equal(reply_to(&w, &bad, ANSWER_UDP, "198.51.100.9:53"),
                        "? | | | OPT 1232 ext 1 cookie 24");
    end(&w);
}

static void floods_are_held_back(void **state) {
    (void)state;
    struct answer_options options = *default_options();
    options.rate = (struct rate_options){.per_second = {5, 5, 5, 5, 5}, .slip = 2};
    struct world w = world_with(&options, false);
    struct asked q = ask("www.example.com", DNS_TYPE_A);
    int sent = 0, slipped = 0, dropped = 0;
    for (int i = 0; i < 25; i++) {
        const char *got = reply(&w, &q);
        if (!got[0])
            dropped++;
        else if (strstr(got, " tc"))
            slipped++;
        else
            sent++;
    }
    assert_int_equal(sent, 5);
    assert_int_equal(slipped, 10);
    assert_int_equal(dropped, 10);
    /* another network, another name and TCP are not touched; time heals */
    assert_non_null(strstr(reply_to(&w, &q, ANSWER_UDP, "192.0.3.200:53"), "192.0.2.2"));
    assert_non_null(strstr(reply_to(&w, &q, ANSWER_TCP, "192.0.2.200:53"), "192.0.2.2"));
    w.now += SK_NS_PER_S;
    assert_non_null(strstr(reply(&w, &q), "192.0.2.2"));
    end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(static_answers),
        cmocka_unit_test(chains_are_bounded),
        cmocka_unit_test(extended_dns),
        cmocka_unit_test(a_long_nsid_yields_to_the_question),
        cmocka_unit_test(other_opcodes_and_classes),
        cmocka_unit_test(no_answer_to_what_is_no_query),
        cmocka_unit_test(what_does_not_fit_is_truncated),
        cmocka_unit_test(routed_names),
        cmocka_unit_test(https_record_of_a_routed_name),
        cmocka_unit_test(without_a_table_routed_names_are_still_there),
        cmocka_unit_test(cookies),
        cmocka_unit_test(floods_are_held_back),
    };
    return SK_RUN_TESTS(tests);
}
