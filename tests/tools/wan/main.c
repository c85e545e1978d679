/* usage: wan CLIENTS_FD POPS_FD FILE
 *
 * Two TUN devices, one where clients live and one where PoPs live: what goes in at one comes out at the other after half
 * the round trip time of its pair, so that both ends' kernels measure it as on the real way. Clients are 10.9.I.x, PoPs
 * 198.18.0.(P + 1); line I of FILE holds client I's round trip times to PoP 0, 1, ... in milliseconds. What is of no such
 * pair goes through at once. Ends with its parent's word (SIGTERM) or with a device. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "queue.h"

enum { CLIENTS = 256, POPS = 254, IPV4_HEADER = 20, BATCH = 64 };

static float rtt_ms[CLIENTS][POPS];
static struct queue queue;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool read_line(char *line, float *out) {
    char *at = line, *end;
    for (int i = 0; i < POPS; i++, at = end) {
        float value = strtof(at, &end);
        if (end == at) return *(at + strspn(at, " \n")) == 0;
        out[i] = value;
    }
    return true;
}

static bool read_file(const char *path) {
    static char line[POPS * 16];
    FILE *file = fopen(path, "r");
    bool fine = file;
    for (int i = 0; fine && i < CLIENTS && fgets(line, sizeof line, file); i++)
        fine = read_line(line, rtt_ms[i]);
    if (file) fclose(file);
    return fine;
}

/* Of a pair of addresses in either direction; 0: of no client and PoP. */
static float rtt_of(const uint8_t *client, const uint8_t *pop) {
    bool known = client[0] == 10 && client[1] == 9 && pop[0] == 198 && pop[1] == 18 && pop[2] == 0 &&
                 pop[3] > 0 && pop[3] <= POPS;
    return known ? rtt_ms[client[2]][pop[3] - 1] : 0;
}

/* False: the device is gone. */
static bool take_packets(int from, int to) {
    for (int i = 0; i < BATCH; i++) {
        struct packet *packet = queue_take(&queue);
        if (!packet) return true;
        ssize_t n = read(from, packet->data, sizeof packet->data);
        if (n <= 0) {
            queue.spare[queue.spare_count++] = packet;
            return errno == EAGAIN || errno == EINTR;
        }
        const uint8_t *source = packet->data + 12, *target = packet->data + 16;
        float ms = 0;
        if (n >= IPV4_HEADER && packet->data[0] >> 4 == 4)
            ms = rtt_of(source, target) + rtt_of(target, source);
        packet->bytes = (size_t)n;
        packet->to = to;
        packet->due_ns = now_ns() + (uint64_t)(ms * 1e6f / 2);
        queue_put(&queue, packet);
    }
    return true;
}

static void send_due(void) {
    uint64_t now = now_ns();
    for (struct packet *first; (first = queue_first(&queue)) && first->due_ns <= now;
         queue_drop_first(&queue))
        (void)!write(first->to, first->data, first->bytes); /* what the device has no room for is lost */
}

static bool run(int clients, int pops) {
    struct pollfd fds[2] = {{clients, POLLIN, 0}, {pops, POLLIN, 0}};
    for (;;) {
        const struct packet *first = queue_first(&queue);
        uint64_t now = now_ns(), wait = first && first->due_ns > now ? first->due_ns - now : 0;
        struct timespec timeout = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
        if (ppoll(fds, 2, first ? &timeout : NULL, NULL) < 0 && errno != EINTR) return false;
        if (fds[0].revents && !take_packets(clients, pops)) return false;
        if (fds[1].revents && !take_packets(pops, clients)) return false;
        send_due();
    }
}

int main(int argc, char **argv) {
    if (argc != 4 || !read_file(argv[3])) {
        fprintf(stderr, "usage: wan CLIENTS_FD POPS_FD FILE\n");
        return 2;
    }
    int clients = atoi(argv[1]), pops = atoi(argv[2]);
    prctl(PR_SET_TIMERSLACK, 1);
    fcntl(clients, F_SETFL, O_NONBLOCK);
    fcntl(pops, F_SETFL, O_NONBLOCK);
    return run(clients, pops) ? 0 : 1;
}
