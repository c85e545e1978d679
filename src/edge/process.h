/* The process of the edge role as its own parts see it; edge.h is the outside. Main thread, except where a
 * function says otherwise. */
#ifndef SK_EDGE_PROCESS_H
#define SK_EDGE_PROCESS_H

#include <semaphore.h>

#include "edge/edge.h"
#include "edge/listen.h"
#include "edge/load.h"
#include "edge/worker.h"
#include "wire/quic_packet.h"

struct fleet_admin_server;
struct edge_upgrade;
struct edge_reclaim;
struct edge_bus;
struct edge_fleet;
struct edge_ring;
struct edge_acme;
struct edge_ocsp;
struct edge_withdrawal;

struct edge_process {
    /* set once at start */
    const struct edge_start *start;
    struct io_loop *loop;
    struct cache *cache;
    struct origin_registry *registry;
    struct origin_thread *origins; /* for health checks */
    struct observe_thread *metrics;
    struct access_log *log;
    struct edge_limits *limits;
    struct wire_tls_tickets *tickets;
    struct edge_worker *workers;
    unsigned worker_count;
    char loop_mark[20];
    struct wire_quic_keys quic_keys;
    uint8_t quic_generation;
    int quic_before; /* datagrams for the process before this one go there; -1: there is none */
    sk_time_ns started;
    /* main thread */
    struct edge_snapshot *snapshot; /* in force, a reference */
    struct edge_listeners listeners;
    struct fleet_admin_server *admin; /* NULL: none */
    struct edge_upgrade *upgrade;     /* NULL: none is running */
    struct edge_reclaim *reclaim;
    struct io_watch quic_after; /* datagrams for us, from the process after this one; fd -1: none */
    struct edge_bus *bus;       /* NULL: no fleet's */
    struct edge_fleet *fleet;   /* NULL: the same */
    struct edge_ring *ring;     /* set before anybody is accepted */
    struct edge_acme *acme;
    struct edge_ocsp *ocsp; /* NULL before it is started */
    struct edge_withdrawal *withdrawal;
    enum edge_stage stage;
    uint64_t refused_files; /* changed certificates as they were when they could not be used */
    bool handed_over;       /* another process has the listening sockets */
    unsigned workers_done;
    struct io_timer drain_timer;
    struct io_timer certificates_timer;
    struct edge_load load;
    struct observe_gauge gauges[33];
    /* workers, under the mutex, which is held for one post */
    pthread_mutex_t posts;
    bool *reachable; /* by worker index: its loop is there */
    /* written by starting workers, read after `started_workers` was waited for */
    sem_t started_workers;
    _Atomic int start_error; /* the first sk_err of a worker */
};

/* Worker's thread. */
void edge_process_worker_ready(struct edge_process *process, sk_err err);
/* Worker's thread, whose loop has ended; returns when all have, and the main thread has no more messages for it. */
void edge_process_worker_done(struct edge_process *process, struct edge_worker *worker);

/* Any thread: posts TASK to the loop of the worker with INDEX, which is told in *out_worker. SK_ERR_CLOSED: there is
 * none (any more). */
sk_err edge_process_post(struct edge_process *process, unsigned index, struct io_task *task,
                         struct edge_worker **out_worker);
/* Worker's thread: others may post to it, or not any more. */
void edge_process_reachable(struct edge_process *process, unsigned index, bool reachable);

/* The configured resolver as C text, or NULL; lives as long as the process. */
const char *edge_process_resolver(const struct edge_process *process);

/* Begins a graceful end; HANDED_OVER: the listening sockets belong to another process now. Called again, it
 * ends at once. */
void edge_process_drain(struct edge_process *process, bool handed_over);
/* Starts all workers and waits until each is ready, or says that it is not. As edge_worker_start, and what a worker that
 * is not ready says. */
sk_err edge_process_start_workers(struct edge_process *process);
/* Tells the worker with INDEX. SK_ERR_NO_MEMORY; SK_ERR_CLOSED: it has gone. */
sk_err edge_process_tell(struct edge_process *process, unsigned index, struct edge_message message);
/* Tells every worker. SK_ERR_NO_MEMORY: not all of them. */
sk_err edge_process_tell_all(struct edge_process *process, enum edge_message_kind kind);
/* The workers accept from LISTENER from now on. SK_ERR_NO_MEMORY, SK_ERR_FULL. */
sk_err edge_process_accept_from(struct edge_process *process, struct edge_listener *listener);
/* They do not any more; our own descriptors are closed. */
void edge_process_refuse_from(struct edge_process *process, struct edge_listener *listener);
/* Something that a draining process waits for has ended. */
void edge_process_look_whether_done(struct edge_process *process);
/* Puts SNAPSHOT in force everywhere; takes over its reference. */
void edge_process_use_snapshot(struct edge_process *process, struct edge_snapshot *snapshot);

#endif
