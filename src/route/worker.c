#include "route/worker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

enum { DRAIN_MS = 2000, LEAVE_MS = 30000, TCP_ANSWER_BYTES = 2 + 65535 };

enum tell { TELL_PLAN, TELL_LEAVE, TELL_STOP };
struct message {
    struct io_task task;
    struct route_worker *worker;
    enum tell tell;
    struct route_plan *plan;
};

static void end_loop(struct io_timer *timer) {
    io_loop_stop(SK_CONTAINER_OF(timer, struct route_worker, drain_timer)->loop);
}

static void stop_accepting(struct route_worker *worker) {
    for (unsigned i = 0; i < worker->socket_count; i++) tcp_stop_accepting(&worker->tcp[i]);
}

static void drain(struct route_worker *worker) {
    if (worker->draining) return;
    worker->leaving = worker->draining = true;
    stop_accepting(worker);
    tcp_drain(worker);
    io_timer_start(worker->loop, &worker->drain_timer, io_loop_now(worker->loop) + DRAIN_MS * SK_NS_PER_MS,
                   end_loop);
    if (worker->connection_count == 0) io_loop_stop(worker->loop);
}

static void on_left_long_ago(struct io_timer *timer) {
    drain(SK_CONTAINER_OF(timer, struct route_worker, drain_timer));
}

static void leave(struct route_worker *worker) {
    if (worker->leaving) return;
    worker->leaving = true;
    stop_accepting(worker);
    io_timer_start(worker->loop, &worker->drain_timer, io_loop_now(worker->loop) + LEAVE_MS * SK_NS_PER_MS,
                   on_left_long_ago);
    if (worker->connection_count == 0) io_loop_stop(worker->loop);
}

/* Takes the reference. */
static void use_plan(struct route_worker *worker, struct route_plan *plan) {
    struct route_plan *old = worker->plan;
    worker->plan = plan;
    answerer_use_overlay(worker->answerer, plan->overlay);
    route_notes_use(&worker->notes, plan);
    route_plan_unref(old);
}

static void on_message(struct io_task *task) {
    struct message *message = SK_CONTAINER_OF(task, struct message, task);
    struct route_worker *worker = message->worker;
    if (message->tell == TELL_PLAN) {
        use_plan(worker, message->plan);
    } else if (message->tell == TELL_LEAVE) {
        leave(worker);
    } else {
        drain(worker);
    }
    free(message);
}

static sk_err tell(struct route_worker *worker, enum tell what, struct route_plan *plan) {
    struct message *message = calloc(1, sizeof *message);
    if (!message) return SK_ERR_NO_MEMORY;
    *message = (struct message){.task.run = on_message, .worker = worker, .tell = what, .plan = plan};
    io_loop_post(worker->loop, &message->task);
    return SK_OK;
}

sk_err route_worker_use(struct route_worker *worker, struct route_plan *plan) {
    sk_err err = tell(worker, TELL_PLAN, route_plan_ref(plan));
    if (err) route_plan_unref(plan);
    return err;
}

bool route_worker_ended(const struct route_worker *worker) {
    return atomic_load_explicit(&worker->ended, memory_order_relaxed); /* nothing is read because of it */
}

void route_worker_stop(struct route_worker *worker) {
    if (!route_worker_ended(worker) && tell(worker, TELL_STOP, NULL)) io_loop_stop(worker->loop);
}

void route_worker_leave(struct route_worker *worker) {
    if (tell(worker, TELL_LEAVE, NULL)) io_loop_stop(worker->loop);
}

static void *run(void *arg) {
    struct route_worker *worker = arg;
    io_loop_run(worker->loop);
    tcp_close_all(worker);
    atomic_store_explicit(&worker->ended, true, memory_order_relaxed); /* as above */
    return NULL;
}

/* A duplicate, so that the process's own descriptor stays its own. */
static sk_err duplicate(int fd, int *out_fd) {
    *out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return *out_fd < 0 ? SK_ERR_FULL : SK_OK;
}

static sk_err start_sockets(struct route_worker *worker, const int *tcp_fds) {
    for (unsigned i = 0; i < worker->socket_count; i++) {
        int tcp;
        worker->tcp[i].worker = worker;
        sk_err err = duplicate(tcp_fds[i], &tcp);
        if (!err) err = tcp_start(&worker->tcp[i], tcp);
        if (err) return err;
    }
    return SK_OK;
}

static sk_err allocate(struct route_worker *worker, unsigned count) {
    char name[16];
    snprintf(name, sizeof name, "tcp-%u", worker->index);
    worker->tcp = calloc(SK_MAX(count, 1), sizeof *worker->tcp);
    worker->tcp_answer = malloc(TCP_ANSWER_BYTES);
    if (!worker->tcp || !worker->tcp_answer) return SK_ERR_NO_MEMORY;
    for (unsigned i = 0; i < count; i++) worker->tcp[i].watch.fd = -1;
    worker->socket_count = count;
    /* Joined on behalf of the thread that begins soon: from then on only it counts there. */
    sk_err err = observe_thread_join(&worker->metrics);
    if (!err) err = answerer_create(worker->metrics, &worker->answerer);
    if (!err) err = route_notes_start(&worker->notes, worker->log, worker->metrics);
    if (!err) err = io_loop_create(name, &worker->loop);
    return err;
}

static void release(struct route_worker *worker) {
    if (worker->loop) io_loop_destroy(worker->loop);
    answerer_free(worker->answerer);
    route_notes_end(&worker->notes);
    free(worker->tcp);
    free(worker->tcp_answer);
    route_plan_unref(worker->plan);
}

sk_err route_worker_start(struct route_worker *worker, const int *tcp_fds, unsigned count,
                          struct route_plan *plan) {
    sk_list_init(&worker->connections);
    tcp_pool_init(worker);
    sk_err err = allocate(worker, count);
    if (!err) use_plan(worker, route_plan_ref(plan));
    if (!err) err = start_sockets(worker, tcp_fds);
    if (!err && pthread_create(&worker->thread, NULL, run, worker) != 0) err = SK_ERR_NO_MEMORY;
    if (err) release(worker);
    return err;
}

void route_worker_join(struct route_worker *worker) {
    pthread_join(worker->thread, NULL);
    release(worker);
}
