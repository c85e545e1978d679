/* What the kernel knows of this process. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "observe/metrics.h"

/* Field N (from 1) of a line of numbers in /proc, after the last PAST if there is one; NaN when it cannot be read. */
static double proc_field(const char *path, char past, unsigned n) {
    char line[1024];
    FILE *file = fopen(path, "re");
    if (!file) return NAN;
    size_t bytes = fread(line, 1, sizeof(line), file);
    fclose(file);
    sk_str rest = sk_str_make(line, bytes), field = {0};
    const char *after = memrchr(line, past, bytes);
    if (after) rest = sk_str_slice(rest, (size_t)(after - line) + 2, bytes);
    for (unsigned i = 0; i < n; i++)
        if (!sk_str_cut(&rest, ' ', &field)) return NAN;
    uint64_t value;
    return sk_str_to_u64(field, &value) ? NAN : (double)value;
}

static double open_descriptors(void) {
    double count = -3; /* ".", "..", and the one that looks */
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) return NAN;
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

/* The kernel tells it in ticks since the machine's start. */
static double start_time(void) {
    struct timespec up;
    double ticks = proc_field("/proc/self/stat", ')', 20); /* field 22, counted from after the name */
    if (clock_gettime(CLOCK_BOOTTIME, &up)) return NAN;
    double booted = (double)sk_wall_now_ns() / 1e9 - (double)up.tv_sec - (double)up.tv_nsec / 1e9;
    return booted + ticks / (double)sysconf(_SC_CLK_TCK);
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

void observe_process_read(double out_values[OBSERVE_PROCESS_COUNT_]) {
    struct rusage usage;
    struct rlimit limit;
    bool has_usage = getrusage(RUSAGE_SELF, &usage) == 0;
    bool has_limit = getrlimit(RLIMIT_NOFILE, &limit) == 0;
    out_values[OBSERVE_PROCESS_CPU] = has_usage ? seconds(usage.ru_utime) + seconds(usage.ru_stime) : NAN;
    out_values[OBSERVE_PROCESS_RESIDENT] =
        proc_field("/proc/self/statm", ')', 2) * (double)sysconf(_SC_PAGESIZE);
    out_values[OBSERVE_PROCESS_FDS] = open_descriptors();
    out_values[OBSERVE_PROCESS_MAX_FDS] = has_limit ? (double)limit.rlim_cur : NAN;
    out_values[OBSERVE_PROCESS_START] = start_time();
}
