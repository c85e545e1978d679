/* A private valkey-server on a Unix socket of a new folder, for the tests that ask a real one. */
#ifndef SK_TESTS_FLEET_VALKEY_SERVER_H
#define SK_TESTS_FLEET_VALKEY_SERVER_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/fibers.h"

struct valkey_server {
    char folder[32], path[64];
    pid_t pid;
};

static inline void valkey_server_start(struct valkey_server *server) {
    if (!server->folder[0]) {
        snprintf(server->folder, sizeof server->folder, "/tmp/valkey-XXXXXX");
        assert_non_null(mkdtemp(server->folder));
        snprintf(server->path, sizeof server->path, "%s/socket", server->folder);
    }
    server->pid = fork();
    assert_int_not_equal(server->pid, -1);
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a failing test ends us */
        execlp("valkey-server", "valkey-server", "--port", "0", "--unixsocket", server->path, "--dir",
               server->folder, "--save", "", "--logfile", "/dev/null", (char *)NULL);
        _exit(127);
    }
}

static inline void valkey_server_stop(struct valkey_server *server) {
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

static inline void valkey_server_remove(struct valkey_server *server) {
    valkey_server_stop(server);
    unlink(server->path);
    rmdir(server->folder);
}

#endif
