/* Connections that are kept busy: each sends a request, reads its answer to the end, judges it, and goes on.
 * One thread, one epoll. Every request ends as ok or as exactly one failure. */
#ifndef LOADCLIENT_CLIENT_H
#define LOADCLIENT_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "histogram.h"
#include "work.h"

/* NAME, what it means */
#define CLIENT_FAILURE_TABLE(X)                                                                              \
    X(connect, "the connection was refused or did not come about")                                           \
    X(stale, "closed before a byte of the answer, on a connection that had served before")                   \
    X(empty, "closed before a byte of the answer, on a fresh connection")                                    \
    X(cut, "closed inside the answer")                                                                       \
    X(timeout, "no complete answer in time")                                                                 \
    X(status, "another status than expected")                                                                \
    X(body, "a body of the wrong length or with the wrong sum")                                              \
    X(malformed, "not an HTTP/1.1 response")
enum client_failure {
#define X(name, text) CLIENT_FAILURE_##name,
    CLIENT_FAILURE_TABLE(X)
#undef X
        CLIENT_FAILURE_COUNT_
};
extern const char *const client_failure_names[CLIENT_FAILURE_COUNT_];

struct client_options {
    struct sockaddr_storage address;
    socklen_t address_bytes;
    unsigned connections;
    uint64_t requests; /* stop after so many; 0: no limit */
    double rate;       /* requests a second over all connections; 0: as fast as it goes */
    int64_t timeout_us;
    int status;              /* expected; 0: any */
    bool stay_closed;        /* a connection told to close is not opened again */
    uint64_t per_connection; /* requests after which the client itself closes; 0: never */
};

struct client_counts {
    uint64_t sent, ok, hits, connects, told_to_close, body_bytes;
    uint64_t failures[CLIENT_FAILURE_COUNT_];
    struct histogram latency;
};

struct client;
struct client *client_create(const struct client_options *options, struct work *work,
                             struct client_counts *counts);
/* Closes what is open. */
void client_destroy(struct client *client);
/* Runs for at most WAIT_MS, then returns. False when there is nothing left to do. */
bool client_run(struct client *client, int wait_ms);
/* No new requests; those under way go on. */
void client_finish(struct client *client);
/* From now on as with options.stay_closed. */
void client_stay_closed(struct client *client);
/* Every connection has served a request, or is closed for good. */
bool client_is_settled(const struct client *client);
int64_t client_now_us(void);

#endif
