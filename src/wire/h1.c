/* Heads: finding the end, the start line by our own grammar, the field lines by llhttp, then our rules. */
#include "wire/h1.h"

#include <llhttp.h>

#include "http/uri.h"
#include "wire/h1_internal.h"

#define METHOD_MAX 32   /* bytes; RFC 9112 section 3 sets no bound, the longest registered one has 17 */
#define LINE_SLACK 64   /* method, version and spaces of a start line, beside the target */
#define PLAIN_FIELDS 48 /* more go the long way */
#define SPARE_FIELDS 12 /* room for what is added on the way, so that the array need not grow */

void wire_h1_limits_default(struct wire_h1_limits *out_limits) {
    *out_limits = (struct wire_h1_limits){.head_bytes = 32 * 1024,
                                          .target_bytes = 8 * 1024,
                                          .field_count = 100,
                                          .chunk_extension_bytes = 256,
                                          .trailer_bytes = 8 * 1024};
}

void wire_h1_parser_init(struct wire_h1_parser *parser) { *parser = (struct wire_h1_parser){0}; }

static enum wire_h1_result refuse(struct wire_h1_parser *parser, enum wire_h1_refusal refusal) {
    parser->refusal = refusal;
    return WIRE_H1_REFUSED;
}

/* ---- the end of the head ----------------------------------------------------------------------------- */

/* What differs between the two directions before the start line is known. */
struct start_rule {
    enum wire_h1_refusal malformed;
    size_t leading_lines; /* empty lines allowed before it */
};
static const struct start_rule request_start = {WIRE_H1_REFUSAL_REQUEST_LINE, 2}; /* RFC 9112 2.2 */
static const struct start_rule response_start = {WIRE_H1_REFUSAL_STATUS_LINE, 0};

/* A first byte that starts neither a message nor an empty line (TLS, say) is refused without waiting. */
static bool can_start(char c) { return c == '\r' || c == '\n' || http_token_valid(sk_str_make(&c, 1)); }

/* Bytes (with CR) of a start line that no limit allows. */
static bool start_line_too_long(const struct wire_h1_parser *parser, const struct wire_h1_limits *limits,
                                size_t bytes) {
    return parser->lines == 0 && bytes > (size_t)limits->target_bytes + LINE_SLACK;
}

/* Either the method never ended, or the target is too long. */
static enum wire_h1_refusal long_line_refusal(const struct start_rule *rule, sk_str line) {
    sk_str begin = sk_str_slice(line, 0, METHOD_MAX + 1);
    if (rule->malformed == WIRE_H1_REFUSAL_STATUS_LINE) return WIRE_H1_REFUSAL_STATUS_LINE;
    return sk_str_find_byte(begin, ' ') < begin.len ? WIRE_H1_REFUSAL_TARGET_TOO_LONG
                                                    : WIRE_H1_REFUSAL_METHOD;
}

static enum wire_h1_result take_empty_line(struct wire_h1_parser *parser, const struct start_rule *rule) {
    if (parser->lines > 0) return WIRE_H1_HEAD;
    parser->head_start = parser->line_start;
    bool allowed = parser->head_start <= 2 * rule->leading_lines;
    return allowed ? WIRE_H1_NEED_MORE : refuse(parser, rule->malformed);
}

/* Takes the line that ends with the LF at END. Every check looks only at bytes up to END, so the outcome
 * does not depend on how the input was cut. WIRE_H1_HEAD at the empty line. */
static enum wire_h1_result take_line(struct wire_h1_parser *parser, const struct wire_h1_limits *limits,
                                     const struct start_rule *rule, sk_str input, size_t end) {
    sk_str line = sk_str_slice(input, parser->line_start, end);
    if (start_line_too_long(parser, limits, line.len)) return refuse(parser, long_line_refusal(rule, line));
    if (line.len == 0 || line.data[line.len - 1] != '\r') return refuse(parser, WIRE_H1_REFUSAL_BARE_LF);
    parser->scanned = parser->line_start = end + 1;
    if (line.len == 1) return take_empty_line(parser, rule);
    if (parser->lines > limits->field_count) return refuse(parser, WIRE_H1_REFUSAL_TOO_MANY_FIELDS);
    parser->lines++;
    return WIRE_H1_NEED_MORE;
}

/* No LF in WINDOW, the part of the input that may hold the head: is it too much already? */
static enum wire_h1_result wait_for_line(struct wire_h1_parser *parser, const struct wire_h1_limits *limits,
                                         const struct start_rule *rule, sk_str window) {
    sk_str line = sk_str_slice(window, parser->line_start, window.len);
    if (start_line_too_long(parser, limits, line.len)) return refuse(parser, long_line_refusal(rule, line));
    if (window.len - parser->head_start >= limits->head_bytes)
        return refuse(parser, WIRE_H1_REFUSAL_HEAD_TOO_LARGE);
    parser->scanned = window.len;
    return WIRE_H1_NEED_MORE;
}

/* On WIRE_H1_HEAD parser->scanned is the offset after the head. */
static enum wire_h1_result find_end(struct wire_h1_parser *parser, const struct wire_h1_limits *limits,
                                    const struct start_rule *rule, sk_str input) {
    for (;;) {
        sk_str window = sk_str_slice(input, 0, parser->head_start + limits->head_bytes);
        if (parser->lines == 0 && parser->line_start < window.len &&
            !can_start(input.data[parser->line_start])) {
            return refuse(parser, rule->malformed);
        }
        sk_str fresh = sk_str_slice(window, parser->scanned, window.len);
        size_t lf = parser->scanned + sk_str_find_byte(fresh, '\n');
        if (lf >= window.len) return wait_for_line(parser, limits, rule, window);
        enum wire_h1_result result = take_line(parser, limits, rule, input, lf);
        if (result != WIRE_H1_NEED_MORE) return result;
    }
}

/* ---- field lines: llhttp ----------------------------------------------------------------------------- */

/* Where llhttp's spans go. The array has room for every line of the head. */
struct sink {
    struct http_field *items;
    uint32_t count, capacity;
    bool complete;
    llhttp_errno_t error;
};

static int on_field(llhttp_t *llhttp, const char *at, size_t length) {
    struct sink *sink = llhttp->data;
    if (sink->count == sink->capacity) return -1;
    sink->items[sink->count++] = (struct http_field){.name = {at, length}, .value = {at + length, 0}};
    return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t length) {
    struct sink *sink = llhttp->data;
    if (sink->count == 0) return -1;
    sink->items[sink->count - 1].value = (sk_str){at, length};
    return 0;
}

static int on_complete(llhttp_t *llhttp) {
    struct sink *sink = llhttp->data;
    sink->complete = true;
    return 0;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_field, .on_header_value = on_value, .on_headers_complete = on_complete};

/* True when llhttp in strict mode takes START (which may be empty) and REST as one whole head. Only the
 * version is left to us: RFC 9110 2.5 wants HTTP/1.2 read as 1.1. */
static bool llhttp_accepts(llhttp_type_t type, sk_str start, sk_str rest, struct sink *sink) {
    llhttp_t llhttp;
    llhttp_init(&llhttp, type, &settings);
    llhttp.data = sink;
    llhttp_set_lenient_version(&llhttp, 1);
    if (start.len > 0 && llhttp_execute(&llhttp, start.data, start.len) != HPE_OK) return false;
    sink->error = llhttp_execute(&llhttp, rest.data, rest.len);
    return (sink->error == HPE_OK || sink->error == HPE_PAUSED_UPGRADE) && sink->complete;
}

/* Adds ids and checks what llhttp gave by our own grammar; gathers framing. */
static enum wire_h1_refusal check_fields(const struct http_fields *fields, struct h1_framing *framing) {
    for (uint32_t i = 0; i < fields->count; i++) {
        struct http_field *field = &fields->items[i];
        field->value = sk_str_trim(field->value);
        field->id = (uint16_t)http_field_lookup(field->name);
        if (field->id == HTTP_FIELD_UNKNOWN && !http_token_valid(field->name))
            return WIRE_H1_REFUSAL_FIELD_NAME;
        if (!http_field_value_valid(field->value)) return WIRE_H1_REFUSAL_FIELD_VALUE;
        h1_framing_add(framing, field->id, field->value);
    }
    return WIRE_H1_REFUSAL_NONE;
}

/* What llhttp alone objects to: it is stricter than the grammar in places (a tab after a length). */
static enum wire_h1_refusal llhttp_refusal(const struct sink *sink) {
    return sink->error == HPE_INVALID_URL ? WIRE_H1_REFUSAL_TARGET : WIRE_H1_REFUSAL_FIELD_VALUE;
}

/* llhttp refused: finds the line to blame by our own grammar, or gathers framing for the rules to blame. */
static enum wire_h1_refusal blame_line(sk_str lines, struct h1_framing *framing) {
    while (lines.len > 2) {
        size_t end = sk_str_find(lines, SK_STR("\r\n"));
        sk_str name, value;
        enum wire_h1_refusal refusal = h1_field_line(sk_str_slice(lines, 0, end), &name, &value);
        if (refusal) return refusal;
        h1_framing_add(framing, http_field_lookup(name), value);
        lines = sk_str_slice(lines, end + 2, lines.len);
    }
    return WIRE_H1_REFUSAL_NONE;
}

static enum wire_h1_refusal make_room(const struct wire_h1_parser *parser, struct sk_arena *arena,
                                      struct sink *sink) {
    sink->capacity = parser->lines - 1;
    sink->items = sk_arena_alloc(arena, (sink->capacity + SPARE_FIELDS) * sizeof(*sink->items));
    return sink->items ? WIRE_H1_REFUSAL_NONE : WIRE_H1_REFUSAL_HEAD_TOO_LARGE;
}

/* ---- requests ---------------------------------------------------------------------------------------- */

/* Where the parts of a head are. */
struct head {
    sk_str all;   /* start line to empty line */
    sk_str line;  /* start line without CRLF */
    sk_str lines; /* field lines and the empty line */
};

static struct head cut_head(const struct wire_h1_parser *parser, sk_str input) {
    struct head head = {.all = sk_str_slice(input, parser->head_start, parser->scanned)};
    size_t end = sk_str_find_byte(head.all, '\n');
    head.line = sk_str_make(head.all.data, end - 1);
    head.lines = sk_str_slice(head.all, end + 1, head.all.len);
    return head;
}

/* "HTTP/1.x": later minor versions mean what 1.1 means (RFC 9110 2.5). */
static enum wire_h1_refusal parse_version(sk_str text, enum http_version *out_version) {
    if (text.len != 8 || memcmp(text.data, "HTTP/", 5) != 0 || text.data[6] != '.')
        return WIRE_H1_REFUSAL_REQUEST_LINE;
    char major = text.data[5], minor = text.data[7];
    if (major < '0' || major > '9' || minor < '0' || minor > '9') return WIRE_H1_REFUSAL_REQUEST_LINE;
    if (major != '1') return WIRE_H1_REFUSAL_VERSION;
    *out_version = minor == '0' ? HTTP_1_0 : HTTP_1_1;
    return WIRE_H1_REFUSAL_NONE;
}

/* Cuts "method SP target SP version" at exactly these two spaces. */
static enum wire_h1_refusal cut_request_line(sk_str line, struct http_request *request, sk_str *out_target) {
    size_t method = sk_str_find_byte(sk_str_slice(line, 0, METHOD_MAX + 1), ' ');
    request->method_text = sk_str_slice(line, 0, method);
    if (method > METHOD_MAX || !http_token_valid(request->method_text)) return WIRE_H1_REFUSAL_METHOD;
    request->method = http_method_lookup(request->method_text);
    sk_str rest = sk_str_slice(line, method + 1, line.len);
    size_t target = sk_str_find_byte(rest, ' ');
    if (target == 0 || target == rest.len) return WIRE_H1_REFUSAL_REQUEST_LINE;
    *out_target = sk_str_slice(rest, 0, target);
    return parse_version(sk_str_slice(rest, target + 1, rest.len), &request->version);
}

/* The target in origin-form, as it goes on to an origin (RFC 9112 3.2.1, 3.2.4). */
static bool set_target(struct http_request *request, const struct http_uri *uri, sk_str target,
                       struct sk_arena *arena) {
    request->path = uri->path;
    request->query = uri->query;
    request->target = target;
    if (uri->authority.len == 0) return true;
    request->authority = uri->authority;
    request->host = uri->host;
    request->port = uri->port;
    request->scheme = uri->scheme.len == 5 ? SK_STR("https") : SK_STR("http");
    if (!uri->empty_path) {
        request->target = sk_str_slice(target, (size_t)(uri->path.data - target.data), target.len);
    } else if (uri->query.data) {
        request->target = sk_arena_printf(arena, "/?%.*s", SK_STR_ARGS(uri->query));
    } else {
        request->target = request->path = request->method == HTTP_METHOD_OPTIONS ? SK_STR("*") : SK_STR("/");
    }
    return request->target.data != NULL;
}

static enum wire_h1_refusal parse_request_line(sk_str line, const struct wire_h1_limits *limits,
                                               struct sk_arena *arena, struct http_request *request) {
    sk_str target;
    enum wire_h1_refusal refusal = cut_request_line(line, request, &target);
    if (refusal) return refusal;
    if (request->method == HTTP_METHOD_CONNECT) return WIRE_H1_REFUSAL_CONNECT;
    if (target.len > limits->target_bytes) return WIRE_H1_REFUSAL_TARGET_TOO_LONG;
    struct http_uri uri;
    if (http_uri_parse_target(target, &uri)) return WIRE_H1_REFUSAL_TARGET;
    if (target.data[0] == '*' && request->method != HTTP_METHOD_OPTIONS) return WIRE_H1_REFUSAL_TARGET;
    return set_target(request, &uri, target, arena) ? WIRE_H1_REFUSAL_NONE : WIRE_H1_REFUSAL_HEAD_TOO_LARGE;
}

/* Bytes that are wrong anywhere in a start line are a better reason than what they spoil. */
static enum wire_h1_refusal blame_bytes(sk_str line, enum wire_h1_refusal refusal) {
    if (sk_str_find_byte(line, '\0') < line.len) return WIRE_H1_REFUSAL_NUL;
    if (sk_str_find_byte(line, '\r') < line.len) return WIRE_H1_REFUSAL_BARE_CR;
    return refusal;
}

/* llhttp knows a fixed list of methods, with habits of their own; the method is ours to judge, so it always
 * sees a GET. */
static enum wire_h1_refusal request_of_head(const struct wire_h1_parser *parser,
                                            const struct wire_h1_limits *limits, struct head head,
                                            struct sk_arena *arena, struct http_request *request) {
    struct sink sink = {0};
    struct h1_framing framing = {0};
    enum wire_h1_refusal refusal = parse_request_line(head.line, limits, arena, request);
    if (refusal) return blame_bytes(head.line, refusal);
    refusal = make_room(parser, arena, &sink);
    if (refusal) return refusal;
    sk_str rest = sk_str_slice(head.all, request->method_text.len + 1, head.all.len);
    if (!llhttp_accepts(HTTP_REQUEST, SK_STR("GET "), rest, &sink)) {
        refusal = blame_line(head.lines, &framing);
        if (!refusal) refusal = h1_rules_request(&framing, request);
        return refusal ? refusal : llhttp_refusal(&sink);
    }
    request->fields = (struct http_fields){sink.items, sink.count, sink.capacity + SPARE_FIELDS};
    refusal = check_fields(&request->fields, &framing);
    return refusal ? refusal : h1_rules_request(&framing, request);
}

/* The next message starts from a clean slate. */
static void finish_head(struct wire_h1_parser *parser, enum http_body_kind kind, uint64_t content_length) {
    wire_h1_parser_init(parser);
    h1_body_begin(parser, kind, content_length);
}

/* Most requests: the head came whole and nothing in it speaks of content, so there is one way to frame it.
 * Our own grammar, which the fuzzer holds against llhttp, takes it in one pass. */
static bool plain_request(const struct wire_h1_limits *limits, sk_str input, struct sk_arena *arena,
                          struct http_request *request, size_t *out_bytes) {
    struct http_field items[PLAIN_FIELDS];
    struct h1_framing framing = {0};
    uint32_t count;
    size_t lf = sk_str_find_byte(sk_str_slice(input, 0, limits->head_bytes), '\n'), bytes;
    if (lf + 1 >= input.len || lf < 1 || input.data[lf - 1] != '\r') return false;
    if (parse_request_line(sk_str_make(input.data, lf - 1), limits, arena, request)) return false;
    uint32_t capacity = SK_MIN(limits->field_count, PLAIN_FIELDS);
    sk_str lines = sk_str_make(input.data + lf + 1, input.len - lf - 1);
    if (!h1_plain_lines(lines, items, capacity, &framing, &count, &bytes)) return false;
    if (lf + 1 + bytes > limits->head_bytes || h1_rules_request(&framing, request)) return false;
    struct http_field *kept = sk_arena_alloc(arena, (count + SPARE_FIELDS) * sizeof(*kept));
    if (!kept) return false;
    if (count > 0) memcpy(kept, items, count * sizeof(*kept));
    request->fields = (struct http_fields){kept, count, count + SPARE_FIELDS};
    *out_bytes = lf + 1 + bytes;
    return true;
}

enum wire_h1_result wire_h1_parse_request(struct wire_h1_parser *parser, const struct wire_h1_limits *limits,
                                          sk_str input, struct sk_arena *arena,
                                          struct http_request *out_request, size_t *out_head_bytes) {
    struct http_request request = {0};
    size_t bytes;
    if (parser->scanned > 0 || !plain_request(limits, input, arena, &request, &bytes)) {
        enum wire_h1_result result = find_end(parser, limits, &request_start, input);
        if (result != WIRE_H1_HEAD) return result;
        bytes = parser->scanned;
        request = (struct http_request){0};
        enum wire_h1_refusal refusal =
            request_of_head(parser, limits, cut_head(parser, input), arena, &request);
        if (refusal) return refuse(parser, refusal);
    }
    finish_head(parser, request.body_kind, request.content_length);
    *out_head_bytes = bytes;
    *out_request = request;
    return WIRE_H1_HEAD;
}

/* ---- responses --------------------------------------------------------------------------------------- */

/* "HTTP/1.x SP 3DIGIT [SP reason]"; the last space may be missing with the reason (RFC 9112 section 4 asks
 * senders for it, and many forget). */
static enum wire_h1_refusal parse_status_line(sk_str line, struct http_response *response) {
    uint64_t status;
    if (line.len < 12 || line.data[8] != ' ' || parse_version(sk_str_slice(line, 0, 8), &response->version)) {
        return WIRE_H1_REFUSAL_STATUS_LINE;
    }
    if (sk_str_to_u64(sk_str_slice(line, 9, 12), &status) || status < 100) return WIRE_H1_REFUSAL_STATUS_LINE;
    if (line.len > 12 && line.data[12] != ' ') return WIRE_H1_REFUSAL_STATUS_LINE;
    response->status = (uint16_t)status;
    response->reason = sk_str_trim(sk_str_slice(line, 13, line.len));
    return http_field_value_valid(response->reason) ? WIRE_H1_REFUSAL_NONE : WIRE_H1_REFUSAL_STATUS_LINE;
}

static enum wire_h1_refusal response_of_head(const struct wire_h1_parser *parser, enum http_method method,
                                             struct head head, struct sk_arena *arena,
                                             struct http_response *response) {
    struct sink sink = {0};
    struct h1_framing framing = {0};
    enum wire_h1_refusal refusal = parse_status_line(head.line, response);
    if (refusal) return blame_bytes(head.line, refusal);
    refusal = make_room(parser, arena, &sink);
    if (refusal) return refusal;
    if (!llhttp_accepts(HTTP_RESPONSE, SK_STR(""), head.all, &sink)) {
        refusal = blame_line(head.lines, &framing);
        if (!refusal) refusal = h1_rules_response(&framing, method, response);
        return refusal ? refusal : llhttp_refusal(&sink);
    }
    response->fields = (struct http_fields){sink.items, sink.count, sink.capacity + SPARE_FIELDS};
    refusal = check_fields(&response->fields, &framing);
    return refusal ? refusal : h1_rules_response(&framing, method, response);
}

enum wire_h1_result wire_h1_parse_response(struct wire_h1_parser *parser, const struct wire_h1_limits *limits,
                                           enum http_method request_method, sk_str input,
                                           struct sk_arena *arena, struct http_response *out_response,
                                           size_t *out_head_bytes) {
    enum wire_h1_result result = find_end(parser, limits, &response_start, input);
    if (result != WIRE_H1_HEAD) return result;
    struct http_response response = {0};
    enum wire_h1_refusal refusal =
        response_of_head(parser, request_method, cut_head(parser, input), arena, &response);
    if (refusal) return refuse(parser, refusal);
    *out_head_bytes = parser->scanned;
    finish_head(parser, response.body_kind, response.content_length);
    *out_response = response;
    return WIRE_H1_HEAD;
}
