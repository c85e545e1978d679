#include "edge/upgrade.h"

#include <stdio.h>
#include <unistd.h>

#include "io/socket.h"
#include "unit.h"

static void a_new_process_finds_what_it_was_given(void **state) {
    struct io_addr addr;
    struct io_listen_options options = {0};
    int first, second, pipe_fds[2], ready = -1, admin = -1, quic = -1;
    char text[200];
    assert_ok(io_addr_parse(SK_STR("127.0.0.1:0"), &addr));
    assert_ok(io_listen(&addr, &options, &first));
    assert_ok(io_listen(&addr, &options, &second));
    assert_int_equal(pipe(pipe_fds), 0);
    snprintf(text, sizeof text, "ready=%d\nadmin=%d\n127.0.0.1:0=%d,%d", pipe_fds[1], pipe_fds[0], first,
             second);
    struct edge_listeners listeners = {0};
    assert_ok(edge_upgrade_parse(sk_str_from_c(text), &listeners, &ready, &admin, &quic));
    assert_int_equal(ready, pipe_fds[1]);
    assert_int_equal(admin, pipe_fds[0]);
    struct edge_listener *found = edge_listeners_find(&listeners, &addr);
    assert_non_null(found);
    assert_int_equal(found->fd_count, 2);
    assert_int_not_equal(io_addr_port(&found->bound), 0);
    edge_listeners_free(&listeners); /* closes the sockets */
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void nonsense_is_refused(void **state) {
    static const char *const cases[] = {
        "x",
        "=3",
        "ready=",
        "ready=x",
        "ready=-1",
        "ready=2",
        "ready=99999999999",
        "ready=1000000",
        "127.0.0.1:80=",
        "nonsense=3",
        "udp:127.0.0.1:80=3", /* of no listener */
        "quic=x",
        "127.0.0.1:80=3,",
        "\n",
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct edge_listeners listeners = {0};
        int ready = -1, admin = -1, quic = -1;
        if (edge_upgrade_parse(sk_str_from_c(cases[i]), &listeners, &ready, &admin, &quic) == SK_OK)
            fail_msg("\"%s\" was taken", cases[i]);
        assert_null(listeners.items);
        assert_int_equal(ready, -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_process_finds_what_it_was_given),
        cmocka_unit_test(nonsense_is_refused),
    };
    return SK_RUN_TESTS(tests);
}
