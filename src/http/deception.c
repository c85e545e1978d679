#include "http/deception.h"

/* ---- what a suffix promises ------------------------------------------------------------------------------- */

/* TYPES are separated by blanks; "x/" stands for all of x, "+x" and "-x" for all that end so. */
#define SUFFIX_TABLE(X)                                                                                      \
    X(STYLE, "css", "text/css")                                                                              \
    X(SCRIPT, "js mjs",                                                                                      \
      "application/javascript text/javascript application/x-javascript text/ecmascript "                     \
      "application/ecmascript")                                                                              \
    X(MAP, "map", "application/json application/javascript text/plain +json")                                \
    X(IMAGE, "png jpg jpeg gif webp avif ico svg bmp tif tiff apng jxl", "image/")                           \
    X(FONT, "woff woff2 ttf otf eot",                                                                        \
      "font/ application/font-woff application/font-woff2 application/x-font-ttf application/x-font-otf "    \
      "application/x-font-woff application/font-sfnt application/vnd.ms-fontobject "                         \
      "application/x-font-truetype application/x-font-opentype")                                             \
    X(AUDIO, "mp3 ogg oga opus wav flac m4a aac", "audio/ video/ application/ogg")                           \
    X(VIDEO, "mp4 webm m4v mov mkv avi ogv ts m4s", "video/ audio/ application/ogg application/mp4")         \
    X(DOCUMENT, "pdf", "application/pdf application/x-pdf")                                                  \
    X(ARCHIVE, "zip gz tgz bz2 xz 7z rar zst jar deb rpm dmg exe msi apk iso",                               \
      "application/zip application/gzip application/java-archive application/vnd. application/x-")           \
    X(WASM, "wasm", "application/wasm")

struct promise {
    sk_str suffixes, types;
};
static const struct promise promises[] = {
#define X(name, suffixes, types) {SK_STR_INIT(suffixes), SK_STR_INIT(types)},
    SUFFIX_TABLE(X)
#undef X
};

/* The suffix after the last dot of the last segment, without path parameters ("/a/b.css;v=1" gives "css"). */
static sk_str suffix_of(sk_str path) {
    size_t start = path.len, end = path.len;
    while (start > 0 && path.data[start - 1] != '/') start--;
    sk_str name = sk_str_slice(path, start, end);
    name.len = sk_str_find_byte(name, ';');
    for (size_t i = name.len; i > 0; i--)
        if (name.data[i - 1] == '.') return sk_str_slice(name, i, name.len);
    return SK_STR("");
}

static bool has_word(sk_str words, sk_str wanted) {
    sk_str word;
    while (sk_str_cut(&words, ' ', &word))
        if (sk_str_ieq(word, wanted)) return true;
    return false;
}

static bool type_fits(sk_str pattern, sk_str type) {
    char first = pattern.data[0], last = pattern.data[pattern.len - 1];
    if (first == '+')
        return type.len > pattern.len &&
               sk_str_ieq(sk_str_slice(type, type.len - pattern.len, type.len), pattern);
    if (last == '/' || last == '.' || last == '-') return sk_str_istarts_with(type, pattern);
    return sk_str_ieq(type, pattern);
}

bool http_type_differs(sk_str path, sk_str content_type) {
    sk_str type = sk_str_trim(sk_str_slice(content_type, 0, sk_str_find_byte(content_type, ';')));
    sk_str suffix = suffix_of(path), types = {0}, pattern;
    if (!suffix.len || !type.len || sk_str_ieq(type, SK_STR("application/octet-stream"))) return false;
    for (size_t i = 0; i < SK_COUNT(promises) && !types.data; i++)
        if (has_word(promises[i].suffixes, suffix)) types = promises[i].types;
    if (!types.data) return false;
    while (sk_str_cut(&types, ' ', &pattern))
        if (type_fits(pattern, type)) return false;
    return true;
}

/* ---- paths that two readers read differently -------------------------------------------------------------- */

/* The byte at I as the most eager reader sees it: escapes decoded, escapes of escapes too, a backslash as a slash.
 * out_next is where the next one begins. */
static char eager_byte(sk_str path, size_t i, size_t *out_next) {
    char byte = path.data[i++];
    for (int depth = 0; byte == '%' && depth < 2; depth++) {
        int high = i + 1 < path.len ? sk_hex_digit(path.data[i]) : -1;
        int low = high >= 0 ? sk_hex_digit(path.data[i + 1]) : -1;
        if (low < 0) break;
        byte = (char)(high << 4 | low);
        i += 2;
    }
    *out_next = i;
    return byte == '\\' ? '/' : byte;
}

bool http_path_ambiguous(sk_str path) {
    size_t dots = 0; /* of a segment that is nothing but dots; SIZE_MAX: it is more */
    bool plain = true;
    for (size_t i = 0; i < path.len && plain; i++)
        plain = path.data[i] != '%' && path.data[i] != '\\' && path.data[i] != ';';
    if (plain) return false;
    for (size_t i = 0; i < path.len;) {
        char byte = eager_byte(path, i, &i);
        bool ends = byte == '/' || byte == ';'; /* some servers cut "..;" to ".." */
        if (ends && (dots == 1 || dots == 2)) return true;
        if (ends)
            dots = byte == '/' ? 0 : SIZE_MAX;
        else
            dots = byte == '.' && dots != SIZE_MAX ? dots + 1 : SIZE_MAX;
    }
    return dots == 1 || dots == 2;
}
