/* Keeps an HTTP/1.1 server busy with connections that stay open, and tells exactly what became of every
 * request: a line of JSON at the end, and one for each interval when asked for. For tests in which no request
 * may fail, for latencies, and for the demonstration's load. Exit code 0: no failure, 1: some, 2: bad usage. */
#include <argp.h>
#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

struct settings {
    struct client_options client;
    struct work work;
    const char *host_field, *file, *place[2];
    char extra[4096];
    char **targets;
    int target_count;
    double duration_s, zipf;
    int interval_ms;
    uint64_t seed;
};

static const struct argp_option options[] = {
    {"connections", 'c', "N", 0, "connections kept busy (64)", 0},
    {"duration", 'd', "SECONDS", 0, "how long; without it, until a signal or --requests", 0},
    {"requests", 'n', "N", 0, "requests in all", 0},
    {"rate", 'r', "N", 0, "requests a second over all connections; without it, as fast as it goes", 0},
    {"timeout", 't', "MS", 0, "for one request (10000)", 0},
    {"status", 's', "STATUS", 0, "the expected one (200); 0 for any", 0},
    {"header", 'H', "FIELD", 0, "a field line for every request", 0},
    {"host", 'o', "HOST", 0, "the Host field (HOST:PORT)", 0},
    {"file", 'f', "FILE", 0, "targets, a line each: TARGET [LENGTH SUM]", 0},
    {"zipf", 'z', "EXPONENT", 0, "choose targets by a Zipf law instead of in turn", 0},
    {"seed", 'e', "N", 0, "of that choice (1)", 0},
    {"interval", 'i', "MS", 0, "a line for each interval", 0},
    {"per-connection", 'k', "N", 0, "close a connection after so many requests", 0},
    {"stay-closed", 'x', NULL, 0,
     "do not open a connection again that was told to close (SIGUSR1: from then on)", 0},
    {0},
};

static error_t on_option(int key, char *value, struct argp_state *state) {
    struct settings *settings = state->input;
    struct client_options *client = &settings->client;
    switch (key) {
    case 'c': client->connections = (unsigned)strtoul(value, NULL, 10); break;
    case 'd': settings->duration_s = strtod(value, NULL); break;
    case 'n': client->requests = strtoull(value, NULL, 10); break;
    case 'r': client->rate = strtod(value, NULL); break;
    case 't': client->timeout_us = strtoll(value, NULL, 10) * 1000; break;
    case 's': client->status = atoi(value); break;
    case 'H':
        if (strlen(settings->extra) + strlen(value) + 3 > sizeof settings->extra)
            argp_error(state, "too many fields");
        strcat(strcat(settings->extra, value), "\r\n");
        break;
    case 'o': settings->host_field = value; break;
    case 'f': settings->file = value; break;
    case 'z': settings->zipf = strtod(value, NULL); break;
    case 'e': settings->seed = strtoull(value, NULL, 10); break;
    case 'i': settings->interval_ms = atoi(value); break;
    case 'k': client->per_connection = strtoull(value, NULL, 10); break;
    case 'x': client->stay_closed = true; break;
    case ARGP_KEY_ARG:
        if (state->arg_num < 2)
            settings->place[state->arg_num] = value;
        else
            return ARGP_ERR_UNKNOWN; /* the rest comes as ARGS */
        break;
    case ARGP_KEY_ARGS:
        settings->targets = state->argv + state->next;
        settings->target_count = state->argc - state->next;
        break;
    case ARGP_KEY_END:
        if (settings->place[1] == NULL) argp_usage(state);
        if (client->connections == 0) argp_error(state, "--connections must be at least 1");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static bool resolve(struct settings *settings) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
    if (getaddrinfo(settings->place[0], settings->place[1], &hints, &found) != 0) return false;
    memcpy(&settings->client.address, found->ai_addr, found->ai_addrlen);
    settings->client.address_bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static bool collect_work(struct settings *settings) {
    char host[300];
    snprintf(host, sizeof host, "%s:%s", settings->place[0], settings->place[1]);
    const char *name = settings->host_field ? settings->host_field : host;
    for (int i = 0; i < settings->target_count; i++)
        work_add(&settings->work, settings->targets[i], name, settings->extra);
    if (settings->file && !work_add_file(&settings->work, settings->file, name, settings->extra))
        return false;
    if (settings->work.count == 0) work_add(&settings->work, "/", name, settings->extra);
    if (settings->zipf > 0) work_use_zipf(&settings->work, settings->zipf, settings->seed);
    return true;
}

static uint64_t failed(const struct client_counts *counts) {
    uint64_t sum = 0;
    for (int i = 0; i < CLIENT_FAILURE_COUNT_; i++) sum += counts->failures[i];
    return sum;
}

static void report(const char *kind, const struct client_counts *counts, double elapsed_s) {
    const struct histogram *latency = &counts->latency;
    printf("{\"kind\":\"%s\",\"seconds\":%.3f,\"requests\":%" PRIu64 ",\"ok\":%" PRIu64
           ",\"failed\":%" PRIu64,
           kind, elapsed_s, counts->sent, counts->ok, failed(counts));
    printf(",\"hits\":%" PRIu64 ",\"connects\":%" PRIu64 ",\"told_to_close\":%" PRIu64 ",\"bytes\":%" PRIu64,
           counts->hits, counts->connects, counts->told_to_close, counts->body_bytes);
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        printf(",\"%s_us\":%" PRIu64, quantiles[i].name, histogram_quantile(latency, quantiles[i].q));
    printf(",\"max_us\":%" PRIu64 ",\"failures\":{", latency->max_us);
    for (int i = 0; i < CLIENT_FAILURE_COUNT_; i++)
        printf("%s\"%s\":%" PRIu64, i ? "," : "", client_failure_names[i], counts->failures[i]);
    puts("}}");
    fflush(stdout);
}

/* TOTAL += PART; PART starts anew. */
static void fold(struct client_counts *total, struct client_counts *part) {
    total->ok += part->ok, total->hits += part->hits, total->connects += part->connects;
    total->told_to_close += part->told_to_close, total->body_bytes += part->body_bytes;
    for (int i = 0; i < CLIENT_FAILURE_COUNT_; i++) total->failures[i] += part->failures[i];
    histogram_merge(&total->latency, &part->latency);
    uint64_t sent = part->sent; /* runs on: limits are counted with it */
    total->sent = sent;
    *part = (struct client_counts){.sent = sent};
}

static volatile sig_atomic_t stopped;
static volatile sig_atomic_t stay_closed;
static void on_signal(int number) {
    if (number == SIGUSR1)
        stay_closed = 1;
    else
        stopped = 1;
}

/* SIGUSR1 is in force once every connection has served a request or is closed for good: none is on its way. */
static void acknowledge(struct client *client, bool *acknowledged) {
    if (!stay_closed || *acknowledged) return;
    client_stay_closed(client);
    if (!client_is_settled(client)) return;
    puts("{\"kind\":\"staying-closed\"}");
    fflush(stdout);
    *acknowledged = true;
}

static void run(struct settings *settings, struct client_counts *total) {
    static struct client_counts part;
    struct client *client = client_create(&settings->client, &settings->work, &part);
    int64_t began_us = client_now_us(), shown_us = began_us;
    uint64_t shown = 0;
    bool more = true, acknowledged = false;
    while (more) {
        more = client_run(client, 20);
        int64_t now_us = client_now_us();
        double elapsed_s = (double)(now_us - began_us) / 1e6;
        acknowledge(client, &acknowledged);
        if (stopped || (settings->duration_s > 0 && elapsed_s >= settings->duration_s)) client_finish(client);
        if (settings->interval_ms == 0 || now_us - shown_us < settings->interval_ms * INT64_C(1000)) continue;
        uint64_t sent = part.sent;
        part.sent -= shown, shown = sent;
        report("interval", &part, (double)(now_us - shown_us) / 1e6);
        part.sent = sent, shown_us = now_us;
        fold(total, &part);
    }
    fold(total, &part);
    report("total", total, (double)(client_now_us() - began_us) / 1e6);
    client_destroy(client);
}

int main(int argc, char **argv) {
    static struct settings settings = {.client = {.connections = 64, .timeout_us = 10000000, .status = 200},
                                       .seed = 1};
    static const struct argp argp = {
        .options = options,
        .parser = on_option,
        .args_doc = "ADDRESS PORT [TARGET...]",
        .doc = "Keeps an HTTP/1.1 server busy and tells what became of every request."};
    static struct client_counts total;
    if (argp_parse(&argp, argc, argv, 0, NULL, &settings) != 0) return 2;
    if (!resolve(&settings) || !collect_work(&settings)) {
        fprintf(stderr, "loadclient: a numeric address, a port and a readable file of targets are needed\n");
        return 2;
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    signal(SIGUSR1, on_signal);
    signal(SIGPIPE, SIG_IGN);
    run(&settings, &total);
    work_free(&settings.work);
    return failed(&total) ? 1 : 0;
}
