/* skerry store info|verify|bench PATH... */
#include "cli/store.h"

#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <yyjson.h>

#include "base/time.h"
#include "base/units.h"
#include "cache/disk_survey.h"
#include "cli/command.h"

/* ---- stopping, and telling how far it is ------------------------------------------------------------------ */

static volatile sig_atomic_t stop_wanted;

static void on_signal(int number) {
    (void)number;
    stop_wanted = 1;
}

bool store_stopped(void) { return stop_wanted; }

static void stop_on_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

struct progress {
    bool shown; /* stderr is a terminal */
    sk_time_ns last;
};

static bool tell(void *arg, uint64_t done, uint64_t of) {
    struct progress *progress = arg;
    sk_time_ns now = sk_time_now();
    if (progress->shown && (now - progress->last > 200 * INT64_C(1000000) || done == of)) {
        fprintf(stderr, "\r%llu of %llu segments%s", (unsigned long long)done, (unsigned long long)of,
                done == of ? "\n" : "");
        progress->last = now;
    }
    return !stop_wanted;
}

/* ---- what was seen ------------------------------------------------------------------------------------------ */

static void print_people(const char *path, const struct disk_survey *survey, const struct store_state *state,
                         bool in_use, bool checked) {
    char device[24], segment[24], records[24], age[24];
    int64_t now_s = sk_wall_now_s();
    sk_size_format(survey->device_bytes, device);
    sk_size_format(survey->segment_bytes, segment);
    sk_size_format(survey->record_bytes, records);
    printf("%s%s\n", path, in_use ? " (in use: figures of different moments)" : "");
    printf("  size       %s, %llu segments of %s, %s\n", device, (unsigned long long)survey->segments,
           segment, survey->sealed ? "encrypted" : "not encrypted");
    printf("  fill       %.1f %%: %llu segments in use, %llu records, %s\n",
           100.0 * (double)survey->used_segments / (double)survey->segments,
           (unsigned long long)survey->used_segments, (unsigned long long)survey->records, records);
    if (survey->oldest_s) {
        sk_duration_format(SK_MAX(now_s - survey->oldest_s, 0) * 1000, age);
        printf("  age        the oldest segment was begun %s ago", age);
        sk_duration_format(SK_MAX(now_s - survey->newest_s, 0) * 1000, age);
        printf(", the newest %s ago\n", age);
    }
    printf("  index      %s\n",
           survey->index_kept ? "kept by a clean stop" : "to be loaded from the segments");
    store_state_print(state);
    if (checked)
        printf("  checked    %llu records, %llu damaged, %llu segments not readable\n",
               (unsigned long long)survey->checked_records, (unsigned long long)survey->damaged_records,
               (unsigned long long)survey->unreadable_segments);
}

static void print_json(const char *path, const struct disk_survey *survey, const struct store_state *state,
                       bool in_use, bool checked, bool whole) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    if (!root) {
        yyjson_mut_doc_free(doc);
        return;
    }
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "path", path);
    yyjson_mut_obj_add_bool(doc, root, "in_use", in_use);
    yyjson_mut_obj_add_bool(doc, root, "encrypted", survey->sealed);
    yyjson_mut_obj_add_bool(doc, root, "index_kept", survey->index_kept);
    if (state->err)
        yyjson_mut_obj_add_null(doc, root, "purges");
    else
        yyjson_mut_obj_add_uint(doc, root, "purges", state->purges);
    yyjson_mut_obj_add_bool(doc, root, "purges_proven", store_state_proven(state));
#define ADD(name) yyjson_mut_obj_add_uint(doc, root, #name, survey->name)
    ADD(device_bytes);
    ADD(segment_bytes);
    ADD(segments);
    ADD(used_segments);
    ADD(records);
    ADD(record_bytes);
    yyjson_mut_obj_add_sint(doc, root, "oldest_s", survey->oldest_s);
    yyjson_mut_obj_add_sint(doc, root, "newest_s", survey->newest_s);
    if (checked) {
        ADD(checked_records);
        ADD(checked_bytes);
        ADD(damaged_records);
        ADD(unreadable_segments);
        yyjson_mut_obj_add_bool(doc, root, "complete", whole);
    }
#undef ADD
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, NULL);
    if (text) puts(text);
    free(text);
    yyjson_mut_doc_free(doc);
}

static const char *help_for(sk_err err) {
    switch (err) {
    case SK_ERR_NOT_FOUND: return "there is no store";
    case SK_ERR_CORRUPT: return "the store's first sector is damaged; an edge makes a new store there";
    case SK_ERR_UNSUPPORTED: return "a store of another version; an edge makes a new store there";
    case SK_ERR_INVALID: return "too small, cut off, or not a file or block device";
    default: return sk_err_text(err);
    }
}

static int look_at(const char *path, const struct store_arguments *arguments, bool check) {
    struct disk_io io;
    struct disk_survey survey = {0};
    struct store_state state;
    bool in_use = false;
    struct progress progress = {.shown = check && isatty(STDERR_FILENO)};
    sk_err err = disk_io_open_to_read(path, &io, &in_use);
    if (!err && check && in_use) {
        fprintf(stderr, "skerry store: %s: in use; stop the edge first\n", path);
        disk_io_close(&io);
        return CLI_FAILED;
    }
    if (!err) {
        struct disk_survey_progress told = {tell, &progress};
        err = check ? disk_survey_check(&io, told, &survey) : disk_survey(&io, told, &survey);
        disk_io_close(&io);
    }
    if (err && err != SK_ERR_CANCELLED) {
        fprintf(stderr, "skerry store: %s: %s\n", path, help_for(err));
        return CLI_FAILED;
    }
    store_state_read(path, arguments->state, &state);
    if (arguments->json)
        print_json(path, &survey, &state, in_use, check, !err);
    else
        print_people(path, &survey, &state, in_use, check);
    if (err) fprintf(stderr, "skerry store: stopped; %s was not looked at to its end\n", path);
    bool damaged = check && (survey.damaged_records || survey.unreadable_segments);
    return err || damaged ? CLI_FAILED : CLI_FINE;
}

/* ---- arguments ---------------------------------------------------------------------------------------------- */

enum { OPTION_JSON = 'j', OPTION_SECONDS = 's', OPTION_SIZE = 'b', OPTION_STATE = 'S' };

static error_t on_argument(int key, char *value, struct argp_state *state) {
    struct store_arguments *arguments = state->input;
    int64_t ms;
    switch (key) {
    case OPTION_JSON: arguments->json = true; return 0;
    case OPTION_STATE: arguments->state = value; return 0;
    case OPTION_SECONDS:
        if (sk_duration_parse(sk_str_from_c(value), &ms) || ms < 1000 || ms > 600000)
            argp_error(state, "--time \"%s\": from 1s to 10m is allowed", value);
        arguments->seconds = ms / 1000;
        return 0;
    case OPTION_SIZE:
        if (sk_size_parse(sk_str_from_c(value), &arguments->size_bytes) ||
            arguments->size_bytes < (16u << 20) || arguments->size_bytes > (UINT64_C(64) << 30))
            argp_error(state, "--size \"%s\": from 16MiB to 64GiB is allowed", value);
        return 0;
    case ARGP_KEY_ARG:
        if (!arguments->verb) {
            arguments->verb = value;
            if (strcmp(value, "info") != 0 && strcmp(value, "verify") != 0 && strcmp(value, "bench") != 0)
                argp_error(state, "\"%s\": info, verify or bench is allowed", value);
            return 0;
        }
        if (arguments->count == SK_COUNT(arguments->paths)) argp_error(state, "too many paths");
        arguments->paths[arguments->count++] = value;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->verb || !arguments->count)
            argp_error(state, "what, and which store? (example: skerry store info /var/cache/skerry/ssd)");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int cli_store(int argc, char **argv) {
    static const struct argp_option options[] = {
        {"json", OPTION_JSON, NULL, 0, "one object of JSON a line", 0},
        {"state", OPTION_STATE, "FILE", 0,
         "info: disk.state, with the purges (default: PATH with .state behind it)", 0},
        {"time", OPTION_SECONDS, "DURATION", 0, "bench: at most so long for each part (default 3s)", 0},
        {"size", OPTION_SIZE, "SIZE", 0, "bench: of the scratch file (default 256MiB)", 0},
        {0}};
    static const struct argp argp = {
        .options = options,
        .parser = on_argument,
        .args_doc = "info|verify|bench PATH...",
        .doc =
            "Looks at the files or devices of the SSD tier; nothing on them is changed.\n\n"
            "info: size, fill, age, purges, what the next start finds.\n"
            "verify: reads every record and compares every checksum; no key is needed. The edge must not run.\n"
            "bench: what a file system gives, in a scratch file in the folder PATH (or of the new name PATH), which "
            "is removed again.\v"
            "Examples:\n"
            "  skerry store info /var/cache/skerry/ssd\n"
            "  skerry store verify --json /dev/nvme1n1\n"
            "  skerry store bench /var/cache/skerry\n\n"
            "Exit codes: 0 fine; 1 damage was found, or it could not be done; 2 bad usage.",
    };
    struct store_arguments arguments = {.seconds = 3, .size_bytes = UINT64_C(256) << 20};
    int code = CLI_FINE;
    cli_parse(&argp, "store", argc, argv, &arguments);
    stop_on_signals();
    for (uint32_t i = 0; i < arguments.count && !stop_wanted; i++) {
        int one = strcmp(arguments.verb, "bench") == 0
                      ? store_bench(arguments.paths[i], &arguments)
                      : look_at(arguments.paths[i], &arguments, strcmp(arguments.verb, "verify") == 0);
        if (one > code) code = one;
    }
    return stop_wanted ? CLI_FAILED : code;
}
