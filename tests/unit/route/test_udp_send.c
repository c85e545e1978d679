#include "route/udp_send.h"

#include <netinet/in.h>
#include <unistd.h>

#include "dns_unit.h"
#include "io/socket.h"

struct client {
    int fd;
    struct io_addr addr;
};

static void open_any(const char *text, int *out_fd, struct io_addr *out_addr) {
    struct io_addr addr = addr_of(text);
    struct io_listen_options options = {0};
    assert_ok(io_bind_datagram(&addr, &options, out_fd));
    assert_ok(io_socket_local_addr(*out_fd, out_addr));
}

/* COUNT answers of LENGTHS in turn to the clients in turn; each gets its own, whole and in order. */
static void send_and_check(const char *text, struct udp_sender *sender, int clients, int count,
                           const size_t *lengths, int length_count) {
    struct client list[4];
    struct msghdr queries[UDP_BATCH] = {0};
    uint8_t data[UDP_BATCH][1232], got[2000];
    for (int i = 0; i < clients; i++) open_any(text, &list[i].fd, &list[i].addr);
    for (int i = 0; i < count; i++) {
        memset(data[i], i, sizeof data[i]);
        queries[i].msg_name = &list[i % clients].addr.any;
        queries[i].msg_namelen = list[i % clients].addr.len;
        udp_sender_add(sender, &queries[i], data[i], lengths[i % length_count]);
    }
    udp_sender_flush(sender);
    for (int c = 0; c < clients; c++) {
        uint8_t seen[UDP_BATCH] = {0};
        for (int n = c; n < count; n += clients) {
            ssize_t bytes = recv(list[c].fd, got, sizeof got, MSG_DONTWAIT);
            assert_true(bytes > 0);
            int i = got[0];
            assert_true(i < count && i % clients == c && !seen[i]++);
            assert_int_equal(bytes, lengths[i % length_count]);
            assert_memory_equal(got, data[i], (size_t)bytes);
        }
        assert_int_equal(recv(list[c].fd, got, sizeof got, MSG_DONTWAIT), -1);
        close(list[c].fd);
    }
}

static void everybody_gets_what_is_theirs(void **state) {
    static const size_t equal[] = {100}, mixed[] = {100, 100, 40, 1232, 40}, large[] = {1232};
    static const char *const texts[] = {"127.0.0.1:0", "[::1]:0"};
    for (size_t t = 0; t < SK_COUNT(texts); t++) {
        struct udp_sender *sender = malloc(sizeof *sender);
        struct io_addr addr;
        int fd;
        open_any(texts[t], &fd, &addr);
        udp_sender_init(sender, fd, NULL);
        for (int trains = 0; trains < 2; trains++) { /* with trains, and where there are none */
            sender->no_trains = trains == 1;
            send_and_check(texts[t], sender, 1, UDP_BATCH, equal, 1);
            send_and_check(texts[t], sender, 4, UDP_BATCH, equal, 1);
            send_and_check(texts[t], sender, 3, UDP_BATCH, mixed, 5);
            send_and_check(texts[t], sender, 1, UDP_BATCH, large,
                           1); /* more than a datagram of IP may hold */
            send_and_check(texts[t], sender, 2, 1, equal, 1);
        }
        close(fd);
        free(sender);
    }
}

static void answers_of_a_client_and_length_are_one_train(void **state) {
    struct udp_sender *sender = malloc(sizeof *sender);
    struct io_addr addr, a, b;
    struct msghdr from_a = {0}, from_b = {0};
    static const uint8_t data[100];
    int fd;
    open_any("127.0.0.1:0", &fd, &addr);
    udp_sender_init(sender, fd, NULL);
    a = addr_of("192.0.2.1:53"), b = addr_of("192.0.2.1:54");
    from_a = (struct msghdr){.msg_name = &a.any, .msg_namelen = a.len};
    from_b = (struct msghdr){.msg_name = &b.any, .msg_namelen = b.len};
    for (int i = 0; i < 4; i++) {
        udp_sender_add(sender, &from_a, data, 50);
        udp_sender_add(sender, &from_b, data, 50);
        udp_sender_add(sender, &from_a, data, 60);
    }
    assert_int_equal(sender->train_count, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(sender->trains[i].count, 4);
    close(fd);
    free(sender);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_gets_what_is_theirs),
        cmocka_unit_test(answers_of_a_client_and_length_are_one_train),
    };
    return SK_RUN_TESTS(tests);
}
