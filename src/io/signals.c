/* Signals as events: one signalfd on one loop of the process. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "io/loop_private.h"

#define SIGNAL_COUNT 65

/* What a service reacts to. Others keep their default action. */
static const int blocked[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

struct signals {
    struct io_part part;
    struct io_watch watch;
    sigset_t set;
    struct {
        void (*on_signal)(int signo, void *arg);
        void *arg;
    } handlers[SIGNAL_COUNT];
};

void io_signals_block(void) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < SK_COUNT(blocked); i++) sigaddset(&set, blocked[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct signals *signals = SK_CONTAINER_OF(watch, struct signals, watch);
    struct signalfd_siginfo info;
    (void)ready;
    while (read(watch->fd, &info, sizeof info) == sizeof info) {
        int signo = (int)info.ssi_signo;
        if (signo < SIGNAL_COUNT && signals->handlers[signo].on_signal)
            signals->handlers[signo].on_signal(signo, signals->handlers[signo].arg);
    }
}

static void destroy(struct io_loop *loop, struct io_part *part) {
    struct signals *signals = SK_CONTAINER_OF(part, struct signals, part);
    (void)loop;
    io_watch_stop(&signals->watch);
    close(signals->watch.fd);
    free(signals);
}

static sk_err create(struct io_loop *loop, struct signals **out_signals) {
    struct signals *signals = calloc(1, sizeof *signals);
    if (!signals) return SK_ERR_NO_MEMORY;
    sigemptyset(&signals->set);
    int fd = signalfd(-1, &signals->set, SFD_NONBLOCK | SFD_CLOEXEC);
    sk_err err = fd < 0 ? sk_err_from_errno(errno) : SK_OK;
    signals->watch = (struct io_watch){.fd = fd, .on_ready = on_ready};
    if (!err) err = io_watch_start(loop, &signals->watch);
    if (err) {
        if (fd >= 0) close(fd);
        free(signals);
        return err;
    }
    signals->part.destroy = destroy;
    loop->parts[IO_PART_SIGNALS] = &signals->part;
    *out_signals = signals;
    return SK_OK;
}

sk_err io_loop_on_signal(struct io_loop *loop, int signo, void (*on_signal)(int signo, void *arg),
                         void *arg) {
    if (signo <= 0 || signo >= SIGNAL_COUNT) return SK_ERR_INVALID;
    struct signals *signals;
    if (loop->parts[IO_PART_SIGNALS]) {
        signals = SK_CONTAINER_OF(loop->parts[IO_PART_SIGNALS], struct signals, part);
    } else {
        sk_err err = create(loop, &signals);
        if (err) return err;
    }
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, signo);
    pthread_sigmask(SIG_BLOCK, &one, NULL);
    signals->handlers[signo].on_signal = on_signal;
    signals->handlers[signo].arg = arg;
    sigaddset(&signals->set, signo);
    return signalfd(signals->watch.fd, &signals->set, 0) < 0 ? sk_err_from_errno(errno) : SK_OK;
}
