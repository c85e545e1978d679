#include "fleet/admin_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit.h"

static struct io_loop *loop;
static struct fleet_admin_server *server;
static char directory[] = "/tmp/skerry-admin-XXXXXX";
static struct io_addr address;
static bool was_on_fiber;
static int role_of_test;

/* --- a role --------------------------------------------------------------------------------------------- */

static sk_err echo(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    assert_ptr_equal(role, &role_of_test);
    was_on_fiber = io_fiber_self() != NULL;
    sk_err err = sk_buf_append(&answer->body, sk_buf_str(&request->content));
    return err ? err : sk_buf_printf(&answer->body, "|%.*s", SK_STR_ARGS(request->http.query));
}

/* Far more than a fiber has. */
static sk_err deep(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    volatile char pages[16 * IO_FIBER_STACK_BYTES];
    for (size_t i = 0; i < sizeof pages; i += 4096) pages[i] = 1;
    return sk_buf_printf(&answer->body, "%d", pages[sizeof pages - 4096]);
}

static sk_err fail_half_way(void *role, struct fleet_admin_request *request,
                            struct fleet_admin_answer *answer) {
    sk_err err = sk_buf_append(&answer->body, SK_STR("half"));
    return err ? err : SK_ERR_NO_MEMORY;
}

static const struct fleet_admin_endpoint endpoints[] = {
    {HTTP_METHOD_POST, SK_STR_INIT("/echo"), echo, "echo"},
    {HTTP_METHOD_GET, SK_STR_INIT("/deep"), deep, "deep"},
    {HTTP_METHOD_GET, SK_STR_INIT("/fail"), fail_half_way, "fails"},
};

static sk_str no_token(void *role) {
    (void)role;
    return (sk_str){0};
}

/* --- a visitor ------------------------------------------------------------------------------------------ */

struct visitor {
    const char *said[3]; /* in pieces */
    char heard[4096];
};

static void *visit(void *arg) {
    struct visitor *visitor = arg;
    size_t len = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &address.any, sizeof address.local), 0);
    for (int i = 0; i < 3 && visitor->said[i]; i++) {
        size_t bytes = strlen(visitor->said[i]);
        assert_int_equal(write(fd, visitor->said[i], bytes), (ssize_t)bytes);
        usleep(5000);
    }
    for (ssize_t n; (n = read(fd, visitor->heard + len, sizeof visitor->heard - 1 - len)) > 0;)
        len += (size_t)n;
    close(fd);
    io_loop_stop(loop);
    return NULL;
}

static const char *ask(struct visitor *visitor) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, visit, visitor), 0);
    io_loop_run(loop);
    pthread_join(thread, NULL);
    return visitor->heard;
}

#define HEAD_OF(line) line " HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n"
#define KEPT_HEAD_OF(line) line " HTTP/1.1\r\nHost: admin\r\n"

static void answers_with_the_content_and_the_query(void **state) {
    struct visitor visitor = {{HEAD_OF("POST /echo?a=b") "Content-Length: 6\r\n\r\nabc", "def"}};
    const char *heard = ask(&visitor);
    assert_non_null(strstr(heard, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(heard, "\r\n\r\nabcdef|a=b"));
    assert_false(was_on_fiber);
}

static void takes_content_in_chunks(void **state) {
    struct visitor visitor = {
        {HEAD_OF("POST /echo") "Transfer-Encoding: chunked\r\n\r\n3\r\nab", "c\r\n2\r\nde", "\r\n0\r\n\r\n"}};
    assert_non_null(strstr(ask(&visitor), "\r\n\r\nabcde|"));
}

static void asks_for_the_content_that_waits_for_a_100(void **state) {
    struct visitor visitor = {
        {HEAD_OF("POST /echo") "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n", "abc"}};
    const char *heard = ask(&visitor);
    assert_int_equal(strncmp(heard, "HTTP/1.1 100 ", 13), 0);
    assert_non_null(strstr(heard, "\r\n\r\nabc|"));
}

static void a_handler_may_use_more_stack_than_a_fiber_has(void **state) {
    struct visitor visitor = {{HEAD_OF("GET /deep") "\r\n"}};
    assert_non_null(strstr(ask(&visitor), "\r\n\r\n1"));
}

static void an_error_is_a_500_and_no_half_answer(void **state) {
    struct visitor visitor = {{HEAD_OF("GET /fail") "\r\n"}};
    const char *heard = ask(&visitor);
    assert_non_null(strstr(heard, "HTTP/1.1 500 "));
    assert_null(strstr(heard, "half"));
}

static void refuses_what_it_does_not_know(void **state) {
    struct visitor unknown = {{HEAD_OF("GET /none") "\r\n"}};
    assert_non_null(strstr(ask(&unknown), "HTTP/1.1 404 "));
    struct visitor other_method = {{HEAD_OF("GET /echo") "\r\n"}};
    assert_non_null(strstr(ask(&other_method), "HTTP/1.1 405 "));
    struct visitor nonsense = {{"GET /echo HTTP/1.1\r\n\r\n"}};
    assert_non_null(strstr(ask(&nonsense), "HTTP/1.1 400 "));
}

static void answers_requests_in_a_row(void **state) {
    struct visitor visitor = {
        {KEPT_HEAD_OF("POST /echo?1") "Content-Length: 3\r\n\r\nabc" KEPT_HEAD_OF(
             "POST /echo?2") "Content-Length: 3\r\n\r\nd",
         "ef" KEPT_HEAD_OF("GET /none") "\r\nPOST /echo",
         "?3 HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: 1\r\n\r\ng"}};
    const char *heard = ask(&visitor);
    static const char *const wanted[] = {"\r\n\r\nabc|1", "\r\n\r\ndef|2", "HTTP/1.1 404 ", "\r\n\r\ng|3"};
    for (size_t i = 0; i < SK_COUNT(wanted); i++) {
        heard = strstr(heard, wanted[i]);
        if (!heard) fail_msg("no %s in its turn", wanted[i]);
    }
}

static int set_up(void **state) {
    char where[64];
    if (!mkdtemp(directory)) return -1;
    snprintf(where, sizeof where, "unix:%s/s", directory);
    struct fleet_admin_options options = {
        .role_name = "test",
        .where = sk_str_from_c(where),
        .inherited_fd = -1,
        .endpoints = endpoints,
        .endpoint_count = SK_COUNT(endpoints),
        .role = &role_of_test,
        .token = no_token,
    };
    if (io_addr_parse(options.where, &address)) return -1;
    if (io_loop_create("test", &loop)) return -1;
    return fleet_admin_start(loop, &options, &server);
}

static int tear_down(void **state) {
    fleet_admin_stop(server);
    io_loop_destroy(loop);
    return rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_with_the_content_and_the_query),
        cmocka_unit_test(takes_content_in_chunks),
        cmocka_unit_test(asks_for_the_content_that_waits_for_a_100),
        cmocka_unit_test(a_handler_may_use_more_stack_than_a_fiber_has),
        cmocka_unit_test(an_error_is_a_500_and_no_half_answer),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(answers_requests_in_a_row),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
