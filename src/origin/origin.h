/* Origins: who can be asked, how they fare, and one exchange with one of them. A group belongs to a site's
 * snapshot and is shared by all threads (health, weights, retry budget: atomics); connections are pooled
 * per thread and survive reloads when the origin stays the same.
 *
 * The story of an exchange, on a fiber: choose an origin (healthy, by weight) -> a pooled or new connection
 * -> send the head and the body as it comes -> wait for the head -> the caller reads the body -> the
 * connection goes back to the pool or is closed. Safe retries happen inside, until the head is there. */
#ifndef SK_ORIGIN_ORIGIN_H
#define SK_ORIGIN_ORIGIN_H

#include "config/config.h"
#include "http/message.h"
#include "io/resolver.h"
#include "observe/metrics.h"

struct origin_registry; /* process: state of every origin known, keyed by url and TLS settings */
struct origin_group;    /* one site's origins */
struct origin_thread;   /* one thread's connection pools, TLS contexts, resolver */
struct origin_exchange;

sk_err origin_registry_create(struct origin_registry **out_registry);
void origin_registry_destroy(struct origin_registry *registry);
/* Borrows SITE, which must outlive the group (the snapshot holds both). Keeps health state of origins that
 * were known before. SK_ERR_INVALID (a CA file that cannot be read, logged). */
sk_err origin_group_create(struct origin_registry *registry, const struct config_site *site,
                           struct origin_group **out_group);
void origin_group_destroy(struct origin_group *group);

sk_err origin_thread_join(struct origin_registry *registry, struct io_loop *loop,
                          struct observe_thread *metrics, const char *resolver_servers,
                          struct origin_thread **out_thread);
/* Closes idle connections; no exchange may be open and no health check run (origin_health_stop, then wait
 * until its fibers have ended). */
void origin_thread_leave(struct origin_thread *thread);

/* Which phase failed; the text is for the 502/504 body, the log and Cache-Status. */
#define ORIGIN_PHASE_TABLE(X)                                                                                \
    X(NONE, "none")                                                                                          \
    X(SELECT, "no origin available")                                                                         \
    X(RESOLVE, "resolving the origin's name")                                                                \
    X(CONNECT, "connecting to the origin")                                                                   \
    X(TLS, "TLS handshake with the origin")                                                                  \
    X(SEND, "sending the request to the origin")                                                             \
    X(BODY_READ, "reading the client's request body")                                                        \
    X(FIRST_BYTE, "waiting for the origin's response")                                                       \
    X(HEAD, "reading the origin's response head")                                                            \
    X(BODY, "reading the origin's response body")
enum origin_phase {
#define X(name, text) ORIGIN_PHASE_##name,
    ORIGIN_PHASE_TABLE(X)
#undef X
};
const char *origin_phase_text(enum origin_phase phase);

/* Where a request body comes from; NULL read means no body. It is read on a fiber of its own of the same
 * thread, so that an origin which answers early is heard while a slow client still sends: park as
 * io_fiber_self(), return SK_ERR_CANCELLED when a park says so. Not called again once
 * origin_exchange_open has returned. */
struct origin_body_source {
    /* The next piece, valid until the next call. SK_ERR_END at the end. */
    sk_err (*read)(void *arg, sk_time_ns deadline, sk_str *out_piece);
    /* After SK_ERR_END, for a chunked body: trailer fields to send, or NULL. May be NULL itself. */
    const struct http_fields *(*trailers)(void *arg);
    void *arg;
};

struct origin_request {
    const struct origin_group *group;
    const struct http_request *request; /* as it is to be sent: fields rewritten, hop-by-hop removed */
    struct origin_body_source body;
    /* For the head to be there, over all tries; to be later is the origin's failure. 0: as long as the group's options
     * allow. Without a body only. */
    int64_t within_ms;
    uint64_t affinity; /* hash for choosing among those whose turn it is, within a few turns; 0: none */
    /* 1xx other than 100 and 101, in order; may be NULL. On the exchange's thread, but not always on its fiber:
     * it must not park. */
    void (*on_informational)(void *arg, const struct http_response *response);
    void *informational_arg;
};

struct origin_result {
    enum origin_phase phase; /* of the failure */
    sk_err error;
    sk_str origin; /* url of the one that answered or failed last; lives with the group */
    uint32_t tries;
    const char *detail; /* constant text or NULL (TLS verification reason, refusal text) */
};

/* Parks until a final response head (or 101) is there. OUT_RESPONSE borrows from the exchange until it is
 * closed; the group must live as long. On failure RESULT says how; nothing is left open. Idempotent requests whose body was not begun
 * are tried again on another origin (or once on a fresh connection when a pooled one was stale). */
sk_err origin_exchange_open(struct origin_thread *thread, const struct origin_request *request,
                            struct origin_exchange **out_exchange, const struct http_response **out_response,
                            struct origin_result *out_result);
/* Content bytes of the response, straight into DATA. SK_ERR_END when the message is complete (trailers then
 * available); SK_ERR_TIMEOUT, SK_ERR_RESET, SK_ERR_CLOSED (cut off), SK_ERR_MALFORMED. */
sk_err origin_exchange_read(struct origin_exchange *exchange, char *data, size_t bytes, size_t *out_n);
/* NULL when there are none. */
const struct http_fields *origin_exchange_trailers(const struct origin_exchange *exchange);
/* After 101: raw bytes in both directions. read: SK_ERR_END at end of stream. */
sk_err origin_exchange_tunnel_read(struct origin_exchange *exchange, char *data, size_t bytes,
                                   sk_time_ns deadline, size_t *out_n);
sk_err origin_exchange_tunnel_write(struct origin_exchange *exchange, const char *data, size_t bytes,
                                    sk_time_ns deadline);
void origin_exchange_tunnel_shutdown(struct origin_exchange *exchange);
/* Back to the pool when the message was read to its end and the connection may go on, else closed. */
void origin_exchange_close(struct origin_exchange *exchange);

/* Active health checks of all groups' origins, on one thread's loop (fibers); call again after a reload, also
 * when no group has checks any more: origins that are no longer checked are then no longer held down. */
sk_err origin_health_start(struct origin_thread *thread, struct origin_group *const *groups, size_t count);
void origin_health_stop(struct origin_thread *thread);
/* True when all of them have failed too often lately, or are held down: an exchange would be a last resort. */
bool origin_group_is_out(const struct origin_group *group);
/* One line an origin for /health and `top`: url, up/down, why, open connections. */
sk_err origin_group_describe(const struct origin_group *group, struct sk_buf *out_json);

#endif
