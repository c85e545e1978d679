/* skerry store bench: how fast a file system takes and gives what the SSD tier writes and reads, by the calls that the
 * SSD tier makes. One read or write at a time: what one request waits for. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "base/time.h"
#include "cache/disk.h"
#include "cli/command.h"
#include "cli/store.h"

enum { SAMPLES_MAX = 200000 };

struct bench {
    struct disk_io io;
    uint8_t *data; /* 1 MiB */
    uint64_t bytes;
    int64_t seconds;
    float *us; /* of each operation */
};

struct part {
    const char *name;
    size_t bytes; /* of one operation */
    bool write, random;
};

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* Operations until the time is over, or once through the file. */
static sk_err run(struct bench *bench, const struct part *part, size_t *out_count, double *out_s) {
    sk_time_ns begin = sk_time_now(), now = begin;
    size_t count = 0;
    uint64_t places = bench->bytes / part->bytes;
    sk_err err = SK_OK;
    while (!err && !store_stopped() && count < SAMPLES_MAX && now - begin < bench->seconds * SK_NS_PER_S &&
           (part->random || count < places)) {
        uint64_t place = part->random ? sk_random_below(places) : count;
        sk_time_ns start = now;
        err = part->write
                  ? bench->io.write(bench->io.arg, NULL, bench->data, part->bytes, place * part->bytes)
                  : bench->io.read(bench->io.arg, NULL, bench->data, part->bytes, place * part->bytes);
        now = sk_time_now();
        bench->us[count++] = (float)(now - start) / 1000;
    }
    if (!err && part->write) err = bench->io.sync(bench->io.arg, NULL);
    *out_count = count;
    *out_s = (double)(sk_time_now() - begin) / 1e9;
    return err;
}

static void print_part(struct bench *bench, const struct part *part, size_t count, double s, bool json) {
    qsort(bench->us, count, sizeof *bench->us, by_value);
    double mb_s = (double)count * (double)part->bytes / s / 1e6;
    double p50 = (double)bench->us[count / 2], p99 = (double)bench->us[count * 99 / 100];
    if (json)
        printf("{\"part\":\"%s\",\"operations\":%zu,\"mb_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
               part->name, count, mb_s, p50, p99);
    else
        printf("  %-26s %9.1f MB/s  p50 %8.0f us  p99 %8.0f us  (%zu)\n", part->name, mb_s, p50, p99, count);
    fflush(stdout);
}

static sk_err run_all(struct bench *bench, bool json) {
    static const struct part parts[] = {
        {"write in order, 1 MiB", 1 << 20, true, false},
        {"read in order, 1 MiB", 1 << 20, false, false},
        {"read anywhere, 4 KiB", 4096, false, true},
        {"read anywhere, 64 KiB", 65536, false, true},
    };
    for (size_t i = 0; i < SK_COUNT(parts) && !store_stopped(); i++) {
        size_t count;
        double s;
        sk_err err = run(bench, &parts[i], &count, &s);
        if (err) return err;
        if (!i) bench->bytes = SK_MAX(count, 1) * parts[i].bytes; /* what was not written is not read */
        if (count) print_part(bench, &parts[i], count, s, json);
    }
    return SK_OK;
}

/* A file that was not there before: nothing of anybody's is ever written to. */
static sk_err scratch_name(const char *path, char *out, size_t room) {
    struct stat status;
    bool folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    int n = folder ? snprintf(out, room, "%s/skerry-bench-%d", path, (int)getpid())
                   : snprintf(out, room, "%s", path);
    if (n < 0 || (size_t)n >= room) return SK_ERR_TOO_LARGE;
    int fd = open(out, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) return errno == EEXIST ? SK_ERR_EXISTS : sk_err_from_errno(errno);
    close(fd);
    return SK_OK;
}

int store_bench(const char *path, const struct store_arguments *arguments) {
    char name[4096];
    struct bench bench = {.bytes = arguments->size_bytes >> 20 << 20, .seconds = arguments->seconds};
    sk_err err = scratch_name(path, name, sizeof name);
    if (err) {
        fprintf(stderr, "skerry store: %s: %s\n", path,
                err == SK_ERR_EXISTS ? "is there already; give a folder or a new name" : sk_err_text(err));
        return CLI_FAILED;
    }
    bench.data = aligned_alloc(DISK_SECTOR_BYTES, 1 << 20);
    bench.us = malloc(SAMPLES_MAX * sizeof *bench.us);
    err = bench.data && bench.us ? disk_io_open(name, bench.bytes, &bench.io) : SK_ERR_NO_MEMORY;
    if (!err) {
        for (size_t i = 0; i < 1 << 20; i += 8) memcpy(bench.data + i, &(uint64_t){sk_random_u64()}, 8);
        if (!arguments->json) printf("%s\n", path);
        err = run_all(&bench, arguments->json);
        disk_io_close(&bench.io);
    }
    unlink(name);
    free(bench.data);
    free(bench.us);
    if (err) fprintf(stderr, "skerry store: %s: %s\n", path, sk_err_text(err));
    return err ? CLI_FAILED : CLI_FINE;
}
