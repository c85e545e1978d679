#include "edge/descriptors.h"

#include <sys/resource.h>

#include "base/log.h"

#define DESCRIPTORS_RESERVED 256

void edge_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        sk_log(SK_LOG_WARN, "edge", "the limit of open files stays at its soft value");
}

uint32_t edge_connection_limit(const struct config *config) {
    struct rlimit limit;
    if (config->limits.connections) return config->limits.connections;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 512;
    rlim_t usable = limit.rlim_cur > 2 * DESCRIPTORS_RESERVED ? limit.rlim_cur - DESCRIPTORS_RESERVED
                                                              : limit.rlim_cur / 2;
    return (uint32_t)SK_MIN(usable / 2, (rlim_t)1 << 20);
}
