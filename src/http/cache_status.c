#include "http/cache_status.h"

#include "http/field.h"

/* Text being built in a caller's array; what does not fit is left out whole. */
struct text {
    char *out;
    size_t len;
};

/* Inlined, so that the many constant pieces are stores instead of calls. */
static inline __attribute__((always_inline)) bool put(struct text *text, sk_str s) {
    if (s.len > HTTP_CACHE_STATUS_MAX - text->len) return false;
    if (s.len > 0) memcpy(text->out + text->len, s.data, s.len);
    text->len += s.len;
    return true;
}

/* An integer of structured fields has at most 15 digits (RFC 9651 section 3.3.1). */
static void put_number(struct text *text, sk_str name, int64_t value) {
    static const int64_t limit = INT64_C(999999999999999);
    char digits[20];
    bool negative = value < 0;
    value = negative ? -SK_MAX(value, -limit) : SK_MIN(value, limit);
    size_t len = sk_u64_to_text((uint64_t)value, digits);
    put(text, name);
    if (negative) put(text, SK_STR("-"));
    put(text, sk_str_make(digits, len));
}

/* ---- structured field values, RFC 9651 sections 3.3.3 and 3.3.4 -------------------------------------- */

static bool sf_token(sk_str s) {
    if (s.len == 0) return false;
    char first = sk_ascii_lower_byte(s.data[0]);
    if ((first < 'a' || first > 'z') && first != '*') return false;
    if (http_token_valid(s)) return true;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c != ':' && c != '/' && !http_token_valid(sk_str_make(&c, 1))) return false;
    }
    return true;
}

static bool printable(sk_str s) {
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < 0x20 || s.data[i] > 0x7e) return false;
    }
    return true;
}

/* Writes S as a string, or nothing at all when it does not fit. */
static bool put_string(struct text *text, sk_str s) {
    size_t start = text->len;
    bool fits = put(text, SK_STR("\""));
    for (size_t i = 0; fits && i < s.len; i++) {
        char c = s.data[i];
        if (c == '"' || c == '\\') fits = put(text, SK_STR("\\"));
        if (c < 0x20 || c > 0x7e) c = c == '\n' ? ' ' : '?'; /* a key's parts stand on lines of their own */
        fits = fits && put(text, sk_str_make(&c, 1));
    }
    fits = fits && put(text, SK_STR("\""));
    if (!fits) text->len = start;
    return fits;
}

static void put_name(struct text *text, sk_str name) {
    if (name.len == 0 || name.len > 64 || !printable(name)) name = SK_STR("Skerry");
    if (sf_token(name))
        put(text, name);
    else
        put_string(text, name);
}

static void put_key(struct text *text, sk_str key) {
    size_t start = text->len;
    if (key.len == 0) return;
    if (!put(text, SK_STR("; key=")) || !put_string(text, key)) text->len = start;
}

/* ---- the member -------------------------------------------------------------------------------------- */

/* The value of "fwd" (RFC 9211 section 2.2) for a reason. */
static sk_str fwd_of(enum http_reason reason) {
    switch (reason) {
    case HTTP_REASON_MISS_NOT_STORED:
    case HTTP_REASON_MISS_PURGED: return SK_STR("uri-miss");
    case HTTP_REASON_MISS_VARY: return SK_STR("vary-miss");
    case HTTP_REASON_MISS_STALE:
    case HTTP_REASON_MISS_SOFT_PURGED:
    case HTTP_REASON_HIT_REVALIDATED:
    case HTTP_REASON_HIT_STALE_IF_ERROR:
    case HTTP_REASON_HIT_STALE_WHILE_REVALIDATE: return SK_STR("stale");
    case HTTP_REASON_PASS_REMEMBERED: return SK_STR("miss");
    case HTTP_REASON_MISS_REQUEST: return SK_STR("request");
    case HTTP_REASON_MISS_PARTIAL: return SK_STR("partial");
    case HTTP_REASON_PASS_METHOD: return SK_STR("method");
    case HTTP_REASON_PASS_RULE:
    case HTTP_REASON_PASS_KEY:
    case HTTP_REASON_PASS_UPGRADE: return SK_STR("bypass");
    default: return SK_STR("miss");
    }
}

/* The detail that says more than "hit" or "fwd" do. */
static sk_str detail_of(const struct http_cache_status *status) {
    if (!status->hit && !status->stored && status->store_reason != HTTP_REASON_NONE)
        return http_reason_name(status->store_reason);
    sk_str name = status->reason == HTTP_REASON_NONE ? SK_STR("") : http_reason_name(status->reason);
    bool said = sk_str_eq(name, status->hit ? SK_STR("hit") : fwd_of(status->reason));
    if (name.len && !said) return name;
    return status->heuristic ? http_reason_name(HTTP_REASON_STORE_HEURISTIC) : SK_STR("");
}

size_t http_cache_status_format(const struct http_cache_status *status, char out[HTTP_CACHE_STATUS_MAX]) {
    struct text text = {out, 0};
    put_name(&text, status->cache_name);
    if (status->hit) {
        put(&text, SK_STR("; hit"));
    } else {
        put(&text, SK_STR("; fwd="));
        put(&text, fwd_of(status->reason));
        if (status->fwd_status) put_number(&text, SK_STR("; fwd-status="), status->fwd_status);
        if (status->stored) put(&text, SK_STR("; stored"));
        if (status->collapsed) put(&text, SK_STR("; collapsed"));
    }
    if (status->has_ttl) put_number(&text, SK_STR("; ttl="), status->ttl_s);
    sk_str detail = detail_of(status);
    if (detail.len > 0) {
        put(&text, SK_STR("; detail="));
        put(&text, detail);
    }
    put_key(&text, status->key);
    return text.len;
}
