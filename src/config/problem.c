#include "config/problem.h"

#include <stdarg.h>
#include <stdio.h>

void config_problems_init(struct config_problems *problems) {
    sk_buf_init(&problems->text, 0);
    problems->count = 0;
}

void config_problems_free(struct config_problems *problems) { sk_buf_free(&problems->text); }

void config_problem(struct config_problems *problems, struct config_place place, const char *format, ...) {
    char text[1024], position[48] = "";
    va_list args;
    if (problems->count++ >= CONFIG_PROBLEMS_MAX) return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (place.line) snprintf(position, sizeof(position), ":%zu:%zu", place.line, place.column);
    const char *path = place.path ? place.path : "";
    sk_err err =
        sk_buf_printf(&problems->text, "%s%s: %s%s%s\n", place.name, position, path, *path ? ": " : "", text);
    (void)err; /* out of memory: the count still says that something is wrong */
}

const char *config_quote(sk_str text, char out[CONFIG_QUOTE_BYTES]) {
    size_t used = 0;
    out[used++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool inside_utf8 = (c & 0xc0) == 0x80;
        if (used > CONFIG_QUOTE_BYTES - 12 && !inside_utf8) {
            used += (size_t)snprintf(out + used, CONFIG_QUOTE_BYTES - used, "...");
            break;
        }
        if (c < ' ' || c == 0x7f)
            used += (size_t)snprintf(out + used, CONFIG_QUOTE_BYTES - used, "\\x%02x", c);
        else
            out[used++] = (char)c;
    }
    out[used++] = '"';
    out[used] = 0;
    return out;
}
