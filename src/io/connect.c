/* Connecting to the first of several addresses that answers: happy eyeballs, RFC 8305. One fiber runs the
 * race; every attempt is a stream of its own, whose write side wakes that fiber. */
#include <unistd.h>

#include "io/stream_private.h"

/* RFC 8305 section 8: "Connection Attempt Delay", recommended 250 ms. */
#define ATTEMPT_DELAY_NS (250 * SK_NS_PER_MS)
#define MAX_ATTEMPTS 32

struct race {
    struct io_loop *loop;
    const struct io_addr *addrs;
    size_t count;
    size_t order[MAX_ATTEMPTS]; /* indexes into addrs */

    struct io_stream_waiter waiter;
    struct io_stream *attempts[MAX_ATTEMPTS]; /* by position in order; NULL when not running */
    size_t started, live;
    sk_time_ns next_start;
    sk_err last_failure;
};

/* RFC 8305 section 4: the families take turns, the preferred one (that of the first address) first. */
static void interleave(struct race *race) {
    size_t at[2] = {0, 0}, filled = 0;
    sa_family_t preferred = race->addrs[0].any.sa_family;
    while (filled < race->count) {
        for (int other = 0; other < 2; other++) {
            size_t *i = &at[other];
            while (*i < race->count && (race->addrs[*i].any.sa_family != preferred) != other) (*i)++;
            if (*i < race->count) race->order[filled++] = (*i)++;
        }
    }
}

static void fail_attempt(struct race *race, sk_err err) {
    race->last_failure = err;
    race->next_start = io_loop_now(race->loop); /* the next one need not wait */
}

static void start_attempt(struct race *race) {
    size_t position = race->started++;
    struct io_stream *stream;
    int fd;
    race->next_start = io_loop_now(race->loop) + ATTEMPT_DELAY_NS;
    sk_err err = io_connect_start(&race->addrs[race->order[position]], &fd);
    if (!err && (err = io_stream_open(race->loop, fd, &stream))) close(fd);
    if (err) {
        fail_attempt(race, err);
        return;
    }
    stream->waiters[IO_WRITE_SIDE] = &race->waiter;
    race->attempts[position] = stream;
    race->live++;
}

/* Takes the attempt out of the race. */
static struct io_stream *take_attempt(struct race *race, size_t position) {
    struct io_stream *stream = race->attempts[position];
    race->attempts[position] = NULL;
    race->live--;
    stream->waiters[IO_WRITE_SIDE] = NULL;
    return stream;
}

/* The position of an attempt that has connected, or MAX_ATTEMPTS; failed ones leave the race. */
static size_t find_winner(struct race *race) {
    for (size_t i = 0; i < race->started; i++) {
        struct io_stream *stream = race->attempts[i];
        if (!stream || !(stream->ready[IO_WRITE_SIDE] || stream->hangup)) continue;
        sk_err err = io_socket_error(stream->watch.fd);
        if (!err) return i;
        io_stream_close(take_attempt(race, i));
        fail_attempt(race, err);
    }
    return MAX_ATTEMPTS;
}

static sk_err run_race(struct race *race, sk_time_ns deadline, size_t *out_winner) {
    for (;;) {
        *out_winner = find_winner(race);
        if (*out_winner != MAX_ATTEMPTS) return SK_OK;
        bool more = race->started < race->count;
        if (!more && race->live == 0) return race->last_failure;
        if (more && race->next_start <= io_loop_now(race->loop)) {
            start_attempt(race);
            continue;
        }
        sk_err err = io_fiber_park(more ? SK_MIN(race->next_start, deadline) : deadline);
        if (err == SK_ERR_CANCELLED) return err;
        if (err == SK_ERR_TIMEOUT && io_loop_now(race->loop) >= deadline) return err;
    }
}

sk_err io_stream_connect_any(struct io_loop *loop, const struct io_addr *addrs, size_t count,
                             sk_time_ns deadline, struct io_stream **out_stream, size_t *out_index) {
    if (count == 0) return SK_ERR_INVALID;
    struct race race = {.loop = loop, .addrs = addrs, .count = SK_MIN(count, (size_t)MAX_ATTEMPTS)};
    race.waiter.fiber = io_fiber_self();
    interleave(&race);
    size_t winner;
    sk_err err = run_race(&race, deadline, &winner);
    if (!err) {
        *out_stream = take_attempt(&race, winner);
        if (out_index) *out_index = race.order[winner];
    }
    for (size_t i = 0; i < race.started; i++)
        if (race.attempts[i]) io_stream_close(take_attempt(&race, i));
    return err;
}

sk_err io_stream_connect(struct io_loop *loop, const struct io_addr *addr, sk_time_ns deadline,
                         struct io_stream **out_stream) {
    return io_stream_connect_any(loop, addr, 1, deadline, out_stream, NULL);
}
