#include "observe/access_format.h"

#include <stdio.h>
#include <time.h>

/* Where the line goes: room for the longest was reserved before (line_begin). */
struct line {
    char *at;
};

static void put(struct line *line, sk_str s) {
    if (s.len) memcpy(line->at, s.data, s.len);
    line->at += s.len;
}

static void put_byte(struct line *line, char byte) { *line->at++ = byte; }

static void put_u64(struct line *line, uint64_t value) { line->at += sk_u64_to_text(value, line->at); }

static void put_hex(struct line *line, unsigned char byte) {
    static const char digits[] = "0123456789abcdef";
    put_byte(line, digits[byte >> 4]);
    put_byte(line, digits[byte & 15]);
}

/* Every text byte becomes at most 6 ("\u00XX"); keys, numbers and punctuation are less than FIXED_BYTES. */
enum { FIXED_BYTES = 1024, TEXT_FACTOR = 6 };

static sk_err line_begin(const struct access_log_entry *e, struct sk_buf *out, struct line *line) {
    size_t text = e->client_ip.len + e->method.len + e->host.len + e->target.len + e->user_agent.len +
                  e->referer.len + e->site.len + e->upstream.len + e->error.len + e->tls_version.len +
                  e->tls_group.len + e->tls_cipher.len;
    sk_err err = sk_buf_reserve(out, text * TEXT_FACTOR + FIXED_BYTES);
    if (err == SK_OK) line->at = sk_buf_space(out);
    return err;
}

static void line_end(const struct line *line, struct sk_buf *out) {
    sk_buf_commit(out, (size_t)(line->at - sk_buf_space(out)));
}

static void clock_set(struct access_format_clock *clock, int64_t second) {
    if (clock->valid && clock->second == second) return;
    struct tm tm = {0};
    time_t time = (time_t)second;
    gmtime_r(&time, &tm);
    strftime(clock->json, sizeof(clock->json), "%Y-%m-%dT%H:%M:%S", &tm);
    /* %b would follow the locale, the format does not. */
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char day[8], rest[24];
    strftime(day, sizeof(day), "%d", &tm);
    strftime(rest, sizeof(rest), "%Y:%H:%M:%S", &tm);
    snprintf(clock->common, sizeof(clock->common), "%s/%s/%s +0000", day, months[tm.tm_mon], rest);
    clock->second = second;
    clock->valid = true;
}

/* Length of the valid UTF-8 sequence at the start of S (RFC 3629 section 4), 0 when there is none. */
static size_t utf8_length(sk_str s) {
    const unsigned char *p = (const unsigned char *)s.data;
    unsigned char low = 0x80, high = 0xbf; /* what the second byte may be */
    size_t length;
    if (p[0] < 0x80) return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        length = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        length = 3;
        if (p[0] == 0xe0) low = 0xa0;  /* overlong */
        if (p[0] == 0xed) high = 0x9f; /* surrogates */
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        length = 4;
        if (p[0] == 0xf0) low = 0x90;  /* overlong */
        if (p[0] == 0xf4) high = 0x8f; /* beyond U+10FFFF */
    } else {
        return 0;
    }
    if (s.len < length || p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if (p[i] < 0x80 || p[i] > 0xbf) return 0;
    return length;
}

static void json_escape(struct line *line, unsigned char byte) {
    put(line, SK_STR("\\u00"));
    put_hex(line, byte);
}

/* Bytes that stand for themselves in both formats: printable ASCII but the quote and the backslash. */
static bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

/* Copies the plain bytes at the start of S, which are nearly always all of it; returns how many. */
static size_t put_plain(struct line *line, sk_str s) {
    size_t n = 0;
    while (n < s.len && is_plain((unsigned char)s.data[n])) n++;
    put(line, sk_str_slice(s, 0, n));
    return n;
}

/* The byte, or whole UTF-8 sequence, at the start of S, which is not plain; returns its length. */
static size_t json_special(struct line *line, sk_str s) {
    unsigned char c = (unsigned char)s.data[0];
    size_t length = utf8_length(s);
    if (c == '"' || c == '\\') {
        put_byte(line, '\\');
        put_byte(line, (char)c);
    } else if (length == 2 && c == 0xc2 && (unsigned char)s.data[1] < 0xa0) {
        json_escape(line, (unsigned char)s.data[1]); /* C1 controls: terminals obey them */
    } else if (length > 1) {
        put(line, sk_str_slice(s, 0, length));
    } else {
        json_escape(line, c);
    }
    return length ? length : 1;
}

static void json_text(struct line *line, sk_str s) {
    put_byte(line, '"');
    for (;;) {
        s = sk_str_slice(s, put_plain(line, s), s.len);
        if (!s.len) break;
        s = sk_str_slice(s, json_special(line, s), s.len);
    }
    put_byte(line, '"');
}

enum field {
#define X(name, key, always, help) FIELD_##name,
    ACCESS_LOG_FIELD_TABLE(X)
#undef X
};
static const struct {
    sk_str key;
    bool always;
} fields[] = {
#define X(name, key, always, help) {SK_STR_INIT("\"" key "\":"), always},
    ACCESS_LOG_FIELD_TABLE(X)
#undef X
};

/* Commas go before every key but the first, which is always there. */
static void json_key(struct line *line, enum field field) {
    put_byte(line, field == FIELD_TIME ? '{' : ',');
    put(line, fields[field].key);
}

static void json_string(struct line *line, enum field field, sk_str value) {
    if (!value.len && !fields[field].always) return;
    json_key(line, field);
    json_text(line, value);
}

static void json_number(struct line *line, enum field field, uint64_t value) {
    if (!value && !fields[field].always) return;
    json_key(line, field);
    put_u64(line, value);
}

static void json_bool(struct line *line, enum field field, bool value) {
    if (!value && !fields[field].always) return;
    json_key(line, field);
    put(line, value ? SK_STR("true") : SK_STR("false"));
}

static int64_t floor_seconds(int64_t ns) { return ns / SK_NS_PER_S - (ns % SK_NS_PER_S < 0); }

static void json_time(struct line *line, struct access_format_clock *clock, int64_t wall_ns) {
    int64_t second = floor_seconds(wall_ns);
    unsigned ms = (unsigned)((wall_ns - second * SK_NS_PER_S) / SK_NS_PER_MS);
    clock_set(clock, second);
    json_key(line, FIELD_TIME);
    put_byte(line, '"');
    put(line, sk_str_from_c(clock->json));
    char text[] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z', '"'};
    put(line, sk_str_make(text, sizeof(text)));
}

static uint64_t whole_us(int64_t ns) { return ns > 0 ? (uint64_t)(ns / SK_NS_PER_US) : 0; }

sk_err access_format_json(struct access_format_clock *clock, const struct access_log_entry *e,
                          struct sk_buf *out) {
    struct line line;
    sk_err err = line_begin(e, out, &line);
    if (err) return err;
    json_time(&line, clock, e->wall_ns);
    json_string(&line, FIELD_CLIENT, e->client_ip);
    json_string(&line, FIELD_METHOD, e->method);
    json_string(&line, FIELD_HOST, e->host);
    json_string(&line, FIELD_TARGET, e->target);
    json_string(&line, FIELD_PROTOCOL, http_version_text(e->version));
    json_string(&line, FIELD_TLS_VERSION, e->tls_version);
    json_string(&line, FIELD_TLS_GROUP, e->tls_group);
    json_string(&line, FIELD_TLS_CIPHER, e->tls_cipher);
    json_bool(&line, FIELD_TLS_RESUMED, e->tls_resumed);
    json_bool(&line, FIELD_EARLY_DATA, e->early_data);
    json_number(&line, FIELD_STATUS, e->status);
    json_number(&line, FIELD_SENT_BYTES, e->sent_bytes);
    json_number(&line, FIELD_BODY_BYTES, e->body_bytes);
    json_number(&line, FIELD_DURATION_US, whole_us(e->duration_ns));
    json_number(&line, FIELD_FIRST_BYTE_US, whole_us(e->first_byte_ns));
    json_bool(&line, FIELD_HIT, e->hit);
    json_string(&line, FIELD_REASON, http_reason_name(e->reason));
    json_bool(&line, FIELD_STORED, e->stored);
    if (e->store_reason != HTTP_REASON_NONE)
        json_string(&line, FIELD_STORE_REASON, http_reason_name(e->store_reason));
    json_bool(&line, FIELD_COLLAPSED, e->collapsed);
    json_string(&line, FIELD_SITE, e->site);
    json_string(&line, FIELD_ORIGIN, e->upstream);
    json_number(&line, FIELD_ORIGIN_STATUS, e->origin_status);
    json_string(&line, FIELD_USER_AGENT, e->user_agent);
    json_string(&line, FIELD_REFERER, e->referer);
    json_bool(&line, FIELD_ABORTED, e->aborted);
    json_string(&line, FIELD_ERROR, e->error);
    put(&line, SK_STR("}\n"));
    line_end(&line, out);
    return SK_OK;
}

static void common_special(struct line *line, unsigned char c) {
    bool printable = c == '"' || c == '\\';
    put(line, printable ? SK_STR("\\") : SK_STR("\\x"));
    if (printable)
        put_byte(line, (char)c);
    else
        put_hex(line, c);
}

static void common_text(struct line *line, sk_str s) {
    for (;;) {
        s = sk_str_slice(s, put_plain(line, s), s.len);
        if (!s.len) return;
        common_special(line, (unsigned char)s.data[0]);
        s = sk_str_slice(s, 1, s.len);
    }
}

/* A request that could not be read has no method: the whole quoted part is "-" then. */
static void common_request(struct line *line, const struct access_log_entry *e) {
    if (!e->method.len) {
        put_byte(line, '-');
        return;
    }
    common_text(line, e->method);
    put_byte(line, ' ');
    common_text(line, e->target);
    put_byte(line, ' ');
    put(line, http_version_text(e->version));
}

sk_err access_format_common(struct access_format_clock *clock, const struct access_log_entry *e,
                            struct sk_buf *out) {
    struct line line;
    sk_err err = line_begin(e, out, &line);
    if (err) return err;
    clock_set(clock, floor_seconds(e->wall_ns));
    common_text(&line, e->client_ip.len ? e->client_ip : SK_STR("-"));
    put(&line, SK_STR(" - - ["));
    put(&line, sk_str_from_c(clock->common));
    put(&line, SK_STR("] \""));
    common_request(&line, e);
    put(&line, SK_STR("\" "));
    put_u64(&line, e->status);
    put_byte(&line, ' ');
    if (e->body_bytes)
        put_u64(&line, e->body_bytes);
    else
        put_byte(&line, '-');
    put_byte(&line, '\n');
    line_end(&line, out);
    return SK_OK;
}
