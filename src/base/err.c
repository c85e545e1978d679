#include "base/err.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "base/str.h"

static const char *const texts[SK_ERR_COUNT_] = {
#define X(name, text) [SK_ERR_##name] = text,
    SK_ERR_TABLE(X)
#undef X
};

/* The table's names as they stand; folded to lower case at start, since the preprocessor cannot. */
#define NAME_BYTES 24
static char names[SK_ERR_COUNT_][NAME_BYTES] = {
#define X(name, text) [SK_ERR_##name] = #name,
    SK_ERR_TABLE(X)
#undef X
};

/* Before main, hence before any thread can read a name. */
__attribute__((constructor)) static void fold_names(void) {
    for (size_t i = 0; i < SK_ERR_COUNT_; i++) sk_ascii_lower(names[i], names[i], strlen(names[i]));
}

static bool known(sk_err err) { return (unsigned)err < SK_ERR_COUNT_; }

const char *sk_err_text(sk_err err) { return known(err) ? texts[err] : "unknown error"; }

const char *sk_err_name(sk_err err) { return known(err) ? names[err] : "unknown"; }

static const struct {
    int errno_value;
    sk_err err;
} errno_table[] = {
    {0, SK_OK},
    {ENOMEM, SK_ERR_NO_MEMORY},
    {ENOBUFS, SK_ERR_NO_MEMORY},
    {EAGAIN, SK_ERR_AGAIN},
    {EINPROGRESS, SK_ERR_AGAIN},
    {EALREADY, SK_ERR_AGAIN},
    {ETIMEDOUT, SK_ERR_TIMEOUT},
    {ECANCELED, SK_ERR_CANCELLED},
    {EPIPE, SK_ERR_CLOSED},
    {ENOTCONN, SK_ERR_CLOSED},
    {ESHUTDOWN, SK_ERR_CLOSED},
    {ECONNRESET, SK_ERR_RESET},
    {ECONNABORTED, SK_ERR_RESET},
    {ECONNREFUSED, SK_ERR_REFUSED},
    {ENETUNREACH, SK_ERR_UNREACHABLE},
    {EHOSTUNREACH, SK_ERR_UNREACHABLE},
    {ENETDOWN, SK_ERR_UNREACHABLE},
    {EHOSTDOWN, SK_ERR_UNREACHABLE},
    {EADDRNOTAVAIL, SK_ERR_UNREACHABLE},
    {E2BIG, SK_ERR_TOO_LARGE},
    {EFBIG, SK_ERR_TOO_LARGE},
    {EMSGSIZE, SK_ERR_TOO_LARGE},
    {ENAMETOOLONG, SK_ERR_TOO_LARGE},
    {EOVERFLOW, SK_ERR_TOO_LARGE},
    {ENOSYS, SK_ERR_UNSUPPORTED},
    {EOPNOTSUPP, SK_ERR_UNSUPPORTED},
    {EAFNOSUPPORT, SK_ERR_UNSUPPORTED},
    {EPROTONOSUPPORT, SK_ERR_UNSUPPORTED},
    {ENOENT, SK_ERR_NOT_FOUND},
    {ESRCH, SK_ERR_NOT_FOUND},
    {ENODEV, SK_ERR_NOT_FOUND},
    {ENXIO, SK_ERR_NOT_FOUND},
    {EEXIST, SK_ERR_EXISTS},
    {EADDRINUSE, SK_ERR_EXISTS},
    {EISCONN, SK_ERR_EXISTS},
    {ENOSPC, SK_ERR_FULL},
    {EDQUOT, SK_ERR_FULL},
    {EMFILE, SK_ERR_FULL},
    {ENFILE, SK_ERR_FULL},
    {EBUSY, SK_ERR_BUSY},
    {ETXTBSY, SK_ERR_BUSY},
    {EACCES, SK_ERR_DENIED},
    {EPERM, SK_ERR_DENIED},
    {EROFS, SK_ERR_DENIED},
    {EINVAL, SK_ERR_INVALID},
    {EBADF, SK_ERR_INVALID},
    {ENOTDIR, SK_ERR_INVALID},
    {EISDIR, SK_ERR_INVALID},
    {EDESTADDRREQ, SK_ERR_INVALID},
};

sk_err sk_err_from_errno(int errno_value) {
    for (size_t i = 0; i < SK_COUNT(errno_table); i++)
        if (errno_table[i].errno_value == errno_value) return errno_table[i].err;
    return SK_ERR_IO;
}
