/* The workers as the main thread has them: it starts them, tells them what they are to do, and knows when they have gone. */
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/process.h"

/* --- their life ----------------------------------------------------------------------------------------- */

void edge_process_worker_ready(struct edge_process *process, sk_err err) {
    int none = SK_OK;
    if (err) atomic_compare_exchange_strong(&process->start_error, &none, (int)err);
    sem_post(&process->started_workers);
}

sk_err edge_process_start_workers(struct edge_process *process) {
    unsigned started = 0;
    sk_err err = SK_OK;
    for (unsigned i = 0; i < process->worker_count && !err; i++) {
        struct edge_worker *worker = &process->workers[i];
        worker->process = process;
        worker->ring = process->ring;
        worker->index = i;
        worker->limits = process->limits;
        worker->loop_mark = sk_str_from_c(process->loop_mark);
        sem_init(&worker->may_leave, 0, 0);
        err = edge_worker_start(worker);
        if (!err) started++;
    }
    for (unsigned i = 0; i < started; i++)
        while (sem_wait(&process->started_workers) != 0) continue;
    if (!err) err = (sk_err)process->start_error;
    return err;
}

/* Only when no worker's loop runs any more: one that still fetches tells the readers of a fill on all threads, and
 * one of them may just have gone. */
static void let_leave(struct edge_process *process) {
    if (process->workers_done < process->worker_count) return;
    for (unsigned i = 0; i < process->worker_count; i++) sem_post(&process->workers[i].may_leave);
}

static void on_worker_done(struct io_task *task) {
    struct edge_worker *worker = SK_CONTAINER_OF(task, struct edge_worker, done_task);
    struct edge_process *process = worker->process;
    worker->done = true;
    process->workers_done++;
    let_leave(process);
    edge_process_look_whether_done(process);
}

void edge_process_worker_done(struct edge_process *process, struct edge_worker *worker) {
    edge_process_reachable(process, worker->index, false);
    worker->done_task.run = on_worker_done;
    io_loop_post(process->loop, &worker->done_task);
    while (sem_wait(&worker->may_leave) != 0) continue;
}

void edge_process_reachable(struct edge_process *process, unsigned index, bool reachable) {
    pthread_mutex_lock(&process->posts);
    process->reachable[index] = reachable;
    pthread_mutex_unlock(&process->posts);
}

sk_err edge_process_post(struct edge_process *process, unsigned index, struct io_task *task,
                         struct edge_worker **out_worker) {
    sk_err err = SK_ERR_CLOSED;
    pthread_mutex_lock(&process->posts);
    if (index < process->worker_count && process->reachable[index]) {
        *out_worker = &process->workers[index];
        io_loop_post((*out_worker)->loop, task);
        err = SK_OK;
    }
    pthread_mutex_unlock(&process->posts);
    return err;
}

/* --- messages ------------------------------------------------------------------------------------------- */

sk_err edge_process_tell(struct edge_process *process, unsigned index, struct edge_message message) {
    struct edge_worker *worker = &process->workers[index];
    return worker->done ? SK_ERR_CLOSED : edge_worker_tell(worker, message);
}

sk_err edge_process_tell_all(struct edge_process *process, enum edge_message_kind kind) {
    sk_err result = SK_OK;
    for (unsigned i = 0; i < process->worker_count; i++) {
        sk_err err = edge_process_tell(process, i, (struct edge_message){.kind = kind});
        if (err == SK_ERR_NO_MEMORY) result = err;
    }
    return result;
}

/* --- sockets -------------------------------------------------------------------------------------------- */

/* A duplicate of SOURCE, one of LISTENER's, for the worker with INDEX. */
static sk_err give_socket(struct edge_process *process, unsigned index, enum edge_message_kind kind,
                          const struct edge_listener *listener, int source) {
    int fd = fcntl(source, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) return SK_ERR_FULL;
    struct edge_message message = {.kind = kind, .fd = fd, .source_fd = source, .addr = listener->addr};
    sk_err err = edge_process_tell(process, index, message);
    if (err) close(fd);
    return err;
}

/* Each socket for HTTP/3 is read by one worker, which all that comes by it is for. */
static sk_err listen_quic(struct edge_process *process, struct edge_listener *listener) {
    for (unsigned i = 0; listener->quic_unused && i < listener->quic_count; i++) {
        unsigned index = i % process->worker_count;
        sk_err err = give_socket(process, index, EDGE_TELL_QUIC, listener, listener->quic_fds[i]);
        if (err) return err;
    }
    listener->quic_unused = false;
    return SK_OK;
}

sk_err edge_process_accept_from(struct edge_process *process, struct edge_listener *listener) {
    sk_err err = listen_quic(process, listener);
    if (err || !listener->unused) return err;
    listener->unused = false;
    unsigned shares = SK_MAX(listener->fd_count, process->worker_count);
    for (unsigned i = 0; listener->fd_count && i < shares && !err; i++)
        err = give_socket(process, i % process->worker_count, EDGE_TELL_ACCEPT, listener,
                          listener->fds[i % listener->fd_count]);
    return err;
}

void edge_process_refuse_from(struct edge_process *process, struct edge_listener *listener) {
    for (unsigned f = 0; f < listener->fd_count + listener->quic_count; f++) {
        int source = f < listener->fd_count ? listener->fds[f] : listener->quic_fds[f - listener->fd_count];
        struct edge_message message = {.kind = EDGE_TELL_REFUSE, .source_fd = source};
        for (unsigned i = 0; i < process->worker_count; i++)
            if (edge_process_tell(process, i, message) == SK_ERR_NO_MEMORY)
                sk_log(SK_LOG_ERROR, "edge", "a worker goes on listening: out of memory");
    }
    edge_listener_close(listener);
}
