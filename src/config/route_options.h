/* Every key of the router's configuration: rows as in options.h. */
#ifndef SK_CONFIG_ROUTE_OPTIONS_H
#define SK_CONFIG_ROUTE_OPTIONS_H

#include "config/options.h"
#include "config/route.h"

#define CONFIG_ROUTE_RATE_TABLE(X, S)                                                                        \
    X(S, VALUE, COUNT, answers, answers, "200", "0", "1000000", "50",                                        \
      "Answers a second with the same name to one network (/24 or /56). 0: no limit.")                       \
    X(S, VALUE, COUNT, no_data, no_data, "200", "0", "1000000", "50",                                        \
      "The same for names that have no record of the type.")                                                 \
    X(S, VALUE, COUNT, no_name, no_name, "100", "0", "1000000", "50",                                        \
      "The same for names that do not exist, of all names of a zone together.")                              \
    X(S, VALUE, COUNT, referrals, referrals, "200", "0", "1000000", "50", "The same for delegations.")       \
    X(S, VALUE, COUNT, errors, errors, "50", "0", "1000000", "20", "The same for errors of all kinds.")      \
    X(S, VALUE, COUNT, large, large, "2000", "0", "1000000", "500",                                          \
      "Answers a second that are more than three times as long as their query, of all names and kinds "      \
      "together, to one network: what a forger can make of queries about many names.")                       \
    X(S, VALUE, COUNT, slip, slip, "2", "0", "100", "1",                                                     \
      "Every how-many-th answer over a limit goes out, truncated, so that a real client can come back over " \
      "TCP. 0: none, 1: all.")

#define CONFIG_ROUTE_TCP_TABLE(X, S)                                                                         \
    X(S, VALUE, COUNT, connections, connections, "1000", "1", "100000", "200",                               \
      "TCP connections at a time, of each thread.")                                                          \
    X(S, VALUE, COUNT, connections_per_client, connections_per_client, "50", "1", "10000", "10",             \
      "Of these, from one address.")                                                                         \
    X(S, VALUE, DURATION, idle, idle_ms, "10s", "100ms", "1h", "5s",                                         \
      "How long a connection may be without a query. Less when many are open.")

#define CONFIG_ROUTE_WEIGHTS_TABLE(X, S)                                                                     \
    X(S, VALUE, DECIMAL, distance, distance, "0.5", "", "", "0.4",                                           \
      "Weight of nearness: the measured round trip, or the distance where nothing was measured.")            \
    X(S, VALUE, DECIMAL, load, load, "0.3", "", "", "0.3", "Weight of a site's load.")                       \
    X(S, VALUE, DECIMAL, hit_ratio, hit_ratio, "0.2", "", "", "0.1", "Weight of misses in a site's cache.")  \
    X(S, VALUE, DECIMAL, cost, cost, "0", "", "", "0.1", "Weight of a site's `cost`.")                       \
    X(S, VALUE, DECIMAL, low_watermark, low_watermark, "0.7", "", "", "0.6",                                 \
      "Load from which a site sheds a growing share of its clients.")                                        \
    X(S, VALUE, DECIMAL, high_watermark, high_watermark, "0.9", "", "", "0.8",                               \
      "Load from which a site gets no clients that another can take.")                                       \
    X(S, VALUE, DECIMAL, hysteresis, hysteresis, "0.1", "", "", "0.2",                                       \
      "Share by which another site must be better before a network moves there.")                            \
    X(S, VALUE, DECIMAL, max_step, max_step, "0.2", "", "", "0.1",                                           \
      "Share of a site's networks that may move to a better one at one change of the table.")                \
    X(S, VALUE, COUNT, answer_sites, answer_sites, "2", "1", "8", "3", "Sites in an answer.")

#define CONFIG_ROUTE_HEALTH_TABLE(X, S)                                                                      \
    X(S, VALUE, CHOICE, check, check, "none", "none http https", "", "https",                                \
      "How every edge is asked, at its address and port, whether it can serve. none: all count as well.")    \
    X(S, VALUE, URL_PATH, path, path, "/.well-known/skerry/health", "", "", "/pixel.gif",                    \
      "What is asked for: an edge's own word about itself, or a real object. A status from 200 to 399 is "   \
      "good; 503 counts at once, anything else after `down_after`.")                                         \
    X(S, VALUE, HOST, host, host, "", "", "", "www.example.com",                                             \
      "Host and TLS server name of the request. Without it: the edge's address.")                            \
    X(S, VALUE, DURATION, interval, interval_ms, "1s", "100ms", "1h", "2s", "Time between two checks.")      \
    X(S, VALUE, DURATION, timeout, timeout_ms, "1s", "50ms", "1m", "2s", "How long an answer may take.")     \
    X(S, VALUE, COUNT, down_after, down_after, "2", "1", "100", "3",                                         \
      "Bad results in a row until an edge is down.")                                                         \
    X(S, VALUE, COUNT, up_after, up_after, "3", "1", "100", "5",                                             \
      "Good results in a row until it is up again; twice as many for each time it fell in the last ten "     \
      "minutes, up to 16 times.")                                                                            \
    X(S, VALUE, FLAG, verify, verify, "true", "", "", "false",                                               \
      "Whether the edge's certificate must be valid for `host`.")                                            \
    X(S, VALUE, FILE, ca_file, ca_file, "", "", "", "/etc/skerry/ca.pem",                                    \
      "Certificates to verify against. Without it: the system's.")

#define CONFIG_ROUTE_HTTP_TABLE(X, S)                                                                        \
    X(S, ONE_OR_LIST, LISTENER, listen, listeners, "", "0", "16", "192.0.2.53:80",                           \
      "Where to answer HTTP requests with a redirect to the best edge. Without it: nowhere.")                \
    X(S, VALUE, CHOICE, status, status, "302", "302 307", "", "307",                                         \
      "Status of the redirects of GET and HEAD. Other methods always get 307, which keeps them.")            \
    X(S, VALUE, CHOICE, scheme, scheme, "https", "https http", "", "http",                                   \
      "Scheme of where clients are sent.")                                                                   \
    X(S, VALUE, COUNT, connections, connections, "1000", "1", "100000", "200",                               \
      "HTTP connections at a time, of each address.")

#define CONFIG_ROUTE_REPORTS_TABLE(X, S)                                                                     \
    X(S, VALUE, DURATION, interval, interval_ms, "10s", "100ms", "1h", "5s",                                 \
      "How often the `reports` of the sites are asked for.")                                                 \
    X(S, VALUE, DURATION, timeout, timeout_ms, "3s", "100ms", "1m", "5s", "How long an answer may take.")    \
    X(S, VALUE, SECRET, token, token, "", "", "", "", "The `admin_token` of the edges.")                     \
    X(S, VALUE, FLAG, round_trips, round_trips, "true", "", "", "false",                                     \
      "Whether the round trips that edges measure count. false where something before the edges ends the "   \
      "clients' connections.")                                                                               \
    X(S, VALUE, DECIMAL, explore, explore, "0.01", "", "", "0.005",                                          \
      "Share of networks that at a time get a site first which they did not measure and which might be "     \
      "better than their best, so that it is measured too. Never more than 0.01; 0: none.")

#define CONFIG_ROUTE_QUERY_LOG_TABLE(X, S)                                                                   \
    X(S, VALUE, FILE, path, path, "", "", "", "/var/log/skerry/queries.json",                                \
      "File of the query log, a line of JSON a query; `-` is stdout. Without it: no log.")                   \
    X(S, VALUE, COUNT, one_in, one_in, "1", "1", "1000000", "100",                                           \
      "Of so many queries one is logged, drawn by chance.")                                                  \
    X(S, VALUE, COUNT, per_second, per_second, "1000", "1", "1000000", "100",                                \
      "Lines a second of each thread, at most; what is left out is counted.")

#define CONFIG_ROUTE_TSIG_KEY_TABLE(X, S)                                                                    \
    X(S, VALUE, DOMAIN, name, name, "", "", "", "transfer.example.com",                                      \
      "The key's name, the same on both sides.")                                                             \
    X(S, VALUE, CHOICE, algorithm, algorithm, "hmac-sha256", "hmac-sha256 hmac-sha512", "", "hmac-sha512",   \
      "How it signs.")                                                                                       \
    X(S, VALUE, SECRET, secret, secret, "", "", "", "", "The secret in base64, of 16 bytes or more.")

#define CONFIG_ROUTE_ZONE_TABLE(X, S)                                                                        \
    X(S, VALUE, DOMAIN, name, name, "", "", "", "example.com", "The zone's name.")                           \
    X(S, VALUE, FILE, file, file, "", "", "", "example.com.zone", "Its master file (RFC 1035).")             \
    X(S, VALUE, FILE, keys, keys, "", "", "", "/var/lib/skerry/keys/example.com",                            \
      "A folder for the keys of the zone, which is then signed (DNSSEC, ECDSA P-256). Keys are made there, " \
      "and changed in time; CDS and CDNSKEY tell the parent. The day of signing is "                         \
      "added to the serial. Without it: not signed.")                                                        \
    X(S, VALUE, DURATION, ksk_lifetime, ksk_lifetime_ms, "365d", "0s", "3650d", "90d",                       \
      "A new key signing key is made so long after the last one, and shown beside it until the parent has "  \
      "its DS (docs/routing.md). 0s: never.")                                                                \
    X(S, VALUE, DOMAIN, tsig_key, tsig_key, "", "", "", "transfer.example.com",                              \
      "One of `tsig_keys`: transfers must be signed with it, and NOTIFY is (TSIG, RFC 8945). Without "       \
      "`allow_transfer` the key alone is enough.")                                                           \
    X(S, LIST, PREFIX, allow_transfer, allow_transfer, "", "0", "1000", "192.0.2.0/24",                      \
      "Networks of secondaries that may have the whole zone (AXFR).")                                        \
    X(S, LIST, ADDRESS, notify, notify, "", "0", "100", "192.0.2.53",                                        \
      "Secondaries to tell when the serial has changed. The port is 53 if none is given.")

#define CONFIG_ROUTE_SITE_TABLE(X, S)                                                                         \
    X(S, VALUE, NAME, name, name, "", "", "", "fra", "The site's name.")                                      \
    X(S, VALUE, DECIMAL, latitude, latitude, "", "", "", "50.11", "Degrees north.")                           \
    X(S, VALUE, DECIMAL, longitude, longitude, "", "", "", "8.68", "Degrees east.")                           \
    X(S, VALUE, DECIMAL, capacity, capacity, "1", "", "", "2.5",                                              \
      "How much it can serve, beside the others.")                                                            \
    X(S, VALUE, DECIMAL, cost, cost, "1", "", "", "1.5", "What a byte from it costs, beside the others.")     \
    X(S, LIST, ADDRESS, edges, addresses, "", "1", "1000", "203.0.113.10",                                    \
      "The addresses of its edges, of both families. The port is that of their health check; 443 if none is " \
      "given.")                                                                                               \
    X(S, LIST, ADDRESS, reports, reports, "", "0", "1000", "10.1.0.10:9180",                                  \
      "The admin addresses (TCP) of its edges, where `/rtt` tells their load, hit ratio and how far away "    \
      "clients are.")                                                                                         \
    X(S, LIST, HOST, hosts, hosts, "", "0", "1000", "fra-1.cdn.example.com",                                  \
      "Names of its edges for redirects over HTTP, in the order of `edges` if there are as many. Without "    \
      "them: the addresses.")

#define CONFIG_ROUTE_NAME_TABLE(X, S)                                                                        \
    X(S, VALUE, DOMAIN, name, name, "", "", "", "www.example.com",                                           \
      "A name in one of the zones; `*.cdn.example.com` is every name below that its zone has not.")          \
    X(S, VALUE, DURATION, ttl, ttl_ms, "30s", "1s", "1d", "60s", "How long resolvers may keep the answer.")  \
    X(S, VALUE, COUNT, first_addresses, first_addresses, "2", "0", "16", "1",                                \
      "Addresses of the best site in an answer, of each family. 0: all.")                                    \
    X(S, VALUE, COUNT, other_addresses, other_addresses, "1", "0", "16", "2",                                \
      "Addresses of each other site in an answer, of each family. 0: all.")                                  \
    X(S, VALUE, FLAG, https, https, "true", "", "", "false", "Answer HTTPS records too (RFC 9460).")         \
    X(S, VALUE, TEXT, alpn, alpn, "h3,h2", "", "", "h2", "Protocols that the HTTPS record names.")           \
    X(S, VALUE, FILE, ech_file, ech_file, "", "", "", "ech.txt",                                             \
      "A file with the ECHConfigList of the HTTPS record, in base64.")

#define CONFIG_ROUTE_OVERRIDE_TABLE(X, S)                                                                    \
    X(S, VALUE, PREFIX, prefix, prefix, "", "", "", "192.0.2.0/24", "The clients of a network, or")          \
    X(S, VALUE, NAME, country, country, "", "", "", "DE", "of a country (two letters), or")                  \
    X(S, VALUE, COUNT, as_number, as_number, "0", "0", "4294967295", "64496", "of an autonomous system")     \
    X(S, LIST, NAME, sites, sites, "", "1", "8", "fra", "get these sites, the best first.")

#define CONFIG_ROUTE_TOP_TABLE(X, S)                                                                                   \
    X(S, ONE_OR_LIST, LISTENER, listen, listeners, "127.0.0.1:5300", "1", "64", "192.0.2.53:53",                       \
      "Where to answer, over UDP and TCP: one address or a list.")                                                     \
    X(S, VALUE, COUNT, threads, threads, "0", "0", "1024", "2",                                                        \
      "Threads that answer. 0: one for each core.")                                                                    \
    X(S, VALUE, ADMIN, admin, admin, "", "", "", "unix:/run/skerry/route.sock",                                        \
      "Where `/health`, `/metrics` and `/config/reload` are answered. On TCP only with a token. Without it: nowhere.") \
    X(S, VALUE, SECRET, admin_token, admin_token, "", "", "", "",                                                      \
      "What admin requests must carry as `Authorization: Bearer TOKEN`.")                                              \
    X(S, VALUE, NAME, user, user, "", "", "", "skerry",                                                                \
      "User to become after binding, which only root can. Without it: none.")                                          \
    X(S, VALUE, FILE, state, state, "", "", "", "/var/lib/skerry/route",                                               \
      "Folder where the routing table is kept, for the next start. It must be there. Without it: nothing is kept.")    \
    X(S, VALUE, CHOICE, log_level, log_level, "info", "error warn info debug", "", "warn",                             \
      "How much to say on stderr about the process itself.")                                                           \
    X(S, VALUE, TEXT, nsid, nsid, "", "", "", "fra-1",                                                                 \
      "Name of this server for who asks for it (RFC 5001). Without it: not told.")                                     \
    X(S, VALUE, TEXT, version, version, "", "", "", "Skerry",                                                          \
      "Answer to version.bind in class CH. Without it: refused.")                                                      \
    X(S, VALUE, TEXT, identity, identity, "", "", "", "fra-1",                                                         \
      "Answer to id.server in class CH. Without it: refused.")                                                         \
    X(S, VALUE, FLAG, cookies, cookies, "true", "", "", "false", "DNS cookies (RFC 7873).")                            \
    X(S, VALUE, SECRET, cookie_secret, cookie_secret, "", "", "", "",                                                  \
      "32 hexadecimal digits, the same on all servers behind one address (RFC 9018). Without it: made at "             \
      "the start.")                                                                                                    \
    X(S, VALUE, SECRET, cookie_secret_previous, cookie_secret_previous, "", "", "", "",                                \
      "The secret before that one, accepted while clients learn the new.")                                             \
    X(S, VALUE, COUNT, badcookie_above, badcookie_above, "0", "0", "10000000", "100000",                               \
      "Queries a second of one thread over which a wrong cookie gets BADCOOKIE instead of an answer. 0: "              \
      "never.")                                                                                                        \
    X(S, SECTION, ROUTE_RATE, rate_limit, rate, "", "", "", "",                                                        \
      "Answers over UDP to clients without a cookie, so that forged queries are not reflected.")                       \
    X(S, SECTION, ROUTE_TCP, tcp, tcp, "", "", "", "", "Connections.")                                                 \
    X(S, SECTION, ROUTE_WEIGHTS, weights, weights, "", "", "", "", "What makes a site the best.")                      \
    X(S, SECTION, ROUTE_HEALTH, health, health, "", "", "", "",                                                        \
      "How the router finds out which edges can serve.")                                                               \
    X(S, SECTION, ROUTE_HTTP, http, http, "", "", "", "",                                                              \
      "Routing of HTTP requests by redirect, for players and download tools.")                                         \
    X(S, SECTION, ROUTE_REPORTS, reports, reports, "", "", "", "",                                                     \
      "How the router learns from its edges what clients measure.")                                                    \
    X(S, SECTION, ROUTE_QUERY_LOG, query_log, query_log, "", "", "", "", "What was asked and answered.")               \
    X(S, LIST, FILE, databases, databases, "", "0", "16", "/usr/share/GeoIP/city.mmdb",                                \
      "MMDB files that say where networks are; City, Country and ASN may be mixed.")                                   \
    X(S, SECTIONS, ROUTE_TSIG_KEY, tsig_keys, tsig_keys, "", "0", "1000", "",                                          \
      "Secrets shared with secondaries.")                                                                              \
    X(S, SECTIONS, ROUTE_ZONE, zones, zones, "", "1", "100000", "", "The zones.")                                      \
    X(S, SECTIONS, ROUTE_SITE, sites, sites, "", "0", "1024", "", "The sites that clients are sent to.")               \
    X(S, SECTIONS, ROUTE_NAME, names, names, "", "0", "10000", "",                                                     \
      "Names whose A, AAAA and HTTPS records are the best sites for the client.")                                      \
    X(S, SECTIONS, ROUTE_OVERRIDE, overrides, overrides, "", "0", "10000", "",                                         \
      "Clients whose sites the operator chooses.")

/* As CONFIG_SECTION_TABLE. */
#define CONFIG_ROUTE_SECTION_TABLE(X)                                                                        \
    X(ROUTE_RATE, "rate_limit", struct config_route_rate)                                                    \
    X(ROUTE_TCP, "tcp", struct config_route_tcp)                                                             \
    X(ROUTE_WEIGHTS, "weights", struct config_route_weights)                                                 \
    X(ROUTE_HEALTH, "health", struct config_route_health)                                                    \
    X(ROUTE_HTTP, "http", struct config_route_http)                                                          \
    X(ROUTE_REPORTS, "reports", struct config_route_reports)                                                 \
    X(ROUTE_QUERY_LOG, "query_log", struct config_route_query_log)                                           \
    X(ROUTE_TSIG_KEY, "tsig_keys", struct config_route_tsig_key)                                             \
    X(ROUTE_ZONE, "zones", struct config_route_zone)                                                         \
    X(ROUTE_SITE, "sites", struct config_route_site)                                                         \
    X(ROUTE_NAME, "names", struct config_route_name)                                                         \
    X(ROUTE_OVERRIDE, "overrides", struct config_route_override)                                             \
    X(ROUTE_TOP, "", struct config_route)

extern const struct config_section *const config_route_top;

#endif
