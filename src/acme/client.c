#include "acme/client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/poison.h"
#include "io/file.h"
#include "io/process.h"
#include "io/stream.h"

#define TAIL_BYTES 8192                /* of what the client said last */
#define OUTPUT_MAX_BYTES (1024 * 1024) /* who says more is ended */
#define MEMORY_MAX_BYTES                                                                                     \
    (512 * 1024 * 1024) /* an authority may send answers of any size, and the client takes them */
#define FILE_MAX_BYTES (4 * 1024 * 1024)
#define ARGUMENTS_MAX 160
#define ACCOUNT_MAX_BYTES 4096

struct acme_client {
    struct io_loop *loop;
    /* of the run that is under way */
    const struct acme_client_order *order; /* NULL: no challenges are expected */
    struct io_process *process;
    struct io_fiber *story; /* who waits for it; NULL: none runs */
    struct io_stream *output, *hooks;
    unsigned helpers; /* fibers that have not ended */
    bool exited, stopping;
    int status;
    size_t said_bytes, tail_bytes;
    char tail[TAIL_BYTES];
};

sk_err acme_client_create(struct io_loop *loop, struct acme_client **out_client) {
    struct acme_client *client = calloc(1, sizeof *client);
    if (!client) return SK_ERR_NO_MEMORY;
    client->loop = loop;
    *out_client = client;
    return SK_OK;
}

void acme_client_free(struct acme_client *client) {
    SK_ASSERT(!client || !client->story);
    free(client);
}

static void end_process(struct acme_client *client) {
    if (client->process && !client->exited && io_process_signal(client->process, SIGKILL) != SK_OK)
        sk_log(SK_LOG_WARN, "acme", "the client cannot be ended");
}

void acme_client_stop(struct acme_client *client) {
    client->stopping = true;
    end_process(client);
}

/* --- what it says ------------------------------------------------------------------------------------------ */

/* The newest half of the tail stays. */
static void keep(struct acme_client *client, sk_str said) {
    if (said.len > TAIL_BYTES / 2) said = sk_str_slice(said, said.len - TAIL_BYTES / 2, said.len);
    if (client->tail_bytes + said.len > TAIL_BYTES) {
        memmove(client->tail, client->tail + client->tail_bytes - TAIL_BYTES / 2, TAIL_BYTES / 2);
        client->tail_bytes = TAIL_BYTES / 2;
    }
    memcpy(client->tail + client->tail_bytes, said.data, said.len);
    client->tail_bytes += said.len;
}

static void helper_ends(struct acme_client *client) {
    client->helpers--;
    io_fiber_wake(client->story);
}

static void read_output(void *arg) {
    struct acme_client *client = arg;
    char data[1024];
    size_t n;
    while (io_stream_read(client->output, data, sizeof data, SK_TIME_NEVER, &n) == SK_OK) {
        client->said_bytes += n;
        keep(client, sk_str_make(data, n));
        if (client->said_bytes > OUTPUT_MAX_BYTES) end_process(client);
    }
    helper_ends(client);
}

/* --- what it asks ------------------------------------------------------------------------------------------ */

static bool accept_hook(struct acme_client *client, sk_str message) {
    struct acme_hook hook;
    if (!client->order || client->stopping) return false;
    if (acme_hook_parse(message, &hook)) {
        sk_log(SK_LOG_WARN, "acme", "a challenge of no valid form is declined");
        return false;
    }
    return client->order->on_hook(client->order->arg, &hook);
}

static void answer_hooks(void *arg) {
    struct acme_client *client = arg;
    char message[ACME_HOOK_BYTES];
    size_t n;
    sk_err err;
    do {
        err = io_stream_read(client->hooks, message, sizeof message, SK_TIME_NEVER, &n);
        if (err) break;
        const char *answer = accept_hook(client, sk_str_make(message, n)) ? ACME_HOOK_YES : ACME_HOOK_NO;
        err = io_stream_write(client->hooks, answer, 1, SK_TIME_NEVER);
    } while (!err);
    helper_ends(client);
}

/* --- a run ------------------------------------------------------------------------------------------------- */

static void on_exit_of_client(void *arg, int status) {
    struct acme_client *client = arg;
    client->exited = true;
    client->status = status;
    io_fiber_wake(client->story);
}

/* A pair of which only OURS does not block. */
static sk_err make_pair(int type, int *out_ours, int *out_theirs) {
    int pair[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0) return sk_err_from_errno(errno);
    if (fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0) {
        sk_err err = sk_err_from_errno(errno);
        close(pair[0]);
        close(pair[1]);
        return err;
    }
    *out_ours = pair[0];
    *out_theirs = pair[1];
    return SK_OK;
}

/* The stream takes OURS, or it is closed. */
static sk_err open_pair(struct acme_client *client, int type, struct io_stream **out_stream,
                        int *out_theirs) {
    int ours = -1;
    sk_err err = make_pair(type, &ours, out_theirs);
    if (err) return err;
    err = io_stream_adopt(client->loop, ours, out_stream);
    if (!err) return SK_OK;
    close(ours);
    close(*out_theirs);
    *out_theirs = -1;
    return err;
}

/* What the client may take. The sanitizers' own mappings, in the hooks that are ours, do not fit in any limit. */
static void limit(pid_t pid) {
    struct rlimit files = {FILE_MAX_BYTES, FILE_MAX_BYTES}, none = {0};
    bool limited =
        prlimit(pid, RLIMIT_FSIZE, &files, NULL) == 0 && prlimit(pid, RLIMIT_CORE, &none, NULL) == 0;
#ifndef SK_SANITIZED
    struct rlimit memory = {MEMORY_MAX_BYTES, MEMORY_MAX_BYTES};
    limited = limited && prlimit(pid, RLIMIT_DATA, &memory, NULL) == 0;
#endif
    if (!limited) sk_log(SK_LOG_WARN, "acme", "the client runs without limits");
}

static sk_err start(struct acme_client *client, const char *const *argv) {
    static const char *const environment[] = {ACME_HOOK_VARIABLE "=3", NULL};
    int theirs = -1, hook = -1, null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sk_err err = null < 0 ? sk_err_from_errno(errno) : SK_OK;
    if (!err) err = open_pair(client, SOCK_STREAM, &client->output, &theirs);
    if (!err) err = open_pair(client, SOCK_SEQPACKET, &client->hooks, &hook);
    const int standard[] = {null, theirs, theirs};
    struct io_process_options options = {.argv = argv,
                                         .environment = environment,
                                         .standard_fds = standard,
                                         .keep_fds = &hook,
                                         .keep_fd_count = 1,
                                         .on_exit = on_exit_of_client,
                                         .arg = client};
    if (!err) err = io_process_start(client->loop, &options, &client->process);
    if (!err) limit(io_process_pid(client->process));
    if (null >= 0) close(null);
    if (theirs >= 0) close(theirs);
    if (hook >= 0) close(hook);
    return err;
}

static void help(struct acme_client *client, const char *name, io_fiber_main *main) {
    client->helpers++;
    if (io_fiber_spawn(client->loop, name, main, client, NULL) == SK_OK) return;
    client->helpers--;
    end_process(client);
}

static void close_all(struct acme_client *client) {
    io_stream_close(client->output);
    io_stream_close(client->hooks);
    if (client->process) io_process_release(client->process);
    client->output = client->hooks = NULL;
    client->process = NULL;
}

/* Until the client has ended, by itself or by us, and so have those who listen to it. True: its time was over. */
static bool wait_for_end(struct acme_client *client, sk_time_ns deadline) {
    bool timed_out = false;
    while (!client->exited) {
        if (io_fiber_park(timed_out ? SK_TIME_NEVER : deadline) == SK_OK) continue;
        timed_out = true;
        end_process(client);
    }
    /* what it said last is still to be read; somebody whom it left behind may keep the other end open */
    sk_time_ns last = sk_time_now() + SK_NS_PER_S;
    while (client->helpers && io_fiber_park(last) == SK_OK) continue;
    shutdown(io_stream_fd(client->output), SHUT_RDWR);
    shutdown(io_stream_fd(client->hooks), SHUT_RDWR);
    while (client->helpers) (void)io_fiber_park(SK_TIME_NEVER);
    return timed_out;
}

/* SK_ERR_TIMEOUT, SK_ERR_CANCELLED, or why it could not be started; SK_OK: client->status says how it ended. */
static sk_err run(struct acme_client *client, const char *const *argv, int64_t timeout_ms) {
    sk_time_ns deadline = sk_time_now() + timeout_ms * SK_NS_PER_MS;
    client->exited = false;
    client->said_bytes = client->tail_bytes = client->helpers = 0;
    client->story = io_fiber_self();
    sk_err err = client->stopping ? SK_ERR_CANCELLED : start(client, argv);
    if (!err) {
        help(client, "acme output", read_output);
        help(client, "acme hooks", answer_hooks);
        if (wait_for_end(client, deadline)) err = SK_ERR_TIMEOUT;
        if (client->stopping) err = SK_ERR_CANCELLED;
    }
    close_all(client);
    client->story = NULL;
    return err;
}

/* --- what it meant ------------------------------------------------------------------------------------------ */

static bool said(const struct acme_client *client, sk_str word) {
    return sk_str_find(sk_str_make(client->tail, client->tail_bytes), word) < client->tail_bytes;
}

/* The last line that says something about the problem (RFC 7807's "detail"), else the last one of all. */
static sk_str telling_line(const struct acme_client *client) {
    sk_str rest = sk_str_make(client->tail, client->tail_bytes), line, last = {0}, detail = {0};
    while (rest.len && sk_str_cut(&rest, '\n', &line)) {
        line = sk_str_trim(line);
        if (line.len > 1) last = line;
        if (sk_str_find(line, SK_STR("\"detail\"")) < line.len) detail = line;
    }
    return detail.len ? detail : last;
}

static void tell(const struct acme_client *client, char why[ACME_WHY_BYTES]) {
    sk_str line = telling_line(client);
    size_t n = SK_MIN(line.len, (size_t)ACME_WHY_BYTES - 1);
    for (size_t i = 0; i < n; i++)
        why[i] = (char)(line.data[i] >= 0x20 && line.data[i] < 0x7f ? line.data[i] : ' ');
    why[n] = 0;
}

static enum acme_outcome outcome_of(struct acme_client *client, sk_err err, const char *program,
                                    char why[ACME_WHY_BYTES]) {
    if (err == SK_ERR_TIMEOUT) {
        tell(client, why);
        return ACME_TIMED_OUT;
    }
    if (err) {
        snprintf(why, ACME_WHY_BYTES, "%s: %s", program, sk_err_text(err));
        return err == SK_ERR_NOT_FOUND || err == SK_ERR_DENIED ? ACME_NO_CLIENT : ACME_FAILED;
    }
    if (WIFEXITED(client->status) && WEXITSTATUS(client->status) == 0) return ACME_ISSUED;
    if (WIFEXITED(client->status) && WEXITSTATUS(client->status) == 1) return ACME_CURRENT;
    if (WIFSIGNALED(client->status))
        snprintf(why, ACME_WHY_BYTES, "the client was ended by signal %d", WTERMSIG(client->status));
    else
        tell(client, why);
    return said(client, SK_STR("rateLimited")) ? ACME_LIMITED : ACME_FAILED;
}

/* --- account and order -------------------------------------------------------------------------------------- */

struct arguments {
    const char *list[ARGUMENTS_MAX];
    size_t count;
};

static void add(struct arguments *arguments, const char *text) {
    SK_ASSERT(arguments->count + 1 < ARGUMENTS_MAX);
    arguments->list[arguments->count++] = text;
}

static struct arguments begin(const struct acme_client_options *options) {
    struct arguments arguments = {0};
    const char *const first[] = {options->program,  "-v", "-y", "-c", options->folder, "-a",
                                 options->directory};
    for (size_t i = 0; i < SK_COUNT(first); i++) add(&arguments, first[i]);
    return arguments;
}

static sk_err account_text(const struct acme_client_options *options, struct sk_buf *out,
                           char path[ACME_PATH_BYTES]) {
    if (snprintf(path, ACME_PATH_BYTES, "%s/account", options->folder) >= ACME_PATH_BYTES)
        return SK_ERR_TOO_LARGE;
    return sk_buf_printf(out, "%s %s\n", options->directory, options->email);
}

/* Whether this folder's account was made at this directory, with this address. */
static bool has_account(const char *path, sk_str text) {
    struct sk_buf there;
    sk_buf_init(&there, 0);
    bool same = io_file_load(path, ACCOUNT_MAX_BYTES, &there) == SK_OK && sk_str_eq(sk_buf_str(&there), text);
    sk_buf_free(&there);
    return same;
}

/* "new" fails for an account that is there already: that is as good. */
static enum acme_outcome make_account(struct acme_client *client, const struct acme_client_options *options,
                                      char why[ACME_WHY_BYTES]) {
    struct arguments arguments = begin(options);
    add(&arguments, "new");
    if (options->email[0]) add(&arguments, options->email);
    sk_err err = run(client, arguments.list, options->timeout_ms);
    enum acme_outcome outcome = outcome_of(client, err, options->program, why);
    return outcome == ACME_FAILED && said(client, SK_STR("Account already exists")) ? ACME_CURRENT : outcome;
}

static enum acme_outcome need_account(struct acme_client *client, const struct acme_client_options *options,
                                      char path[ACME_PATH_BYTES], char why[ACME_WHY_BYTES]) {
    struct sk_buf text;
    sk_buf_init(&text, 0);
    enum acme_outcome outcome = ACME_FAILED;
    sk_err err = account_text(options, &text, path);
    if (!err && has_account(path, sk_buf_str(&text)))
        outcome = ACME_CURRENT;
    else if (!err && acme_outcome_is_good(outcome = make_account(client, options, why)))
        err = io_file_replace(path, sk_buf_str(&text).data, sk_buf_len(&text), 0600);
    sk_buf_free(&text);
    if (!err) return outcome;
    snprintf(why, ACME_WHY_BYTES, "%.160s: %s", path, sk_err_text(err));
    return ACME_FAILED;
}

static enum acme_outcome issue(struct acme_client *client, const struct acme_client_options *options,
                               const struct acme_client_order *order, char why[ACME_WHY_BYTES]) {
    char days[16];
    struct arguments arguments = begin(options);
    snprintf(days, sizeof days, "%u", order->days_left);
    const char *const more[] = {"-h", options->hook, "-o", "-t", order->rsa ? "RSA" : "EC", "-d", days};
    for (size_t i = 0; i < SK_COUNT(more); i++) add(&arguments, more[i]);
    if (order->force) add(&arguments, "-f");
    add(&arguments, "issue");
    for (size_t i = 0; order->names[i]; i++) add(&arguments, order->names[i]);
    client->order = order;
    sk_err err = run(client, arguments.list, options->timeout_ms);
    client->order = NULL;
    return outcome_of(client, err, options->program, why);
}

enum acme_outcome acme_client_issue(struct acme_client *client, const struct acme_client_options *options,
                                    const struct acme_client_order *order, char why[ACME_WHY_BYTES]) {
    char account[ACME_PATH_BYTES];
    why[0] = 0;
    if (mkdir(options->folder, 0700) < 0 && errno != EEXIST) {
        snprintf(why, ACME_WHY_BYTES, "%s: %s", options->folder, strerrordesc_np(errno));
        return ACME_FAILED;
    }
    enum acme_outcome outcome = need_account(client, options, account, why);
    if (!acme_outcome_is_good(outcome)) return outcome;
    outcome = issue(client, options, order, why);
    /* an authority that has forgotten us is asked for an account the next time */
    if (outcome == ACME_FAILED && said(client, SK_STR("accountDoesNotExist"))) unlink(account);
    return outcome;
}

sk_err acme_client_files(const char *folder, const char *name, char cert_file[ACME_PATH_BYTES],
                         char key_file[ACME_PATH_BYTES]) {
    if (name[0] == '*' && name[1] == '.') name += 2;
    if (snprintf(cert_file, ACME_PATH_BYTES, "%s/%s/cert.pem", folder, name) >= ACME_PATH_BYTES ||
        snprintf(key_file, ACME_PATH_BYTES, "%s/private/%s/key.pem", folder, name) >= ACME_PATH_BYTES)
        return SK_ERR_TOO_LARGE;
    return SK_OK;
}
