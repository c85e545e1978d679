/* Typed failure. Every function that can fail returns sk_err: 0 is success, and outputs are untouched
 * on failure. The text for people is made where it is logged or sent (sk_err_text). */
#ifndef SK_BASE_ERR_H
#define SK_BASE_ERR_H

#define SK_ERR_TABLE(X)                                                                                      \
    X(OK, "success")                                                                                         \
    X(NO_MEMORY, "out of memory")                                                                            \
    X(AGAIN, "not ready yet")                                                                                \
    X(END, "end of stream")                                                                                  \
    X(TIMEOUT, "timed out")                                                                                  \
    X(CANCELLED, "cancelled")                                                                                \
    X(CLOSED, "connection closed by the other end")                                                          \
    X(RESET, "connection reset by the other end")                                                            \
    X(REFUSED, "connection refused")                                                                         \
    X(UNREACHABLE, "network or host unreachable")                                                            \
    X(NAME_NOT_FOUND, "name does not resolve")                                                               \
    X(NAME_SERVER, "name server did not answer")                                                             \
    X(TLS, "TLS failure")                                                                                    \
    X(TLS_CERTIFICATE, "certificate not accepted")                                                           \
    X(MALFORMED, "malformed input")                                                                          \
    X(TOO_LARGE, "over a limit")                                                                             \
    X(UNSUPPORTED, "not supported")                                                                          \
    X(NOT_FOUND, "not found")                                                                                \
    X(EXISTS, "exists already")                                                                              \
    X(FULL, "no room left")                                                                                  \
    X(BUSY, "busy")                                                                                          \
    X(DENIED, "permission denied")                                                                           \
    X(CORRUPT, "stored data is damaged")                                                                     \
    X(STALE, "older than what is in force")                                                                  \
    X(INVALID, "value not allowed")                                                                          \
    X(IO, "input/output error")

typedef enum [[nodiscard]] sk_err {
#define X(name, text) SK_ERR_##name,
    SK_ERR_TABLE(X)
#undef X
        SK_ERR_COUNT_
} sk_err;
#define SK_OK SK_ERR_OK

/* A constant English phrase, never NULL. */
const char *sk_err_text(sk_err err);
/* The table's name in lower case ("name_not_found"), for logs and metrics. */
const char *sk_err_name(sk_err err);
/* Maps an errno value; unknown ones give SK_ERR_IO. */
sk_err sk_err_from_errno(int errno_value);

#endif
