#include "route/query_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/random.h"

enum reason {
#define X(name, text, help) REASON_##name,
    QUERY_REASON_TABLE(X)
#undef X
};
static const char *const reasons[] = {
#define X(name, text, help) text,
    QUERY_REASON_TABLE(X)
#undef X
};

/* --- which queries ---------------------------------------------------------------------------------- */

sk_err query_log_join(struct access_log *log, struct observe_thread *metrics, struct query_log *out_log) {
    *out_log = (struct query_log){.metrics = metrics, .random = sk_random_u64() | 1, .left = UINT32_MAX};
    return access_log_join(log, metrics, &out_log->ring);
}

/* Xorshift (Marsaglia 2003): nobody gains anything by guessing which query is logged. */
static uint64_t draw(struct query_log *log) {
    log->random ^= log->random << 13;
    log->random ^= log->random >> 7;
    return log->random ^= log->random << 17;
}

void query_log_begin(struct query_log *log, const struct config_route_query_log *rules) {
    if (!rules->path.len)
        log->left = UINT32_MAX;
    else /* 1 to 2 N - 1, N on average */
        log->left = rules->one_in == 1 ? 1 : (uint32_t)(1 + draw(log) % (2 * (uint64_t)rules->one_in - 1));
}

static bool may_write(struct query_log *log, uint32_t per_second, int64_t wall_ns) {
    int64_t second = wall_ns / SK_NS_PER_S;
    if (log->second != second) {
        log->second = second;
        log->lines = 0;
    }
    if (log->lines++ < per_second) return true;
    observe_count(log->metrics, OBSERVE_QUERY_LOG_HELD_BACK);
    return false;
}

void query_log_write(struct query_log *log, const struct config_route_query_log *rules,
                     const struct query_log_entry *entry, int64_t wall_ns) {
    char line[QUERY_LOG_LINE_MAX];
    if (may_write(log, rules->per_second, wall_ns))
        access_log_line(log->ring, sk_str_make(line, query_log_format(entry, wall_ns, line)));
    query_log_begin(log, rules);
}

/* --- a line ----------------------------------------------------------------------------------------- */

static const char *reason_text(const struct answer_log *answer, char out[16]) {
    static const enum reason by_kind[] = {
        [RATE_ANSWER] = REASON_ZONE,       [RATE_NO_DATA] = REASON_NO_DATA, [RATE_NO_NAME] = REASON_NO_NAME,
        [RATE_REFERRAL] = REASON_REFERRAL, [RATE_ERROR] = REASON_FAILED,    [RATE_LARGE] = REASON_ZONE,
    };
    if (answer->rate_limited) return reasons[REASON_RATE_LIMITED];
    switch ((unsigned)answer->rcode) {
    case DNS_FORMERR: return reasons[REASON_MALFORMED];
    case DNS_REFUSED: return reasons[REASON_REFUSED];
    case DNS_NOTIMP:
    case DNS_BADVERS: return reasons[REASON_UNKNOWN];
    case DNS_BADCOOKIE: return reasons[REASON_BAD_COOKIE];
    case DNS_NOTAUTH: return reasons[REASON_NOT_SIGNED];
    case DNS_SERVFAIL: return reasons[REASON_FAILED];
    default: break;
    }
    if (!answer->routed) return reasons[by_kind[answer->kind]];
    const char *name = decide_reason_name(answer->reason);
    size_t bytes = strnlen(name, 15);
    sk_ascii_lower(out, name, bytes);
    out[bytes] = 0;
    return out;
}

static const char *rcode_text(enum dns_rcode rcode, char out[16]) {
    static const struct {
        enum dns_rcode rcode;
        const char *text;
    } texts[] = {{DNS_NOERROR, "NOERROR"},    {DNS_FORMERR, "FORMERR"}, {DNS_SERVFAIL, "SERVFAIL"},
                 {DNS_NXDOMAIN, "NXDOMAIN"},  {DNS_NOTIMP, "NOTIMP"},   {DNS_REFUSED, "REFUSED"},
                 {DNS_YXDOMAIN, "YXDOMAIN"},  {DNS_NOTAUTH, "NOTAUTH"}, {DNS_BADVERS, "BADVERS"},
                 {DNS_BADCOOKIE, "BADCOOKIE"}};
    for (size_t i = 0; i < SK_COUNT(texts); i++)
        if (texts[i].rcode == rcode) return texts[i].text;
    snprintf(out, 16, "%d", (int)rcode);
    return out;
}

struct line {
    char *text;
    size_t used;
};

[[gnu::format(printf, 2, 3)]] static void put(struct line *line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(line->text + line->used, QUERY_LOG_LINE_MAX - line->used, format, args);
    va_end(args);
    SK_ASSERT(bytes >= 0 && line->used + (size_t)bytes < QUERY_LOG_LINE_MAX); /* all parts are bounded */
    line->used += (size_t)bytes;
}

/* Printable ASCII, as names are written. */
static void put_text(struct line *line, sk_str text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') line->text[line->used++] = '\\';
        line->text[line->used++] = text.data[i];
    }
}

static void put_time(struct line *line, int64_t wall_ns) {
    struct tm tm;
    char text[32];
    time_t second = (time_t)(wall_ns / SK_NS_PER_S);
    gmtime_r(&second, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    put(line, "{\"time\":\"%s.%03dZ\"", text, (int)(wall_ns % SK_NS_PER_S / SK_NS_PER_MS));
}

static void put_subnet(struct line *line, const struct answer_log *answer) {
    const struct dns_client_subnet *subnet = &answer->subnet;
    struct io_addr addr;
    char text[IO_ADDR_TEXT_BYTES];
    if (!subnet->present) return;
    (void)!io_addr_from_ip(subnet->ip, subnet->family == 1 ? 4 : 16, 0, &addr);
    size_t bytes = io_addr_format_ip(&addr, text);
    put(line, ",\"subnet\":\"%.*s/%u\",\"scope\":%u", (int)bytes, text, subnet->source_bits,
        answer->scope_sent);
}

size_t query_log_format(const struct query_log_entry *entry, int64_t wall_ns, char *out) {
    const struct answer_log *answer = entry->answer;
    struct line line = {.text = out};
    char name[1024], ip[IO_ADDR_TEXT_BYTES], type[12], text[16];
    size_t name_bytes = dns_name_format(&answer->name, name), ip_bytes = io_addr_format_ip(entry->client, ip);
    put_time(&line, wall_ns);
    put(&line, ",\"client\":\"%.*s\",\"transport\":\"%s\",\"name\":\"", (int)ip_bytes, ip,
        entry->transport == ANSWER_UDP ? "udp" : "tcp");
    put_text(&line, sk_str_make(name, name_bytes));
    put(&line, "\",\"type\":\"%.*s\"", SK_STR_ARGS(dns_type_text(answer->type, type)));
    put(&line, ",\"rcode\":\"%s\"", rcode_text(answer->rcode, text));
    put(&line, ",\"reason\":\"%s\"", reason_text(answer, text));
    if (entry->site.len) {
        put(&line, ",\"site\":\"");
        put_text(&line, sk_str_slice(entry->site, 0, SK_MIN(entry->site.len, 255)));
        put(&line, "\"");
    }
    put_subnet(&line, answer);
    put(&line, ",\"bytes\":%zu", entry->bytes);
    if (answer->dnssec_ok) put(&line, ",\"dnssec\":true");
    if (answer->truncated) put(&line, ",\"truncated\":true");
    put(&line, "}\n");
    return line.used;
}
