#include "http/message.h"

static const sk_str method_texts[] = {
#define X(name, text) [HTTP_METHOD_##name] = SK_STR_INIT(text),
    HTTP_METHOD_TABLE(X)
#undef X
};

enum http_method http_method_lookup(sk_str text) {
    if (sk_str_eq(text, SK_STR("GET"))) return HTTP_METHOD_GET; /* nearly always */
    for (size_t method = 1; method < SK_COUNT(method_texts); method++) {
        if (sk_str_eq(text, method_texts[method])) return (enum http_method)method;
    }
    return HTTP_METHOD_OTHER;
}

bool http_method_safe(enum http_method method) {
    switch (method) {
    case HTTP_METHOD_GET:
    case HTTP_METHOD_HEAD:
    case HTTP_METHOD_OPTIONS:
    case HTTP_METHOD_TRACE:
    case HTTP_METHOD_QUERY: return true;
    default: return false;
    }
}

bool http_method_idempotent(enum http_method method) {
    return http_method_safe(method) || method == HTTP_METHOD_PUT || method == HTTP_METHOD_DELETE ||
           method == HTTP_METHOD_PURGE; /* in no standard; it takes away what is stored, once or twice */
}

sk_str http_version_text(enum http_version version) {
    switch (version) {
    case HTTP_1_0: return SK_STR("HTTP/1.0");
    case HTTP_1_1: return SK_STR("HTTP/1.1");
    case HTTP_2: return SK_STR("HTTP/2");
    case HTTP_3: return SK_STR("HTTP/3");
    }
    return SK_STR("HTTP/1.1");
}

/* The phrases of the IANA registry of status codes. */
#define STATUS_TABLE(X)                                                                                      \
    X(100, "Continue")                                                                                       \
    X(101, "Switching Protocols")                                                                            \
    X(102, "Processing")                                                                                     \
    X(103, "Early Hints")                                                                                    \
    X(200, "OK")                                                                                             \
    X(201, "Created")                                                                                        \
    X(202, "Accepted")                                                                                       \
    X(203, "Non-Authoritative Information")                                                                  \
    X(204, "No Content")                                                                                     \
    X(205, "Reset Content")                                                                                  \
    X(206, "Partial Content")                                                                                \
    X(207, "Multi-Status")                                                                                   \
    X(208, "Already Reported")                                                                               \
    X(226, "IM Used")                                                                                        \
    X(300, "Multiple Choices")                                                                               \
    X(301, "Moved Permanently")                                                                              \
    X(302, "Found")                                                                                          \
    X(303, "See Other")                                                                                      \
    X(304, "Not Modified")                                                                                   \
    X(305, "Use Proxy")                                                                                      \
    X(307, "Temporary Redirect")                                                                             \
    X(308, "Permanent Redirect")                                                                             \
    X(400, "Bad Request")                                                                                    \
    X(401, "Unauthorized")                                                                                   \
    X(402, "Payment Required")                                                                               \
    X(403, "Forbidden")                                                                                      \
    X(404, "Not Found")                                                                                      \
    X(405, "Method Not Allowed")                                                                             \
    X(406, "Not Acceptable")                                                                                 \
    X(407, "Proxy Authentication Required")                                                                  \
    X(408, "Request Timeout")                                                                                \
    X(409, "Conflict")                                                                                       \
    X(410, "Gone")                                                                                           \
    X(411, "Length Required")                                                                                \
    X(412, "Precondition Failed")                                                                            \
    X(413, "Content Too Large")                                                                              \
    X(414, "URI Too Long")                                                                                   \
    X(415, "Unsupported Media Type")                                                                         \
    X(416, "Range Not Satisfiable")                                                                          \
    X(417, "Expectation Failed")                                                                             \
    X(421, "Misdirected Request")                                                                            \
    X(422, "Unprocessable Content")                                                                          \
    X(423, "Locked")                                                                                         \
    X(424, "Failed Dependency")                                                                              \
    X(425, "Too Early")                                                                                      \
    X(426, "Upgrade Required")                                                                               \
    X(428, "Precondition Required")                                                                          \
    X(429, "Too Many Requests")                                                                              \
    X(431, "Request Header Fields Too Large")                                                                \
    X(451, "Unavailable For Legal Reasons")                                                                  \
    X(500, "Internal Server Error")                                                                          \
    X(501, "Not Implemented")                                                                                \
    X(502, "Bad Gateway")                                                                                    \
    X(503, "Service Unavailable")                                                                            \
    X(504, "Gateway Timeout")                                                                                \
    X(505, "HTTP Version Not Supported")                                                                     \
    X(506, "Variant Also Negotiates")                                                                        \
    X(507, "Insufficient Storage")                                                                           \
    X(508, "Loop Detected")                                                                                  \
    X(511, "Network Authentication Required")

sk_str http_status_reason(uint16_t status) {
    switch (status) {
#define X(code, phrase)                                                                                      \
    case code: return SK_STR(phrase);
        STATUS_TABLE(X)
#undef X
    default: return SK_STR("");
    }
}

bool http_response_has_body(enum http_method request_method, uint16_t status) {
    if (request_method == HTTP_METHOD_HEAD) return false;
    return status >= 200 && status != 204 && status != 304;
}
