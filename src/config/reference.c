/* What people read about the options: docs/configuration.md and `skerry help configuration`. */
#include <stdio.h>

#include "config/load.h"
#include "config/route_options.h"
#include "config/value.h"

enum { PATH_BYTES = 128, WIDTH = 88, WHAT_BYTES = CONFIG_EXPECTED_BYTES + 32 };

#define PRINT(out, ...)                                                                                      \
    do {                                                                                                     \
        sk_err err_ = sk_buf_printf(out, __VA_ARGS__);                                                       \
        if (err_) return err_;                                                                               \
    } while (0)

static const char *default_of(const struct config_option *option) {
    if (option->kind == CONFIG_KIND_LOG && !option->default_text[0]) return "\"\"";
    return option->default_text;
}

/* What a key takes, in words. */
static void describe(const struct config_option *option, char out[WHAT_BYTES]) {
    char value[CONFIG_EXPECTED_BYTES];
    if (option->shape == CONFIG_SHAPE_SECTION) {
        snprintf(out, WHAT_BYTES, "keys of its own");
        return;
    }
    if (option->shape == CONFIG_SHAPE_SECTIONS) {
        snprintf(out, WHAT_BYTES, "a list of entries, each with keys of its own");
        return;
    }
    config_value_range(option, value);
    const char *list = option->shape == CONFIG_SHAPE_LIST          ? "a list, each entry "
                       : option->shape == CONFIG_SHAPE_ONE_OR_LIST ? "one or a list, each "
                                                                   : "";
    snprintf(out, WHAT_BYTES, "%s%s", list, value);
}

static void path_below(const char *path, const struct config_option *option, char out[PATH_BYTES]) {
    snprintf(out, PATH_BYTES, "%s%s%.*s%s", path, *path ? "." : "", SK_STR_ARGS(option->key),
             option->shape == CONFIG_SHAPE_SECTIONS ? "[]" : "");
}

/* ---- Markdown ---- */

/* In a cell of a table. */
static sk_err write_cell(struct sk_buf *out, const char *text) {
    for (; *text; text++) {
        sk_err err = sk_buf_append(out, *text == '|'   ? SK_STR("\\|")
                                        : *text == '*' ? SK_STR("\\*")
                                                       : sk_str_make(text, 1));
        if (err) return err;
    }
    return SK_OK;
}

static sk_err write_row(struct sk_buf *out, const struct config_option *option) {
    char what[WHAT_BYTES];
    const char *default_text = default_of(option);
    describe(option, what);
    PRINT(out, "| `%.*s` | ", SK_STR_ARGS(option->key));
    sk_err err = write_cell(out, what);
    if (err) return err;
    if (*default_text)
        PRINT(out, " | `%s` | ", default_text);
    else
        PRINT(out, " | | ");
    /* Text of ours, which may hold Markdown's own marks; in it only what ends a cell is escaped. */
    PRINT(out, "%s%s%s%s |\n", option->doc, option->example[0] ? " Example: `" : "", option->example,
          option->example[0] ? "`" : "");
    return SK_OK;
}

static sk_err write_section(struct sk_buf *out, const struct config_section *section, const char *path,
                            const char *doc) {
    if (*path) PRINT(out, "\n## `%s`\n\n%s\n", path, doc);
    PRINT(out, "\n| key | value | default | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < section->count; i++) {
        sk_err err = write_row(out, &section->options[i]);
        if (err) return err;
    }
    for (size_t i = 0; i < section->count; i++) {
        const struct config_option *option = &section->options[i];
        char below[PATH_BYTES];
        if (!option->section) continue;
        path_below(path, option, below);
        sk_err err = write_section(out, option->section, below, option->doc);
        if (err) return err;
    }
    return SK_OK;
}

sk_err config_write_reference(struct sk_buf *out) {
    static const char head[] =
        "# The configuration of an edge\n\n"
        "<!-- Made by `skerry help configuration --markdown` from src/config/options.h: change it there. -->\n\n"
        "One file of YAML, given by `skerry edge -c FILE` and checked by `skerry check FILE`. This is enough:\n\n"
        "```yaml\n"
        "listen: 127.0.0.1:8080\n"
        "sites:\n"
        "  - host: www.example.com\n"
        "    origin: http://127.0.0.1:9000\n"
        "```\n\n"
        "[examples/edge-full.yaml](../examples/edge-full.yaml) shows every key. Editors that know JSON Schema take\n"
        "[edge.schema.json](edge.schema.json).\n\n"
        "- A **size** is `512`, `64KiB`, `1.5GiB` or `100MB`; a bare number means bytes.\n"
        "- A **duration** is `250ms`, `10s`, `1h30m` or `7d`; a bare number means seconds.\n"
        "- Relative paths are relative to the folder of the file.\n"
        "- Anchors, aliases and second documents are not allowed. A file has at most 4 MiB.\n\n"
        "At SIGHUP, or `POST /config/reload` on the admin address, the file is read again. A file with a problem is\n"
        "refused as a whole, and the configuration in force stays.\n\n"
        "## Top level\n";
    static const char route_head[] =
        "\n# The configuration of a router\n\n"
        "One file of YAML, given by `skerry route -c FILE`; [examples/route.yaml](../examples/route.yaml) is one, and\n"
        "[routing.md](routing.md) says what it means.\n\n"
        "## Top level of a router\n";
    sk_err err = sk_buf_append(out, SK_STR(head));
    if (!err) err = write_section(out, config_top, "", "");
    if (!err) err = sk_buf_append(out, SK_STR(route_head));
    return err ? err : write_section(out, config_route_top, "", "");
}

/* ---- a terminal ---- */

/* TEXT in lines of at most WIDTH columns, each after INDENT spaces; Markdown's back quotes are left out. */
static sk_err write_wrapped(struct sk_buf *out, const char *text, int indent) {
    sk_str rest = sk_str_from_c(text), word;
    int column = 0;
    while (sk_str_cut(&rest, ' ', &word)) {
        bool fits = column && column + 1 + (int)word.len <= WIDTH;
        if (fits)
            PRINT(out, " ");
        else
            PRINT(out, "%s%*s", column ? "\n" : "", indent, "");
        column = fits ? column + 1 : indent;
        for (size_t i = 0; i < word.len; i++)
            if (word.data[i] != '`') PRINT(out, "%c", word.data[i]);
        column += (int)word.len;
    }
    PRINT(out, "\n");
    return SK_OK;
}

static sk_err write_option(struct sk_buf *out, const struct config_option *option, const char *path) {
    char what[WHAT_BYTES];
    const char *default_text = default_of(option);
    describe(option, what);
    PRINT(out, "%s: %s", path, what);
    if (*default_text) PRINT(out, "; default %s", default_text);
    PRINT(out, "\n");
    sk_err err = write_wrapped(out, option->doc, 4);
    if (err || !option->example[0]) return err;
    PRINT(out, "    Example: %.*s: %s\n", SK_STR_ARGS(option->key), option->example);
    return SK_OK;
}

/* PATH and ASKED are equal, or PATH lies below, where "[]" counts for nothing. */
static bool lies_below(const char *path, const char *asked) {
    bool whole = !*asked;
    while (*asked) {
        if (path[0] == '[') path += strcspn(path, "]") + 1;
        if (asked[0] == '[') asked += strcspn(asked, "]") + (strchr(asked, ']') != NULL);
        if (!*asked) break;
        if (*path++ != *asked++) return false;
    }
    return whole || !*path || *path == '.' || *path == '[';
}

static sk_err write_help(struct sk_buf *out, const struct config_section *section, const char *path,
                         const char *asked) {
    for (size_t i = 0; i < section->count; i++) {
        const struct config_option *option = &section->options[i];
        char here[PATH_BYTES];
        path_below(path, option, here);
        sk_err err = lies_below(here, asked) ? write_option(out, option, here) : SK_OK;
        if (!err && option->section) err = write_help(out, option->section, here, asked);
        if (err) return err;
    }
    return SK_OK;
}

sk_err config_write_help(const char *path, struct sk_buf *out) {
    size_t before = sk_buf_len(out);
    sk_err err = write_help(out, config_top, "", path ? path : "");
    return !err && sk_buf_len(out) == before ? SK_ERR_NOT_FOUND : err;
}
