/* fleetkit publish: a publisher with stdin for its API. */
#include <stdio.h>
#include <stdlib.h>

#include "fleet/ca.h"
#include "fleet/publisher.h"
#include "fleetkit.h"
#include "io/file.h"

#define WAIT_NS (5 * SK_NS_PER_S)

static struct io_loop *loop;
static struct fleet_identity *identity;
static struct fleet_publisher *publisher;

static struct fleet_identity *identity_of(void *arg) { return fleet_identity_ref(identity); }

static struct fleet_bus_keys masters;
static struct fleet_bus_keys keys_of(void *arg, sk_str edge) { return fleet_bus_keys_of(&masters, edge); }

/* Of the authority that `fleetkit make` left beside FOLDER. */
static sk_err read_masters(const char *folder) {
    char path[FLEET_PATH_BYTES];
    struct fleet_ca *ca;
    sk_str fleet = sk_str_from_c(fleet_identity_self(identity)->id.fleet);
    sk_err err = fleet_path(sk_str_from_c(folder), "../ca", path);
    if (!err) err = fleet_ca_open(sk_str_from_c(path), fleet, sk_wall_now_s(), &ca);
    if (err) return err;
    err = fleet_ca_bus_masters(ca, &masters);
    fleet_ca_free(ca);
    return err;
}

struct line {
    char *text;
    size_t capacity;
    ssize_t bytes;
};

static sk_err read_line(void *arg) {
    struct line *line = arg;
    line->bytes = getline(&line->text, &line->capacity, stdin);
    return line->bytes > 0 ? SK_OK : SK_ERR_END;
}

static void answer(const struct fleet_receipt *receipt, const struct fleet_stragglers *stragglers,
                   sk_time_ns began, sk_time_ns applied) {
    printf("{\"sequence\":%llu,\"published_ms\":%.3f,\"applied_ms\":%.3f,\"living\":%u,\"behind\":[",
           (unsigned long long)receipt->mark.sequence, (double)((int64_t)receipt->published_ns - began) / 1e6,
           (double)(applied - (int64_t)receipt->published_ns) / 1e6, stragglers->living);
    for (uint32_t i = 0; i < stragglers->behind; i++)
        printf("%s\"%.*s\"", i ? "," : "", SK_STR_ARGS(stragglers->names[i]));
    printf("]}\n");
}

static sk_err publish_and_wait(const struct fleet_purge_request *request, struct sk_arena *arena) {
    struct fleet_receipt receipt;
    struct fleet_stragglers stragglers;
    sk_time_ns began = sk_time_now();
    sk_err err = fleet_publish(publisher, request, began + WAIT_NS, &receipt);
    if (!err) err = fleet_publisher_wait(publisher, &receipt, sk_time_now() + WAIT_NS, arena, &stragglers);
    if (!err) answer(&receipt, &stragglers, began, sk_time_now());
    return err;
}

static void one(sk_str text) {
    struct sk_arena arena;
    struct fleet_purge_request request;
    struct fleet_purge_problem problem;
    sk_arena_init(&arena, 4096, 0);
    sk_err err = fleet_purge_parse(text, &arena, &request, &problem);
    if (!err) {
        err = publish_and_wait(&request, &arena);
        fleet_purge_request_free(&request);
    }
    if (err) printf("{\"error\":\"%s\"}\n", sk_err_name(err));
    fflush(stdout);
    sk_arena_free(&arena);
}

static void story(void *arg) {
    struct line line = {0};
    while (io_blocking(loop, read_line, &line) == SK_OK) one(sk_str_make(line.text, (size_t)line.bytes));
    free(line.text);
    fleet_publisher_end(publisher, sk_time_now() + WAIT_NS);
    io_loop_stop(loop);
}

int fleetkit_publish(const char *folder, const char *bus) {
    struct fleet_publisher_options options = {.identity = identity_of, .keys = keys_of};
    sk_err err = fleet_identity_load(sk_str_from_c(folder), &identity);
    if (!err) err = read_masters(folder);
    if (!err) err = fleet_valkey_where_parse(sk_str_from_c(bus), &options.where);
    if (!err) err = io_loop_create("fleetkit", &loop);
    if (!err) err = fleet_publisher_start(loop, &options, &publisher);
    if (!err) err = io_fiber_spawn(loop, "story", story, NULL, NULL);
    if (err) {
        fprintf(stderr, "fleetkit: %s\n", sk_err_text(err));
        return 1;
    }
    io_loop_run(loop);
    fleet_publisher_free(publisher);
    io_loop_destroy(loop);
    fleet_identity_unref(identity);
    return 0;
}
