#include "edge/explain_query.h"

#include "http/query.h"
#include "http/uri.h"

#define HEAD_MAX_BYTES ((size_t)256 * 1024)

struct question {
    sk_str url, method;
    sk_str fields[EDGE_EXPLAIN_FIELDS_MAX]; /* "Name: value" */
    size_t field_count;
};

static sk_err invalid(const char **out_problem, const char *problem) {
    *out_problem = problem;
    return SK_ERR_INVALID;
}

static sk_err decode(struct sk_arena *arena, sk_str text, sk_str *out_text) {
    char *data = sk_arena_alloc(arena, text.len + 1);
    if (!data) return SK_ERR_NO_MEMORY;
    *out_text = sk_str_make(data, http_form_decode(text, data));
    return SK_OK;
}

/* Nothing that would end a line of the head early. */
static bool is_one_line(sk_str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '\r' || text.data[i] == '\n' || text.data[i] == 0) return false;
    return true;
}

static sk_err take(struct question *question, sk_str name, sk_str value, const char **out_problem) {
    if (!is_one_line(value)) return invalid(out_problem, "a parameter has a control character");
    if (sk_str_eq(name, SK_STR("url"))) {
        question->url = value;
    } else if (sk_str_eq(name, SK_STR("method"))) {
        question->method = value;
    } else if (!sk_str_eq(name, SK_STR("header"))) {
        return invalid(out_problem, "unknown parameter: expected url, method and header");
    } else if (question->field_count == EDGE_EXPLAIN_FIELDS_MAX) {
        return invalid(out_problem, "too many header parameters");
    } else {
        question->fields[question->field_count++] = value;
    }
    return SK_OK;
}

static sk_err split(struct sk_arena *arena, sk_str query, struct question *question,
                    const char **out_problem) {
    sk_str pair, value;
    sk_err err = SK_OK;
    while (!err && query.len && sk_str_cut(&query, '&', &pair)) {
        size_t equals = sk_str_find_byte(pair, '=');
        if (!pair.len) continue;
        err = decode(arena, sk_str_slice(pair, equals + 1, pair.len), &value);
        if (!err) err = take(question, sk_str_slice(pair, 0, equals), value, out_problem);
    }
    if (!err && !question->url.len)
        return invalid(out_problem, "which URL? (example: /explain?url=http://www.example.com/a)");
    return err;
}

/* The URL's parts; authority is empty when it is a path. */
static sk_err locate(struct sk_arena *arena, sk_str url, struct http_uri *out_uri, const char **out_problem) {
    url = sk_str_slice(url, 0, sk_str_find_byte(url, '#'));
    bool path = sk_str_starts_with(url, SK_STR("/"));
    if (!path && sk_str_find(url, SK_STR("://")) == url.len)
        url = sk_arena_printf(arena, "http://%.*s", SK_STR_ARGS(url));
    if (!url.data) return SK_ERR_NO_MEMORY;
    sk_err err = path ? http_uri_parse_target(url, out_uri) : http_uri_parse_absolute(url, out_uri);
    return err ? invalid(out_problem, "url: expected http://HOST/PATH, https://HOST/PATH or /PATH") : SK_OK;
}

static bool names_host(const struct question *question) {
    for (size_t i = 0; i < question->field_count; i++)
        if (sk_str_istarts_with(question->fields[i], SK_STR("host:"))) return true;
    return false;
}

static sk_err write_head(const struct question *question, const struct http_uri *uri, struct sk_buf *out) {
    sk_str method = question->method.len ? question->method : SK_STR("GET");
    sk_err err = sk_buf_printf(out, "%.*s %.*s%s%.*s HTTP/1.1\r\n", SK_STR_ARGS(method),
                               SK_STR_ARGS(uri->path), uri->query.data ? "?" : "", SK_STR_ARGS(uri->query));
    if (!err && uri->authority.len && !names_host(question))
        err = sk_buf_printf(out, "Host: %.*s\r\n", SK_STR_ARGS(uri->authority));
    for (size_t i = 0; i < question->field_count && !err; i++)
        err = sk_buf_printf(out, "%.*s\r\n", SK_STR_ARGS(question->fields[i]));
    return err ? err : sk_buf_append(out, SK_STR("\r\n"));
}

static sk_err read_head(struct sk_arena *arena, sk_str head, const struct wire_h1_limits *limits,
                        struct http_request *out_request, const char **out_problem) {
    struct wire_h1_parser parser;
    size_t used;
    wire_h1_parser_init(&parser);
    switch (wire_h1_parse_request(&parser, limits, head, arena, out_request, &used)) {
    case WIRE_H1_HEAD: return used == head.len ? SK_OK : invalid(out_problem, "a header is empty");
    case WIRE_H1_REFUSED: return invalid(out_problem, wire_h1_refusal_text(parser.refusal));
    case WIRE_H1_NEED_MORE: break;
    }
    return invalid(out_problem, "the request would be incomplete");
}

sk_err edge_explain_query(struct sk_arena *arena, sk_str query, const struct wire_h1_limits *limits,
                          struct http_request *out_request, const char **out_problem) {
    struct question question = {0};
    struct http_uri uri;
    struct sk_buf text;
    sk_err err = split(arena, query, &question, out_problem);
    if (!err) err = locate(arena, question.url, &uri, out_problem);
    if (err) return err;
    sk_buf_init(&text, HEAD_MAX_BYTES);
    err = write_head(&question, &uri, &text);
    sk_str head = err ? (sk_str){0} : sk_arena_copy(arena, sk_buf_str(&text));
    sk_buf_free(&text);
    if (err || !head.data) return SK_ERR_NO_MEMORY;
    err = read_head(arena, head, limits, out_request, out_problem);
    if (!err && !out_request->scheme.len) out_request->scheme = uri.scheme.len ? uri.scheme : SK_STR("http");
    return err;
}
