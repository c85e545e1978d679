/* skerry help TOPIC */
#include <stdio.h>

#include "base/nearest.h"
#include "cli/command.h"
#include "cli/topics.h"
#include "config/load.h"
#include "control/api.h"
#include "edge/admin.h"
#include "edge/gauges.h"
#include "http/reason.h"
#include "observe/access_log.h"
#include "route/gauges.h"

/* How a topic is to be written. */
enum form { FORM_TEXT, FORM_MARKDOWN, FORM_JSON_SCHEMA };

struct request {
    enum form form;
    const char *detail; /* a word after the topic, or NULL */
};

static sk_err write_configuration(const struct request *request, struct sk_buf *out) {
    switch (request->form) {
    case FORM_MARKDOWN: return config_write_reference(out);
    case FORM_JSON_SCHEMA: return config_write_json_schema(out);
    default: return config_write_help(request->detail, out);
    }
}

static sk_err write_metrics(const struct request *request, struct sk_buf *out) {
    static const struct observe_gauge gauges[] = {
#define X(reader, metric, help_text) {.name = metric, .help = help_text},
        EDGE_GAUGE_TABLE(X) ROUTE_GAUGE_TABLE(X) ROUTE_SITE_GAUGE_TABLE(X)
#undef X
    };
    enum observe_reference_style style =
        request->form == FORM_MARKDOWN ? OBSERVE_REFERENCE_MARKDOWN : OBSERVE_REFERENCE_TEXT;
    return observe_write_reference(out, style, gauges, SK_COUNT(gauges));
}

static sk_err write_admin(const struct request *request, struct sk_buf *out) {
    (void)request;
    sk_err err = sk_buf_append(out, sk_str_from_c(cli_text_admin));
#define X(method, path, handler, help)                                                                       \
    if (!err) err = sk_buf_printf(out, "  %-4s %-15s %s\n", #method, path, help);
    EDGE_ADMIN_TABLE(X)
#undef X
    return err;
}

static sk_err write_reasons(const struct request *request, struct sk_buf *out) {
    (void)request;
    sk_err err = sk_buf_append(out, sk_str_from_c(cli_text_reasons));
    for (unsigned i = 0; i < HTTP_REASON_COUNT_ && !err; i++)
        err = sk_buf_printf(out, "  %-24.*s %.*s\n", SK_STR_ARGS(http_reason_name(i)),
                            SK_STR_ARGS(http_reason_help(i)));
    return err;
}

static sk_err write_access_log(const struct request *request, struct sk_buf *out) {
    (void)request;
    sk_err err = sk_buf_append(out, sk_str_from_c(cli_text_access_log));
#define X(name, key, always, help)                                                                           \
    if (!err) err = sk_buf_printf(out, "  %-14s%s %s\n", key, always ? " " : "*", help);
    ACCESS_LOG_FIELD_TABLE(X)
#undef X
    return err;
}

/* Topics that are text and nothing else. */
static sk_err write_signals(const struct request *request, struct sk_buf *out) {
    (void)request;
    return sk_buf_append(out, sk_str_from_c(cli_text_signals));
}
static sk_err write_exit_codes(const struct request *request, struct sk_buf *out) {
    (void)request;
    return sk_buf_append(out, sk_str_from_c(cli_text_exit_codes));
}
static sk_err write_examples(const struct request *request, struct sk_buf *out) {
    (void)request;
    return sk_buf_append(out, sk_str_from_c(cli_text_examples));
}

static sk_err write_api(const struct request *request, struct sk_buf *out) {
    (void)request;
    return control_openapi(out);
}

/* Name, function, help. */
#define TOPIC_TABLE(X)                                                                                       \
    X("configuration", write_configuration,                                                                  \
      "every key of the file; or one: skerry help configuration timeouts")                                   \
    X("metrics", write_metrics, "what /metrics shows")                                                       \
    X("reasons", write_reasons, "why a request was a hit or not: Cache-Status, log and metrics")             \
    X("cache-status", write_reasons, "the same")                                                             \
    X("access-log", write_access_log, "what a line of the access log says")                                  \
    X("admin", write_admin, "what the admin address answers")                                                \
    X("api", write_api, "what control answers, as OpenAPI")                                                  \
    X("signals", write_signals, "stop, reload, upgrade")                                                     \
    X("exit-codes", write_exit_codes, "what the numbers mean")                                               \
    X("examples", write_examples, "command lines and files to begin with")

static const struct topic {
    const char *name;
    sk_err (*write)(const struct request *request, struct sk_buf *out);
    const char *help;
} topics[] = {
#define X(name, function, help) {name, function, help},
    TOPIC_TABLE(X)
#undef X
};

/* Commands explain themselves. */
static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
#define X(name, function, arguments, help) {name, function},
    CLI_COMMAND_TABLE(X)
#undef X
};

static int write_overview(void) {
    struct sk_buf buf;
    sk_buf_init(&buf, 0);
    cli_usage(&buf);
    sk_err err = sk_buf_printf(&buf, "\nTopics of skerry help:\n\n");
    for (size_t i = 0; i < SK_COUNT(topics) && !err; i++)
        err = sk_buf_printf(&buf, "  %-14s %s\n", topics[i].name, topics[i].help);
    return cli_print(&buf, err);
}

static int write_topic(const struct topic *topic, const struct request *request) {
    struct sk_buf buf;
    sk_buf_init(&buf, 0);
    sk_err err = topic->write(request, &buf);
    if (err != SK_ERR_NOT_FOUND) return cli_print(&buf, err);
    sk_buf_free(&buf);
    return cli_unknown("key", request->detail, NULL);
}

static int unknown_topic(const char *word) {
    struct sk_nearest nearest = sk_nearest_to(sk_str_from_c(word));
    const char *best = NULL;
    for (size_t i = 0; i < SK_COUNT(topics); i++)
        if (sk_nearest_offer(&nearest, sk_str_from_c(topics[i].name))) best = topics[i].name;
    for (size_t i = 0; i < SK_COUNT(commands); i++)
        if (sk_nearest_offer(&nearest, sk_str_from_c(commands[i].name))) best = commands[i].name;
    return cli_unknown("topic", word, best);
}

static int explain(const char *word, const struct request *request) {
    static char help_option[] = "--help";
    for (size_t i = 0; i < SK_COUNT(topics); i++)
        if (!strcmp(word, topics[i].name)) return write_topic(&topics[i], request);
    for (size_t i = 0; i < SK_COUNT(commands); i++) {
        char *argv[] = {NULL, help_option, NULL};
        if (!strcmp(word, commands[i].name)) return commands[i].run(2, argv);
    }
    return unknown_topic(word);
}

int cli_help(int argc, char **argv) {
    const char *words[2] = {NULL, NULL};
    size_t count = 0;
    struct request request = {0};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--markdown"))
            request.form = FORM_MARKDOWN;
        else if (!strcmp(argv[i], "--json-schema"))
            request.form = FORM_JSON_SCHEMA;
        else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return write_overview();
        else if (argv[i][0] == '-' || count == SK_COUNT(words))
            return cli_unknown("argument", argv[i], NULL);
        else
            words[count++] = argv[i];
    }
    request.detail = words[1];
    return words[0] ? explain(words[0], &request) : write_overview();
}
