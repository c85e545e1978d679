/* Every key of the configuration, in one table for each section. From these tables come the structs that
 * the YAML is read into (raw.h), the checks (scan.c), the typed configuration (compile.c), the reference in
 * docs/configuration.md and the JSON Schema. Adding an option is a row here and a field in config.h.
 *
 * A row: X(S, shape, kind, key, field, default, min, max, example, documentation)
 *   S        the section's name in CONFIG_SECTION_TABLE
 *   shape    VALUE        one value, stored in FIELD of the section's struct
 *            HAND         one value that compile.c puts in its place by hand
 *            LIST         a list of values; MIN and MAX count its entries
 *            ONE_OR_LIST  the same, where a single value stands for a list of one
 *            SECTION      keys of their own: KIND names the section
 *            SECTIONS     a list of such; MIN and MAX count its entries
 *   kind     of the value: CONFIG_KIND_TABLE
 *   default, min, max, example   as one would write them, of a list an entry; "" for none. For a CHOICE, MIN
 *            holds the words, in the order of the enum's values. */
#ifndef SK_CONFIG_OPTIONS_H
#define SK_CONFIG_OPTIONS_H

#include "base/str.h"

/* Kind, what a person is told to write, type and pattern in the JSON Schema ("" for none). */
#define CONFIG_KIND_TABLE(X)                                                                                 \
    X(COUNT, "a whole number", "integer", "")                                                                \
    X(PERCENT, "a percentage", "string", "^[0-9]+%$")                                                        \
    X(SIZE, "a size", "string|integer", "^[0-9]+(\\.[0-9]+)?([KMGT](i?B)?|B|kB)?$")                          \
    X(MEMORY, "a percentage of the machine's memory, or a size", "string|integer",                           \
      "^([0-9]+(\\.[0-9]+)?([KMGT](i?B)?|B|kB)?|[0-9]+%)$")                                                  \
    X(DURATION, "a duration", "string|integer", "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d|w)?)+$")                    \
    X(LIFETIME, "none, or a duration", "string|integer", "^(none|([0-9]+(\\.[0-9]+)?(ms|s|m|h|d|w)?)+)$")    \
    X(FLAG, "true or false", "boolean", "")                                                                  \
    X(CHOICE, "one of", "string", "")                                                                        \
    X(STATUSES, "a status or a range of statuses", "string|integer", "^[1-9][0-9][0-9](-[1-9][0-9][0-9])?$") \
    X(NAME, "a name of letters, digits, '.', '_' and '-', at most 64", "string", "^[A-Za-z0-9._-]{1,64}$")   \
    X(SECRET, "a secret of 16 to 256 visible characters", "string", "^[!-~]{16,256}$")                       \
    X(FILE, "a path", "string", "")                                                                          \
    X(LOG, "a path, \"-\" for stdout or \"\" for none", "string", "")                                        \
    X(LISTENER, "an IP address with port, or :PORT for all addresses, or unix:PATH", "string", "")           \
    X(ENDPOINT,                                                                                              \
      "an IP address with port, or :PORT for all addresses, or unix:PATH; for TLS https:// before it",       \
      "string", "")                                                                                          \
    X(ADMIN, "unix:PATH, or an IP address with port", "string", "")                                          \
    X(BUS, "unix:PATH, valkey://[[USER]:PASSWORD@]HOST[:PORT], or valkeys://... over TLS", "string",         \
      "^(unix:/|valkeys?://|rediss?://).")                                                                   \
    X(RESOLVERS, "IP addresses, each with port if not 53, separated by commas", "string", "")                \
    X(PREFIX, "an IP network or address", "string", "")                                                      \
    X(HOST, "a host name without port, *.DOMAIN, or *", "string", "")                                        \
    X(AUTHORITY, "a host name, with port if needed", "string", "")                                           \
    X(URL, "http:// or https:// with a host, and a port if needed, but no path", "string",                   \
      "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]+/?$")                                                                 \
    X(URL_PATH, "a path that begins with /", "string", "^/")                                                 \
    X(ADDRESS, "an IP address, with port if needed", "string", "")                                           \
    X(DOMAIN, "a domain name", "string", "")                                                                 \
    X(DECIMAL, "a number", "number", "^-?[0-9]+(\\.[0-9]+)?$")                                               \
    X(LANGUAGE, "a language tag", "string", "^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*$")                           \
    X(MEDIA_TYPE, "a media type without parameters", "string", "^[^/*;, ]+/[^/*;, ]+$")                      \
    X(PATTERN, "a pattern of paths in normal form that begins with / or *; * is any text, ? any byte",       \
      "string", "^[/*]")                                                                                     \
    X(NAMES, "a name, or a pattern of names with * and ?", "string", "")                                     \
    X(FIELD, "the name of a field, but not of framing or one that is ours to write", "string",               \
      "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")                                                                       \
    X(FIELD_LINE, "a field as \"Name: value\", but not of framing or one that is ours to write", "string",   \
      "^[!#$%&'*+.^_`|~0-9A-Za-z-]+:")                                                                       \
    X(COOKIE, "the name of a cookie", "string", "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")                             \
    X(STATUS_TTLS, "none, or lifetimes by status, separated by blanks", "string",                            \
      "^(none|([2-5]([0-9][0-9](-[2-5][0-9][0-9])?|xx)=[0-9a-z.]+ *)+)$")                                    \
    X(MEDIA_RANGE, "a media type, as text/html, text/* or *+json", "string",                                 \
      "^([^/*;, ]+/([^/*;, ]+|\\*)|\\*\\+[^/*;, ]+)$")                                                       \
    X(CODING, "zstd, br or gzip", "string", "^(zstd|br|gzip)$")                                              \
    X(TEXT, "a text of at most 255 bytes", "string", "")

enum config_kind {
#define X(kind, expected, json_type, json_pattern) CONFIG_KIND_##kind,
    CONFIG_KIND_TABLE(X)
#undef X
        CONFIG_KIND_COUNT_
};

#define CONFIG_ACCESS_LOG_TABLE(X, S)                                                                        \
    X(S, VALUE, LOG, file, access_log, "", "", "", "/var/log/skerry/access.log",                             \
      "Where to write a line for each request: a file, \"-\" for stdout, \"\" for nowhere. Opened again at " \
      "SIGHUP, so that it can be rotated.")                                                                  \
    X(S, VALUE, CHOICE, format, access_log_format, "json", "json common", "", "common",                      \
      "`json`: one object a line (`skerry help access-log`); `common`: NCSA Common Log Format.")

#define CONFIG_LIMITS_TABLE(X, S)                                                                            \
    X(S, VALUE, COUNT, connections, connections, "0", "0", "10000000", "20000",                              \
      "Client connections at a time, of the whole process. 0: as many as the limit on open files allows.")   \
    X(S, VALUE, COUNT, connections_per_client, connections_per_client, "0", "0", "1000000", "200",           \
      "Of these, from one IP address. 0: no limit.")                                                         \
    X(S, VALUE, SIZE, header_bytes, header_bytes, "32KiB", "1KiB", "1MiB", "16KiB",                          \
      "Size of a request's header section. Over it: 431.")                                                   \
    X(S, VALUE, COUNT, header_fields, header_fields, "100", "8", "10000", "64",                              \
      "Number of header fields of a request. Over it: 431.")                                                 \
    X(S, VALUE, SIZE, target_bytes, target_bytes, "8KiB", "64", "256KiB", "4KiB",                            \
      "Length of a request's path and query. Over it: 414.")                                                 \
    X(S, VALUE, SIZE, request_body_bytes, request_body_bytes, "1GiB", "0", "1024TiB", "100MiB",              \
      "Size of a request's content. Over it: 413. 0: no request may have content.")                          \
    X(S, VALUE, COUNT, pipelined_requests, pipelined_requests, "16", "1", "1000", "4",                       \
      "Pipelined requests of one connection that are answered in a row before others get their turn.")

#define CONFIG_TIMEOUTS_TABLE(X, S)                                                                          \
    X(S, VALUE, DURATION, header, header_ms, "10s", "100ms", "1h", "5s",                                     \
      "For a request's head to be complete, from its first byte (or from the connection's beginning).")      \
    X(S, VALUE, DURATION, body, body_ms, "30s", "100ms", "24h", "60s",                                       \
      "For the next piece of a request's content: without any progress for so long, the connection ends.")   \
    X(S, VALUE, DURATION, write, write_ms, "30s", "100ms", "24h", "60s",                                     \
      "For a client to take more of a response: without any progress for so long, the connection ends.")     \
    X(S, VALUE, DURATION, keep_alive, keep_alive_ms, "60s", "0s", "24h", "15s",                              \
      "For the next request on a connection. 0: connections end after one request.")                         \
    X(S, VALUE, DURATION, drain, drain_ms, "30s", "0s", "24h", "5m",                                         \
      "For running requests to end when the process stops or is replaced.")                                  \
    X(S, VALUE, DURATION, tunnel, tunnel_ms, "1h", "1s", "7d", "10m",                                        \
      "For an upgraded connection (a WebSocket, say) on which nothing moves in either direction.")           \
    X(S, VALUE, SIZE, min_rate, min_rate, "500", "0", "1GiB", "1KiB",                                        \
      "Bytes a second that a client must send or take while content is under way, as a mean over several "   \
      "seconds; slower ones are closed. 0: off.")

#define CONFIG_HEALTH_CHECK_TABLE(X, S)                                                                      \
    X(S, HAND, FLAG, enabled, enabled, "true", "", "", "false",                                              \
      "Ask the origins regularly. True as soon as there is a `health_check`.")                               \
    X(S, VALUE, URL_PATH, path, path, "/", "", "", "/healthz", "What to GET.")                               \
    X(S, VALUE, DURATION, interval, interval_ms, "5s", "100ms", "1h", "10s",                                 \
      "From one question to the next.")                                                                      \
    X(S, VALUE, DURATION, timeout, timeout_ms, "2s", "10ms", "5m", "1s", "For the answer to be there.")      \
    X(S, VALUE, COUNT, healthy_after, healthy_after, "2", "1", "100", "1",                                   \
      "Good answers in a row that bring an origin back.")                                                    \
    X(S, VALUE, COUNT, unhealthy_after, unhealthy_after, "3", "1", "100", "2",                               \
      "Bad or no answers in a row that take an origin out.")                                                 \
    X(S, VALUE, STATUSES, expect_status, expect_status_min, "200-399", "", "", "200",                        \
      "Statuses that count as good: one or a range.")

#define CONFIG_ORIGIN_OPTIONS_TABLE(X, S)                                                                    \
    X(S, VALUE, DURATION, connect_timeout, connect_timeout_ms, "3s", "10ms", "5m", "1s",                     \
      "For a connection to an origin, with its TLS handshake.")                                              \
    X(S, VALUE, DURATION, first_byte_timeout, first_byte_timeout_ms, "30s", "10ms", "24h", "60s",            \
      "From the request sent to the response's first byte.")                                                 \
    X(S, VALUE, DURATION, between_bytes_timeout, between_bytes_timeout_ms, "30s", "10ms", "24h", "10s",      \
      "For the next piece of a response.")                                                                   \
    X(S, VALUE, DURATION, idle_timeout, idle_timeout_ms, "60s", "0s", "24h", "15s",                          \
      "How long an unused connection is kept. Best a little below the origin's own.")                        \
    X(S, VALUE, COUNT, max_connections, max_connections, "1024", "1", "1000000", "100",                      \
      "Connections to one origin, for each thread. Over it: requests wait, for `connect_timeout` at most.")  \
    X(S, VALUE, COUNT, max_idle, max_idle, "64", "0", "1000000", "16",                                       \
      "Unused connections kept to one origin, for each thread.")                                             \
    X(S, VALUE, COUNT, retries, retries, "2", "0", "10", "1",                                                \
      "Further tries for a request that may be repeated, on another origin if there is one.")                \
    X(S, VALUE, PERCENT, retry_budget, retry_budget_percent, "20%", "0%", "100%", "10%",                     \
      "Retries as a share of requests; beyond it failures are final, so that retries do not multiply an "    \
      "overload.")                                                                                           \
    X(S, VALUE, COUNT, fail_after, fail_after, "5", "0", "1000", "3",                                        \
      "Failures in a row that take an origin out for `fail_for`. 0: never.")                                 \
    X(S, VALUE, DURATION, fail_for, fail_for_ms, "10s", "100ms", "1h", "30s",                                \
      "How long an origin is left out after `fail_after` failures.")                                         \
    X(S, SECTION, HEALTH_CHECK, health_check, health, "", "", "", "",                                        \
      "Active health checks. None unless this section is there.")

#define CONFIG_CACHE_TABLE(X, S)                                                                             \
    X(S, HAND, FLAG, enabled, enabled, "true", "", "", "false",                                              \
      "False: every request goes to an origin, nothing is stored.")                                          \
    X(S, VALUE, LIFETIME, default_ttl, default_ttl_s, "none", "0s", "3650d", "5m",                           \
      "Lifetime of responses whose origin says nothing about it.")                                           \
    X(S, VALUE, LIFETIME, override_ttl, override_ttl_s, "none", "0s", "3650d", "1h",                         \
      "Lifetime against the origin's word. For origins that cannot be corrected.")                           \
    X(S, VALUE, LIFETIME, max_ttl, max_ttl_s, "none", "0s", "3650d", "1d", "Cap on every lifetime.")         \
    X(S, VALUE, LIFETIME, stale_while_revalidate, stale_while_revalidate_s, "none", "0s", "3650d", "30s",    \
      "How long a stale response is still served while it is refreshed (RFC 5861), where the origin does "   \
      "not say.")                                                                                            \
    X(S, VALUE, LIFETIME, stale_if_error, stale_if_error_s, "none", "0s", "3650d", "1d",                     \
      "How long a stale response is still served when the origin fails (RFC 5861), where the origin does "   \
      "not say.")                                                                                            \
    X(S, VALUE, FLAG, ignore_set_cookie, ignore_set_cookie, "false", "", "", "true",                         \
      "Store responses with Set-Cookie too, without that field. Only where no response is personal.")        \
    X(S, VALUE, FLAG, heuristics, heuristics, "true", "", "", "false",                                       \
      "Guess a lifetime from Last-Modified where the origin says nothing (RFC 9111 4.2.2).")                 \
    X(S, VALUE, LIFETIME, heuristic_max, heuristic_max_s, "1d", "0s", "3650d", "1h",                         \
      "Cap on such a guess. none: no cap.")                                                                  \
    X(S, HAND, STATUS_TTLS, ttl_by_status, default_by_status, "none", "", "", "301=1h 302=1m",               \
      "Lifetime of responses with these statuses whose origin says nothing about it, instead of "            \
      "`default_ttl`. The first that names a status counts.")                                                \
    X(S, HAND, STATUS_TTLS, negative_ttl, negative, "404=10s 405=10s 410=1m 501=10s", "", "",                \
      "404=30s 410=10m 5xx=1s",                                                                              \
      "The same for errors, which never get `default_ttl`. An error that it does not name is stored only "   \
      "on the origin's word.")                                                                               \
    X(S, HAND, STATUS_TTLS, override_ttl_by_status, override_by_status, "none", "", "", "404=1m",            \
      "As `override_ttl`, for these statuses, of which any can be named.")                                   \
    X(S, VALUE, FLAG, deception_armor, deception_armor, "true", "", "", "false",                             \
      "Do not store a page under the name of a file (`/account/x.css` that is HTML), unless the origin "     \
      "says `public` or `s-maxage`; nor what an origin may read as another path (`/img/..%2Faccount`).")     \
    X(S, VALUE, FLAG, no_vary_search, no_vary_search, "true", "", "", "false",                               \
      "Let one stored response answer all queries that its No-Vary-Search field calls equivalent.")

#define CONFIG_KEY_TABLE(X, S)                                                                               \
    X(S, VALUE, FLAG, scheme, scheme, "false", "", "", "true",                                               \
      "Keep http and https apart. For origins that answer by X-Forwarded-Proto.")                            \
    X(S, VALUE, CHOICE, query, query, "as-is", "as-is sorted none", "", "sorted",                            \
      "`as-is`: queries that are written differently are different. `sorted`: the order of parameters with " \
      "different names does not count. `none`: the whole query does not. The origin gets what is left.")     \
    X(S, LIST, NAMES, query_keep, query_keep, "", "0", "256", "page",                                        \
      "Only these parameters count, and only these go to the origin.")                                       \
    X(S, LIST, NAMES, query_drop, query_drop, "", "0", "256", "\"utm_*\"",                                   \
      "These parameters do not count, and do not go to the origin.")                                         \
    X(S, LIST, FIELD, headers, headers, "", "0", "16", "X-Country",                                          \
      "Request fields that are part of the key. For origins that answer by them without saying Vary.")       \
    X(S, LIST, COOKIE, cookies, cookies, "", "0", "16", "currency",                                          \
      "Cookies that are part of the key. No other cookie is.")

#define CONFIG_RULE_TABLE(X, S)                                                                               \
    X(S, HAND, PATTERN, path, paths, "", "", "", "/static/*",                                                 \
      "The paths that it is for, when one pattern says it.")                                                  \
    X(S, LIST, PATTERN, paths, paths, "", "0", "256", "/static/*", "The same, when it takes several.")        \
    X(S, VALUE, HOST, host, host, "", "", "", "img.example.com",                                              \
      "Only on this host (`*.example.com`: and those below). Without it: on all hosts of the site.")          \
    X(S, LIST, NAME, methods, methods, "", "0", "32", "POST",                                                 \
      "Only for requests with these methods; GET is HEAD too. Without it: for all. What a request is stored " \
      "under is always what the rule for GET says.")                                                          \
    X(S, SECTION, CACHE, cache, cache, "", "", "", "",                                                        \
      "As `cache` of the site; what is not given here is as it is there. `enabled: false` lets these paths "  \
      "pass.")                                                                                                \
    X(S, SECTION, KEY, key, key, "", "", "", "",                                                              \
      "As `key` of the site; what is not given here is as it is there.")                                      \
    X(S, LIST, FIELD, strip_request_fields, request, "", "0", "64", "Cookie",                                 \
      "Fields that do not go to the origin.")                                                                 \
    X(S, LIST, FIELD_LINE, set_request_fields, request, "", "0", "64", "\"X-Tier: static\"",                  \
      "Fields that the origin gets, instead of any of their name that the client sent.")                      \
    X(S, LIST, FIELD, strip_response_fields, response, "", "0", "64", "X-Powered-By",                         \
      "Fields of the origin that count for nothing: they are neither stored nor sent.")                       \
    X(S, LIST, FIELD_LINE, add_response_fields, response, "", "0", "64", "\"X-Robots-Tag: noindex\"",         \
      "Fields that responses get as if the origin had sent them, after `strip_response_fields`.")

#define CONFIG_COMPRESS_TABLE(X, S)                                                                           \
    X(S, VALUE, FLAG, enabled, enabled, "true", "", "", "false",                                              \
      "Send stored responses compressed to clients that ask for it. What is not stored is never compressed "  \
      "here, so no response mixes one client's secrets with another's guesses.")                              \
    X(S, LIST, CODING, codings, codings, "", "0", "3", "br",                                                  \
      "The codings, the best first: it wins where a client likes several equally. Without it: zstd, br, "     \
      "gzip.")                                                                                                \
    X(S, LIST, MEDIA_RANGE, types, types, "", "0", "100", "text/*",                                           \
      "Content types that are compressed. Without it: text, JSON, JavaScript, XML, SVG, WebAssembly and "     \
      "other types that shrink.")                                                                             \
    X(S, VALUE, SIZE, min_size, min_bytes, "512", "1", "1GiB", "1KiB",                                        \
      "Content smaller than this stays as it is.")                                                            \
    X(S, VALUE, SIZE, max_size, max_bytes, "32MiB", "1", "64TiB", "100MiB",                                   \
      "Content whose length is announced and larger than this stays as it is.")                               \
    X(S, VALUE, COUNT, level, level, "4", "1", "5", "2",                                                      \
      "How hard to try while a client waits: 1 is fastest, 5 smallest.")                                      \
    X(S, VALUE, COUNT, popular_level, popular_level, "8", "0", "9", "9",                                      \
      "How hard to try later, in the background, for what many ask for: up to 9. 0: never.")                  \
    X(S, VALUE, FLAG, dictionaries, dictionaries, "false", "", "", "true",                                    \
      "Compress with dictionaries that clients have (RFC 9842): stored responses with Use-As-Dictionary are " \
      "kept as such, and over https a client that names one of them in Available-Dictionary gets dcb or "     \
      "dcz, once that has been made in the background.")

#define CONFIG_VARY_TABLE(X, S)                                                                              \
    X(S, LIST, LANGUAGE, languages, languages, "", "0", "64", "de",                                          \
      "The languages of the site, its default first. A request's Accept-Language becomes the best of them "  \
      "(RFC 4647 lookup), for the origin too: one variant for each language instead of one for each way to " \
      "ask.")                                                                                                \
    X(S, LIST, MEDIA_TYPE, accept, media_types, "", "0", "32", "image/avif",                                 \
      "Media types that the origin chooses between. A request's Accept becomes the best of those that it "   \
      "names in full, and everything else.")                                                                 \
    X(S, VALUE, CHOICE, user_agent, agent, "exact", "exact classes", "", "classes",                          \
      "`classes`: a request's User-Agent becomes one text for all desktops, one for all mobiles, one for "   \
      "all bots. `exact`: as it came.")

#define CONFIG_ORIGIN_TABLE(X, S)                                                                            \
    X(S, VALUE, URL, url, url, "", "", "", "http://10.0.0.1:9000",                                           \
      "Scheme, host and port (80 and 443 if not given). Required.")                                          \
    X(S, VALUE, COUNT, weight, weight, "1", "0", "1000", "3",                                                \
      "Share of requests among the site's origins. 0: a spare, used only when all others are down.")         \
    X(S, VALUE, AUTHORITY, host, host, "", "", "", "www.example.com",                                        \
      "Host field and SNI to send. Without it: the Host that the client sent, and the URL's host as SNI.")   \
    X(S, VALUE, FILE, ca_file, ca_file, "", "", "", "/etc/skerry/origin-ca.pem",                             \
      "Certificates (PEM) to trust for https, instead of the system's.")                                     \
    X(S, VALUE, FLAG, verify, verify, "true", "", "", "false",                                               \
      "Verify the certificate of an https origin. Never false outside of a test.")                           \
    X(S, VALUE, TEXT, verify_name, verify_name, "", "", "", "spiffe://example.com/origin",                   \
      "Name that the certificate must carry instead of the host: a DNS name, or a URI.")                     \
    X(S, VALUE, FILE, client_cert, client_cert, "", "", "", "/etc/skerry/edge.pem",                          \
      "The certificate (PEM) to show to an https origin that asks for one, with those that lead to its "     \
      "authority.")                                                                                          \
    X(S, VALUE, FILE, client_key, client_key, "", "", "", "/etc/skerry/edge.key",                            \
      "The private key (PEM, without a password) of `client_cert`.")                                         \
    X(S, VALUE, CHOICE, pq, pq, "offer", "off offer prefer require advertise", "", "require",                \
      "Key exchange that a quantum computer cannot undo later (X25519MLKEM768 and its kin). `off`: never; "  \
      "`offer`: key shares of both kinds are sent, the origin chooses; `prefer`: only such a one is sent, "  \
      "origins that do not know it cost one round trip more; `require`: other origins are not used; "        \
      "`advertise`: it is named, and sent only to origins that ask for it.")                                 \
    X(S, VALUE, CHOICE, http2, http2, "auto", "off auto on", "", "on",                                       \
      "HTTP/2 to this origin: many requests on one connection. `auto`: when an https origin agrees to it "   \
      "(ALPN); `on`: always, over http too (prior knowledge); `off`: never.")

#define CONFIG_CERTIFICATE_TABLE(X, S)                                                                        \
    X(S, VALUE, FILE, cert, cert, "", "", "", "/etc/skerry/www.example.com.pem",                              \
      "The certificate and behind it those that lead to its authority (PEM). Required.")                      \
    X(S, VALUE, FILE, key, key, "", "", "", "/etc/skerry/www.example.com.key",                                \
      "The certificate's private key (PEM, without a password). Required.")                                   \
    X(S, VALUE, FLAG, ocsp, ocsp, "true", "", "", "false",                                                    \
      "Show what its authority says of it now to clients that ask (OCSP stapling), where the certificate "    \
      "names a responder. It is asked over http by this edge.")                                               \
    X(S, VALUE, NAME, fleet, fleet, "", "", "", "shop",                                                       \
      "Instead of both: the name of a certificate that the fleet's control gives (`skerry cert put`). It is " \
      "replaced as soon as control has another.")

#define CONFIG_LISTENERS_TABLE(X, S)                                                                         \
    X(S, HAND, ENDPOINT, address, addr, "", "", "", "0.0.0.0:443", "Where to accept clients. Required.")     \
    X(S, VALUE, FLAG, tls, tls, "true", "", "", "false", "Speak TLS there.")                                 \
    X(S, VALUE, FLAG, http2, http2, "true", "", "", "false", "Offer HTTP/2 to TLS clients (ALPN).")          \
    X(S, VALUE, FLAG, http3, http3, "true", "", "", "false",                                                 \
      "Speak HTTP/3 there too, over UDP at the same port, and tell clients so (Alt-Svc).")                   \
    X(S, VALUE, CHOICE, pq, pq, "prefer", "off offer prefer require", "", "require",                         \
      "Key exchange that a quantum computer cannot undo later (X25519MLKEM768 and its kin). `off`: never; "  \
      "`offer`: when the client comes with it; `prefer`: with every client that knows it, be it one round "  \
      "trip more; `require`: other clients are refused.")                                                    \
    X(S, VALUE, CHOICE, min_version, min_version, "1.2", "1.2 1.3", "", "1.3",                               \
      "Lowest version of TLS spoken.")                                                                       \
    X(S, VALUE, FLAG, early_data, early_data, "false", "", "", "true",                                       \
      "Answer what clients that were here before send with their first flight (0-RTT, TLS 1.3), if it is a " \
      "safe method without content; other requests get 425. An eavesdropper can send a copy of such a "      \
      "request to another edge, so what is said to be safe must be it.")                                     \
    X(S, VALUE, FILE, client_ca, client_ca, "", "", "", "/etc/skerry/clients-ca.pem",                        \
      "Only clients with a certificate from one of these authorities (PEM) are served. Without it: none is " \
      "asked for.")

#define CONFIG_PURGE_TABLE(X, S)                                                                             \
    X(S, LIST, PREFIX, allow, allow, "", "0", "10000", "10.0.0.0/8",                                         \
      "Networks from which the PURGE method is obeyed, by the connection's address. Others get 405.")

#define CONFIG_QLOG_TABLE(X, S)                                                                              \
    X(S, VALUE, FILE, folder, folder, "", "", "", "/var/log/skerry/qlog",                                    \
      "A folder for the files, one for each connection. Without it: none.")                                  \
    X(S, LIST, PREFIX, clients, clients, "", "0", "16", "192.0.2.7", "Whose connections.")                   \
    X(S, VALUE, SIZE, size, bytes, "16MiB", "64KiB", "1GiB", "64MiB",                                        \
      "Of all files together, until the next reload; what is over it is not written.")

#define CONFIG_FLEET_TABLE(X, S)                                                                                   \
    X(S, VALUE, FILE, state, state, "", "", "", "/var/lib/skerry/fleet",                                           \
      "The folder with this node's identity: key, certificate, the fleet's roots (`skerry edge --join` makes it) " \
      "and the last good configuration. With it, sites come from control.")                                        \
    X(S, VALUE, BUS, bus, bus, "", "", "", "valkey://:secret@10.0.0.5",                                            \
      "The server (Valkey, or another that speaks the Redis protocol and has streams) that purges come "           \
      "from; the nearest replica will do. Without it: purges are this edge's own.")                                \
    X(S, VALUE, BUS, bus_primary, bus_primary, "", "", "", "valkey://:secret@10.0.0.5",                            \
      "The server that takes writes, when `bus` is a replica: positions and signs of life go there.")              \
    X(S, VALUE, FILE, bus_ca, bus_ca, "", "", "", "/etc/skerry/valkey-ca.pem",                                     \
      "Authorities of the certificates of servers behind `valkeys://` (PEM). Without it: the system's.")           \
    X(S, VALUE, FILE, bus_cert, bus_cert, "", "", "", "/etc/skerry/valkey.pem",                                    \
      "The certificate that is shown to such a server when it asks for one (PEM). Without it: none.")              \
    X(S, VALUE, FILE, bus_key, bus_key, "", "", "", "/etc/skerry/valkey.key", "Its private key (PEM).")            \
    X(S, VALUE, DURATION, silence, silence_ms, "30s", "2s", "24h", "10s",                                          \
      "When nobody was heard on the bus for so long, what is stored is revalidated before it is used, until "      \
      "somebody is heard again.")

#define CONFIG_PEER_TABLE(X, S)                                                                              \
    X(S, VALUE, NAME, name, name, "", "", "", "b", "The node's name, as its certificate says it. Required.") \
    X(S, VALUE, NAME, pop, pop, "", "", "", "fra", "Its PoP. Without it: the same as ours.")                 \
    X(S, VALUE, ADDRESS, address, address, "", "", "", "10.0.0.2:7444",                                      \
      "Where it listens for nodes. Required, but for ourselves.")

#define CONFIG_PEERS_TABLE(X, S)                                                                              \
    X(S, VALUE, LISTENER, listen, listen, "", "", "", "10.0.0.1:7444",                                        \
      "Where to listen for other nodes, over TLS 1.3 with both certificates. With it, the edges of a PoP "    \
      "share their caches: each key has an owner among them, and only that one asks the origin.")             \
    X(S, VALUE, ADDRESS, address, address, "", "", "", "10.0.0.1:7444",                                       \
      "Where other nodes reach that listener, as they are told by the bus. Without it: what `listen` says.")  \
    X(S, SECTIONS, PEER, nodes, nodes, "", "0", "256", "",                                                    \
      "The nodes of the ring, the same list on each, of our own PoP and of those that are shields. Without "  \
      "it, and with `fleet.bus`: the members of the fleet, as they come and go.")                             \
    X(S, VALUE, FILE, state, state, "", "", "", "/var/lib/skerry/peers",                                      \
      "A folder where this edge remembers until when it has applied purges, and which nodes there were. "     \
      "Without it: `fleet.state`. Without both, what other nodes have held since before its start is "        \
      "validated once before it is used.")                                                                    \
    X(S, VALUE, FILE, ca, ca, "", "", "", "/etc/skerry/peers-ca.pem",                                         \
      "Authorities of the nodes' certificates (PEM). Without it: the roots in `fleet.state`.")                \
    X(S, VALUE, FILE, cert, cert, "", "", "", "/etc/skerry/peers.pem",                                        \
      "This node's certificate (PEM), with its name in it as a URI: spiffe://FLEET/POP/edge/NAME. Without "   \
      "it: the one in `fleet.state`.")                                                                        \
    X(S, VALUE, FILE, key, key, "", "", "", "/etc/skerry/peers.key", "Its private key (PEM).")                \
    X(S, VALUE, DURATION, timeout, timeout_ms, "10s", "100ms", "10m", "3s",                                   \
      "For an owner's answer to begin; then the origin itself is asked.")                                     \
    X(S, VALUE, DURATION, patience, patience_ms, "500ms", "20ms", "1m", "200ms",                              \
      "For a node that is asked to be reached, and to give any sign of life after that. Then the key's next " \
      "owner is asked.")                                                                                      \
    X(S, VALUE, DURATION, warm_up, warm_up_ms, "1m", "0s", "24h", "10m",                                      \
      "For so long after its start an edge asks the key's next owner for what it has, before an origin.")     \
    X(S, VALUE, COUNT, hot, hot, "16", "0", "65535", "100",                                                   \
      "What belongs to another node and is asked for so often within some ten seconds is kept here too, in "  \
      "at most a sixteenth of the memory. 0: never.")

#define CONFIG_SITE_TABLE(X, S)                                                                              \
    X(S, VALUE, NAME, name, name, "", "", "", "shop",                                                        \
      "Name in logs and metrics. Without it: the site's first host.")                                        \
    X(S, HAND, HOST, host, hosts, "", "", "", "www.example.com",                                             \
      "The host served, when it is a single one.")                                                           \
    X(S, LIST, HOST, hosts, hosts, "*", "0", "10000", "www.example.com",                                     \
      "The hosts served. `*.example.com` is every name below example.com, `*` every host that no other "     \
      "site serves. An exact host wins over a wildcard, a longer wildcard over a shorter one.")              \
    X(S, HAND, URL, origin, origins, "", "", "", "http://127.0.0.1:9000",                                    \
      "URL of the origin, when it is a single one that needs no more.")                                      \
    X(S, SECTIONS, ORIGIN, origins, origins, "", "0", "64", "", "The origins.")                              \
    X(S, SECTION, ORIGIN_OPTIONS, origin_options, origin, "", "", "", "",                                    \
      "Timeouts, connections, retries and health of this site's origins.")                                   \
    X(S, SECTION, CACHE, cache, base.cache, "", "", "", "", "What is stored, and for how long.")             \
    X(S, SECTION, KEY, key, base.key, "", "", "", "", "What makes two requests ask for the same.")           \
    X(S, SECTIONS, RULE, rules, rules, "", "0", "1000", "",                                                  \
      "What is different for some paths: of each request the first rule that its path matches.")             \
    X(S, SECTION, COMPRESS, compress, compress, "", "", "", "", "Compression of stored responses.")          \
    X(S, SECTIONS, CERTIFICATE, certificates, certificates, "", "0", "16", "",                               \
      "Certificates of this site, of either kind or both (ECDSA, RSA). Clients get the one that covers the " \
      "name they ask for.")                                                                                  \
    X(S, SECTION, PURGE, purge, purge, "", "", "", "",                                                       \
      "Who may use the PURGE method. Without it: as the top's `purge` says.")                                \
    X(S, VALUE, NAME, shield, shield, "", "", "", "fra",                                                     \
      "The PoP through whose edges (`peers`) all others ask this site's origins. Without it: each PoP for "  \
      "itself.")                                                                                             \
    X(S, VALUE, FLAG, pass_tags, pass_tags, "false", "", "", "true",                                         \
      "Leave Surrogate-Key, Cache-Tag and xkey in responses, for a cache in front of this one. False: they " \
      "are read and removed.")                                                                               \
    X(S, SECTION, VARY, vary, vary, "", "", "", "",                                                          \
      "Request fields that origins negotiate by, reduced to what the site distinguishes.")                   \
    X(S, VALUE, CHOICE, cache_status, cache_status, "on", "off on key", "", "key",                           \
      "Cache-Status (RFC 9211) towards clients: whether the store answered, and why or why not. key: with "  \
      "the cache key, for debugging. off: none, not the origin's either.")                                   \
    X(S, VALUE, CHOICE, early_hints, early_hints, "on", "off on always", "", "always",                       \
      "While the origin is asked about a stale response, tell its preload, preconnect and modulepreload "    \
      "links in a 103 (RFC 8297): to HTTP/2 and to browsers that navigate, or always.")

#define CONFIG_DEVICE_TABLE(X, S)                                                                            \
    X(S, VALUE, FILE, path, path, "", "", "", "/var/cache/skerry/b",                                         \
      "A file, made when it is not there, or a block device. Required.")                                     \
    X(S, VALUE, SIZE, size, bytes, "0", "0", "64TiB", "100GiB",                                              \
      "Of the file. Without it: the file, or the device, as it is.")

#define CONFIG_DISK_TABLE(X, S)                                                                                \
    X(S, VALUE, FILE, path, path, "", "", "", "/var/cache/skerry/store",                                       \
      "A file, made when it is not there, or a block device: nothing else may be in it.")                      \
    X(S, VALUE, SIZE, size, bytes, "0", "0", "64TiB", "100GiB",                                                \
      "Of the file; its blocks are taken at once. Without it: the file, or the device, as it is.")             \
    X(S, SECTIONS, DEVICE, devices, devices, "", "0", "64", "", "More of them. Each may fail alone.")          \
    X(S, VALUE, COUNT, admit, admit, "67", "0", "100", "0",                                                    \
      "Of what was asked for only once before RAM had no room for it, how many per cent are stored; what was " \
      "asked for again always is. Fewer wear the SSD less, and ask origins more.")                             \
    X(S, VALUE, SIZE, write_limit, write_limit, "0", "0", "1TiB", "50MiB",                                     \
      "Bytes a second that are stored, for the life of the SSD; what is over it is not stored. 0: as many "    \
      "as the devices take.")                                                                                  \
    X(S, VALUE, FILE, key_file, key_file, "", "", "", "/etc/skerry/disk.key",                                  \
      "Encrypt what is stored (AES-256-GCM) with the key in this file: 32 bytes, for its owner alone, made "   \
      "when it is not there. Without the key nothing can be read again. Without it: no encryption.")           \
    X(S, VALUE, FILE, state, state, "", "", "", "/var/lib/skerry/tier",                                        \
      "The file of the purges and the secret that belong to what is stored. Without it: `.state` behind the "  \
      "first path.")

#define CONFIG_ACME_CERTIFICATE_TABLE(X, S)                                                                    \
    X(S, LIST, HOST, names, names, "", "0", "100", "www.example.com",                                          \
      "The names that it is for; all in one certificate, and the first one is its name here. `*.example.com` " \
      "needs `challenge: dns-01`. At least one.")                                                              \
    X(S, VALUE, CHOICE, challenge, challenge, "http-01", "http-01 dns-01", "", "dns-01",                       \
      "How the authority sees that the names are yours. `http-01`: it asks them on port 80, and this edge "    \
      "answers, whichever site serves them. `dns-01`: it asks the `routers` for a TXT record.")                \
    X(S, VALUE, CHOICE, key, key, "ecdsa", "ecdsa rsa", "", "rsa",                                             \
      "The kind of key that is made. One that is there already stays.")                                        \
    X(S, VALUE, FLAG, ocsp, ocsp, "true", "", "", "false",                                                     \
      "Show what the authority says of it now to clients that ask (OCSP stapling), where the certificate "     \
      "names a responder. It is asked over http by this edge.")

#define CONFIG_ACME_TABLE(X, S)                                                                              \
    X(S, VALUE, TEXT, directory, directory, "https://acme-v02.api.letsencrypt.org/directory", "", "",        \
      "https://acme-staging-v02.api.letsencrypt.org/directory",                                              \
      "The authority's directory (RFC 8555). Its own certificate is verified against the system's store.")   \
    X(S, VALUE, TEXT, email, email, "", "", "", "ops@example.com", "Where the authority may write to.")      \
    X(S, VALUE, FLAG, agree_to_terms, agreed, "false", "", "", "true",                                       \
      "You agree to the authority's terms of service. Nothing is ordered without that.")                     \
    X(S, VALUE, FILE, state, state, "/var/lib/skerry/acme", "", "", "/var/lib/skerry/acme",                  \
      "The folder of the account, keys and certificates, for the edge's user alone. Of several edges that "  \
      "share it, one orders.")                                                                               \
    X(S, VALUE, FILE, client, client, "/usr/bin/uacme", "", "", "/usr/bin/uacme",                            \
      "The ACME client, which is run as a process.")                                                         \
    X(S, LIST, ADMIN, routers, routers, "", "0", "16", "unix:/run/skerry/route.sock",                        \
      "The admin sockets of the routers that serve the names' zones, for dns-01: all of them.")              \
    X(S, VALUE, FILE, router_token_file, router_token_file, "", "", "", "/etc/skerry/route-token",           \
      "A file whose first line is their `admin_token`.")                                                     \
    X(S, VALUE, DURATION, check, check_ms, "6h", "1s", "7d", "1h",                                           \
      "How often the authority is asked whether it wants a certificate renewed early (RFC 9773).")           \
    X(S, VALUE, DURATION, retry, retry_ms, "5m", "1s", "1d", "1h",                                           \
      "After a failure; twice as long after each further one, up to 12 hours, and 12 times as long when a "  \
      "rate limit was reached or what came cannot be used.")                                                 \
    X(S, VALUE, DURATION, timeout, timeout_ms, "5m", "1s", "1h", "10m", "For an order to be complete.")      \
    X(S, SECTIONS, ACME_CERTIFICATE, certificates, certificates, "", "0", "1000", "",                        \
      "What is ordered, and renewed when two thirds of its life are over or the authority asks for it.")

#define CONFIG_TOP_TABLE(X, S)                                                                               \
    X(S, ONE_OR_LIST, ENDPOINT, listen, listeners, "127.0.0.1:8080", "1", "64", "https://0.0.0.0:443",       \
      "Where to accept clients: one address or a list. With https:// before it: by TLS.")                    \
    X(S, SECTIONS, LISTENERS, listeners, listeners, "", "0", "64", "",                                       \
      "More of them, with options of their own. Where there is one, `listen` has no default.")               \
    X(S, SECTIONS, CERTIFICATE, certificates, certificates, "", "0", "64", "",                               \
      "Certificates for TLS beside those of the sites. The first one (or else the first site's) is shown "   \
      "to clients that ask for no name, or for one that no certificate covers. Changed files are read "      \
      "again within a minute and at a reload.")                                                              \
    X(S, SECTION, ACME, acme, acme, "", "", "", "", "Certificates that an authority gives (ACME).")          \
    X(S, VALUE, ADMIN, admin, admin, "", "", "", "unix:/run/skerry/admin.sock",                              \
      "Where `/health`, `/metrics` and the commands to the running process are answered. On TCP only with "  \
      "a token. Without it: nowhere.")                                                                       \
    X(S, VALUE, SECRET, admin_token, admin_token, "", "", "", "",                                            \
      "What admin requests must carry as `Authorization: Bearer TOKEN`.")                                    \
    X(S, HAND, FILE, admin_token_file, admin_token, "", "", "", "/etc/skerry/token",                         \
      "A file whose first line is the `admin_token`.")                                                       \
    X(S, VALUE, COUNT, threads, threads, "0", "0", "1024", "4", "Threads that serve. 0: one for each core.") \
    X(S, VALUE, MEMORY, memory, memory_bytes, "25%", "8MiB", "64TiB", "4GiB",                                \
      "Memory of the cache, with all that it needs to find things. A percentage is of the machine's memory " \
      "or of the control group's limit, at least 64MiB; the default never takes more than 16GiB.")           \
    X(S, VALUE, SIZE, max_object, max_object_bytes, "0", "0", "64TiB", "100MiB",                             \
      "Largest content that is stored. 0: half of `memory`.")                                                \
    X(S, VALUE, COUNT, capacity, capacity, "0", "0", "100000000", "20000",                                   \
      "Requests a second that this edge is meant for: routers send clients elsewhere before it gets more. "  \
      "0: only its cores and connections count.")                                                            \
    X(S, SECTION, DISK, disk, disk, "", "", "", "",                                                          \
      "What RAM has no room for, on SSD, through restarts. Without it: RAM alone.")                          \
    X(S, VALUE, NAME, user, user, "", "", "", "skerry",                                                      \
      "User to become after binding, which only root can. Without it: none.")                                \
    X(S, VALUE, NAME, server_name, server_name, "skerry", "", "", "edge-fra-1",                              \
      "Name in Via, CDN-Loop and Cache-Status. Where one Skerry asks another, each has its own.")            \
    X(S, SECTION, ACCESS_LOG, access_log, access_log, "", "", "", "", "A line for each request.")            \
    X(S, SECTION, QLOG, qlog, qlog, "", "", "", "",                                                          \
      "What happens on the QUIC connections of certain clients, in qlog: for finding out why.")              \
    X(S, VALUE, CHOICE, log_level, log_level, "info", "error warn info debug", "", "warn",                   \
      "How much to say on stderr about the process itself.")                                                 \
    X(S, VALUE, RESOLVERS, resolver, resolver, "", "", "", "127.0.0.1:53",                                   \
      "Name servers for the origins' names. Without it: the system's.")                                      \
    X(S, LIST, PREFIX, trusted_proxies, trusted_proxies, "", "0", "10000", "10.0.0.0/8",                     \
      "Networks whose X-Forwarded-For, -Proto, -Host and Forwarded are believed.")                           \
    X(S, SECTION, FLEET, fleet, fleet, "", "", "", "", "The fleet that this edge belongs to.")               \
    X(S, SECTION, PEERS, peers, peers, "", "", "", "", "The other nodes, whose caches are ours too.")        \
    X(S, SECTION, PURGE, purge, purge, "", "", "", "", "Who may use the PURGE method: nobody, without it.")  \
    X(S, SECTION, LIMITS, limits, limits, "", "", "", "", "What one client may ask for.")                    \
    X(S, SECTION, TIMEOUTS, timeouts, timeouts, "", "", "", "", "How slow a client may be.")                 \
    X(S, SECTIONS, SITE, sites, sites, "", "0", "10000", "",                                                 \
      "What is served, and from where. At least one, but with `fleet.state`, where control gives them.")

/* Name, title, struct that VALUE rows go into. Sections stand before those that hold them. */
#define CONFIG_SECTION_TABLE(X)                                                                              \
    X(ACCESS_LOG, "access_log", struct config)                                                               \
    X(FLEET, "fleet", struct config_fleet)                                                                   \
    X(PEER, "nodes", struct config_peer)                                                                     \
    X(PEERS, "peers", struct config_peers)                                                                   \
    X(PURGE, "purge", struct config_purge)                                                                   \
    X(QLOG, "qlog", struct config_qlog)                                                                      \
    X(LIMITS, "limits", struct config_limits)                                                                \
    X(TIMEOUTS, "timeouts", struct config_timeouts)                                                          \
    X(HEALTH_CHECK, "health_check", struct config_health_check)                                              \
    X(ORIGIN_OPTIONS, "origin_options", struct config_origin_options)                                        \
    X(CACHE, "cache", struct http_cache_policy)                                                              \
    X(KEY, "key", struct http_key_rules)                                                                     \
    X(RULE, "rules", struct config_rule)                                                                     \
    X(COMPRESS, "compress", struct config_compress)                                                          \
    X(VARY, "vary", struct config_vary)                                                                      \
    X(ORIGIN, "origins", struct config_origin)                                                               \
    X(CERTIFICATE, "certificates", struct config_certificate)                                                \
    X(ACME_CERTIFICATE, "certificates", struct config_acme_certificate)                                      \
    X(ACME, "acme", struct config_acme)                                                                      \
    X(LISTENERS, "listeners", struct config_listener)                                                        \
    X(DEVICE, "devices", struct config_device)                                                               \
    X(DISK, "disk", struct config_disk)                                                                      \
    X(SITE, "sites", struct config_site)                                                                     \
    X(TOP, "", struct config)

enum config_shape {
    CONFIG_SHAPE_VALUE,
    CONFIG_SHAPE_HAND,
    CONFIG_SHAPE_LIST,
    CONFIG_SHAPE_ONE_OR_LIST,
    CONFIG_SHAPE_SECTION,
    CONFIG_SHAPE_SECTIONS,
};

struct config_section;
struct config_option {
    sk_str key;
    enum config_shape shape;
    enum config_kind kind; /* not of SECTION and SECTIONS */
    const char *default_text, *min, *max, *example, *doc;
    size_t raw_offset;                    /* VALUE: of the key's text in the section's raw struct */
    size_t field_offset, field_bytes;     /* VALUE: in the section's struct */
    const struct config_section *section; /* SECTION and SECTIONS */
};
struct config_section {
    const char *name;
    const struct config_option *options;
    size_t count;
};

/* The top section; the others hang below it. */
extern const struct config_section *const config_top;

/* NULL when SECTION has no such key. */
const struct config_option *config_option_find(const struct config_section *section, sk_str key);
/* The keys of SECTION nearest to KEY, for "did you mean": "host" or "hosts", with the quotes, NUL-terminated.
 * False when none is near. */
#define CONFIG_SUGGEST_BYTES 96
bool config_option_suggest(const struct config_section *section, sk_str key, char out[CONFIG_SUGGEST_BYTES]);

#endif
