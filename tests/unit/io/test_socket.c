#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "io/socket.h"
#include "unit.h"

#define MS SK_NS_PER_MS

static const struct io_listen_options plain = {0};

static struct io_addr parsed(const char *text) {
    struct io_addr addr;
    assert_ok(io_addr_parse(sk_str_from_c(text), &addr));
    return addr;
}

/* A listener on TEXT (port 0 gets one), its real address, and both ends of a connection through it. */
static int listener(const char *text, struct io_addr *out_addr) {
    struct io_addr addr = parsed(text);
    int fd;
    assert_ok(io_listen(&addr, &plain, &fd));
    assert_ok(io_socket_local_addr(fd, out_addr));
    return fd;
}

static void await(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    assert_int_equal(poll(&p, 1, 2000), 1);
}

static void connect_to(int listen_fd, const struct io_addr *addr, int *out_client, int *out_server) {
    struct io_addr peer, mine;
    assert_ok(io_connect_start(addr, out_client));
    await(listen_fd, POLLIN);
    assert_ok(io_accept(listen_fd, out_server, &peer));
    await(*out_client, POLLOUT);
    assert_ok(io_socket_error(*out_client));
    assert_ok(io_socket_local_addr(*out_client, &mine));
    assert_true(io_addr_eq(&mine, &peer));
    assert_ok(io_socket_peer_addr(*out_client, &mine));
    assert_true(io_addr_eq(&mine, addr));
}

static void accepted_sockets_are_set_up_for_the_loop(void **state) {
    struct io_addr addr;
    int client, server, on = 0;
    socklen_t len = sizeof on;
    (void)state;
    int fd = listener("127.0.0.1:0", &addr);
    assert_err(io_accept(fd, &server, NULL), SK_ERR_AGAIN);
    connect_to(fd, &addr, &client, &server);
    int ends[] = {client, server, fd};
    for (int i = 0; i < 3; i++) {
        assert_true(fcntl(ends[i], F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(ends[i], F_GETFD) & FD_CLOEXEC);
    }
    for (int i = 0; i < 2; i++) {
        getsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, &len);
        assert_true(on);
    }
    for (int i = 0; i < 3; i++) close(ends[i]);
}

static void a_wildcard_listener_takes_both_families(void **state) {
    struct io_addr addr;
    int client, server;
    char text[IO_ADDR_TEXT_BYTES];
    (void)state;
    int fd = listener(":0", &addr);
    struct io_addr v4 = parsed("127.0.0.1:0"), peer;
    v4.v4.sin_port = htons(io_addr_port(&addr));
    connect_to(fd, &v4, &client, &server);
    assert_ok(io_socket_peer_addr(server, &peer));
    io_addr_format_ip(&peer, text);
    assert_string_equal(text, "127.0.0.1");
    close(client), close(server), close(fd);
}

static void a_taken_address_exists_unless_shared_on_purpose(void **state) {
    struct io_addr addr;
    int other;
    struct io_listen_options shared = {.reuse_port = true};
    (void)state;
    int fd = listener("127.0.0.1:0", &addr);
    assert_err(io_listen(&addr, &plain, &other), SK_ERR_EXISTS);
    close(fd);
    assert_ok(io_listen(&addr, &shared, &fd));
    assert_ok(io_listen(&addr, &shared, &other));
    close(fd), close(other);
    struct io_addr elsewhere = parsed("192.0.2.1:0");
    assert_err(io_listen(&elsewhere, &plain, &fd), SK_ERR_INVALID);
}

static void a_stale_unix_socket_is_replaced_and_a_live_one_is_not(void **state) {
    char dir[] = "/tmp/skerry-test-XXXXXX", path[64], text[80];
    struct stat st;
    int fd, other, client, server;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    snprintf(text, sizeof text, "unix:%s", path);
    struct io_addr addr = parsed(text);
    assert_ok(io_listen(&addr, &plain, &fd));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_err(io_listen(&addr, &plain, &other), SK_ERR_EXISTS);
    assert_ok(io_connect_start(&addr, &client));
    assert_ok(io_accept(fd, &server, NULL));
    close(client), close(server), close(fd);
    struct io_listen_options open = {.unix_mode = 0666};
    assert_ok(io_listen(&addr, &open, &fd));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    close(fd);
    unlink(path);
    close(creat(path, 0600));
    assert_err(io_listen(&addr, &plain, &fd), SK_ERR_EXISTS);
    assert_int_equal(stat(path, &st), 0);
    unlink(path), rmdir(dir);
}

static void reads_and_writes_tell_what_happened(void **state) {
    struct io_addr addr;
    int client, server;
    char data[64];
    size_t n;
    (void)state;
    int fd = listener("127.0.0.1:0", &addr);
    connect_to(fd, &addr, &client, &server);
    assert_err(io_recv(server, data, sizeof data, &n), SK_ERR_AGAIN);
    struct iovec iov[] = {{(void *)"hel", 3}, {(void *)"lo", 2}};
    assert_ok(io_sendv(client, iov, 2, true, &n));
    assert_int_equal(n, 5);
    assert_ok(io_sendv(client, iov, 1, false, &n));
    assert_int_equal(n, 3);
    await(server, POLLIN);
    usleep(1000);
    assert_ok(io_recv(server, data, sizeof data, &n));
    assert_str(sk_str_make(data, n), SK_STR("hellohel"));
    shutdown(client, SHUT_WR);
    await(server, POLLIN);
    assert_err(io_recv(server, data, sizeof data, &n), SK_ERR_END);
    close(client), close(server);
    /* What a reset does is told once; after it the socket is closed. No SIGPIPE. */
    connect_to(fd, &addr, &client, &server);
    io_socket_abort(client);
    usleep(1000);
    assert_err(io_recv(server, data, sizeof data, &n), SK_ERR_RESET);
    assert_err(io_sendv(server, iov, 2, false, &n), SK_ERR_CLOSED);
    close(server), close(fd);
}

static void a_full_socket_takes_a_part_and_then_nothing(void **state) {
    struct io_addr addr;
    int client, server;
    static char big[8 << 20];
    size_t n = 0, total = 0;
    sk_err err;
    (void)state;
    int fd = listener("127.0.0.1:0", &addr);
    connect_to(fd, &addr, &client, &server);
    struct iovec iov = {big, sizeof big};
    while ((err = io_sendv(client, &iov, 1, false, &n)) == SK_OK)
        total += n, assert_true(total < (64u << 20));
    assert_int_equal(err, SK_ERR_AGAIN);
    assert_true(io_socket_unsent(client) > 0);
    close(client), close(server), close(fd);
}

static void sendfile_sends_a_part_of_a_file(void **state) {
    char path[] = "/tmp/skerry-test-XXXXXX", data[64];
    struct io_addr addr;
    int client, server, pipe_fds[2];
    size_t n;
    (void)state;
    int file = mkstemp(path);
    unlink(path);
    assert_int_equal(write(file, "0123456789", 10), 10);
    int fd = listener("127.0.0.1:0", &addr);
    connect_to(fd, &addr, &client, &server);
    assert_ok(io_sendfile(client, file, 3, 4, &n));
    assert_int_equal(n, 4);
    await(server, POLLIN);
    assert_ok(io_recv(server, data, sizeof data, &n));
    assert_str(sk_str_make(data, n), SK_STR("3456"));
    assert_err(io_sendfile(client, file, 10, 4, &n), SK_ERR_END);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_err(io_sendfile(client, pipe_fds[0], 0, 4, &n), SK_ERR_UNSUPPORTED);
    close(pipe_fds[0]), close(pipe_fds[1]), close(file), close(client), close(server), close(fd);
}

static void on_alarm(int signal) { (void)signal; }

/* Alarms every MICROSECONDS; 0 ends them. */
static void alarm_every(suseconds_t microseconds) {
    const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    const struct itimerval every = {{0, microseconds}, {0, microseconds}};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
}

/* What the system wants of a thread stops sendfile between two pages. Who takes that for a full socket waits for
 * room that is there already, and for an edge that never comes. */
static void sendfile_stops_short_only_at_a_full_socket(void **state) {
    enum { FILE_BYTES = 1 << 20 };
    static char drained[1 << 20];
    struct iovec one = {drained, 1};
    int pair[2];
    size_t n, more;
    (void)state;
    int file = memfd_create("file", MFD_CLOEXEC);
    assert_int_equal(ftruncate(file, FILE_BYTES), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    alarm_every(40);
    for (int round = 0; round < 3000; round++) {
        assert_ok(io_sendfile(pair[0], file, 0, FILE_BYTES, &n));
        if (n < FILE_BYTES) assert_err(io_sendv(pair[0], &one, 1, false, &more), SK_ERR_AGAIN);
        while (io_recv(pair[1], drained, sizeof drained, &n) == SK_OK);
    }
    alarm_every(0);
    close(file), close(pair[0]), close(pair[1]);
}

static void a_refused_connect_tells_so(void **state) {
    struct io_addr addr;
    int client;
    (void)state;
    close(listener("127.0.0.1:0", &addr));
    sk_err err = io_connect_start(&addr, &client);
    if (!err) {
        await(client, POLLOUT);
        err = io_socket_error(client);
        close(client);
    }
    assert_int_equal(err, SK_ERR_REFUSED);
    struct io_addr nowhere = parsed("unix:/nonexistent/socket");
    assert_err(io_connect_start(&nowhere, &client), SK_ERR_NOT_FOUND);
}

/* --- lingering close ---------------------------------------------------------------------------------- */

static struct io_loop *loop;
static void stop_on_timer(struct io_timer *timer) { io_loop_stop(loop), (void)timer; }
static void run_for(int64_t ms) {
    struct io_timer timer = {0};
    io_timer_start(loop, &timer, sk_time_now() + ms * MS, stop_on_timer);
    io_loop_run(loop);
}

static size_t open_descriptors(void) {
    size_t n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* The last answer must reach a peer that is still sending, which a plain close would answer with RST. */
static void a_lingering_close_lets_the_last_answer_through(void **state) {
    struct io_addr addr;
    int client, server;
    static char big[1 << 20];
    char answer[64];
    size_t n;
    (void)state;
    size_t before = open_descriptors();
    assert_ok(io_loop_create("test", &loop));
    int fd = listener("127.0.0.1:0", &addr);
    connect_to(fd, &addr, &client, &server);
    struct iovec upload = {big, sizeof big}, last = {(void *)"400", 3};
    while (io_sendv(client, &upload, 1, false, &n) == SK_OK) continue;
    assert_ok(io_sendv(server, &last, 1, false, &n));
    io_socket_close_lingering(loop, server, 1000);
    run_for(20);
    while (io_sendv(client, &upload, 1, false, &n) == SK_OK) continue;
    run_for(20);
    assert_ok(io_recv(client, answer, sizeof answer, &n));
    assert_str(sk_str_make(answer, n), SK_STR("400"));
    assert_err(io_recv(client, answer, sizeof answer, &n), SK_ERR_END);
    close(client);
    run_for(20);
    close(fd);
    io_loop_destroy(loop);
    assert_int_equal(open_descriptors(), before);
}

static int waiting_bytes(int fd) {
    int bytes = -1;
    assert_int_equal(ioctl(fd, FIONREAD, &bytes), 0);
    return bytes;
}

/* Whoever has megabytes under way does not keep the others of the loop waiting until they are thrown away. */
static void a_lingering_close_takes_turns(void **state) {
    struct io_addr addr;
    int client, server;
    static char big[1 << 20];
    size_t n;
    (void)state;
    assert_ok(io_loop_create("test", &loop));
    int fd = listener("127.0.0.1:0", &addr);
    connect_to(fd, &addr, &client, &server);
    struct iovec upload = {big, sizeof big};
    while (io_sendv(client, &upload, 1, false, &n) == SK_OK) continue;
    int same = dup(server);
    io_socket_close_lingering(loop, server, 1000);
    assert_true(waiting_bytes(same) > 0);
    run_for(50);
    assert_int_equal(waiting_bytes(same), 0);
    io_loop_destroy(loop);
    close(same), close(client), close(fd);
}

static void a_lingering_close_ends_with_its_time_and_with_the_loop(void **state) {
    struct io_addr addr;
    int clients[3], servers[3];
    (void)state;
    size_t before = open_descriptors();
    assert_ok(io_loop_create("test", &loop));
    int fd = listener("127.0.0.1:0", &addr);
    for (int i = 0; i < 3; i++) connect_to(fd, &addr, &clients[i], &servers[i]);
    size_t connected = open_descriptors();
    io_socket_close_lingering(loop, servers[0], 20);
    io_socket_close_lingering(loop, servers[1], 100000);
    close(clients[2]);
    usleep(1000);
    io_socket_close_lingering(loop, servers[2], 100000); /* its peer has gone: closed at once */
    assert_int_equal(open_descriptors(), connected - 2);
    run_for(50);
    assert_int_equal(open_descriptors(), connected - 3);
    io_loop_destroy(loop);
    close(clients[0]), close(clients[1]), close(fd);
    assert_int_equal(open_descriptors(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_sockets_are_set_up_for_the_loop),
        cmocka_unit_test(a_wildcard_listener_takes_both_families),
        cmocka_unit_test(a_taken_address_exists_unless_shared_on_purpose),
        cmocka_unit_test(a_stale_unix_socket_is_replaced_and_a_live_one_is_not),
        cmocka_unit_test(reads_and_writes_tell_what_happened),
        cmocka_unit_test(a_full_socket_takes_a_part_and_then_nothing),
        cmocka_unit_test(sendfile_sends_a_part_of_a_file),
        cmocka_unit_test(sendfile_stops_short_only_at_a_full_socket),
        cmocka_unit_test(a_refused_connect_tells_so),
        cmocka_unit_test(a_lingering_close_lets_the_last_answer_through),
        cmocka_unit_test(a_lingering_close_takes_turns),
        cmocka_unit_test(a_lingering_close_ends_with_its_time_and_with_the_loop),
    };
    return SK_RUN_TESTS(tests);
}
