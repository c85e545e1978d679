/* What every part of the compiler uses: problems told at their places, memory, values and files. */
#include "config/compile_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/scan.h"
#include "config/value.h"

void config_compile_told(const struct config_source *source, struct config_problems *problems,
                         const char *path, const char *text) {
    struct config_place place = {.name = source->name, .path = path};
    if (source->text.len) place = config_locate(source->text, source->name, path);
    config_problem(problems, place, "%s", text);
}

void config_compile_problem(struct compile *c, const char *path, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    config_compile_told(c->source, c->problems, path, text);
}

void *config_compile_allocate(struct compile *c, size_t count, size_t bytes) {
    void *memory = sk_arena_zalloc(&c->config->arena, SK_MAX(count, 1) * bytes);
    if (!memory) c->err = SK_ERR_NO_MEMORY;
    return memory;
}

sk_str config_compile_keep(struct compile *c, sk_str text) {
    sk_str copy = sk_arena_copy(&c->config->arena, text);
    if (!copy.data) c->err = SK_ERR_NO_MEMORY;
    return copy;
}

/* ---- values ---- */

static void fill_value(struct compile *c, const struct config_option *option, sk_str text, void *fields) {
    struct config_value value;
    sk_err err = config_value_read(option, text, &c->config->arena, &value);
    if (!err && value.text.data) value.text = config_compile_keep(c, value.text);
    if (!err)
        config_value_store(option, &value, fields);
    else if (!c->err)
        c->err = err; /* the scan has let it pass and it is bad now: the machine has changed under us */
}

void config_compile_fill(struct compile *c, const struct config_section *section, const void *raw,
                         void *fields) {
    for (size_t i = 0; i < section->count; i++) {
        const struct config_option *option = &section->options[i];
        if (option->shape != CONFIG_SHAPE_VALUE) continue;
        const char *text = NULL;
        if (raw) memcpy(&text, (const char *)raw + option->raw_offset, sizeof(text));
        if (!text) text = option->default_text;
        if (*text || option->kind == CONFIG_KIND_LOG) fill_value(c, option, sk_str_from_c(text), fields);
    }
}

const struct config_section *config_compile_section(const struct config_section *parent, const char *key) {
    return config_option_find(parent, sk_str_from_c(key))->section;
}

bool config_compile_flag(const char *text, bool otherwise) {
    static const struct config_option option = {.kind = CONFIG_KIND_FLAG, .min = "", .max = ""};
    struct config_value value;
    return text && !config_value_read(&option, sk_str_from_c(text), NULL, &value) ? value.number != 0
                                                                                  : otherwise;
}

struct io_prefix *config_compile_prefixes(struct compile *c, char *const *texts, unsigned count) {
    struct io_prefix *prefixes = config_compile_allocate(c, count, sizeof(*prefixes));
    for (unsigned i = 0; prefixes && i < count; i++)
        if (io_prefix_parse(sk_str_from_c(texts[i]), &prefixes[i]) && !c->err) c->err = SK_ERR_INVALID;
    return prefixes;
}

/* ---- files named by the configuration ---- */

sk_str config_compile_path(struct compile *c, sk_str path) {
    if (!path.len || path.data[0] == '/' || !c->source->folder || sk_str_eq(path, SK_STR("-"))) return path;
    sk_str whole = sk_arena_printf(&c->config->arena, "%s/%.*s", c->source->folder, SK_STR_ARGS(path));
    if (!whole.data) c->err = SK_ERR_NO_MEMORY;
    return whole;
}

int config_compile_open(struct compile *c, const char *key, sk_str path) {
    struct stat st;
    char quoted[CONFIG_QUOTE_BYTES];
    int fd = open(path.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return fd;
    const char *why = fd < 0 ? strerrordesc_np(errno) : "not a regular file";
    config_compile_problem(c, key, "found %s, expected a file that can be read: %s",
                           config_quote(path, quoted), why);
    if (fd >= 0) close(fd);
    return -1;
}

sk_str config_compile_file(struct compile *c, const char *path, sk_str file) {
    sk_str whole = config_compile_path(c, file);
    int fd = whole.len && !c->err ? config_compile_open(c, path, whole) : -1;
    if (fd >= 0) close(fd);
    return whole;
}
