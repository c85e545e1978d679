#include "route/anycast.h"

#include <signal.h>

#include "base/log.h"
#include "io/fiber.h"
#include "io/file.h"
#include "io/process.h"
#include "route/http_get.h"

#define END_NS (5 * SK_NS_PER_S) /* for the last command, at a stop */

/* --- the file --------------------------------------------------------------------------------------- */

static bool is_v4(const struct io_prefix *prefix) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return prefix->bits >= 96 && memcmp(prefix->ip, mapped, sizeof mapped) == 0;
}

static sk_err add_route(const struct io_prefix *prefix, struct sk_buf *out) {
    char text[IO_ADDR_TEXT_BYTES];
    struct io_addr addr;
    bool v4 = is_v4(prefix);
    sk_err err = io_addr_from_ip(v4 ? prefix->ip + 12 : prefix->ip, v4 ? 4 : 16, 0, &addr);
    if (err) return err;
    io_addr_format_ip(&addr, text);
    return sk_buf_printf(out, "route %s/%d unreachable;\n", text, v4 ? prefix->bits - 96 : prefix->bits);
}

bool anycast_one_family(const struct anycast_options *options) {
    for (size_t i = 1; i < options->prefix_count; i++)
        if (is_v4(&options->prefixes[i]) != is_v4(&options->prefixes[0])) return false;
    return true;
}

sk_err anycast_text(const struct anycast_options *options, bool up, const char *why, struct sk_buf *out) {
    sk_err err = sk_buf_printf(out, "# skerry anycast: %s%s%s\n", up ? "announced" : "withdrawn",
                               why ? ": " : "", why ? why : "");
    for (size_t i = 0; i < options->prefix_count && up && !err; i++)
        err = add_route(&options->prefixes[i], out);
    return err;
}

/* --- keeping it true -------------------------------------------------------------------------------- */

struct anycast {
    const struct anycast_options *options;
    struct io_loop *loop;
    struct io_fiber *fiber;
    struct health_state health;
    bool failed, stopping;
    struct io_process *command; /* NULL: none runs */
    bool command_due;           /* BIRD does not know yet what the file says */
    struct io_timer end_timer;
};

static void run_command(struct anycast *anycast);

static void on_command(void *arg, int status) {
    struct anycast *anycast = arg;
    io_process_release(anycast->command);
    anycast->command = NULL;
    if (status != 0) sk_log(SK_LOG_ERROR, "anycast", "the command failed: status %d", status);
    if (anycast->stopping && !anycast->command_due)
        io_loop_stop(anycast->loop);
    else if (anycast->command_due)
        run_command(anycast);
    else
        anycast->command_due = status != 0; /* again at the next check: BIRD may not be there yet */
}

/* One at a time: what changed while it ran needs another. */
static void run_command(struct anycast *anycast) {
    const char *argv[] = {"/bin/sh", "-c", anycast->options->command, NULL};
    struct io_process_options options = {.argv = argv, .on_exit = on_command, .arg = anycast};
    anycast->command_due = anycast->options->command != NULL;
    if (anycast->command || !anycast->command_due) return;
    sk_err err = io_process_start(anycast->loop, &options, &anycast->command);
    if (err)
        sk_log(SK_LOG_ERROR, "anycast", "the command could not be run: %s", sk_err_text(err));
    else
        anycast->command_due = false;
}

static sk_err publish(struct anycast *anycast, bool up, const char *why) {
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = anycast_text(anycast->options, up, why, &text);
    sk_str content = sk_buf_str(&text);
    if (!err) err = io_file_replace(anycast->options->file, content.data, content.len, 0644);
    sk_buf_free(&text);
    sk_log(up ? SK_LOG_INFO : SK_LOG_WARN, "anycast", "%s%s%s", up ? "announced" : "withdrawn",
           why ? ": " : "", why ? why : "");
    if (err)
        sk_log(SK_LOG_ERROR, "anycast", "%s could not be written: %s", anycast->options->file,
               sk_err_text(err));
    else
        run_command(anycast);
    return err;
}

/* A bad result comes with its reason. */
static sk_err check(const struct anycast *anycast, enum health_result *out_result, const char **out_why) {
    const struct anycast_options *options = anycast->options;
    uint16_t status = 0;
    struct http_get get = {.loop = anycast->loop,
                           .addr = options->edge,
                           .host = options->host,
                           .target = options->path,
                           .deadline = sk_time_now() + options->timeout_ms * SK_NS_PER_MS};
    sk_err err = http_get(&get, &status, NULL);
    if (err == SK_ERR_CANCELLED) return err;
    *out_result = status == 503 ? HEALTH_SICK : HEALTH_BAD;
    *out_why = status == 503 ? "the edge says that it cannot serve" : "unexpected status";
    if (err) *out_why = sk_err_text(err);
    if (!err && status >= 200 && status < 400) {
        *out_result = HEALTH_GOOD;
        *out_why = NULL;
    }
    return SK_OK;
}

/* A change that could not be written is tried again at the next check. */
static void take(struct anycast *anycast, enum health_result result, const char *why) {
    struct health_state next =
        health_after(&anycast->health, &anycast->options->rules, result, sk_time_now());
    bool changed = next.down != anycast->health.down;
    if (changed && publish(anycast, !next.down, why)) return;
    anycast->health = next;
}

static void on_end_timer(struct io_timer *timer) {
    io_loop_stop(SK_CONTAINER_OF(timer, struct anycast, end_timer)->loop);
}

static void keep_true(void *arg) {
    struct anycast *anycast = arg;
    enum health_result result;
    const char *why;
    sk_time_ns next;
    sk_err err = publish(anycast, false, "nobody has looked yet");
    anycast->failed = err != SK_OK;
    while (!err) {
        next = sk_time_now() + anycast->options->interval_ms * SK_NS_PER_MS;
        err = check(anycast, &result, &why);
        if (!err) take(anycast, result, why);
        if (!err && anycast->command_due) run_command(anycast);
        if (!err && io_fiber_sleep_until(next) == SK_ERR_CANCELLED) err = SK_ERR_CANCELLED;
    }
    anycast->fiber = NULL;
    anycast->stopping = true;
    if (!anycast->failed) (void)!publish(anycast, false, "stopped");
    if (!anycast->command) io_loop_stop(anycast->loop);
    io_timer_start(anycast->loop, &anycast->end_timer, sk_time_now() + END_NS, on_end_timer);
}

static void on_signal(int signo, void *arg) {
    struct anycast *anycast = arg;
    (void)signo;
    if (anycast->fiber) io_fiber_cancel(anycast->fiber);
}

int anycast_run(const struct anycast_options *options) {
    enum { FINE = 0, FAILED = 1 };
    struct anycast anycast = {.options = options, .health = {.down = true}};
    io_signals_block();
    sk_err err = io_loop_create("anycast", &anycast.loop);
    if (err) return FAILED;
    err = io_loop_on_signal(anycast.loop, SIGTERM, on_signal, &anycast);
    if (!err) err = io_loop_on_signal(anycast.loop, SIGINT, on_signal, &anycast);
    if (!err) err = io_fiber_spawn(anycast.loop, "anycast", keep_true, &anycast, &anycast.fiber);
    if (!err && !anycast.failed) io_loop_run(anycast.loop);
    if (anycast.command) io_process_release(anycast.command);
    io_loop_destroy(anycast.loop);
    return err || anycast.failed ? FAILED : FINE;
}
