#include "config/scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "config/value.h"

enum {
    DEPTH_MAX = 32, /* of what is skipped; the tables themselves are 5 deep */
    PATH_BYTES = 512,
    OPTIONS_MAX = 64, /* of one section */
};

struct scan {
    const char *name;
    sk_str text;
    const struct config_section *top;
    const char *hint;                 /* what a file holds at least */
    struct config_problems *problems; /* NULL when only looking for a path */
    struct config_raw_forms forms;
    yaml_parser_t parser;
    yaml_event_t event; /* the one being looked at */
    char path[PATH_BYTES];
    const char *wanted; /* path to look for, or NULL */
    yaml_mark_t found;
    bool is_found;
};

/* ---- paths and problems ---- */

/* Appends to the path; the caller cuts it off again by the length returned. */
static size_t enter(struct scan *scan, const char *format, ...) SK_PRINTF(2, 3);
static size_t enter(struct scan *scan, const char *format, ...) {
    va_list args;
    size_t length = strlen(scan->path);
    va_start(args, format);
    vsnprintf(scan->path + length, PATH_BYTES - length, format, args);
    va_end(args);
    if (scan->wanted && !scan->is_found && !strcmp(scan->wanted, scan->path)) {
        scan->found = scan->event.start_mark;
        scan->is_found = true;
    }
    return length;
}

static size_t enter_key(struct scan *scan, sk_str key) {
    return enter(scan, "%s%.*s", scan->path[0] ? "." : "", SK_STR_ARGS(key));
}

static void leave(struct scan *scan, size_t length) { scan->path[length] = 0; }

static struct config_place place_of(const struct scan *scan, yaml_mark_t mark) {
    return (struct config_place){scan->name, mark.line + 1, mark.column + 1, scan->path};
}

#define PROBLEM(scan, mark, ...)                                                                             \
    do {                                                                                                     \
        if ((scan)->problems) config_problem((scan)->problems, place_of(scan, mark), __VA_ARGS__);           \
    } while (0)

static sk_str scalar(const yaml_event_t *event) {
    return sk_str_make((const char *)event->data.scalar.value, event->data.scalar.length);
}

static bool is_null(const yaml_event_t *event) {
    if (event->type != YAML_SCALAR_EVENT || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return false;
    sk_str text = scalar(event);
    return !text.len || sk_str_eq(text, SK_STR("~")) || sk_str_eq(text, SK_STR("null"));
}

/* "found ..." for what stands where something else should. */
static const char *what(const yaml_event_t *event, char out[CONFIG_QUOTE_BYTES]) {
    switch (event->type) {
    case YAML_MAPPING_START_EVENT: return "keys with values";
    case YAML_SEQUENCE_START_EVENT: return "a list";
    case YAML_ALIAS_EVENT: return "an alias";
    default: return is_null(event) ? "nothing" : config_quote(scalar(event), out);
    }
}

/* ---- events ---- */

/* libyaml's reader knows only the offset. */
static yaml_mark_t mark_of_offset(sk_str text, size_t offset) {
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < SK_MIN(offset, text.len); i++) {
        mark.column++;
        if (text.data[i] == '\n') mark = (yaml_mark_t){.line = mark.line + 1};
    }
    return mark;
}

static void syntax_problem(struct scan *scan) {
    const yaml_parser_t *parser = &scan->parser;
    const char *hint = "";
    yaml_mark_t mark = parser->problem_mark;
    if (parser->problem && strstr(parser->problem, "cannot start any token"))
        hint = " (a tab? indent with spaces, and put values with special characters in quotes)";
    if (parser->error == YAML_READER_ERROR) {
        mark = mark_of_offset(scan->text, parser->problem_offset);
        hint = " (the text must be UTF-8)";
    }
    if (parser->context)
        PROBLEM(scan, mark, "not valid YAML: %s, %s that begins in line %zu%s", parser->problem,
                parser->context, parser->context_mark.line + 1, hint);
    else
        PROBLEM(scan, mark, "not valid YAML: %s%s", parser->problem ? parser->problem : "unreadable", hint);
}

/* The next event; false, with the problem told, when there is none or enough has been found. */
static bool next(struct scan *scan) {
    yaml_event_delete(&scan->event);
    if (scan->problems && scan->problems->count >= CONFIG_PROBLEMS_MAX) return false;
    if (!yaml_parser_parse(&scan->parser, &scan->event)) {
        memset(&scan->event, 0, sizeof(scan->event));
        scan->path[0] = 0;
        syntax_problem(scan);
        return false;
    }
    return true;
}

static const char *anchor_of(const yaml_event_t *event) {
    switch (event->type) {
    case YAML_ALIAS_EVENT: return (const char *)event->data.alias.anchor;
    case YAML_SCALAR_EVENT: return (const char *)event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT: return (const char *)event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT: return (const char *)event->data.mapping_start.anchor;
    default: return NULL;
    }
}

/* Anchors could make a short text a huge configuration. */
static void check_anchor(struct scan *scan) {
    char quoted[CONFIG_QUOTE_BYTES];
    if (anchor_of(&scan->event))
        PROBLEM(scan, scan->event.start_mark,
                "found the %s %s, expected the value itself: there are no aliases here",
                scan->event.type == YAML_ALIAS_EVENT ? "alias" : "anchor",
                config_quote(sk_str_from_c(anchor_of(&scan->event)), quoted));
}

/* Leaves the event after the node that begins here. */
static bool skip_node(struct scan *scan) {
    int depth = 0;
    do {
        yaml_event_type_t type = scan->event.type;
        depth += type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT;
        depth -= type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
        if (depth > DEPTH_MAX) {
            PROBLEM(scan, scan->event.start_mark, "nested too deeply");
            return false;
        }
        if (!next(scan)) return false;
    } while (depth > 0);
    return true;
}

/* ---- values ---- */

bool config_check_value(const struct config_option *option, sk_str text, struct config_place place,
                        struct config_problems *problems) {
    char quoted[CONFIG_QUOTE_BYTES], expected[CONFIG_EXPECTED_BYTES];
    struct config_value value;
    struct sk_arena arena;
    sk_arena_init(&arena, 256, 0);
    sk_err err = config_value_read(option, text, &arena, &value);
    sk_arena_free(&arena);
    if (!err) return true;
    if (!problems) return false;
    config_value_expected(option, expected);
    bool hidden = option->kind == CONFIG_KIND_SECRET && text.len;
    config_problem(problems, place, "found %s, expected %s",
                   hidden ? "something else" : config_quote(text, quoted), expected);
    return false;
}

static void wrong_form(struct scan *scan, const char *expected, const struct config_option *option) {
    char found[CONFIG_QUOTE_BYTES];
    bool list = option->shape == CONFIG_SHAPE_LIST || option->shape == CONFIG_SHAPE_ONE_OR_LIST;
    const char *open = list ? " (example: [" : " (example: ", *close = list ? "])" : ")";
    bool example = option->example[0];
    PROBLEM(scan, scan->event.start_mark, "found %s, expected %s%s%s%s", what(&scan->event, found), expected,
            example ? open : "", option->example, example ? close : "");
}

static bool scan_value(struct scan *scan, const struct config_option *option) {
    char expected[CONFIG_EXPECTED_BYTES];
    check_anchor(scan);
    if (scan->event.type != YAML_SCALAR_EVENT) {
        config_value_range(option, expected);
        if (scan->event.type != YAML_ALIAS_EVENT) wrong_form(scan, expected, option);
        return skip_node(scan);
    }
    /* Nothing at all is not an empty text: "access_log: file:" without a value is a slip. */
    if (is_null(&scan->event) && !scalar(&scan->event).len) {
        config_value_expected(option, expected);
        PROBLEM(scan, scan->event.start_mark, "found nothing, expected %s", expected);
    } else if (scan->problems) {
        config_check_value(option, scalar(&scan->event), place_of(scan, scan->event.start_mark),
                           scan->problems);
    }
    return next(scan);
}

static bool scan_section(struct scan *scan, const struct config_option *option);

/* The entries of a list, up to its end; COUNT is checked against the option's MIN and MAX. */
static bool scan_entries(struct scan *scan, const struct config_option *option) {
    yaml_mark_t start = scan->event.start_mark;
    uint64_t count = 0, min = 0, max = UINT64_MAX;
    if (sk_str_to_u64(sk_str_from_c(option->min), &min) || sk_str_to_u64(sk_str_from_c(option->max), &max))
        return false;
    if (!next(scan)) return false;
    for (; scan->event.type != YAML_SEQUENCE_END_EVENT; count++) {
        if (count == max) {
            PROBLEM(scan, scan->event.start_mark, "found more than %s entries", option->max);
            return false;
        }
        size_t length = enter(scan, "[%llu]", (unsigned long long)count);
        bool go_on =
            option->shape == CONFIG_SHAPE_SECTIONS ? scan_section(scan, option) : scan_value(scan, option);
        leave(scan, length);
        if (!go_on) return false;
    }
    if (count < min) PROBLEM(scan, start, "found no entries, expected at least %s", option->min);
    return next(scan);
}

static bool scan_list(struct scan *scan, const struct config_option *option) {
    bool one = option->shape == CONFIG_SHAPE_ONE_OR_LIST;
    check_anchor(scan);
    if (scan->event.type == YAML_SEQUENCE_START_EVENT) return scan_entries(scan, option);
    if (is_null(&scan->event)) return next(scan); /* all of it commented out: as if the key were not there */
    if (one && scan->event.type == YAML_SCALAR_EVENT) {
        scan->forms.listen_is_one = true;
        return scan_value(scan, option);
    }
    if (scan->event.type != YAML_ALIAS_EVENT) wrong_form(scan, "a list", option);
    return skip_node(scan);
}

/* ---- sections ---- */

static void unknown_key(struct scan *scan, const struct config_section *section, sk_str key) {
    char quoted[CONFIG_QUOTE_BYTES], near[CONFIG_SUGGEST_BYTES];
    config_quote(key, quoted);
    if (config_option_suggest(section, key, near))
        PROBLEM(scan, scan->event.start_mark, "unknown key %s; did you mean %s?", quoted, near);
    else
        PROBLEM(scan, scan->event.start_mark, "unknown key %s; see: skerry help configuration", quoted);
}

static bool scan_option(struct scan *scan, const struct config_option *option) {
    size_t length = enter_key(scan, option->key);
    bool go_on;
    if (option->shape == CONFIG_SHAPE_SECTION)
        go_on = scan_section(scan, option);
    else if (option->shape == CONFIG_SHAPE_VALUE || option->shape == CONFIG_SHAPE_HAND)
        go_on = scan_value(scan, option);
    else
        go_on = scan_list(scan, option);
    leave(scan, length);
    return go_on;
}

/* One key and its value. LINES says where each key of the section was seen before (0: not yet). */
static bool scan_pair(struct scan *scan, const struct config_section *section, size_t lines[OPTIONS_MAX]) {
    check_anchor(scan);
    if (scan->event.type != YAML_SCALAR_EVENT) {
        char found[CONFIG_QUOTE_BYTES];
        PROBLEM(scan, scan->event.start_mark, "found %s, expected a key", what(&scan->event, found));
        if (!skip_node(scan)) return false; /* the key */
        return skip_node(scan);
    }
    const struct config_option *option = config_option_find(section, scalar(&scan->event));
    if (!option) {
        unknown_key(scan, section, scalar(&scan->event));
        return next(scan) && skip_node(scan);
    }
    size_t *line = &lines[option - section->options];
    if (*line) {
        PROBLEM(scan, scan->event.start_mark, "found \"%.*s\" again: it is already in line %zu",
                SK_STR_ARGS(option->key), *line);
        return next(scan) && skip_node(scan);
    }
    *line = scan->event.start_mark.line + 1;
    return next(scan) && scan_option(scan, option);
}

/* The pairs of a mapping, up to its end. */
static bool scan_pairs(struct scan *scan, const struct config_section *section) {
    size_t lines[OPTIONS_MAX] = {0};
    SK_ASSERT(section->count <= OPTIONS_MAX);
    if (!next(scan)) return false;
    while (scan->event.type != YAML_MAPPING_END_EVENT)
        if (!scan_pair(scan, section, lines)) return false;
    return next(scan);
}

static bool scan_section(struct scan *scan, const struct config_option *option) {
    check_anchor(scan);
    if (scan->event.type == YAML_MAPPING_START_EVENT) return scan_pairs(scan, option->section);
    if (is_null(&scan->event) && option->shape == CONFIG_SHAPE_SECTION) return next(scan);
    if (scan->event.type != YAML_ALIAS_EVENT) wrong_form(scan, "keys with values", option);
    return skip_node(scan);
}

static void scan_document(struct scan *scan) {
    const char *hint = scan->hint;
    if (!next(scan)) return; /* the stream's beginning */
    if (!next(scan)) return; /* the document's */
    if (scan->event.type == YAML_STREAM_END_EVENT) {
        PROBLEM(scan, scan->event.start_mark, "found nothing, %s", hint);
        return;
    }
    if (!next(scan)) return;
    check_anchor(scan);
    if (scan->event.type != YAML_MAPPING_START_EVENT) {
        char found[CONFIG_QUOTE_BYTES];
        PROBLEM(scan, scan->event.start_mark, "found %s, %s", what(&scan->event, found), hint);
        return;
    }
    if (!scan_pairs(scan, scan->top) || !next(scan)) return;
    if (scan->event.type != YAML_STREAM_END_EVENT)
        PROBLEM(scan, scan->event.start_mark, "found a second document, expected the end of the file");
}

/* Runs the walk; what it found is in SCAN. */
static sk_err run(struct scan *scan) {
    if (!yaml_parser_initialize(&scan->parser)) return SK_ERR_NO_MEMORY;
    yaml_parser_set_encoding(&scan->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&scan->parser, (const unsigned char *)scan->text.data, scan->text.len);
    scan_document(scan);
    yaml_event_delete(&scan->event);
    yaml_parser_delete(&scan->parser);
    return SK_OK;
}

static const char edge_hint[] = "expected at least: sites: [{origin: \"http://127.0.0.1:9000\"}]";

sk_err config_scan_section(sk_str text, const char *name, const struct config_section *top, const char *hint,
                           struct config_problems *problems) {
    struct scan scan = {.name = name, .text = text, .top = top, .hint = hint, .problems = problems};
    uint32_t before = problems->count;
    sk_err err = run(&scan);
    if (err) return err;
    return problems->count != before ? SK_ERR_INVALID : SK_OK;
}

sk_err config_scan(sk_str text, const char *name, struct config_problems *problems,
                   struct config_raw_forms *out_forms) {
    struct scan scan = {
        .name = name, .text = text, .top = config_top, .hint = edge_hint, .problems = problems};
    uint32_t before = problems->count;
    sk_err err = run(&scan);
    if (err) return err;
    if (problems->count != before) return SK_ERR_INVALID;
    *out_forms = scan.forms;
    return SK_OK;
}

struct config_place config_locate(sk_str text, const char *name, const char *path) {
    struct scan scan = {.name = name, .text = text, .top = config_top, .hint = edge_hint, .wanted = path};
    if (run(&scan) || !scan.is_found) return (struct config_place){.name = name, .path = path};
    return (struct config_place){name, scan.found.line + 1, scan.found.column + 1, path};
}
