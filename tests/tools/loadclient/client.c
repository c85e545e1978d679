#include "client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"

const char *const client_failure_names[CLIENT_FAILURE_COUNT_] = {
#define X(name, text) #name,
    CLIENT_FAILURE_TABLE(X)
#undef X
};

enum state { IDLE, CONNECTING, SENDING, READING, RETIRED };

struct connection {
    enum state state;
    int fd; /* -1: none */
    uint64_t served;
    const struct target *target; /* under way */
    size_t sent_bytes;
    int64_t started_us;
    struct answer answer;
};

struct client {
    struct client_options options;
    struct work *work;
    struct client_counts *counts;
    struct connection *connections;
    int epoll;
    unsigned busy, retired;
    bool finishing;
    int64_t began_us, swept_us;
    unsigned next_idle; /* where to look for a connection to give work to */
};

static char input[1 << 18];

static void start(struct client *client, struct connection *c);

int64_t client_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

struct client *client_create(const struct client_options *options, struct work *work,
                             struct client_counts *counts) {
    struct client *client = calloc(1, sizeof *client);
    struct connection *connections = calloc(options->connections, sizeof *connections);
    if (client == NULL || connections == NULL) abort();
    for (unsigned i = 0; i < options->connections; i++) connections[i].fd = -1;
    *client =
        (struct client){.options = *options, .work = work, .counts = counts, .connections = connections};
    client->epoll = epoll_create1(EPOLL_CLOEXEC);
    client->began_us = client->swept_us = client_now_us();
    return client;
}

void client_destroy(struct client *client) {
    for (unsigned i = 0; i < client->options.connections; i++)
        if (client->connections[i].fd >= 0) close(client->connections[i].fd);
    close(client->epoll);
    free(client->connections);
    free(client);
}

void client_finish(struct client *client) { client->finishing = true; }
void client_stay_closed(struct client *client) { client->options.stay_closed = true; }

bool client_is_settled(const struct client *client) {
    for (unsigned i = 0; i < client->options.connections; i++) {
        const struct connection *c = &client->connections[i];
        if (c->state != RETIRED && (c->fd < 0 || c->served == 0)) return false;
    }
    return true;
}

static void drop(struct connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->served = 0;
}

/* The request under way is over, one way or the other. */
static void leave(struct client *client, struct connection *c, bool retire) {
    c->state = retire ? RETIRED : IDLE;
    client->busy--;
    if (retire) client->retired++;
}

static void fail(struct client *client, struct connection *c, enum client_failure failure) {
    client->counts->failures[failure]++;
    drop(c);
    leave(client, c, client->options.stay_closed); /* one that is gone would be refused for ever */
}

static void lost(struct client *client, struct connection *c) {
    if (c->state == CONNECTING)
        fail(client, c, CLIENT_FAILURE_connect);
    else if (c->answer.head_bytes > 0 || c->answer.state != ANSWER_HEAD)
        fail(client, c, CLIENT_FAILURE_cut);
    else
        fail(client, c, c->served ? CLIENT_FAILURE_stale : CLIENT_FAILURE_empty);
}

static bool body_is_right(const struct connection *c) {
    return !c->target->checked ||
           (c->answer.body_bytes == c->target->length && c->answer.sum == c->target->sum);
}

static void answered(struct client *client, struct connection *c) {
    struct client_counts *counts = client->counts;
    int expected = client->options.status;
    counts->body_bytes += c->answer.body_bytes;
    if (expected != 0 && c->answer.status != expected)
        counts->failures[CLIENT_FAILURE_status]++;
    else if (!body_is_right(c))
        counts->failures[CLIENT_FAILURE_body]++;
    else
        counts->ok++;
    counts->hits += c->answer.hit;
    histogram_add(&counts->latency, (uint64_t)(client_now_us() - c->started_us));
    c->served++;
    bool told = c->answer.closes;
    counts->told_to_close += told;
    if (told || c->served == client->options.per_connection) drop(c);
    leave(client, c, told && client->options.stay_closed);
}

static void receive(struct client *client, struct connection *c) {
    while (c->state == READING) {
        ssize_t n = recv(c->fd, input, sizeof input, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n == 0 && answer_ends_at_close(&c->answer)) {
            answered(client, c);
            return;
        }
        if (n <= 0) {
            lost(client, c);
            return;
        }
        size_t taken = answer_feed(&c->answer, input, (size_t)n);
        bool more = taken < (size_t)n; /* bytes after the answer: nobody asked for them */
        if (c->answer.state == ANSWER_BAD || (c->answer.state == ANSWER_DONE && more))
            fail(client, c, CLIENT_FAILURE_malformed);
        else if (c->answer.state == ANSWER_DONE)
            answered(client, c);
    }
}

static void transmit(struct client *client, struct connection *c) {
    const struct target *target = c->target;
    while (c->sent_bytes < target->request_bytes) {
        ssize_t n =
            send(c->fd, target->request + c->sent_bytes, target->request_bytes - c->sent_bytes, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) break; /* an answer may lie there all the same: reading tells */
        c->sent_bytes += (size_t)n;
    }
    c->state = READING;
}

static bool open_connection(struct client *client, struct connection *c) {
    const struct client_options *options = &client->options;
    int one = 1;
    c->fd = socket(options->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    epoll_ctl(client->epoll, EPOLL_CTL_ADD, c->fd, &event);
    client->counts->connects++;
    int result = connect(c->fd, (const struct sockaddr *)&options->address, options->address_bytes);
    c->state = result == 0 ? SENDING : CONNECTING;
    return result == 0 || errno == EINPROGRESS;
}

/* Gives the next request to an idle connection. */
static void start(struct client *client, struct connection *c) {
    answer_reset(&c->answer);
    c->target = work_next(client->work);
    c->sent_bytes = 0;
    c->started_us = client_now_us();
    client->counts->sent++;
    client->busy++;
    if (c->fd >= 0)
        c->state = SENDING;
    else if (!open_connection(client, c)) {
        c->state = CONNECTING;
        lost(client, c);
        return;
    }
    if (c->state == SENDING) transmit(client, c);
}

static void on_event(struct client *client, struct connection *c) {
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t bytes = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
        if (error != 0) {
            lost(client, c);
            return;
        }
        c->state = SENDING;
    }
    if (c->state == SENDING) transmit(client, c);
    if (c->state == READING) receive(client, c);
    if (c->state != IDLE || c->fd < 0) return;
    /* Nothing is under way, yet something came: an end, or bytes that nobody asked for. */
    char byte;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK);
    if (n == 0 || (n < 0 && errno != EAGAIN)) drop(c);
}

/* How many requests may be started now. */
static uint64_t allowance(struct client *client) {
    const struct client_options *options = &client->options;
    uint64_t allowed = UINT64_MAX, sent = client->counts->sent;
    if (client->finishing) return 0;
    if (options->rate > 0) {
        double due = (double)(client_now_us() - client->began_us) / 1e6 * options->rate;
        allowed = due > (double)sent ? (uint64_t)(due - (double)sent) : 0;
    }
    if (options->requests > 0 && options->requests - sent < allowed) allowed = options->requests - sent;
    return allowed;
}

static void give_work(struct client *client) {
    unsigned count = client->options.connections;
    uint64_t allowed = allowance(client);
    for (unsigned i = 0; i < count && allowed > 0; i++) {
        struct connection *c = &client->connections[client->next_idle++ % count];
        if (c->state != IDLE) continue;
        start(client, c);
        allowed--;
    }
}

/* Requests that wait too long. Looked for ten times a second, which is exact enough for a time limit. */
static void sweep(struct client *client) {
    int64_t now_us = client_now_us();
    if (now_us - client->swept_us < 100000) return;
    client->swept_us = now_us;
    for (unsigned i = 0; i < client->options.connections; i++) {
        struct connection *c = &client->connections[i];
        bool waits = c->state != IDLE && c->state != RETIRED;
        if (waits && now_us - c->started_us > client->options.timeout_us)
            fail(client, c, CLIENT_FAILURE_timeout);
    }
}

static bool finished(const struct client *client) {
    const struct client_options *options = &client->options;
    if (client->retired == options->connections) return true;
    bool no_more = client->finishing || (options->requests > 0 && client->counts->sent >= options->requests);
    return no_more && client->busy == 0;
}

bool client_run(struct client *client, int wait_ms) {
    struct epoll_event events[256];
    int64_t until_us = client_now_us() + wait_ms * INT64_C(1000);
    do {
        give_work(client);
        if (finished(client)) return false;
        int n = epoll_wait(client->epoll, events, 256, client->options.rate > 0 ? 1 : 10);
        for (int i = 0; i < n; i++) on_event(client, events[i].data.ptr);
        sweep(client);
    } while (client_now_us() < until_us);
    return !finished(client);
}
