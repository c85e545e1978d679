/* Counters, gauges and histograms, one table, a copy for each thread, summed when somebody looks
 * (Prometheus text format 0.0.4). Counting is one plain add to the thread's own cache line. */
#ifndef SK_OBSERVE_METRICS_H
#define SK_OBSERVE_METRICS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "http/reason.h"

/* NAME, prometheus name, help. Labels are part of the name: one line a series. */
#define OBSERVE_COUNTER_TABLE(X)                                                                             \
    X(CONNECTIONS, "skerry_connections_total", "Client connections accepted")                                \
    X(CONNECTIONS_REFUSED, "skerry_connections_refused_total",                                               \
      "Client connections closed at once: over a limit")                                                     \
    X(TLS_HANDSHAKES_PQ, "skerry_tls_handshakes_total{key_exchange=\"post_quantum\"}",                       \
      "TLS handshakes with clients by key exchange")                                                         \
    X(TLS_HANDSHAKES_CLASSICAL, "skerry_tls_handshakes_total{key_exchange=\"classical\"}",                   \
      "TLS handshakes with clients by key exchange")                                                         \
    X(TLS_RESUMED, "skerry_tls_handshakes_resumed_total", "Of these, abbreviated by a session ticket")       \
    X(TLS_HANDSHAKES_FAILED, "skerry_tls_handshakes_failed_total",                                           \
      "TLS handshakes with clients that failed")                                                             \
    X(REQUESTS, "skerry_requests_total", "Client requests answered")                                         \
    X(EARLY_REQUESTS, "skerry_early_data_requests_total",                                                    \
      "Of the requests, those that came before the TLS handshake was over (0-RTT)")                          \
    X(EARLY_REFUSED, "skerry_early_data_refused_total", "Of these, answered with 425")                       \
    X(HEALTH_CHECKS, "skerry_health_checks_total", "Of the requests, those for this edge's own health")      \
    X(REQUESTS_MALFORMED, "skerry_requests_malformed_total", "Requests refused as malformed")                \
    X(H2_ABUSED, "skerry_h2_abused_total", "HTTP/2 connections ended because of abuse")                      \
    X(H3_ABUSED, "skerry_h3_abused_total", "HTTP/3 connections ended because of abuse")                      \
    X(QUIC_CONNECTIONS, "skerry_quic_connections_total", "Of the client connections, those over QUIC")       \
    X(QUIC_RETRIES, "skerry_quic_retries_total", "Clients asked to prove their address (Retry)")             \
    X(QUIC_REFUSED, "skerry_quic_refused_total", "QUIC connections refused: over a limit, or a false token") \
    X(QUIC_RESETS, "skerry_quic_stateless_resets_total", "Packets of connections that are gone, told so")    \
    X(QUIC_HANDED, "skerry_quic_handed_over_total",                                                          \
      "Datagrams that came to one thread or process and belong to another")                                  \
    X(QUIC_RECEIVED, "skerry_quic_datagrams_total{direction=\"received\"}", "QUIC datagrams")                \
    X(QUIC_SENT, "skerry_quic_datagrams_total{direction=\"sent\"}", "QUIC datagrams")                        \
    X(RESPONSES_2XX, "skerry_responses_total{class=\"2xx\"}", "Responses by class")                          \
    X(RESPONSES_3XX, "skerry_responses_total{class=\"3xx\"}", "Responses by class")                          \
    X(RESPONSES_4XX, "skerry_responses_total{class=\"4xx\"}", "Responses by class")                          \
    X(RESPONSES_5XX, "skerry_responses_total{class=\"5xx\"}", "Responses by class")                          \
    X(HITS, "skerry_cache_hits_total", "Requests answered from the store")                                   \
    X(HITS_STALE, "skerry_cache_stale_hits_total", "Of these, with a stale response")                        \
    X(MISSES, "skerry_cache_misses_total", "Requests that needed an origin")                                 \
    X(PASSES, "skerry_cache_passes_total", "Requests that the cache did not look at")                        \
    X(COLLAPSED, "skerry_cache_collapsed_total", "Requests that joined a fetch in progress")                 \
    X(REVALIDATIONS, "skerry_cache_revalidations_total", "Conditional requests to origins")                  \
    X(CLIENT_BYTES_SENT, "skerry_client_sent_bytes_total", "Bytes sent to clients")                          \
    X(CLIENT_BYTES_RECEIVED, "skerry_client_received_bytes_total", "Bytes received from clients")            \
    X(HIT_BYTES, "skerry_cache_hit_bytes_total", "Body bytes served from the store")                         \
    X(HITS_DISK, "skerry_cache_tier_hits_total{tier=\"disk\"}", "Hits by the tier that had the response")    \
    X(HITS_MEMORY, "skerry_cache_tier_hits_total{tier=\"memory\"}",                                          \
      "Hits by the tier that had the response")                                                              \
    X(HIT_BYTES_DISK, "skerry_cache_tier_hit_bytes_total{tier=\"disk\"}", "Body bytes served, by tier")      \
    X(HIT_BYTES_MEMORY, "skerry_cache_tier_hit_bytes_total{tier=\"memory\"}", "Body bytes served, by tier")  \
    X(ORIGIN_REQUESTS, "skerry_origin_requests_total", "Requests sent to origins")                           \
    X(ORIGIN_RETRIES, "skerry_origin_retries_total", "Of these, repeated on another connection or origin")   \
    X(ORIGIN_ERRORS, "skerry_origin_errors_total", "Requests to origins that failed without an answer")      \
    X(ORIGIN_CONNECTIONS, "skerry_origin_connections_total", "Connections opened to origins")                \
    X(PEER_ASKED, "skerry_peer_requests_total{result=\"asked\"}", "Requests to other nodes of the ring")     \
    X(PEER_ANSWERED, "skerry_peer_requests_total{result=\"answered\"}",                                      \
      "Requests to other nodes of the ring")                                                                 \
    X(PEER_FAILED, "skerry_peer_requests_total{result=\"failed\"}", "Requests to other nodes of the ring")   \
    X(PEER_BEHIND, "skerry_peer_behind_total",                                                               \
      "Answers of other nodes that a purge known here covers, so that they were asked again")                \
    X(PEER_FALLBACKS, "skerry_peer_fallbacks_total",                                                         \
      "Requests to an origin because no owner could be asked")                                               \
    X(PEER_RESUMED, "skerry_peer_resumed_total",                                                             \
      "Bodies whose node has gone in the middle, and whose rest came from elsewhere")                        \
    X(PEER_HOT, "skerry_peer_hot_total",                                                                     \
      "Objects of other nodes that were kept here too, because they are asked for often")                    \
    X(PEER_SERVED, "skerry_peer_served_total", "Requests of other nodes that were answered")                 \
    X(PEER_REFUSED, "skerry_peer_refused_total",                                                             \
      "Requests of other nodes that were refused: no right to it, a loop, nothing for nodes")                \
    X(ORIGIN_TLS_X25519MLKEM768, "skerry_origin_tls_groups_total{group=\"X25519MLKEM768\"}",                 \
      "TLS handshakes with origins by group of the key exchange")                                            \
    X(ORIGIN_TLS_SECP256R1MLKEM768, "skerry_origin_tls_groups_total{group=\"SecP256r1MLKEM768\"}",           \
      "TLS handshakes with origins by group of the key exchange")                                            \
    X(ORIGIN_TLS_SECP384R1MLKEM1024, "skerry_origin_tls_groups_total{group=\"SecP384r1MLKEM1024\"}",         \
      "TLS handshakes with origins by group of the key exchange")                                            \
    X(ORIGIN_TLS_X25519, "skerry_origin_tls_groups_total{group=\"x25519\"}",                                 \
      "TLS handshakes with origins by group of the key exchange")                                            \
    X(ORIGIN_TLS_SECP256R1, "skerry_origin_tls_groups_total{group=\"secp256r1\"}",                           \
      "TLS handshakes with origins by group of the key exchange")                                            \
    X(ORIGIN_TLS_SECP384R1, "skerry_origin_tls_groups_total{group=\"secp384r1\"}",                           \
      "TLS handshakes with origins by group of the key exchange")                                            \
    X(ORIGIN_TLS_NO_GROUP, "skerry_origin_tls_groups_total{group=\"none\"}",                                 \
      "TLS handshakes with origins by group of the key exchange")                                            \
    X(ORIGIN_TLS_1_3, "skerry_origin_tls_versions_total{version=\"1.3\"}",                                   \
      "TLS handshakes with origins by version")                                                              \
    X(ORIGIN_TLS_1_2, "skerry_origin_tls_versions_total{version=\"1.2\"}",                                   \
      "TLS handshakes with origins by version")                                                              \
    X(ORIGIN_TLS_AES128, "skerry_origin_tls_ciphers_total{cipher=\"AES_128_GCM\"}",                          \
      "TLS handshakes with origins by cipher")                                                               \
    X(ORIGIN_TLS_AES256, "skerry_origin_tls_ciphers_total{cipher=\"AES_256_GCM\"}",                          \
      "TLS handshakes with origins by cipher")                                                               \
    X(ORIGIN_TLS_CHACHA20, "skerry_origin_tls_ciphers_total{cipher=\"CHACHA20_POLY1305\"}",                  \
      "TLS handshakes with origins by cipher")                                                               \
    X(ORIGIN_TLS_RESUMED, "skerry_origin_tls_resumed_total", "TLS handshakes with origins, abbreviated")     \
    X(ORIGIN_TLS_FAILED, "skerry_origin_tls_failed_total", "TLS handshakes with origins that failed")        \
    X(ORIGIN_BYTES_RECEIVED, "skerry_origin_received_bytes_total", "Bytes received from origins")            \
    X(TIMEOUTS, "skerry_client_timeouts_total", "Client connections closed for slowness")                    \
    X(RELOADS, "skerry_config_reloads_total", "Configurations put in force")                                 \
    X(RELOADS_REFUSED, "skerry_config_reloads_refused_total", "Configurations refused")                      \
    X(ACME_ISSUED, "skerry_acme_orders_total{result=\"issued\"}",                                            \
      "What came of asking the authority for certificates (ACME)")                                           \
    X(ACME_CURRENT, "skerry_acme_orders_total{result=\"current\"}",                                          \
      "What came of asking the authority for certificates (ACME)")                                           \
    X(ACME_FAILED, "skerry_acme_orders_total{result=\"failed\"}",                                            \
      "What came of asking the authority for certificates (ACME)")                                           \
    X(ACME_LIMITED, "skerry_acme_orders_total{result=\"limited\"}",                                          \
      "What came of asking the authority for certificates (ACME)")                                           \
    X(ACME_REFUSED, "skerry_acme_orders_total{result=\"refused\"}",                                          \
      "What came of asking the authority for certificates (ACME)")                                           \
    X(OCSP_GOOD, "skerry_ocsp_answers_total{status=\"good\"}",                                               \
      "What came of asking for the status of certificates (OCSP)")                                           \
    X(OCSP_REVOKED, "skerry_ocsp_answers_total{status=\"revoked\"}",                                         \
      "What came of asking for the status of certificates (OCSP)")                                           \
    X(OCSP_FAILED, "skerry_ocsp_answers_total{status=\"failed\"}",                                           \
      "What came of asking for the status of certificates (OCSP)")                                           \
    X(FLEET_CONFIGURATIONS, "skerry_fleet_configurations_total", "Configurations of control put in force")   \
    X(FLEET_REFUSED, "skerry_fleet_configurations_refused_total",                                            \
      "Configurations of control refused: not signed, not newer, not whole, or not good")                    \
    X(FLEET_CONTROL_FAILED, "skerry_fleet_control_failures_total", "Calls of control that failed")           \
    X(CODED_RESPONSES, "skerry_coded_responses_total", "Responses sent in a content coding made here")       \
    X(CODED_SAVED_BYTES, "skerry_coded_saved_bytes_total",                                                   \
      "Bytes that these were shorter than their identity, where both lengths were known")                    \
    X(ENCODES_BR, "skerry_encodes_total{coding=\"br\"}", "Coded forms of stored responses made")             \
    X(ENCODES_DCB, "skerry_encodes_total{coding=\"dcb\"}", "Coded forms of stored responses made")           \
    X(ENCODES_DCZ, "skerry_encodes_total{coding=\"dcz\"}", "Coded forms of stored responses made")           \
    X(ENCODES_GZIP, "skerry_encodes_total{coding=\"gzip\"}", "Coded forms of stored responses made")         \
    X(ENCODES_ZSTD, "skerry_encodes_total{coding=\"zstd\"}", "Coded forms of stored responses made")         \
    X(FORMS_IMPROVED, "skerry_forms_improved_total", "Coded forms of popular objects made smaller later")    \
    X(LOG_DROPPED, "skerry_access_log_dropped_total",                                                        \
      "Access log lines dropped because the writer was behind")                                              \
    X(LOG_LOST, "skerry_access_log_lost_total",                                                              \
      "Access log lines lost because the log could not be written")                                          \
    X(PURGES_KEY, "skerry_purges_total{kind=\"url\"}", "Purges applied, by kind")                            \
    X(PURGES_PREFIX, "skerry_purges_total{kind=\"prefix\"}", "Purges applied, by kind")                      \
    X(PURGES_HOST, "skerry_purges_total{kind=\"host\"}", "Purges applied, by kind")                          \
    X(PURGES_SITE, "skerry_purges_total{kind=\"site\"}", "Purges applied, by kind")                          \
    X(PURGES_TAG, "skerry_purges_total{kind=\"tag\"}", "Purges applied, by kind")                            \
    X(PURGES_GLOB, "skerry_purges_total{kind=\"glob\"}", "Purges applied, by kind")                          \
    X(PURGES_ALL, "skerry_purges_total{kind=\"all\"}", "Purges applied, by kind")                            \
    X(PURGES_REFUSED, "skerry_purges_refused_total", "Requests to purge that were refused")                  \
    X(RECLAIMED_OBJECTS, "skerry_cache_reclaimed_objects_total",                                             \
      "Objects taken out because a hard purge had hit them")                                                 \
    X(RECLAIMED_BYTES, "skerry_cache_reclaimed_bytes_total", "What they occupied")                           \
    X(SWEEPS, "skerry_cache_sweeps_total", "Walks over the cache after purges, completed")                   \
    X(BUS_ENTRIES, "skerry_bus_entries_total", "Entries of the fleet's purge bus that said something new")   \
    X(BUS_REFUSED, "skerry_bus_refused_total", "Entries refused: malformed, or not sealed by a publisher")   \
    X(BUS_AGAIN, "skerry_bus_rereads_total", "Times that the bus was read again because something missed")   \
    X(BUS_REVALIDATIONS, "skerry_bus_revalidations_total",                                                   \
      "Times that everything stored had to be revalidated: purges missed, or silence")                       \
    X(GROUPS_INVALIDATED, "skerry_cache_groups_invalidated_total",                                           \
      "Cache groups invalidated by responses to unsafe methods (RFC 9875)")                                  \
    X(DNS_QUERIES_UDP, "skerry_dns_queries_total{transport=\"udp\"}", "DNS queries by transport")            \
    X(DNS_QUERIES_TCP, "skerry_dns_queries_total{transport=\"tcp\"}", "DNS queries by transport")            \
    X(DNS_NOERROR, "skerry_dns_answers_total{rcode=\"noerror\"}", "DNS answers by response code")            \
    X(DNS_NXDOMAIN, "skerry_dns_answers_total{rcode=\"nxdomain\"}", "DNS answers by response code")          \
    X(DNS_REFUSED, "skerry_dns_answers_total{rcode=\"refused\"}", "DNS answers by response code")            \
    X(DNS_FORMERR, "skerry_dns_answers_total{rcode=\"formerr\"}", "DNS answers by response code")            \
    X(DNS_OTHER, "skerry_dns_answers_total{rcode=\"other\"}", "DNS answers by response code")                \
    X(DNS_ROUTED, "skerry_dns_routed_total", "DNS answers from the routing table")                           \
    X(DNS_TRUNCATED, "skerry_dns_truncated_total", "DNS answers that had to be truncated")                   \
    X(DNS_RATE_LIMITED, "skerry_dns_rate_limited_total", "DNS answers held back by the rate limit")          \
    X(DNS_SEND_FAILED, "skerry_dns_send_failed_total", "DNS answers that the kernel did not take")           \
    X(QUERY_LOG_HELD_BACK, "skerry_query_log_held_back_total",                                               \
      "Lines of the query log that `query_log.per_second` held back")                                        \
    X(DNS_TRANSFERS, "skerry_dns_transfers_total", "Zone transfers given out")                               \
    X(ROUTE_REDIRECTS, "skerry_route_redirects_total", "HTTP requests redirected to an edge")                \
    X(ROUTE_REPORTS, "skerry_route_reports_total", "Reports of edges about load and round trip times")       \
    X(ROUTE_CHECKS_GOOD, "skerry_route_checks_total{result=\"good\"}", "Health checks of edges by result")   \
    X(ROUTE_CHECKS_BAD, "skerry_route_checks_total{result=\"bad\"}", "Health checks of edges by result")

enum observe_counter {
#define X(name, text, help) OBSERVE_##name,
    OBSERVE_COUNTER_TABLE(X)
#undef X
        OBSERVE_COUNTER_COUNT_
};

/* Latency from the request's last head byte to the response's first byte handed to the kernel. */
#define OBSERVE_HISTOGRAM_TABLE(X)                                                                           \
    X(HIT_SECONDS, "skerry_hit_duration_seconds", "Time to first byte of hits")                              \
    X(MISS_SECONDS, "skerry_miss_duration_seconds", "Time to first byte of requests that needed an origin")  \
    X(ORIGIN_SECONDS, "skerry_origin_duration_seconds", "Time to an origin's response head")                 \
    X(DISK_READ_SECONDS, "skerry_disk_read_duration_seconds",                                                \
      "Time to find and verify a record of the SSD tier")                                                    \
    X(DISK_WRITE_SECONDS, "skerry_disk_write_duration_seconds", "Time to write a segment of the SSD tier")   \
    X(PURGE_SECONDS, "skerry_purge_duration_seconds", "Time until a purge is in force")                      \
    X(BUS_SECONDS, "skerry_bus_delay_seconds",                                                               \
      "From a purge's publishing, by the publisher's clock, until it is in force here")                      \
    X(FLEET_PURGE_SECONDS, "skerry_fleet_purge_duration_seconds",                                            \
      "At control: from a purge being on the bus until every living edge has applied it")                    \
    X(ENCODE_SECONDS, "skerry_encode_duration_seconds", "Time spent coding one form of a stored response")
enum observe_histogram {
#define X(name, text, help) OBSERVE_##name,
    OBSERVE_HISTOGRAM_TABLE(X)
#undef X
        OBSERVE_HISTOGRAM_COUNT_
};

/* The family of the counts of observe_reason: one series a reason of HTTP_REASON_TABLE. */
#define OBSERVE_REASON_METRIC "skerry_cache_decisions_total"
#define OBSERVE_REASON_HELP "Cache decisions by reason (the same names as in Cache-Status and the access log)"

/* Log-linear: up to 1 us, then 4 for each power of two up to 2^27 us (134 s), then all that is longer. A
 * value equal to a bound counts below it, as Prometheus' "le" wants. */
#define OBSERVE_BUCKET_OCTAVES 27
#define OBSERVE_BUCKETS (4 * OBSERVE_BUCKET_OCTAVES + 2)
/* The upper bound of a bucket in nanoseconds; INT64_MAX for the last. */
int64_t observe_bucket_bound_ns(unsigned bucket);

/* A thread's own; cache-line aligned, registered for life. Written by its thread only (relaxed stores), read
 * by whoever sums. */
struct observe_thread {
    _Atomic uint64_t counters[OBSERVE_COUNTER_COUNT_];
    _Atomic uint64_t reasons[HTTP_REASON_COUNT_];
    _Atomic uint64_t buckets[OBSERVE_HISTOGRAM_COUNT_][OBSERVE_BUCKETS];
    _Atomic uint64_t sums_ns[OBSERVE_HISTOGRAM_COUNT_];
    struct observe_thread *next;
};

/* Registers the calling thread (for its loop's life; counts of threads that ended are kept). The struct lives
 * as long as the process. SK_ERR_NO_MEMORY. */
sk_err observe_thread_join(struct observe_thread **out_thread);
static inline void observe_add(struct observe_thread *thread, enum observe_counter counter, uint64_t n) {
    /* One writer: a relaxed load and store is an increment without a locked instruction. */
    uint64_t old = atomic_load_explicit(&thread->counters[counter], memory_order_relaxed);
    atomic_store_explicit(&thread->counters[counter], old + n, memory_order_relaxed);
}
static inline void observe_count(struct observe_thread *thread, enum observe_counter counter) {
    observe_add(thread, counter, 1);
}
void observe_reason(struct observe_thread *thread, enum http_reason reason);
void observe_duration(struct observe_thread *thread, enum observe_histogram histogram, int64_t ns);

/* Sums over all threads, any thread. */
uint64_t observe_total(enum observe_counter counter);
/* The q-quantile (0..1) in seconds of all recorded so far; 0 when none. */
double observe_quantile(enum observe_histogram histogram, double q);

/* About the process, under the names that every exporter uses. NAME, prometheus name, type, help. */
#define OBSERVE_PROCESS_TABLE(X)                                                                             \
    X(CPU, "process_cpu_seconds_total", "counter", "User and system time of the process, in seconds")        \
    X(RESIDENT, "process_resident_memory_bytes", "gauge", "Resident memory")                                 \
    X(FDS, "process_open_fds", "gauge", "Open file descriptors")                                             \
    X(MAX_FDS, "process_max_fds", "gauge", "Limit of open file descriptors")                                 \
    X(START, "process_start_time_seconds", "gauge", "Start of the process, in seconds since 1970")
enum observe_process_value {
#define X(name, text, type, help) OBSERVE_PROCESS_##name,
    OBSERVE_PROCESS_TABLE(X)
#undef X
        OBSERVE_PROCESS_COUNT_
};
/* Read from the kernel now; NaN for what it does not say. */
void observe_process_read(double out_values[OBSERVE_PROCESS_COUNT_]);

uint64_t observe_reason_total(enum http_reason reason);
/* How many were recorded; each bucket's own count (not cumulative) and the sum in seconds. */
uint64_t observe_histogram_read(enum observe_histogram histogram, uint64_t out_buckets[OBSERVE_BUCKETS],
                                double *out_sum_s);

/* Gauges are read when somebody looks. Any thread may register and remove; READ runs on the thread that
 * looks, under the lock of the list, so it is not running any more when remove returns, and must not
 * register or remove. The struct stays the caller's. */
struct observe_gauge {
    const char *name, *help; /* NAME may carry labels; one HELP is printed for all of a name's series */
    double (*read)(void *arg);
    void *arg;
    struct observe_gauge *next;
};
void observe_gauge_register(struct observe_gauge *gauge);
void observe_gauge_remove(struct observe_gauge *gauge);
/* The whole exposition in Prometheus text format 0.0.4. SK_ERR_NO_MEMORY, SK_ERR_TOO_LARGE (OUT's limit). */
sk_err observe_write_prometheus(struct sk_buf *out);

enum observe_reference_style { OBSERVE_REFERENCE_MARKDOWN, OBSERVE_REFERENCE_TEXT };
/* Every metric of the tables above and the COUNT gauges given (name and help only), for docs/metrics.md or a
 * terminal. SK_ERR_NO_MEMORY. */
sk_err observe_write_reference(struct sk_buf *out, enum observe_reference_style style,
                               const struct observe_gauge *gauges, size_t count);

#endif
