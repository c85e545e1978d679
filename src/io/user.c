#include "io/user.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"

sk_err io_user_become(sk_str name, const char *part) {
    const struct passwd *user = getpwnam(name.data);
    if (!user) {
        sk_log(SK_LOG_ERROR, part, "user: there is no user \"%s\" on this machine", name.data);
        return SK_ERR_NOT_FOUND;
    }
    if (geteuid() == user->pw_uid) return SK_OK;
    if (geteuid() != 0) {
        sk_log(SK_LOG_ERROR, part, "user: only root can become \"%s\"; leave it out or start as root",
               name.data);
        return SK_ERR_DENIED;
    }
    if (initgroups(name.data, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) {
        sk_log(SK_LOG_ERROR, part, "user: cannot become \"%s\"", name.data);
        return SK_ERR_DENIED;
    }
    /* setuid from root drops every capability; make sure that there is no way back. */
    return user->pw_uid != 0 && setuid(0) == 0 ? SK_ERR_DENIED : SK_OK;
}

sk_err io_user_settle(sk_str name, const char *part) {
    sk_err err = SK_OK;
    if (name.len)
        err = io_user_become(name, part);
    else if (geteuid() == 0)
        sk_log(SK_LOG_WARN, part, "running as root: set `user` so that a fault can do less harm");
    if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        sk_log(SK_LOG_WARN, part, "the kernel does not know no_new_privs");
    return err;
}
