/* A client that asks once, and compares as it reads. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "content.h"

struct reading {
    int fd, status;
    uint64_t at, end, wrong;
    bool is_wrong;
};

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool ask(struct reading *reading, uint16_t port, const char *host, const char *target) {
    const struct sockaddr_in there = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[1024], range[64] = "";
    if (reading->at) snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-\r\n", reading->at);
    int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n",
                       target, host, range);
    reading->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(reading->fd, (const struct sockaddr *)&there, sizeof there) == 0 &&
           content_send(reading->fd, text, (size_t)len);
}

static void look(struct reading *reading, const unsigned char *data, size_t bytes) {
    if (bytes > reading->end - reading->at) { /* more than there is */
        reading->is_wrong = true;
        reading->wrong = reading->end;
        return;
    }
    reading->is_wrong = !content_is(reading->at, data, bytes, &reading->wrong);
    reading->at += bytes;
}

/* The head, and what of the body came with it; false: there was none that is good. */
static bool read_head(struct reading *reading, unsigned char *step) {
    size_t have = 0;
    char *body = NULL;
    while (!body && have + 1 < CONTENT_STEP_BYTES) {
        ssize_t n = recv(reading->fd, step + have, CONTENT_STEP_BYTES - 1 - have, 0);
        if (n <= 0) return false;
        have += (size_t)n;
        step[have] = '\0';
        body = strstr((char *)step, "\r\n\r\n");
    }
    if (!body || strncmp((char *)step, "HTTP/1.1 ", 9) != 0) return false;
    reading->status = atoi((char *)step + 9);
    if (reading->status != (reading->at ? 206 : 200)) return false;
    size_t skip = (size_t)(body + 4 - (char *)step);
    look(reading, step + skip, have - skip);
    return true;
}

static void read_all(struct reading *reading, unsigned char *step) {
    if (!read_head(reading, step)) return;
    for (ssize_t n; !reading->is_wrong && (n = recv(reading->fd, step, CONTENT_STEP_BYTES, 0)) > 0;)
        look(reading, step, (size_t)n);
}

int reader_read(uint16_t port, const char *host, const char *target, uint64_t first, uint64_t bytes) {
    struct reading reading = {.fd = -1, .at = first, .end = bytes};
    unsigned char *step = malloc(CONTENT_STEP_BYTES);
    char wrong[32] = "null";
    double begun = now_s();
    if (step && ask(&reading, port, host, target)) read_all(&reading, step);
    if (reading.is_wrong) snprintf(wrong, sizeof wrong, "%" PRIu64, reading.wrong);
    printf("{\"status\":%d,\"bytes\":%" PRIu64 ",\"seconds\":%.3f,\"wrong\":%s}\n", reading.status,
           reading.at - first, now_s() - begun, wrong);
    if (reading.fd >= 0) close(reading.fd);
    free(step);
    return reading.is_wrong || reading.at < reading.end;
}
