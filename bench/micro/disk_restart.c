/* What the SSD tier's store costs in memory, and how soon it is there again: after a clean stop, and after its
 * process was killed while it wrote.
 *
 *   bench_disk_restart PATH [RECORDS [BODY-BYTES]]      the file is made anew, and removed at the end */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "base/time.h"
#include "cache/disk.h"

static _Noreturn void stop(const char *what, sk_err err) {
    fprintf(stderr, "bench_disk_restart: %s: %s\n", what, sk_err_text(err));
    exit(1);
}

static double ms_since(sk_time_ns start) { return (double)(sk_time_now() - start) / 1e6; }

static sk_hash128 hash_of(uint64_t number) { return sk_hash128_of(&number, sizeof number); }

static sk_str key_of(uint64_t number, char text[64]) {
    return (sk_str){text,
                    (size_t)snprintf(text, 64, "site|example.org|/object/%llu", (unsigned long long)number)};
}

static const char head[] = "200 Content-Type: text/plain\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

static void put(struct disk *disk, uint64_t number, const char *body, size_t bytes) {
    char text[64];
    sk_err err;
    while ((err = disk_put(disk, hash_of(number), 0, key_of(number, text), (sk_str){head, sizeof head - 1},
                           body, bytes)) == SK_ERR_FULL)
        if (disk_write(disk, NULL) && disk_reclaim(disk, NULL)) stop("no room is made", SK_ERR_FULL);
    if (err) stop("put", err);
}

/* Opened and asked for records, as many of them as are there. */
static struct disk *reopen(const struct disk_options *options, uint64_t records, const char *how) {
    struct disk *disk;
    struct disk_usage usage;
    uint64_t found = 0, asked = 10000;
    sk_time_ns start = sk_time_now();
    sk_err err = disk_open(options, NULL, &disk);
    double ms = ms_since(start);
    if (err) stop("open", err);
    while ((err = disk_load(disk, NULL)) == SK_OK) continue;
    if (err != SK_ERR_AGAIN) stop("load", err);
    double all_ms = ms_since(start);
    start = sk_time_now();
    for (uint64_t i = 0; i < asked; i++) {
        struct disk_reader reader;
        char text[64];
        uint64_t number = sk_random_below(records);
        sk_str block;
        if (disk_find(disk, NULL, hash_of(number), key_of(number, text), &reader)) continue;
        found += disk_read_block(&reader, NULL, 0, &block) == SK_OK;
        disk_reader_close(&reader);
    }
    double find_us = ms_since(start) * 1000 / (double)asked;
    disk_usage(disk, &usage);
    printf(
        "%-22s %8.0f ms to ready, %.0f ms until all is loaded, %llu records, %.2f bytes of index a record, %.2f %% of a sample found, "
        "%.0f us a read\n",
        how, ms, all_ms, (unsigned long long)usage.index.records,
        (double)usage.index.bytes / (double)usage.index.records, 100.0 * (double)found / (double)asked,
        find_us);
    return disk;
}

int main(int argc, char **argv) {
    if (argc < 2) stop("usage: bench_disk_restart PATH [RECORDS [BODY-BYTES]]", SK_ERR_INVALID);
    uint64_t records = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    size_t bytes = argc > 3 ? strtoull(argv[3], NULL, 10) : 1024;
    char *body = calloc(1, bytes + 1);
    if (!body || !records) stop("sizes", SK_ERR_INVALID);
    uint64_t room = records * (disk_record_size(&(struct disk_record){
                                   .key.len = 64, .head.len = sizeof head, .body_bytes = bytes}) +
                               DISK_SUMMARY_ENTRY_BYTES);
    struct disk_options options = {.records = records, .create = true};
    unlink(argv[1]);
    sk_err err = disk_io_open(argv[1], room / 100 * 110 + (UINT64_C(96) << 20), &options.io);
    if (err) stop(argv[1], err);
    struct disk *disk;
    if ((err = disk_open(&options, NULL, &disk)) != SK_OK) stop("open", err);
    sk_time_ns start = sk_time_now();
    for (uint64_t i = 0; i < records; i++) put(disk, i, body, bytes);
    double ms = ms_since(start);
    printf("%-22s %8.0f ms, %.0f MB/s\n", "written", ms, (double)records * (double)bytes / ms / 1000);
    if ((err = disk_close(disk, NULL)) != SK_OK) stop("close", err);
    options.create = false;
    options.background = true;
    disk = reopen(&options, records, "after a clean stop");
    pid_t child = fork();
    if (child == 0) {
        for (uint64_t i = 0; i < SK_MAX(records / 100, 40000); i++)
            put(disk, sk_random_below(records), body, bytes);
        raise(SIGKILL);
    }
    waitpid(child, NULL, 0);
    struct disk *after = reopen(&options, records, "after kill -9");
    (void)disk_close(after, NULL);
    (void)disk_close(disk, NULL);
    disk_io_close(&options.io);
    unlink(argv[1]);
    free(body);
}
