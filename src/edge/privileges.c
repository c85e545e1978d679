#include "edge/privileges.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"

#define DESCRIPTORS_RESERVED 256

void edge_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        sk_log(SK_LOG_WARN, "edge", "the limit of open files stays at its soft value");
}

static sk_err change_user(const char *name) {
    const struct passwd *user = getpwnam(name);
    if (!user) {
        sk_log(SK_LOG_ERROR, "edge", "user: there is no user \"%s\" on this machine", name);
        return SK_ERR_NOT_FOUND;
    }
    if (geteuid() == user->pw_uid) return SK_OK;
    if (geteuid() != 0) {
        sk_log(SK_LOG_ERROR, "edge", "user: only root can become \"%s\"; leave it out or start as root",
               name);
        return SK_ERR_DENIED;
    }
    if (initgroups(name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) {
        sk_log(SK_LOG_ERROR, "edge", "user: cannot become \"%s\"", name);
        return SK_ERR_DENIED;
    }
    /* setuid from root drops every capability; make sure that there is no way back. */
    return user->pw_uid != 0 && setuid(0) == 0 ? SK_ERR_DENIED : SK_OK;
}

sk_err edge_become_user(const struct config *config) {
    sk_err err = SK_OK;
    if (config->user.len)
        err = change_user(config->user.data);
    else if (geteuid() == 0)
        sk_log(SK_LOG_WARN, "edge", "running as root: set `user` so that a fault can do less harm");
    if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        sk_log(SK_LOG_WARN, "edge", "the kernel does not know no_new_privs");
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
