/* What the ACME client's hook program and the edge tell each other. */
#include "unit.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "acme/hook.h"

static void test_messages(void **state) {
    static const struct {
        const char *words[5];
        struct acme_hook hook;
    } cases[] = {
        {{"begin", "http-01", "www.example.com", "tok-en_1", "tok-en_1.thumb"},
         {ACME_HOOK_BEGIN, ACME_HOOK_HTTP_01, SK_STR_INIT("www.example.com"), SK_STR_INIT("tok-en_1"),
          SK_STR_INIT("tok-en_1.thumb")}},
        {{"done", "dns-01", "example.com", "t", "digest"},
         {ACME_HOOK_DONE, ACME_HOOK_DNS_01, SK_STR_INIT("example.com"), SK_STR_INIT("t"),
          SK_STR_INIT("digest")}},
        {{"failed", "tls-alpn-01", "*.example.com", "t", "x"},
         {ACME_HOOK_FAILED, ACME_HOOK_OTHER, SK_STR_INIT("example.com"), SK_STR_INIT("t"), SK_STR_INIT("x")}},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct acme_hook read;
        struct sk_buf message;
        sk_buf_init(&message, 0);
        assert_ok(acme_hook_format(cases[i].words, &message));
        assert_ok(acme_hook_parse(sk_buf_str(&message), &read));
        assert_int_equal(read.method, cases[i].hook.method);
        assert_int_equal(read.type, cases[i].hook.type);
        assert_str(read.ident, cases[i].hook.ident);
        assert_str(read.token, cases[i].hook.token);
        assert_str(read.auth, cases[i].hook.auth);
        sk_buf_free(&message);
    }
}

static void test_bad_messages(void **state) {
    static const char *const bad[] = {
        "",
        "begin",
        "begin\nhttp-01\na.test\nt\nt.x",           /* cut off */
        "begin\nhttp-01\na.test\nt\nt.x\nmore\n",   /* a line too many */
        "start\nhttp-01\na.test\nt\nt.x\n",         /* no such method */
        "begin\nhttp-01\n\nt\nt.x\n",               /* no name */
        "begin\nhttp-01\na.test/x\nt\nt.x\n",       /* no name of a host */
        "begin\nhttp-01\na.test\n../../etc\nt.x\n", /* RFC 8555 8.3: base64url alone */
        "begin\nhttp-01\na.test\nt\nt.x\"}\n",      /* what would break out of JSON */
        "begin\ndns-01\n*.*.test\nt\nx\n",          /* a star elsewhere */
    };
    for (size_t i = 0; i < SK_COUNT(bad); i++) {
        struct acme_hook read;
        assert_err(acme_hook_parse(sk_str_from_c(bad[i]), &read), SK_ERR_MALFORMED);
    }
    const char *const words[5] = {"begin", "http-01", "a.test", "a\nb", "x"};
    struct sk_buf message;
    sk_buf_init(&message, 0);
    assert_err(acme_hook_format(words, &message), SK_ERR_MALFORMED);
    sk_buf_free(&message);
}

struct side {
    int fd;
    const char *answer; /* NULL: hang up */
};

static void *answer(void *arg) {
    const struct side *side = arg;
    char message[ACME_HOOK_BYTES];
    struct acme_hook hook;
    ssize_t n = recv(side->fd, message, sizeof message, 0);
    bool good = n > 0 && acme_hook_parse(sk_str_make(message, (size_t)n), &hook) == SK_OK;
    if (good && side->answer) (void)!send(side->fd, side->answer, strlen(side->answer), 0);
    close(side->fd);
    return NULL;
}

static void test_a_question(void **state) {
    static const struct {
        const char *answer;
        bool accepted;
    } cases[] = {{ACME_HOOK_YES, true}, {ACME_HOOK_NO, false}, {NULL, false}, {"yes", false}};
    const char *const words[5] = {"begin", "http-01", "a.test", "t", "t.x"};
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        int pair[2];
        pthread_t thread;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
        struct side side = {pair[0], cases[i].answer};
        assert_int_equal(pthread_create(&thread, NULL, answer, &side), 0);
        assert_int_equal(acme_hook_ask(pair[1], words), cases[i].accepted);
        pthread_join(thread, NULL);
        close(pair[1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_bad_messages),
        cmocka_unit_test(test_a_question),
    };
    return SK_RUN_TESTS(tests);
}
