#include "cli/edge_join.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "fleet/enrol.h"
#include "io/file.h"

#define OWN_FILE "edge.yaml"

static const char own_text[] =
    "# What belongs to this machine; sites come from the fleet's control. `skerry help configuration` has all keys.\n"
    "fleet: {state: .}\n";

static void say(const char *format, ...) SK_PRINTF(1, 2);
static void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("skerry edge: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/* --- the machine's own file ---------------------------------------------------------------------------------- */

/* The folder that the file names, into OUT. */
static int state_of_file(const char *file, char out[FLEET_PATH_BYTES]) {
    struct config_problems problems;
    struct config *config;
    config_problems_init(&problems);
    sk_err err = config_load_file(file, &config, &problems);
    int code = cli_tell_problems("skerry edge", &problems, err);
    if (err) return code;
    int len = snprintf(out, FLEET_PATH_BYTES, "%.*s", SK_STR_ARGS(config->fleet.state));
    config_unref(config);
    if (len > 0 && len < FLEET_PATH_BYTES) return CLI_FINE;
    say("%s: found no fleet.state, expected the folder to join with (example: fleet: {state: " CLI_EDGE_STATE
        "})",
        file);
    return CLI_USAGE;
}

/* One that is there is a person's, and stays. */
static int make_own_file(const char *state, const char **out_file) {
    static char path[FLEET_PATH_BYTES];
    sk_err err = fleet_folder(sk_str_from_c(state));
    if (!err) err = fleet_path(sk_str_from_c(state), OWN_FILE, path);
    if (!err && access(path, F_OK) != 0) err = io_file_replace(path, own_text, sizeof own_text - 1, 0600);
    *out_file = path;
    if (!err) return CLI_FINE;
    say("%s: %s (it must be ours alone, mode 0700; --state DIR takes another)", state, sk_err_text(err));
    return CLI_FAILED;
}

/* --- who we are ---------------------------------------------------------------------------------------------- */

enum standing { NOBODY, MEMBER, EXPIRED };

static enum standing look(const char *state) {
    struct fleet_identity *identity;
    char text[FLEET_ID_TEXT_BYTES];
    sk_err err = fleet_identity_load(sk_str_from_c(state), &identity);
    if (err && err != SK_ERR_NOT_FOUND) say("the identity in %s cannot be used: %s", state, sk_err_text(err));
    if (err) return NOBODY;
    const struct fleet_caller *self = fleet_identity_self(identity);
    bool expired = self->not_after <= sk_wall_now_s();
    say("this machine is %s already%s", fleet_id_format(&self->id, text).data,
        expired ? ", with a certificate that has expired" : "");
    fleet_identity_unref(identity);
    return expired ? EXPIRED : MEMBER;
}

static int join(const struct cli_joining *joining, const char *state) {
    char why[FLEET_ENROL_WHY_BYTES], text[FLEET_ID_TEXT_BYTES];
    struct fleet_id id;
    struct fleet_enrolment enrolment = {.url = sk_str_from_c(joining->url),
                                        .token = sk_str_from_c(joining->token),
                                        .name = sk_str_from_c(joining->name),
                                        .folder = sk_str_from_c(state)};
    sk_err err = fleet_enrol(&enrolment, &id, why);
    if (err)
        say("not joined: %s", why);
    else
        say("joined as %s", fleet_id_format(&id, text).data);
    return !err ? CLI_FINE : err == SK_ERR_INVALID ? CLI_USAGE : CLI_FAILED;
}

/* The edge asks for it again as soon as it runs: what fails here costs a moment without sites. */
static void fetch(const struct cli_joining *joining, const char *state) {
    uint64_t number = 0;
    sk_err err = fleet_enrol_fetch(sk_str_from_c(state), sk_str_from_c(joining->url), &number);
    if (err)
        say("the configuration is not there yet: %s", sk_err_text(err));
    else if (number)
        say("configuration %llu is there", (unsigned long long)number);
    else
        say("the fleet has no configuration yet: skerry apply");
}

/* With what is on disk, where there is anything: an edge starts without control, whatever its invitation is worth. */
static int become_node(const struct cli_joining *joining, const char *state) {
    enum standing standing = look(state);
    if (standing == MEMBER) {
        if (joining->token) say("the invitation is not used (to join anew: skerry join)");
        return CLI_FINE;
    }
    if (!joining->token && standing == EXPIRED) return CLI_FINE;
    if (!joining->token) {
        say("%s holds no identity yet: --join URL TOKEN, with a token of `skerry control invite`", state);
        return CLI_USAGE;
    }
    int code = join(joining, state);
    if (code == CLI_FINE) fetch(joining, state);
    return standing == EXPIRED ? CLI_FINE : code;
}

int cli_edge_join(struct cli_joining *joining) {
    static char state[FLEET_PATH_BYTES];
    int code = CLI_FINE, len;
    signal(SIGPIPE, SIG_IGN);
    if (joining->file) {
        code = state_of_file(joining->file, state);
    } else {
        len = snprintf(state, sizeof state, "%s", joining->state ? joining->state : CLI_EDGE_STATE);
        code = len < (int)sizeof state ? make_own_file(state, &joining->file) : CLI_USAGE;
    }
    return code == CLI_FINE ? become_node(joining, state) : code;
}
