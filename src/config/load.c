#include "config/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/compile.h"
#include "config/scan.h"
#include "config/value.h"

static sk_err parse(const struct config_source *source, struct config_problems *problems,
                    struct config **out_config) {
    struct config_raw_forms forms;
    struct config_raw_TOP *raw;
    const char *detail;
    struct config_place top = {.name = source->name};
    if (source->text.len > CONFIG_MAX_BYTES) {
        config_problem(problems, top, "larger than %u MiB", CONFIG_MAX_BYTES >> 20);
        return SK_ERR_INVALID;
    }
    sk_err err = config_scan(source->text, source->name, problems, &forms);
    if (err) return err;
    err = config_raw_load(source->text, forms, &raw, &detail);
    if (err == SK_ERR_INVALID) config_problem(problems, top, "cannot be read as YAML: %s", detail);
    if (err) return err;
    err = config_compile(source, raw, problems, out_config);
    config_raw_free(raw, forms);
    return err;
}

sk_err config_parse(sk_str text, const char *name, struct config **out_config,
                    struct config_problems *problems) {
    struct config_source source = {.name = name, .text = text};
    return parse(&source, problems, out_config);
}

sk_err config_parse_shared(sk_str text, const char *name, struct config **out_config,
                           struct config_problems *problems) {
    struct config_source source = {.name = name, .text = text, .shared = true};
    return parse(&source, problems, out_config);
}

/* One byte more than allowed tells that there is more. */
static sk_err read_whole(int fd, struct sk_buf *buf) {
    while (sk_buf_len(buf) <= CONFIG_MAX_BYTES) {
        sk_err err = sk_buf_reserve(buf, 4096);
        if (err) return err;
        ssize_t n = read(fd, sk_buf_space(buf), sk_buf_space_len(buf));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return sk_err_from_errno(errno);
        if (n == 0) return SK_OK;
        sk_buf_commit(buf, (size_t)n);
    }
    return SK_OK;
}

static sk_err read_file(const char *path, struct sk_buf *buf) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return sk_err_from_errno(errno);
    sk_err err = read_whole(fd, buf);
    close(fd);
    return err;
}

/* The folder of PATH, to be freed; NULL for the working directory. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return NULL;
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

sk_err config_load_file(const char *path, struct config **out_config, struct config_problems *problems) {
    return config_load_file_with(path, (sk_str){0}, out_config, problems);
}

static sk_err add_more(struct sk_buf *text, sk_str more) {
    sk_err err = more.len ? sk_buf_append(text, SK_STR("\n")) : SK_OK;
    return err ? err : sk_buf_append(text, more);
}

sk_err config_load_file_with(const char *path, sk_str more, struct config **out_config,
                             struct config_problems *problems) {
    struct config *config = NULL;
    struct sk_buf text;
    sk_buf_init(&text, 0);
    char *folder = folder_of(path);
    sk_err err = read_file(path, &text);
    if (!err) err = add_more(&text, more);
    if (err) {
        config_problem(problems, (struct config_place){.name = path}, "cannot be read: %s", sk_err_text(err));
    } else {
        struct config_source source = {.name = path, .text = sk_buf_str(&text), .folder = folder};
        err = parse(&source, problems, &config);
    }
    if (!err) {
        config->path = sk_arena_copy(&config->arena, sk_str_from_c(path));
        *out_config = config;
    }
    free(folder);
    sk_buf_free(&text);
    return err;
}

/* ---- the command line ---- */

static const struct config_source command_line = {.name = "command line"};

static bool good(const struct config_section *section, const char *key, const char *text, const char *flag,
                 struct config_problems *problems) {
    struct config_place place = {.name = command_line.name, .path = flag};
    return config_check_value(config_option_find(section, sk_str_from_c(key)), sk_str_from_c(text), place,
                              problems);
}

/* The key of a section, when the argument was given: checked, and put into CONFIG. */
static sk_err apply_one(struct config *config, const struct config_section *section, const char *key,
                        const char *text, const char *flag, struct config_problems *problems) {
    const struct config_option *option = config_option_find(section, sk_str_from_c(key));
    struct config_value value;
    if (!text) return SK_OK;
    if (!good(section, key, text, flag, problems)) return SK_ERR_INVALID;
    sk_str copy = sk_arena_copy(&config->arena, sk_str_from_c(text));
    if (!copy.data) return SK_ERR_NO_MEMORY;
    sk_err err = config_value_read(option, copy, &config->arena, &value);
    if (!err) config_value_store(option, &value, config);
    return err;
}

static sk_err apply_listen(struct config *config, const struct config_arguments *arguments,
                           struct config_problems *problems) {
    bool all_good = true;
    if (!arguments->listen_count) return SK_OK;
    for (size_t i = 0; i < arguments->listen_count; i++)
        all_good &= good(config_top, "listen", arguments->listen[i], "--listen", problems);
    return all_good ? config_set_listeners(config, arguments->listen, arguments->listen_count)
                    : SK_ERR_INVALID;
}

static sk_err apply_certificates(struct config *config, const struct config_arguments *arguments,
                                 struct config_problems *problems) {
    const struct config_section *section = config_option_find(config_top, SK_STR("certificates"))->section;
    bool all_good = arguments->cert_count == arguments->key_count;
    if (!all_good)
        config_problem(problems, (struct config_place){.name = command_line.name, .path = "--cert"},
                       "found %zu and %zu of --key, expected a key with each certificate",
                       arguments->cert_count, arguments->key_count);
    for (size_t i = 0; all_good && i < arguments->cert_count; i++)
        all_good = good(section, "cert", arguments->certs[i], "--cert", problems) &&
                   good(section, "key", arguments->keys[i], "--key", problems);
    if (!all_good) return SK_ERR_INVALID;
    if (!arguments->cert_count) return SK_OK;
    return config_set_certificates(config, arguments->certs, arguments->keys, arguments->cert_count);
}

/* Everything but origins. */
static sk_err apply(struct config *config, const struct config_arguments *arguments,
                    struct config_problems *problems) {
    const struct config_section *log = config_option_find(config_top, SK_STR("access_log"))->section;
    bool half = config->max_object_bytes == config->memory_bytes / 2; /* the default */
    char threads[16];
    snprintf(threads, sizeof(threads), "%u", arguments->threads);
    sk_err errs[] = {
        apply_listen(config, arguments, problems),
        apply_certificates(config, arguments, problems),
        apply_one(config, config_top, "memory", arguments->memory, "--memory", problems),
        apply_one(config, config_top, "admin", arguments->admin, "--admin", problems),
        apply_one(config, config_top, "threads", arguments->threads ? threads : NULL, "--threads", problems),
        apply_one(config, log, "file", arguments->access_log, "--access-log", problems),
    };
    for (size_t i = 0; i < SK_COUNT(errs); i++)
        if (errs[i]) return errs[i];
    if (half) config->max_object_bytes = config->memory_bytes / 2;
    uint32_t before = problems->count;
    config_check_whole(config, &command_line, problems);
    return problems->count == before ? SK_OK : SK_ERR_INVALID;
}

sk_err config_apply_arguments(struct config *config, const struct config_arguments *arguments,
                              struct config_problems *problems) {
    if (arguments->origin_count) {
        config_problem(problems, (struct config_place){.name = command_line.name, .path = "--origin"},
                       "found beside a configuration file, expected the origins in the file");
        return SK_ERR_INVALID;
    }
    return apply(config, arguments, problems);
}

/* One site for every host, with these origins. */
static sk_err compile_origins(const struct config_arguments *arguments, struct config_problems *problems,
                              struct config **out_config) {
    struct config_raw_ORIGIN *origins = calloc(arguments->origin_count, sizeof(*origins));
    if (!origins) return SK_ERR_NO_MEMORY;
    /* The raw structs are not const as libcyaml fills them; config_compile only reads. */
    for (size_t i = 0; i < arguments->origin_count; i++)
        origins[i].url = (char *)(uintptr_t)arguments->origins[i];
    struct config_raw_SITE site = {.origins = origins, .origins_count = (unsigned)arguments->origin_count};
    struct config_raw_TOP top = {.sites = &site, .sites_count = 1};
    sk_err err = config_compile(&command_line, &top, problems, out_config);
    free(origins);
    return err;
}

sk_err config_from_arguments(const struct config_arguments *arguments, struct config **out_config,
                             struct config_problems *problems) {
    const struct config_section *site = config_option_find(config_top, SK_STR("sites"))->section;
    struct config *config = NULL;
    bool all_good = true;
    if (!arguments->origin_count) {
        config_problem(
            problems, (struct config_place){.name = command_line.name, .path = "--origin"},
            "found none, expected one (example: --origin http://127.0.0.1:9000), or a file (example: -c "
            "edge.yaml)");
        return SK_ERR_INVALID;
    }
    for (size_t i = 0; i < arguments->origin_count; i++)
        all_good &= good(site, "origin", arguments->origins[i], "--origin", problems);
    if (!all_good) return SK_ERR_INVALID;
    sk_err err = compile_origins(arguments, problems, &config);
    if (!err) err = apply(config, arguments, problems);
    if (err)
        config_unref(config);
    else
        *out_config = config;
    return err;
}
