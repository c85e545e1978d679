#include "io/user.h"

#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

static void a_user_that_is_not_there_is_told(void **state) {
    uid_t before = geteuid();
    assert_int_equal(io_user_become(SK_STR("no such user"), "test"), SK_ERR_NOT_FOUND);
    assert_int_equal(geteuid(), before);
}

static void who_is_it_already_stays_so(void **state) {
    const struct passwd *self = getpwuid(geteuid());
    assert_non_null(self);
    assert_int_equal(io_user_become(sk_str_from_c(self->pw_name), "test"), SK_OK);
}

/* In a process of its own: 0 when all is as it should be. */
static int leave_root(void) {
    const struct passwd *nobody = getpwnam("nobody");
    if (!nobody) return 1;
    uid_t uid = nobody->pw_uid;
    gid_t gid = nobody->pw_gid;
    if (geteuid() == 0 && io_user_become(SK_STR("nobody"), "test") != SK_OK)
        return setuid(uid) == 0 ? 2 : 0; /* a namespace that has nobody else */
    if (geteuid() == 0 || (getuid() == uid && getgid() != gid)) return 3;
    if (io_user_become(SK_STR("root"), "test") != SK_ERR_DENIED) return 4;
    return setuid(0) == 0 ? 5 : 0;
}

static void there_is_no_way_back_to_root(void **state) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(leave_root());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_that_is_not_there_is_told),
        cmocka_unit_test(who_is_it_already_stays_so),
        cmocka_unit_test(there_is_no_way_back_to_root),
    };
    return SK_RUN_TESTS(tests);
}
