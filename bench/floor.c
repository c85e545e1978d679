/* The floor: what the kernel alone costs. One thread, edge-triggered epoll, one receive and one send a
 * request, no parsing beyond the path's first letters, responses made before the start. No server that speaks
 * HTTP over these system calls can cost less; benchmarks give every server's cost as a multiple of it.
 *
 *   floor PORT      serves /1k /16k /100k /1m and anything else as /1k
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZES = 4, EVENTS = 256, MAX_FD = 65536 };

struct response {
    const char *name;
    size_t body_bytes, total;
    char *data;
};
static struct response responses[SIZES] = {
    {"1k", 1024, 0, NULL}, {"16k", 16384, 0, NULL}, {"100k", 102400, 0, NULL}, {"1m", 1048576, 0, NULL}};
/* What is left to send on each descriptor after a partial write. */
static struct {
    const char *data;
    size_t left;
} pending[MAX_FD];

static void make_responses(void) {
    for (int i = 0; i < SIZES; i++) {
        struct response *r = &responses[i];
        r->data = malloc(r->body_bytes + 256);
        if (!r->data) exit(1);
        int head = snprintf(r->data, 256,
                            "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nCache-Control: max-age=3600\r\n"
                            "Content-Type: application/octet-stream\r\n\r\n",
                            r->body_bytes);
        memset(r->data + head, 'x', r->body_bytes);
        r->total = (size_t)head + r->body_bytes;
    }
}

static const struct response *choose(const char *request) {
    for (int i = SIZES - 1; i > 0; i--) {
        size_t len = strlen(responses[i].name);
        if (strncmp(request + 5, responses[i].name, len) == 0) return &responses[i];
    }
    return &responses[0];
}

static void flush_pending(int fd) {
    while (pending[fd].left) {
        ssize_t n = send(fd, pending[fd].data, pending[fd].left, MSG_NOSIGNAL);
        if (n <= 0) return;
        pending[fd].data += n;
        pending[fd].left -= (size_t)n;
    }
}

static void serve(int fd) {
    char request[4096];
    ssize_t n = recv(fd, request, sizeof(request) - 1, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        close(fd);
        return;
    }
    if (n < 6) return;
    request[n] = 0;
    const struct response *r = choose(request);
    pending[fd].data = r->data;
    pending[fd].left = r->total;
    flush_pending(fd);
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) {
        perror("floor: listen");
        exit(1);
    }
    return fd;
}

static void accept_all(int epoll_fd, int listen_fd) {
    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) return;
        if (fd >= MAX_FD) {
            close(fd);
            continue;
        }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        pending[fd].left = 0;
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: floor PORT\n");
        return 2;
    }
    make_responses();
    int listen_fd = listen_on(atoi(argv[1])), epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listen_fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listen_fd)
                accept_all(epoll_fd, listen_fd);
            else {
                if (pending[fd].left) flush_pending(fd);
                if (!pending[fd].left && (events[i].events & EPOLLIN)) serve(fd);
            }
        }
    }
}
