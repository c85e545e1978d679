/* An origin in its plainest form: a thread a connection, one request after the other. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "content.h"

static uint64_t total;

/* Up to the empty line; false: the connection has ended. No body is expected. */
static bool read_head(int fd, char *head, size_t room) {
    for (size_t have = 0; have + 1 < room;) {
        ssize_t n = recv(fd, head + have, room - 1 - have, 0);
        if (n <= 0) return false;
        have += (size_t)n;
        head[have] = '\0';
        if (strstr(head, "\r\n\r\n")) return true;
    }
    return false;
}

/* "Range: bytes=A-B" or "bytes=A-"; false: none. */
static bool read_range(const char *head, uint64_t *out_first, uint64_t *out_end) {
    const char *line = strcasestr(head, "\r\nrange: bytes=");
    uint64_t first, last = total - 1;
    if (!line) return false;
    char *end;
    first = strtoull(line + strlen("\r\nrange: bytes="), &end, 10);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9') last = strtoull(end + 1, &end, 10);
    *out_first = first;
    *out_end = last < total ? last + 1 : total;
    return first < *out_end;
}

static bool send_head(int fd, bool part, uint64_t first, uint64_t end) {
    char range[96] = "", head[512];
    if (part)
        snprintf(range, sizeof range, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", first,
                 end - 1, total);
    int len = snprintf(head, sizeof head,
                       "HTTP/1.1 %s\r\nContent-Length: %" PRIu64 "\r\n%sETag: \"hundred\"\r\n"
                       "Cache-Control: max-age=3600\r\nAccept-Ranges: bytes\r\n\r\n",
                       part ? "206 Partial Content" : "200 OK", end - first, range);
    return content_send(fd, head, (size_t)len);
}

static bool answer(int fd, const char *head, unsigned char *step) {
    uint64_t first = 0, end = total;
    bool part = read_range(head, &first, &end);
    bool fine = send_head(fd, part, first, end);
    for (uint64_t at = first; fine && at < end; at += CONTENT_STEP_BYTES) {
        size_t bytes = end - at < CONTENT_STEP_BYTES ? (size_t)(end - at) : CONTENT_STEP_BYTES;
        content_make(at, step, bytes);
        fine = content_send(fd, step, bytes);
    }
    return fine;
}

static void *serve(void *arg) {
    int fd = (int)(intptr_t)arg;
    char head[8192];
    unsigned char *step = malloc(CONTENT_STEP_BYTES);
    while (step && read_head(fd, head, sizeof head) && answer(fd, head, step)) continue;
    free(step);
    close(fd);
    return NULL;
}

int origin_serve(uint16_t port, uint64_t bytes) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    const struct sockaddr_in here = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    total = bytes;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
    if (bind(listener, (const struct sockaddr *)&here, sizeof here) || listen(listener, 64)) {
        perror("largeobject");
        return 1;
    }
    for (;;) {
        pthread_t thread;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno != EINTR && errno != ECONNABORTED) return 1;
        if (fd < 0) continue;
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd))
            close(fd);
        else
            pthread_detach(thread);
    }
}
