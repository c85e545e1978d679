/* The ACME client as a process: what its end means, its bounds, its account. The client here is a script. */
#include "../io/fibers.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acme/client.h"

static char folder[] = "/tmp/skerry-acme-client-XXXXXX";
static char program[96], state_folder[96], calls[96];
static struct acme_client *client;
static char why[ACME_WHY_BYTES];

static int begin(void **state) {
    if (!mkdtemp(folder)) return -1;
    snprintf(program, sizeof program, "%s/client", folder);
    snprintf(state_folder, sizeof state_folder, "%s/state", folder);
    snprintf(calls, sizeof calls, "%s/calls", folder);
    return 0;
}

static int end(void **state) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* A client that notes its arguments, does ACCOUNT for an account and SCRIPT for an order. */
static void write_both(const char *account, const char *script) {
    FILE *file = fopen(program, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\necho \"$*\" >> %s\ncase \" $* \" in *' new '*) exit 0;; esac\n%s\n", calls,
            script);
    assert_int_equal(fchmod(fileno(file), 0700), 0);
    assert_int_equal(fclose(file), 0);
}

static void write_client(const char *script) { write_both("exit 0", script); }

static sk_str read_calls(char text[4096]) {
    FILE *file = fopen(calls, "r");
    size_t n = file ? fread(text, 1, 4096, file) : 0;
    if (file) fclose(file);
    unlink(calls);
    return sk_str_make(text, n);
}

static bool no_hooks(void *arg, const struct acme_hook *hook) { return false; }

static enum acme_outcome issue(int64_t timeout_ms, bool force) {
    static const char *const names[] = {"a.test", "*.a.test", NULL};
    const struct acme_client_options options = {.program = program,
                                                .hook = "/bin/false",
                                                .directory = "https://ca.test/dir",
                                                .email = "ops@a.test",
                                                .folder = state_folder,
                                                .timeout_ms = timeout_ms};
    const struct acme_client_order order = {
        .names = names, .force = force, .days_left = 7, .on_hook = no_hooks};
    return acme_client_issue(client, &options, &order, why);
}

static void tell_ends(void) {
    static const struct {
        const char *script;
        enum acme_outcome outcome;
        const char *why; /* a part of it */
    } cases[] = {
        {"exit 0", ACME_ISSUED, ""},
        {"exit 1", ACME_CURRENT, ""},
        {"echo 'acme: something'; echo 'acme: no such order' >&2; exit 2", ACME_FAILED, "no such order"},
        {"printf '{\\n  \"type\": \"urn:ietf:params:acme:error:rateLimited\",\\n  \"detail\": \"too many\"\\n}\\n'; exit 2",
         ACME_LIMITED, "too many"},
        {"printf 'a\\033[31mb\\n'; exit 2", ACME_FAILED, "a [31mb"},
        {"kill -9 $$", ACME_FAILED, "signal 9"},
        {"exit 127", ACME_FAILED, ""},
        {"while :; do echo flood flood flood flood flood flood flood flood flood; done", ACME_FAILED,
         "signal 9"},
    };
    assert_ok(acme_client_create(loop, &client));
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        write_client(cases[i].script);
        assert_int_equal(issue(20000, false), cases[i].outcome);
        if (!strstr(why, cases[i].why)) fail_msg("%s: %s", cases[i].script, why);
    }
    acme_client_free(client);
}

static void test_ends(void **state) { run_story(tell_ends); }

static void tell_times(void) {
    assert_ok(acme_client_create(loop, &client));
    write_client("sleep 60 & wait");
    assert_int_equal(issue(300, false), ACME_TIMED_OUT);
    unlink(program);
    assert_int_equal(issue(300, false), ACME_NO_CLIENT);
    acme_client_stop(client);
    assert_int_equal(issue(300, false), ACME_FAILED);
    acme_client_free(client);
}

/* An authority that never ends, and no client at all. */
static void test_times(void **state) { run_story(tell_times); }

static void tell_arguments(void) {
    char text[4096], expected[1024], account[128];
    struct stat st;
    snprintf(account, sizeof account, "%s/account", state_folder);
    unlink(account);
    (void)read_calls(text);
    assert_ok(acme_client_create(loop, &client));
    write_client("exit 0");
    assert_int_equal(issue(20000, false), ACME_ISSUED);
    assert_int_equal(issue(20000, true), ACME_ISSUED);
    snprintf(expected, sizeof expected,
             "-v -y -c %s -a https://ca.test/dir new ops@a.test\n"
             "-v -y -c %s -a https://ca.test/dir -h /bin/false -o -t EC -d 7 issue a.test *.a.test\n"
             "-v -y -c %s -a https://ca.test/dir -h /bin/false -o -t EC -d 7 -f issue a.test *.a.test\n",
             state_folder, state_folder, state_folder);
    assert_str(read_calls(text), sk_str_from_c(expected));
    assert_int_equal(stat(state_folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    /* an authority that has forgotten us: the next try makes an account again */
    write_client("echo urn:ietf:params:acme:error:accountDoesNotExist; exit 2");
    assert_int_equal(issue(20000, false), ACME_FAILED);
    assert_int_equal(access(account, F_OK), -1);
    /* one that has us already is fine, though the client calls that a failure */
    write_both("echo 'uacme: Account already exists at https://ca.test/account/1' >&2; exit 2", "exit 0");
    assert_int_equal(issue(20000, false), ACME_ISSUED);
    assert_int_equal(access(account, F_OK), 0);
    acme_client_free(client);
}

static void test_arguments(void **state) { run_story(tell_arguments); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, begin, end);
}
