/* Web cache deception: names that promise a file, and paths that two readers read differently. */
#include "http/deception.h"

#include "unit.h"

static const struct {
    const char *path, *type;
    bool differs;
} type_cases[] = {
    {"/a.css", "text/css", false},
    {"/a.css", "text/css; charset=utf-8", false},
    {"/a.CSS", "TEXT/CSS", false},
    {"/a.css", "text/html; charset=utf-8", true},
    {"/a.css", "application/json", true},
    {"/a.css", "", false},
    {"/a.css", "application/octet-stream", false},
    {"/a.js", "text/javascript", false},
    {"/a.js", "application/json", true},
    {"/a.js.map", "application/json", false},
    {"/a.map", "application/source-map+json", false},
    {"/a.png", "image/svg+xml", false},
    {"/a.png", "imagery/x", true},
    {"/a.woff2", "font/woff2", false},
    {"/a.woff2", "application/font-woff2", false},
    {"/a.mp4", "video/mp4", false},
    {"/a.pdf", "text/html", true},
    {"/a.zip", "application/x-zip-compressed", false},
    {"/a.css;v=1", "text/html", true},
    {"/a.html", "text/html", false},
    {"/a", "text/html", false},
    {"/a.css/b", "text/html", false},
    {"/a.css/", "text/html", false},
    {"/.", "text/html", false},
    {"/css", "text/html", false},
    {"", "text/html", false},
};

static void a_suffix_promises_a_type(void **state) {
    for (size_t i = 0; i < SK_COUNT(type_cases); i++)
        if (http_type_differs(sk_str_from_c(type_cases[i].path), sk_str_from_c(type_cases[i].type)) !=
            type_cases[i].differs)
            fail_msg("%s as %s", type_cases[i].path, type_cases[i].type);
    (void)state;
}

static const struct {
    const char *path;
    bool ambiguous;
} path_cases[] = {
    {"/a/b", false},
    {"/a%2Fb", false},
    {"/a/..%2Fb", true},
    {"/a%2F..%2Fb", true},
    {"/a%2f..", true},
    {"/a/..%5Cb", true},
    {"/a\\..\\b", true},
    {"/a\\b", false},
    {"/a%252F..%252Fb", true},
    {"/a/..;/b%20", true},
    {"/a/%252e%252e/b", true},
    {"/a/.%2Fb", true},
    {"/a/...%2Fb", false},
    {"/a/b..%2Fc", false},
    {"/a%20b", false},
    {"/a/..;/b", true},
    {"/a;b/c", false},
    {"/100%", false},
    {"/%", false},
    {"/%2", false},
    {"/a/%2E%2E%2Fb", true},
    {"%2F..", true},
};

static void some_paths_are_two(void **state) {
    for (size_t i = 0; i < SK_COUNT(path_cases); i++)
        if (http_path_ambiguous(sk_str_from_c(path_cases[i].path)) != path_cases[i].ambiguous)
            fail_msg("%s", path_cases[i].path);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_suffix_promises_a_type),
        cmocka_unit_test(some_paths_are_two),
    };
    return SK_RUN_TESTS(tests);
}
