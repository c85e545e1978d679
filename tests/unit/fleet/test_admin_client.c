/* The admin client against a socket that answers what a case says. */
#include "fleet/admin_client.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/socket.h"
#include "unit.h"

struct server {
    int fd;
    char folder[32], address[64];
    const char *answer;
    size_t wanted; /* bytes of the request to read before answering */
    char request[4096];
    size_t request_bytes;
    pthread_t thread;
};

static void *serve(void *arg) {
    struct server *server = arg;
    int fd = accept(server->fd, NULL, NULL);
    assert_true(fd >= 0);
    while (server->request_bytes < server->wanted || !strstr(server->request, "\r\n\r\n")) {
        size_t room = sizeof server->request - 1 - server->request_bytes;
        ssize_t n = recv(fd, server->request + server->request_bytes, room, 0);
        if (n <= 0) break;
        server->request_bytes += (size_t)n;
    }
    /* by pieces, so that every cut is met */
    for (const char *at = server->answer; *at; at++) assert_int_equal(send(fd, at, 1, MSG_NOSIGNAL), 1);
    close(fd);
    return NULL;
}

static void start(struct server *server, const char *answer) {
    struct io_addr addr;
    struct io_listen_options options = {0};
    *server = (struct server){.answer = answer, .folder = "/tmp/skerry-admin-XXXXXX"};
    assert_non_null(mkdtemp(server->folder));
    snprintf(server->address, sizeof server->address, "unix:%s/s", server->folder);
    assert_ok(io_addr_parse(sk_str_from_c(server->address), &addr));
    assert_ok(io_listen(&addr, &options, &server->fd));
    assert_int_equal(fcntl(server->fd, F_SETFL, 0), 0); /* accepting blocks */
}

static void stop(struct server *server) {
    close(server->fd);
    unlink(server->address + strlen("unix:"));
    rmdir(server->folder);
}

static sk_err ask(struct server *server, const char *token, const char *method, const char *body,
                  uint16_t *out_status, struct sk_buf *out_body) {
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    sk_err err = fleet_admin_call(sk_str_from_c(server->address), sk_str_from_c(token), sk_str_from_c(method),
                                  SK_STR("/x?y=1"), sk_str_from_c(body), out_status, out_body);
    pthread_join(server->thread, NULL);
    return err;
}

struct answer_case {
    const char *answer;
    sk_err err;
    uint16_t status;
    const char *body;
};

static const struct answer_case cases[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", SK_OK, 200, "hello"},
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", SK_OK, 404, ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", SK_OK, 200,
     "abcde"},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", SK_OK, 200, "until the end"},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", SK_OK, 204, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", SK_ERR_CLOSED, 0, NULL},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", SK_ERR_CLOSED, 0, NULL},
    {"HTTP/1.1 200 OK\r\nContent", SK_ERR_CLOSED, 0, NULL},
    {"", SK_ERR_CLOSED, 0, NULL},
    {"SSH-2.0-OpenSSH_9.2\r\n\r\n", SK_ERR_MALFORMED, 0, NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n"
     "01234567890123456789012345678901234567890123456789012345678901234",
     SK_ERR_TOO_LARGE, 0, NULL},
};

static void answers_are_taken_whole_or_not_at_all(void **state) {
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct server server;
        struct sk_buf body;
        uint16_t status = 0;
        sk_buf_init(&body, 64);
        start(&server, cases[i].answer);
        sk_err err = ask(&server, "", "GET", "", &status, &body);
        if (err != cases[i].err) fail_msg("case %zu: %s", i, sk_err_text(err));
        assert_int_equal(status, cases[i].status);
        if (!err) assert_str(sk_buf_str(&body), sk_str_from_c(cases[i].body));
        sk_buf_free(&body);
        stop(&server);
    }
    (void)state;
}

static void a_request_carries_token_and_body(void **state) {
    struct server server;
    struct sk_buf body;
    uint16_t status;
    sk_buf_init(&body, 64);
    start(&server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_ok(ask(&server, "secret-secret-secret", "POST", "{\"all\":true}", &status, &body));
    sk_str request = sk_str_make(server.request, server.request_bytes);
    assert_true(sk_str_starts_with(request, SK_STR("POST /x?y=1 HTTP/1.1\r\n")));
    assert_true(
        sk_str_find(request, SK_STR("\r\nauthorization: Bearer secret-secret-secret\r\n")) < request.len ||
        sk_str_find(request, SK_STR("\r\nAuthorization: Bearer secret-secret-secret\r\n")) < request.len);
    assert_true(sk_str_find(request, SK_STR("Content-Length: 12\r\n")) < request.len);
    assert_true(sk_str_ends_with(request, SK_STR("\r\n\r\n{\"all\":true}")));
    sk_buf_free(&body);
    stop(&server);
    (void)state;
}

/* A server that says no before it has read a large body. */
static void an_early_answer_is_read_although_the_body_was_not_taken(void **state) {
    struct server server;
    struct sk_buf body;
    uint16_t status;
    size_t bytes = 8 << 20;
    char *large = malloc(bytes + 1);
    assert_non_null(large);
    memset(large, 'x', bytes);
    large[bytes] = '\0';
    sk_buf_init(&body, 64);
    start(&server, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    assert_ok(ask(&server, "", "POST", large, &status, &body));
    assert_int_equal(status, 413);
    assert_str(sk_buf_str(&body), SK_STR("no"));
    free(large);
    sk_buf_free(&body);
    stop(&server);
    (void)state;
}

static void what_cannot_be_asked_is_told(void **state) {
    struct sk_buf body;
    uint16_t status;
    sk_str none = {0}, get = SK_STR("GET"), path = SK_STR("/"), nobody = SK_STR("unix:/nowhere/to/be/found");
    sk_buf_init(&body, 64);
    assert_err(fleet_admin_call(SK_STR("nonsense"), none, get, path, none, &status, &body), SK_ERR_INVALID);
    assert_err(fleet_admin_call(nobody, none, get, path, none, &status, &body), SK_ERR_NOT_FOUND);
    struct server server;
    start(&server, "");
    sk_str there = sk_str_from_c(server.address);
    assert_err(fleet_admin_call(there, none, get, SK_STR("/a b"), none, &status, &body), SK_ERR_INVALID);
    assert_err(fleet_admin_call(there, none, get, SK_STR("a"), none, &status, &body), SK_ERR_INVALID);
    assert_err(fleet_admin_call(there, SK_STR("a\r\nb: c"), get, path, none, &status, &body), SK_ERR_INVALID);
    assert_err(fleet_admin_call(there, none, SK_STR("G T"), path, none, &status, &body), SK_ERR_INVALID);
    stop(&server);
    sk_buf_free(&body);
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_taken_whole_or_not_at_all),
        cmocka_unit_test(a_request_carries_token_and_body),
        cmocka_unit_test(an_early_answer_is_read_although_the_body_was_not_taken),
        cmocka_unit_test(what_cannot_be_asked_is_told),
    };
    return SK_RUN_TESTS(tests);
}
