#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/random.h"
#include "fibers.h"
#include "io/stream.h"

static void open_pair(struct io_stream *out[2]) {
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < 2; i++) assert_ok(io_stream_adopt(loop, fds[i], &out[i]));
}

static struct io_addr parsed(const char *text) {
    struct io_addr addr;
    assert_ok(io_addr_parse(sk_str_from_c(text), &addr));
    return addr;
}

static int listener(const char *text, int backlog, struct io_addr *out_addr) {
    struct io_addr addr = parsed(text);
    struct io_listen_options options = {.backlog = backlog};
    int fd;
    assert_ok(io_listen(&addr, &options, &fd));
    assert_ok(io_socket_local_addr(fd, out_addr));
    return fd;
}

/* A TCP connection over loopback, both ends as streams. */
static void open_tcp(struct io_stream *out[2]) {
    struct io_addr addr;
    int fd = listener("127.0.0.1:0", 0, &addr), server;
    assert_ok(io_stream_connect(loop, &addr, in_ms(1000), &out[0]));
    assert_ok(io_accept(fd, &server, NULL));
    assert_ok(io_stream_adopt(loop, server, &out[1]));
    close(fd);
}

static void (*const openers[])(struct io_stream *out[2]) = {open_pair, open_tcp};

/* --- bytes -------------------------------------------------------------------------------------------- */

#define BULK ((size_t)5 << 20)
static char bulk_out[BULK], bulk_in[BULK];
static int helpers;

static void write_bulk(void *arg) {
    struct io_stream *stream = arg;
    struct iovec iov[3] = {{bulk_out, 1000}, {NULL, 0}, {bulk_out + 1000, BULK - 1000}};
    assert_ok(io_stream_writev(stream, iov, 3, in_ms(20000)));
    io_stream_shutdown_write(stream);
    helpers--;
}

static void tell_bulk(void) {
    sk_random_secret(bulk_out, sizeof bulk_out);
    for (size_t k = 0; k < SK_COUNT(openers); k++) {
        struct io_stream *ends[2];
        size_t got = 0, n;
        sk_err err;
        openers[k](ends);
        helpers = 1;
        assert_ok(io_fiber_spawn(loop, "writer", write_bulk, ends[0], NULL));
        assert_int_equal(helpers, 1); /* it did not fit: the rest is written as it is read */
        while ((err = io_stream_read(ends[1], bulk_in + got, SK_MIN(BULK - got + 1, (size_t)7777),
                                     in_ms(20000), &n)) == SK_OK)
            got += n;
        assert_int_equal(err, SK_ERR_END);
        assert_int_equal(got, BULK);
        assert_memory_equal(bulk_in, bulk_out, BULK);
        while (helpers) io_fiber_yield();
        assert_err(io_stream_read(ends[1], bulk_in, 1, in_ms(100), &n), SK_ERR_END);
        io_stream_close(ends[0]), io_stream_close(ends[1]);
    }
}

static void bytes_arrive_whole_through_partial_writes(void **state) { (void)state, run_story(tell_bulk); }

static void tell_timeouts(void) {
    for (size_t k = 0; k < SK_COUNT(openers); k++) {
        struct io_stream *ends[2];
        size_t n;
        openers[k](ends);
        sk_time_ns start = sk_time_now();
        assert_err(io_stream_read(ends[0], bulk_in, 10, in_ms(20), &n), SK_ERR_TIMEOUT);
        assert_in_range(sk_time_now() - start, 19 * MS, 2000 * MS);
        assert_err(io_stream_try_read(ends[0], bulk_in, 10, &n), SK_ERR_AGAIN);
        struct iovec big[] = {{bulk_out, BULK}, {bulk_out, BULK}, {bulk_out, BULK}};
        assert_err(io_stream_writev(ends[0], big, 3, in_ms(20)), SK_ERR_TIMEOUT);
        n = 1;
        assert_ok(io_stream_try_write(ends[0], bulk_out, 10, &n));
        assert_int_equal(n, 0);
        io_stream_close(ends[0]), io_stream_close(ends[1]);
    }
}

static void waiting_ends_at_the_deadline(void **state) { (void)state, run_story(tell_timeouts); }

static void tell_reset(void) {
    struct io_stream *ends[2];
    size_t n;
    char byte;
    open_tcp(ends);
    int fd = dup(io_stream_fd(ends[1]));
    io_stream_close(ends[1]);
    io_socket_abort(fd);
    assert_err(io_stream_read(ends[0], &byte, 1, in_ms(1000), &n), SK_ERR_RESET);
    assert_err(io_stream_write(ends[0], "x", 1, in_ms(1000)), SK_ERR_CLOSED);
    io_stream_close(ends[0]);
}

static void a_reset_is_told(void **state) { (void)state, run_story(tell_reset); }

static void abort_later(void *arg) {
    rest(10);
    int fd = dup(io_stream_fd(arg));
    io_stream_close(arg);
    io_socket_abort(fd);
    helpers--;
}

static void tell_reset_while_writing(void) {
    struct io_stream *ends[2];
    open_tcp(ends);
    helpers = 1;
    assert_ok(io_fiber_spawn(loop, "aborter", abort_later, ends[1], NULL));
    struct iovec big[] = {{bulk_out, BULK}, {bulk_out, BULK}};
    sk_err err = io_stream_writev(ends[0], big, 2, in_ms(5000));
    assert_true(err == SK_ERR_RESET || err == SK_ERR_CLOSED);
    while (helpers) io_fiber_yield();
    io_stream_close(ends[0]);
}

static void a_reset_ends_a_parked_write(void **state) { (void)state, run_story(tell_reset_while_writing); }

/* The peer closes its direction but goes on reading: that is no reason to spin, or to stop writing. */
static void read_late(void *arg) {
    struct io_stream *stream = arg;
    size_t n, total = 0;
    io_stream_shutdown_write(stream);
    rest(30);
    while (total < BULK && io_stream_read(stream, bulk_in, sizeof bulk_in, in_ms(5000), &n) == SK_OK)
        total += n;
    assert_int_equal(total, BULK);
    helpers--;
}

static void tell_half_close(void) {
    for (size_t k = 0; k < SK_COUNT(openers); k++) {
        struct io_stream *ends[2];
        size_t n;
        openers[k](ends);
        helpers = 1;
        assert_ok(io_fiber_spawn(loop, "reader", read_late, ends[1], NULL));
        assert_err(io_stream_read(ends[0], bulk_in, 1, in_ms(1000), &n), SK_ERR_END);
        assert_ok(io_stream_write(ends[0], bulk_out, BULK, in_ms(5000)));
        while (helpers) io_fiber_yield();
        io_stream_close(ends[0]), io_stream_close(ends[1]);
    }
}

static void a_half_closed_peer_is_still_written_to(void **state) { (void)state, run_story(tell_half_close); }

/* --- waiting ------------------------------------------------------------------------------------------ */

static sk_err reader_err;
static void read_one(void *arg) {
    char byte;
    size_t n;
    reader_err = io_stream_read(arg, &byte, 1, SK_TIME_NEVER, &n);
    helpers--;
}

static void tell_close_under_reader(void) {
    struct io_stream *ends[2];
    open_pair(ends);
    helpers = 1;
    assert_ok(io_fiber_spawn(loop, "reader", read_one, ends[0], NULL));
    io_stream_close(ends[0]);
    while (helpers) io_fiber_yield();
    assert_int_equal(reader_err, SK_ERR_CANCELLED);
    io_stream_close(ends[1]);
    io_stream_close(NULL);
}

static void closing_a_stream_wakes_who_waits_on_it(void **state) {
    (void)state, run_story(tell_close_under_reader);
}

static void tell_cancel(void) {
    struct io_stream *ends[2];
    struct io_fiber *reader;
    open_pair(ends);
    helpers = 1;
    assert_ok(io_fiber_spawn(loop, "reader", read_one, ends[0], &reader));
    io_fiber_cancel(reader);
    while (helpers) io_fiber_yield();
    assert_int_equal(reader_err, SK_ERR_CANCELLED);
    /* The stream itself is as good as before. */
    assert_ok(io_stream_write(ends[1], "x", 1, in_ms(100)));
    helpers = 1;
    assert_ok(io_fiber_spawn(loop, "reader", read_one, ends[0], NULL));
    while (helpers) io_fiber_yield();
    assert_int_equal(reader_err, SK_OK);
    io_stream_close(ends[0]), io_stream_close(ends[1]);
}

static void a_cancelled_reader_leaves_the_stream_whole(void **state) { (void)state, run_story(tell_cancel); }

static void tell_wait(void) {
    struct io_stream *ends[2];
    char data[16];
    size_t n;
    open_pair(ends);
    assert_ok(io_stream_wait(ends[0], false, true, in_ms(100)));
    assert_err(io_stream_wait(ends[0], true, false, in_ms(10)), SK_ERR_TIMEOUT);
    assert_ok(io_stream_wait(ends[0], true, true, in_ms(10)));
    assert_ok(io_stream_write(ends[1], "abc", 3, in_ms(100)));
    assert_ok(io_stream_wait(ends[0], true, false, in_ms(100)));
    assert_ok(io_stream_wait(ends[0], true, false, in_ms(100))); /* it is still there */
    assert_ok(io_stream_read(ends[0], data, sizeof data, in_ms(100), &n));
    assert_err(io_stream_wait(ends[0], true, false, in_ms(10)), SK_ERR_TIMEOUT);
    io_stream_close(ends[1]);
    assert_ok(io_stream_wait(ends[0], true, false, in_ms(100)));
    assert_err(io_stream_try_read(ends[0], data, sizeof data, &n), SK_ERR_END);
    io_stream_close(ends[0]);
}

static void wait_tells_what_can_be_done_now(void **state) { (void)state, run_story(tell_wait); }

static void tell_wait_behind_our_back(void) {
    struct io_stream *ends[2];
    char data[16];
    open_pair(ends);
    assert_ok(io_stream_write(ends[1], "abc", 3, in_ms(100)));
    assert_ok(io_stream_wait(ends[0], true, false, in_ms(100)));
    /* Somebody reads the descriptor himself, as a TLS library does. */
    assert_int_equal(read(io_stream_fd(ends[0]), data, sizeof data), 3);
    assert_err(io_stream_wait(ends[0], true, false, in_ms(10)), SK_ERR_TIMEOUT);
    assert_ok(io_stream_write(ends[1], "d", 1, in_ms(100)));
    assert_ok(io_stream_wait(ends[0], true, false, in_ms(100)));
    io_stream_close(ends[0]), io_stream_close(ends[1]);
}

static void wait_is_right_also_when_others_use_the_socket(void **state) {
    (void)state, run_story(tell_wait_behind_our_back);
}

static int idle_events;
static void on_idle(void *arg) { idle_events++, io_stream_close(arg); }

static void tell_idle(void) {
    for (int sends = 0; sends < 2; sends++) {
        struct io_stream *ends[2];
        idle_events = 0;
        open_tcp(ends);
        assert_false(io_stream_is_stale(ends[0]));
        io_stream_on_idle_event(ends[0], on_idle, ends[0]);
        rest(5);
        assert_int_equal(idle_events, 0);
        if (sends) assert_ok(io_stream_write(ends[1], "unasked", 7, in_ms(100)));
        if (!sends) io_stream_shutdown_write(ends[1]);
        rest(20);
        assert_int_equal(idle_events, 1);
        io_stream_close(ends[1]);
        open_tcp(ends);
        if (sends) assert_ok(io_stream_write(ends[1], "unasked", 7, in_ms(100)));
        io_stream_close(ends[1]);
        rest(5);
        assert_true(io_stream_is_stale(ends[0]));
        io_stream_close(ends[0]);
    }
}

static void an_idle_stream_tells_when_it_goes_stale(void **state) { (void)state, run_story(tell_idle); }

/* More than one burst is there to be read at once; another fiber must get its turn in between. */
static int turns;
static void count_turns(void *arg) {
    (void)arg;
    while (helpers) turns++, io_fiber_yield();
}

static void tell_fairness(void) {
    struct io_stream *ends[2];
    size_t n, total = 0, got = 0;
    open_tcp(ends);
    do {
        assert_ok(io_stream_try_write(ends[0], bulk_out, BULK, &n));
        total += n;
        rest(2);
    } while (n > 0 && total < 3 * BULK);
    assert_true(total > ((size_t)1 << 20));
    helpers = 1;
    turns = 0;
    assert_ok(io_fiber_spawn(loop, "other", count_turns, NULL, NULL));
    for (; got < total; got += n) assert_ok(io_stream_read(ends[1], bulk_in, 16384, in_ms(1000), &n));
    assert_true(turns >= (int)(total >> 20));
    helpers = 0;
    io_stream_close(ends[0]), io_stream_close(ends[1]);
}

static void a_busy_stream_leaves_others_their_turn(void **state) { (void)state, run_story(tell_fairness); }

/* --- connecting --------------------------------------------------------------------------------------- */

/* A listener that never answers: its backlog is full, so the kernel drops further attempts. */
#define STUFFING 8
struct deaf {
    int fd, stuffing[STUFFING];
    struct io_addr addr;
};

static void open_deaf(struct deaf *deaf) {
    deaf->fd = listener("127.0.0.1:0", 1, &deaf->addr);
    for (int i = 0; i < STUFFING; i++) assert_ok(io_connect_start(&deaf->addr, &deaf->stuffing[i]));
    rest(5);
}

static void close_deaf(struct deaf *deaf) {
    for (int i = 0; i < STUFFING; i++) close(deaf->stuffing[i]);
    close(deaf->fd);
}

static struct io_addr refused_addr(void) {
    struct io_addr addr;
    close(listener("127.0.0.1:0", 0, &addr));
    return addr;
}

static size_t open_descriptors(void) {
    size_t n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void tell_connect_errors(void) {
    struct io_stream *stream;
    struct deaf deaf;
    size_t before = open_descriptors();
    struct io_addr refused = refused_addr();
    assert_err(io_stream_connect(loop, &refused, in_ms(1000), &stream), SK_ERR_REFUSED);
    struct io_addr nobody = parsed("unix:/nonexistent/socket");
    assert_err(io_stream_connect(loop, &nobody, in_ms(1000), &stream), SK_ERR_NOT_FOUND);
    assert_err(io_stream_connect_any(loop, &refused, 0, in_ms(1000), &stream, NULL), SK_ERR_INVALID);
    open_deaf(&deaf);
    sk_time_ns start = sk_time_now();
    assert_err(io_stream_connect(loop, &deaf.addr, in_ms(50), &stream), SK_ERR_TIMEOUT);
    assert_in_range(sk_time_now() - start, 49 * MS, 2000 * MS);
    close_deaf(&deaf);
    assert_int_equal(open_descriptors(), before);
}

static void connecting_fails_by_name(void **state) { (void)state, run_story(tell_connect_errors); }

static void tell_happy_eyeballs(void) {
    struct deaf deaf;
    struct io_addr good, good6, refused = refused_addr();
    struct io_stream *stream;
    size_t index;
    int fd = listener("127.0.0.1:0", 0, &good), fd6 = listener("[::1]:0", 0, &good6);
    open_deaf(&deaf);
    size_t before = open_descriptors();
    const struct {
        struct io_addr addrs[3];
        size_t count, winner;
        int64_t at_least_ms, at_most_ms;
    } cases[] = {
        {{good, deaf.addr}, 2, 0, 0, 200},    /* the first is fine: nobody else is asked */
        {{refused, good}, 2, 1, 0, 200},      /* RFC 8305 section 5: a failure starts the next at once */
        {{deaf.addr, good}, 2, 1, 240, 1000}, /* silence starts it after the attempt delay */
        {{deaf.addr, deaf.addr, good6}, 3, 2, 240, 490}, /* section 4: the other family comes second */
        {{deaf.addr, refused, good}, 3, 2, 240, 490},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        int64_t took_ms = INT64_MAX;
        /* The quickest of several: a machine that stands still now and then is no fault of ours. */
        for (int turn = 0; turn < 8 && took_ms > cases[i].at_most_ms; turn++) {
            sk_time_ns start = sk_time_now();
            assert_ok(
                io_stream_connect_any(loop, cases[i].addrs, cases[i].count, in_ms(5000), &stream, &index));
            took_ms = (sk_time_now() - start) / MS;
            assert_int_equal(index, cases[i].winner);
            assert_int_equal(open_descriptors(), before + 1);
            io_stream_close(stream);
        }
        assert_in_range(took_ms, cases[i].at_least_ms, cases[i].at_most_ms);
    }
    assert_err(
        io_stream_connect_any(loop, (struct io_addr[]){refused, refused}, 2, in_ms(1000), &stream, &index),
        SK_ERR_REFUSED);
    assert_int_equal(open_descriptors(), before);
    close_deaf(&deaf);
    close(fd), close(fd6);
}

static void happy_eyeballs_finds_the_address_that_answers(void **state) {
    (void)state, run_story(tell_happy_eyeballs);
}

static sk_err connect_err;
static void connect_to(void *arg) {
    struct io_stream *stream;
    connect_err = io_stream_connect(loop, arg, SK_TIME_NEVER, &stream);
    helpers--;
}

static void tell_cancelled_connect(void) {
    struct deaf deaf;
    struct io_fiber *fiber;
    open_deaf(&deaf);
    size_t before = open_descriptors();
    helpers = 1;
    assert_ok(io_fiber_spawn(loop, "connect", connect_to, &deaf.addr, &fiber));
    io_fiber_cancel(fiber);
    while (helpers) io_fiber_yield();
    assert_int_equal(connect_err, SK_ERR_CANCELLED);
    assert_int_equal(open_descriptors(), before);
    close_deaf(&deaf);
}

static void a_cancelled_connect_leaves_nothing_behind(void **state) {
    (void)state, run_story(tell_cancelled_connect);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_whole_through_partial_writes),
        cmocka_unit_test(waiting_ends_at_the_deadline),
        cmocka_unit_test(a_reset_is_told),
        cmocka_unit_test(a_reset_ends_a_parked_write),
        cmocka_unit_test(a_half_closed_peer_is_still_written_to),
        cmocka_unit_test(closing_a_stream_wakes_who_waits_on_it),
        cmocka_unit_test(a_cancelled_reader_leaves_the_stream_whole),
        cmocka_unit_test(wait_tells_what_can_be_done_now),
        cmocka_unit_test(wait_is_right_also_when_others_use_the_socket),
        cmocka_unit_test(an_idle_stream_tells_when_it_goes_stale),
        cmocka_unit_test(a_busy_stream_leaves_others_their_turn),
        cmocka_unit_test(connecting_fails_by_name),
        cmocka_unit_test(happy_eyeballs_finds_the_address_that_answers),
        cmocka_unit_test(a_cancelled_connect_leaves_nothing_behind),
    };
    return SK_RUN_TESTS(tests);
}
