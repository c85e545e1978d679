#include "io/datagram.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/socket.h"
#include "unit.h"

#define SEGMENT 1200
#define DATAGRAMS 5
#define LAST 300 /* bytes of the last one, which is shorter */
#define TRAIN ((DATAGRAMS - 1) * SEGMENT + LAST)

/* Stands before the kernel's: what a device or a path may refuse. */
static struct {
    int trains_error; /* of calls that send several datagrams */
    int error_at;     /* the call that fails with ERROR; -1: none */
    int error;
    int calls, trains;
} kernel;

static bool is_train(const struct msghdr *message) {
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control;
         control = CMSG_NXTHDR((struct msghdr *)(uintptr_t)message, control))
        if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_SEGMENT) return true;
    return false;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    bool train = is_train(message);
    int error = kernel.calls++ == kernel.error_at ? kernel.error : train ? kernel.trains_error : 0;
    kernel.trains += train;
    if (error) {
        errno = error;
        return -1;
    }
    return syscall(SYS_sendmsg, fd, message, flags);
}

struct pair {
    int from, to;
    struct io_addr from_addr, to_addr;
    struct io_datagrams *room;
    struct io_train train;
    char data[TRAIN];
};

static int opened(struct io_addr *out_addr) {
    int fd;
    assert_ok(io_addr_parse(SK_STR("127.0.0.1:0"), out_addr));
    assert_ok(io_datagram_open(out_addr, false, &fd));
    assert_ok(io_socket_local_addr(fd, out_addr));
    return fd;
}

static int set_up(void **state) {
    static struct pair pair;
    kernel.trains_error = kernel.calls = kernel.trains = 0;
    kernel.error_at = -1;
    pair.from = opened(&pair.from_addr);
    pair.to = opened(&pair.to_addr);
    assert_ok(io_datagrams_create(&pair.room));
    for (size_t i = 0; i < sizeof pair.data; i++) pair.data[i] = (char)(i * 7 + i / SEGMENT);
    pair.train = (struct io_train){.peer = pair.to_addr,
                                   .local = pair.from_addr,
                                   .data = pair.data,
                                   .bytes = TRAIN,
                                   .segment = SEGMENT,
                                   .ecn = 2};
    *state = &pair;
    return 0;
}

static int tear_down(void **state) {
    struct pair *pair = *state;
    close(pair->from);
    close(pair->to);
    io_datagrams_free(pair->room);
    return 0;
}

/* Datagrams that have come, and all of their bytes in their order. */
static size_t received(struct pair *pair, char *out, size_t *out_bytes) {
    const struct io_train *trains;
    size_t count, datagrams = 0;
    struct pollfd ready = {.fd = pair->to, .events = POLLIN};
    *out_bytes = 0;
    poll(&ready, 1, 100);
    while (io_datagrams_receive(pair->room, pair->to, &pair->to_addr, &trains, &count) == SK_OK)
        for (size_t i = 0; i < count; i++) {
            assert_true(io_addr_eq(&trains[i].peer, &pair->from_addr));
            assert_true(io_addr_eq(&trains[i].local, &pair->to_addr));
            assert_int_equal(trains[i].ecn, 2);
            assert_true(*out_bytes + trains[i].bytes <= TRAIN);
            memcpy(out + *out_bytes, trains[i].data, trains[i].bytes);
            *out_bytes += trains[i].bytes;
            datagrams += (trains[i].bytes + trains[i].segment - 1) / trains[i].segment;
        }
    return datagrams;
}

static void all_came(struct pair *pair) {
    char data[TRAIN];
    size_t bytes;
    assert_int_equal(received(pair, data, &bytes), DATAGRAMS);
    assert_int_equal(bytes, TRAIN);
    assert_memory_equal(data, pair->data, TRAIN);
}

static void a_train_goes_in_one_call(void **state) {
    struct pair *pair = *state;
    assert_ok(io_datagram_send(pair->from, &pair->train));
    assert_int_equal(kernel.calls, 1);
    assert_int_equal(kernel.trains, 1);
    all_came(pair);
}

/* udp(7), UDP_SEGMENT: EIO where the device makes no checksums, EINVAL over the device's limits. */
static void where_a_device_refuses_trains_datagrams_go_one_by_one(void **state) {
    struct pair *pair = *state;
    static const int errors[] = {EIO, EINVAL};
    for (size_t i = 0; i < SK_COUNT(errors); i++) {
        kernel.trains_error = errors[i];
        kernel.calls = kernel.trains = 0;
        assert_ok(io_datagram_send(pair->from, &pair->train));
        assert_int_equal(kernel.calls, 1 + DATAGRAMS);
        assert_int_equal(kernel.trains, 1);
        all_came(pair);
    }
}

/* The protocol above sends again what was lost; it must not think that nothing went. */
static void a_failure_amid_single_datagrams_loses_the_rest(void **state) {
    struct pair *pair = *state;
    char data[TRAIN];
    size_t bytes;
    kernel.trains_error = EIO;
    kernel.error_at = 3; /* the train, two datagrams, and then */
    kernel.error = EAGAIN;
    assert_err(io_datagram_send(pair->from, &pair->train), SK_ERR_IO);
    assert_int_equal(received(pair, data, &bytes), 2);
    assert_memory_equal(data, pair->data, bytes);
}

static void what_the_kernel_has_no_room_for_is_kept(void **state) {
    struct pair *pair = *state;
    static const int errors[] = {EAGAIN, ENOBUFS, EINTR};
    for (size_t i = 0; i < SK_COUNT(errors); i++) {
        kernel.error_at = kernel.calls = 0;
        kernel.error = errors[i];
        assert_err(io_datagram_send(pair->from, &pair->train), SK_ERR_AGAIN);
        assert_int_equal(kernel.calls, 1);
    }
}

/* RFC 9000 14.4: a probe of the path is lost, which is its answer. */
static void what_is_over_the_paths_size_is_told(void **state) {
    struct pair *pair = *state;
    struct io_train probe = pair->train;
    probe.bytes = probe.segment;
    kernel.error_at = 0;
    kernel.error = EMSGSIZE;
    assert_err(io_datagram_send(pair->from, &probe), SK_ERR_TOO_LARGE);
    assert_int_equal(kernel.calls, 1);
}

static void fewer_than_a_rooms_trains_means_that_no_more_wait(void **state) {
    struct pair *pair = *state;
    const struct io_train *trains;
    size_t count;
    kernel.trains_error = EIO; /* so that each is a train of its own when it comes */
    for (int i = 0; i < 2; i++) assert_ok(io_datagram_send(pair->from, &pair->train));
    assert_ok(io_datagrams_receive(pair->room, pair->to, &pair->to_addr, &trains, &count));
    assert_int_equal(count, IO_TRAINS);
    assert_ok(io_datagrams_receive(pair->room, pair->to, &pair->to_addr, &trains, &count));
    assert_int_equal(count, 2 * DATAGRAMS - IO_TRAINS);
    assert_err(io_datagrams_receive(pair->room, pair->to, &pair->to_addr, &trains, &count), SK_ERR_AGAIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_train_goes_in_one_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_a_device_refuses_trains_datagrams_go_one_by_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_failure_amid_single_datagrams_loses_the_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_kernel_has_no_room_for_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_over_the_paths_size_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fewer_than_a_rooms_trains_means_that_no_more_wait, set_up, tear_down),
    };
    return SK_RUN_TESTS(tests);
}
