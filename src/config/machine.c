#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "config/value.h"

/* The limit in one control group's folder; UINT64_MAX when there is none ("max", or no such file). */
static uint64_t group_limit(const char *folder) {
    char path[512];
    unsigned long long limit = UINT64_MAX;
    snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", folder);
    FILE *file = fopen(path, "re");
    if (!file) return UINT64_MAX;
    if (fscanf(file, "%llu", &limit) != 1) limit = UINT64_MAX;
    fclose(file);
    return limit;
}

/* Version 2 only: the line "0::/path". Every group above counts as well. */
static uint64_t groups_limit(void) {
    char line[256] = "";
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return UINT64_MAX;
    while (fgets(line, sizeof(line), file) && strncmp(line, "0::", 3) != 0) line[0] = 0;
    fclose(file);
    if (!line[0]) return UINT64_MAX;
    line[strcspn(line, "\n")] = 0;
    char *folder = line + 3;
    uint64_t least = UINT64_MAX;
    for (char *slash; (slash = strrchr(folder, '/')); *slash = 0) least = SK_MIN(least, group_limit(folder));
    return SK_MIN(least, group_limit(""));
}

uint64_t config_machine_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t physical =
        pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : UINT64_C(1) << 30;
    return SK_MIN(physical, groups_limit());
}

uint32_t config_machine_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return (uint32_t)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more cores than a cpu_set_t holds */
    return online > 0 ? (uint32_t)online : 1;
}
