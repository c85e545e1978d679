#include "edge/privileges.h"

#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "io/user.h"

#define DESCRIPTORS_RESERVED 256

void edge_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        sk_log(SK_LOG_WARN, "edge", "the limit of open files stays at its soft value");
}

sk_err edge_become_user(const struct config *config) {
    sk_err err = SK_OK;
    if (config->user.len)
        err = io_user_become(config->user, "edge");
    else if (geteuid() == 0)
        sk_log(SK_LOG_WARN, "edge", "running as root: set `user` so that a fault can do less harm");
    if (!err && !io_user_settle()) sk_log(SK_LOG_WARN, "edge", "the kernel does not know no_new_privs");
    return err;
}

uint32_t edge_connection_limit(const struct config *config) {
    struct rlimit limit;
    if (config->limits.connections) return config->limits.connections;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 512;
    rlim_t usable = limit.rlim_cur > 2 * DESCRIPTORS_RESERVED ? limit.rlim_cur - DESCRIPTORS_RESERVED
                                                              : limit.rlim_cur / 2;
    return (uint32_t)SK_MIN(usable / 2, (rlim_t)1 << 20);
}
