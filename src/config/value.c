#include "config/value.h"

#include <stdio.h>

#include "base/units.h"
#include "config/rule_compile.h"
#include "http/field.h"
#include "http/freshness.h"
#include "http/uri.h"
#include "io/addr.h"

/* ---- numbers ---- */

enum { TEXT_MAX = 4096, HOST_MAX = 253, MEMORY_LEAST = 64 << 20 };

static sk_err read_count(sk_str text, int64_t *out) {
    uint64_t value;
    sk_err err = sk_str_to_u64(text, &value);
    if (err || value > INT64_MAX) return SK_ERR_INVALID;
    *out = (int64_t)value;
    return SK_OK;
}

static sk_err read_percent(sk_str text, int64_t *out) {
    if (!sk_str_ends_with(text, SK_STR("%"))) return SK_ERR_INVALID;
    return read_count(sk_str_slice(text, 0, text.len - 1), out);
}

static sk_err read_size(sk_str text, int64_t *out) {
    uint64_t bytes; /* at most 2^63 - 1 */
    if (sk_size_parse(text, &bytes)) return SK_ERR_INVALID;
    *out = (int64_t)bytes;
    return SK_OK;
}

static sk_err read_memory(sk_str text, int64_t *out) {
    int64_t percent;
    if (read_percent(text, &percent)) return read_size(text, out);
    if (percent < 1 || percent > 100) return SK_ERR_INVALID;
    *out = (int64_t)SK_MAX(config_machine_memory() / 100 * (uint64_t)percent, (uint64_t)MEMORY_LEAST);
    return SK_OK;
}

static sk_err read_duration(sk_str text, int64_t *out) {
    return sk_duration_parse(text, out) ? SK_ERR_INVALID : SK_OK;
}

/* Whole seconds: HTTP counts no smaller ones. */
static sk_err read_lifetime(sk_str text, int64_t *out) {
    int64_t ms;
    if (sk_str_eq(text, SK_STR("none"))) {
        *out = HTTP_SECONDS_NONE;
        return SK_OK;
    }
    if (sk_duration_parse(text, &ms) || ms % 1000) return SK_ERR_INVALID;
    *out = ms / 1000;
    return SK_OK;
}

static sk_err read_word(sk_str words, sk_str text, int64_t *out) {
    sk_str word;
    for (int64_t i = 0; sk_str_cut(&words, ' ', &word); i++) {
        if (!sk_str_eq(word, text)) continue;
        *out = i;
        return SK_OK;
    }
    return SK_ERR_INVALID;
}

/* The words of YAML 1.1 that people write, in lower case. */
static sk_err read_flag(sk_str text, int64_t *out) {
    sk_err err = read_word(SK_STR("false true no yes off on"), text, out);
    if (!err) *out %= 2;
    return err;
}

/* "200" or "200-399", as the first times 1000 and the last. */
static sk_err read_statuses(sk_str text, int64_t *out) {
    int64_t first, last;
    size_t dash = sk_str_find_byte(text, '-');
    if (read_count(sk_str_slice(text, 0, dash), &first)) return SK_ERR_INVALID;
    if (dash == text.len)
        last = first;
    else if (read_count(sk_str_slice(text, dash + 1, text.len), &last))
        return SK_ERR_INVALID;
    if (first < 100 || last > 999 || first > last) return SK_ERR_INVALID;
    *out = first * 1000 + last;
    return SK_OK;
}

static sk_err read_number(const struct config_option *option, sk_str text, int64_t *out) {
    switch (option->kind) {
    case CONFIG_KIND_COUNT: return read_count(text, out);
    case CONFIG_KIND_PERCENT: return read_percent(text, out);
    case CONFIG_KIND_SIZE: return read_size(text, out);
    case CONFIG_KIND_MEMORY: return read_memory(text, out);
    case CONFIG_KIND_DURATION: return read_duration(text, out);
    case CONFIG_KIND_LIFETIME: return read_lifetime(text, out);
    case CONFIG_KIND_FLAG: return read_flag(text, out);
    case CONFIG_KIND_CHOICE: return read_word(sk_str_from_c(option->min), text, out);
    case CONFIG_KIND_STATUSES: return read_statuses(text, out);
    default: return SK_ERR_UNSUPPORTED;
    }
}

static bool has_range(const struct config_option *option) {
    return option->kind != CONFIG_KIND_CHOICE && option->min[0];
}

/* The bounds are written like values and read by the same reader; "none" lies outside of every range. */
static bool in_range(const struct config_option *option, int64_t number) {
    int64_t min, max;
    if (!has_range(option)) return true;
    if (option->kind == CONFIG_KIND_LIFETIME && number == HTTP_SECONDS_NONE) return true;
    sk_err bad_min = read_number(option, sk_str_from_c(option->min), &min);
    sk_err bad_max = read_number(option, sk_str_from_c(option->max), &max);
    SK_ASSERT(!bad_min && !bad_max);
    return number >= min && number <= max;
}

/* ---- text ---- */

static bool name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool is_name(sk_str text) {
    for (size_t i = 0; i < text.len; i++)
        if (!name_byte(text.data[i]) && text.data[i] != '.') return false;
    return text.len >= 1 && text.len <= 64;
}

static bool is_secret(sk_str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~') return false;
    return text.len >= 16 && text.len <= 256;
}

static bool is_path(sk_str text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f) return false;
    return text.len >= 1 && text.len < TEXT_MAX;
}

sk_err config_endpoint_parse(sk_str text, struct io_addr *out_addr, bool *out_tls) {
    static const sk_str tls = SK_STR_INIT("https://"), plain = SK_STR_INIT("http://");
    *out_tls = sk_str_starts_with(text, tls);
    sk_str scheme = *out_tls ? tls : sk_str_starts_with(text, plain) ? plain : (sk_str){0};
    return io_addr_parse(sk_str_slice(text, scheme.len, text.len), out_addr);
}

static bool is_address(sk_str text) {
    struct io_addr addr;
    return io_addr_parse(text, &addr) == SK_OK;
}

static bool is_endpoint(sk_str text) {
    struct io_addr addr;
    bool tls;
    return config_endpoint_parse(text, &addr, &tls) == SK_OK;
}

static bool is_server(sk_str text) {
    struct io_prefix prefix;
    bool bare = sk_str_find_byte(text, '/') == text.len && io_prefix_parse(text, &prefix) == SK_OK;
    return bare || (is_address(text) && !sk_str_starts_with(text, SK_STR("unix:")) && text.data[0] != ':');
}

static bool is_resolvers(sk_str text) {
    sk_str one;
    while (sk_str_cut(&text, ',', &one))
        if (!is_server(sk_str_trim(one))) return false;
    return true;
}

/* "-12.5": what strtod reads the same in every locale. */
static bool is_decimal(sk_str text) {
    size_t digits = 0, dots = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '-' && i == 0) continue;
        if (c == '.' && digits && !dots++) continue;
        if (c < '0' || c > '9') return false;
        digits++;
    }
    return digits >= 1 && digits <= 15 && text.data[text.len - 1] != '.';
}

static bool is_ipv6_literal(sk_str text) {
    struct io_prefix prefix;
    if (text.len < 4 || text.data[0] != '[' || text.data[text.len - 1] != ']') return false;
    sk_str ip = sk_str_slice(text, 1, text.len - 1);
    return sk_str_find_byte(ip, '/') == ip.len && io_prefix_parse(ip, &prefix) == SK_OK;
}

static bool is_dns_name(sk_str text) {
    sk_str label;
    if (!text.len || text.len > HOST_MAX) return false;
    while (sk_str_cut(&text, '.', &label)) {
        if (!label.len || label.len > 63) return false;
        for (size_t i = 0; i < label.len; i++)
            if (!name_byte(label.data[i])) return false;
    }
    return true;
}

/* Also with a final dot, and the root alone. */
static bool is_domain(sk_str text) {
    if (sk_str_eq(text, SK_STR("."))) return true;
    if (sk_str_starts_with(text, SK_STR("*."))) text = sk_str_slice(text, 2, text.len);
    if (text.len > 1 && text.data[text.len - 1] == '.') text.len--;
    return is_dns_name(text);
}

static bool is_host(sk_str text) {
    if (sk_str_eq(text, SK_STR("*"))) return true;
    if (sk_str_starts_with(text, SK_STR("*."))) return is_dns_name(sk_str_slice(text, 2, text.len));
    return is_dns_name(text) || is_ipv6_literal(text);
}

static bool is_authority(sk_str text) {
    sk_str host;
    uint16_t port;
    return text.len && http_authority_parse(text, &host, &port) == SK_OK && host.len;
}

static bool is_origin_url(sk_str text) {
    struct http_uri uri;
    if (http_uri_parse_absolute(text, &uri)) return false;
    if (!sk_str_ieq(uri.scheme, SK_STR("http")) && !sk_str_ieq(uri.scheme, SK_STR("https"))) return false;
    return uri.host.len && !uri.query.data && (!uri.path.len || sk_str_eq(uri.path, SK_STR("/")));
}

static bool is_url_path(sk_str text) {
    struct http_uri uri;
    return text.len && text.data[0] == '/' && text.len < TEXT_MAX &&
           http_uri_parse_target(text, &uri) == SK_OK;
}

/* RFC 5646 as far as its form goes: subtags of one to eight letters and digits, the first of letters. */
static bool is_language(sk_str text) {
    sk_str rest = text, subtag;
    while (sk_str_cut(&rest, '-', &subtag)) {
        if (subtag.len < 1 || subtag.len > 8) return false;
        for (size_t i = 0; i < subtag.len; i++) {
            char c = sk_ascii_lower_byte(subtag.data[i]);
            bool number = c >= '0' && c <= '9' && subtag.data != text.data;
            if (!number && (c < 'a' || c > 'z')) return false;
        }
    }
    return text.len >= 1 && text.len <= 64;
}

static bool is_media_type(sk_str text) {
    size_t slash = sk_str_find_byte(text, '/');
    return text.len <= 127 && sk_str_find_byte(text, '*') == text.len &&
           http_token_valid(sk_str_slice(text, 0, slash)) &&
           http_token_valid(sk_str_slice(text, slash + 1, text.len));
}

static bool is_media_range(sk_str text) {
    if (sk_str_ends_with(text, SK_STR("/*")))
        text.len -= 2;
    else if (sk_str_starts_with(text, SK_STR("*+")))
        text = sk_str_slice(text, 2, text.len);
    else
        return is_media_type(text);
    return text.len <= 127 && sk_str_find_byte(text, '*') == text.len &&
           sk_str_find_byte(text, '/') == text.len && http_token_valid(text);
}

static bool is_coding(sk_str text) {
    return sk_str_eq(text, SK_STR("zstd")) || sk_str_eq(text, SK_STR("br")) ||
           sk_str_eq(text, SK_STR("gzip"));
}

/* By its form; the rest is fleet/valkey.h's, who uses it. */
static bool is_bus(sk_str text) {
    if (sk_str_starts_with(text, SK_STR("unix:/"))) return is_path(sk_str_slice(text, 5, text.len));
    size_t at = sk_str_find(text, SK_STR("://"));
    sk_str scheme = sk_str_slice(text, 0, at), rest = sk_str_slice(text, at + 3, text.len);
    static const sk_str schemes[] = {SK_STR_INIT("valkey"), SK_STR_INIT("valkeys"), SK_STR_INIT("redis"),
                                     SK_STR_INIT("rediss")};
    bool known = false;
    for (size_t i = 0; i < SK_COUNT(schemes); i++) known |= sk_str_eq(scheme, schemes[i]);
    return known && rest.len && rest.len < TEXT_MAX && sk_str_find_byte(rest, '/') == rest.len;
}

static bool is_text(enum config_kind kind, sk_str text) {
    struct io_prefix prefix;
    switch (kind) {
    case CONFIG_KIND_NAME: return is_name(text);
    case CONFIG_KIND_SECRET: return is_secret(text);
    case CONFIG_KIND_FILE: return is_path(text);
    case CONFIG_KIND_LOG: return !text.len || is_path(text);
    case CONFIG_KIND_ENDPOINT: return is_endpoint(text);
    case CONFIG_KIND_LISTENER:
    case CONFIG_KIND_ADMIN: return is_address(text);
    case CONFIG_KIND_BUS: return is_bus(text);
    case CONFIG_KIND_RESOLVERS: return is_resolvers(text);
    case CONFIG_KIND_PREFIX: return io_prefix_parse(text, &prefix) == SK_OK;
    case CONFIG_KIND_HOST: return is_host(text);
    case CONFIG_KIND_AUTHORITY: return is_authority(text);
    case CONFIG_KIND_URL: return is_origin_url(text);
    case CONFIG_KIND_URL_PATH: return is_url_path(text);
    case CONFIG_KIND_ADDRESS: return is_server(text);
    case CONFIG_KIND_DOMAIN: return is_domain(text);
    case CONFIG_KIND_DECIMAL: return is_decimal(text);
    case CONFIG_KIND_LANGUAGE: return is_language(text);
    case CONFIG_KIND_MEDIA_TYPE: return is_media_type(text);
    case CONFIG_KIND_PATTERN: return config_is_pattern(text);
    case CONFIG_KIND_NAMES: return config_is_names(text);
    case CONFIG_KIND_FIELD: return config_is_field(text);
    case CONFIG_KIND_FIELD_LINE: return config_is_field_line(text);
    case CONFIG_KIND_COOKIE: return text.len <= 128 && http_token_valid(text);
    case CONFIG_KIND_STATUS_TTLS: return config_status_ttls_read(NULL, text, NULL) == SK_OK;
    case CONFIG_KIND_MEDIA_RANGE: return is_media_range(text);
    case CONFIG_KIND_CODING: return is_coding(text);
    case CONFIG_KIND_TEXT: return text.len <= 255;
    default: return false;
    }
}

static sk_err lower_copy(struct sk_arena *arena, sk_str text, sk_str *out) {
    char *copy = sk_arena_alloc(arena, text.len);
    if (!copy) return SK_ERR_NO_MEMORY;
    sk_ascii_lower(copy, text.data, text.len);
    *out = sk_str_make(copy, text.len);
    return SK_OK;
}

sk_err config_value_read(const struct config_option *option, sk_str text, struct sk_arena *arena,
                         struct config_value *out_value) {
    struct config_value value = {0};
    sk_err err = read_number(option, text, &value.number);
    if (err == SK_ERR_UNSUPPORTED) {
        value.text = text;
        err = is_text(option->kind, text) ? SK_OK : SK_ERR_INVALID;
        if (!err && option->kind == CONFIG_KIND_HOST) err = lower_copy(arena, text, &value.text);
    } else if (!err && !in_range(option, value.number)) {
        err = SK_ERR_INVALID;
    }
    if (!err) *out_value = value;
    return err;
}

void config_value_store(const struct config_option *option, const struct config_value *value, void *section) {
    char *field = (char *)section + option->field_offset;
    if (option->kind == CONFIG_KIND_STATUSES) { /* two fields, the first and the last */
        memcpy(field, &(uint32_t[]){(uint32_t)(value->number / 1000), (uint32_t)(value->number % 1000)},
               2 * sizeof(uint32_t));
    } else if (option->kind >= CONFIG_KIND_NAME) {
        memcpy(field, &value->text, sizeof(value->text));
    } else if (option->field_bytes == sizeof(int64_t)) {
        memcpy(field, &value->number, sizeof(value->number));
    } else if (option->field_bytes == sizeof(uint32_t)) {
        memcpy(field, &(uint32_t){(uint32_t)value->number}, sizeof(uint32_t));
    } else {
        SK_ASSERT(option->field_bytes == sizeof(bool));
        memcpy(field, &(bool){value->number != 0}, sizeof(bool));
    }
}

/* ---- what people are told ---- */

static const char *const kind_texts[] = {
#define X(kind, expected, json_type, json_pattern) expected,
    CONFIG_KIND_TABLE(X)
#undef X
};

/* "json common" as "json or common". */
static size_t write_choices(const char *words, char *out, size_t bytes) {
    size_t used = 0;
    sk_str rest = sk_str_from_c(words), word;
    for (bool first = true; sk_str_cut(&rest, ' ', &word) && used < bytes; first = false)
        used += (size_t)snprintf(out + used, bytes - used, "%s%.*s",
                                 first       ? ""
                                 : rest.data ? ", "
                                             : " or ",
                                 SK_STR_ARGS(word));
    return used;
}

void config_value_range(const struct config_option *option, char out[CONFIG_EXPECTED_BYTES]) {
    if (option->kind == CONFIG_KIND_CHOICE)
        write_choices(option->min, out, CONFIG_EXPECTED_BYTES);
    else if (has_range(option) && option->shape <= CONFIG_SHAPE_HAND)
        snprintf(out, CONFIG_EXPECTED_BYTES, "%s from %s to %s", kind_texts[option->kind], option->min,
                 option->max);
    else
        snprintf(out, CONFIG_EXPECTED_BYTES, "%s", kind_texts[option->kind]);
}

void config_value_expected(const struct config_option *option, char out[CONFIG_EXPECTED_BYTES]) {
    config_value_range(option, out);
    size_t used = strlen(out);
    if (option->example[0] && option->kind != CONFIG_KIND_CHOICE && option->kind != CONFIG_KIND_FLAG)
        snprintf(out + used, CONFIG_EXPECTED_BYTES - used, " (example: %s)", option->example);
}
