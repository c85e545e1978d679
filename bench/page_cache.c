/* Keeps what the kernel's page cache holds of a folder's files at a limit, so that a server that reads its cache through
 * it has no more memory than one that does not. Files are taken in an order that has nothing to do with their use.
 *
 *   page_cache FOLDER LIMIT-BYTES      until SIGTERM; then the mean of bytes resident goes to stdout
 *
 * Every STEP_MS it asks how much of each file is resident (cachestat, Linux 6.5) and drops files until the sum is below
 * the limit; every RESCAN_STEPS it looks for new files. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 100
#define RESCAN_STEPS 50
#define PATH_BYTES 4096
#define PAGE_BYTES 4096
#define PIECE_BYTES (256u << 10) /* of a large file that is dropped at once */
#define FILES_MAX 500000
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

struct file {
    ino_t inode;
    int fd;
    uint64_t bytes;
};
static struct file files[FILES_MAX];
static size_t file_count;
static volatile sig_atomic_t ended;

static void end(int number) {
    (void)number;
    ended = 1;
}

static uint64_t resident_bytes(int fd, uint64_t from, uint64_t bytes) {
    uint64_t range[2] = {from, bytes};
    uint64_t stat[5] = {0}; /* cached, dirty, in writeback, evicted, recently evicted */
    if (syscall(SYS_cachestat, fd, range, stat, 0)) {
        perror("page_cache: cachestat");
        exit(2);
    }
    if (stat[1])
        sync_file_range(fd, (off64_t)from, (off64_t)bytes, SYNC_FILE_RANGE_WRITE); /* dirty ones stay */
    return stat[0] * PAGE_BYTES;
}

static void add_files(const char *folder) {
    DIR *dir = opendir(folder);
    struct dirent *item;
    while (dir && (item = readdir(dir))) {
        char path[PATH_BYTES];
        struct stat status;
        if (item->d_name[0] == '.' || file_count == FILES_MAX) continue;
        snprintf(path, sizeof path, "%s/%s", folder, item->d_name);
        if (stat(path, &status)) continue;
        if (S_ISDIR(status.st_mode)) add_files(path);
        if (!S_ISREG(status.st_mode)) continue;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOATIME);
        if (fd < 0) continue;
        files[file_count++] = (struct file){status.st_ino, fd, (uint64_t)status.st_size};
    }
    if (dir) closedir(dir);
}

static void scan(const char *folder) {
    for (size_t i = 0; i < file_count; i++) close(files[i].fd);
    file_count = 0;
    add_files(folder);
}

/* In pieces, each with the same chance. */
static uint64_t drop(const struct file *file, double share) {
    uint64_t dropped = 0;
    for (uint64_t at = 0; at < file->bytes; at += PIECE_BYTES) {
        if (drand48() >= share) continue;
        uint64_t bytes = file->bytes - at < PIECE_BYTES ? file->bytes - at : PIECE_BYTES;
        dropped += resident_bytes(file->fd, at, bytes);
        posix_fadvise(file->fd, (off_t)at, (off_t)bytes, POSIX_FADV_DONTNEED);
    }
    return dropped;
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: page_cache FOLDER LIMIT-BYTES\n"), 2;
    uint64_t limit = strtoull(argv[2], NULL, 10), steps = 0;
    double sum = 0;
    struct rlimit all = {FILES_MAX + 64, FILES_MAX + 64};
    (void)setrlimit(RLIMIT_NOFILE, &all);
    signal(SIGTERM, end);
    for (; !ended; steps++) {
        uint64_t resident = 0, left;
        if (steps % RESCAN_STEPS == 0) scan(argv[1]);
        for (size_t i = 0; i < file_count; i++) resident += resident_bytes(files[i].fd, 0, files[i].bytes);
        left = resident;
        for (size_t i = 0; i < file_count && resident > limit; i++) {
            if (left <= limit) break;
            uint64_t gone = drop(&files[i], (double)(resident - limit) / (double)resident);
            left -= gone < left ? gone : left;
        }
        sum += (double)resident;
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
    }
    printf("%.0f\n", steps ? sum / (double)steps : 0);
}
