/* Master files (RFC 1035 section 5.1, RFC 2308 section 4): lines to records. */
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "io/file.h"
#include "route/zone_private.h"

enum { PROBLEMS_MAX = 20, INCLUDE_DEPTH = 8, FILE_MAX = 64 << 20, ENTRY_MAX = 65536 };

/* The state of one file; an included one inherits from its parent. */
struct reader {
    sk_str rest;
    const char *name;
    uint32_t line;
    int depth;
    struct dns_name origin, owner;
    bool has_owner;
    uint8_t *rdata; /* scratch of UINT16_MAX bytes */
    uint32_t ttl_s; /* the default */
    bool has_ttl;
    /* shared by all files */
    const struct dns_name *apex;
    struct sk_arena *arena;
    struct zone_records *records;
    struct sk_buf *problems;
    uint32_t *problem_count;
};

static void problem(struct reader *r, const char *text, sk_str found) {
    if (++*r->problem_count > PROBLEMS_MAX) return;
    /* A text that cannot grow any more already says enough. */
    (void)!sk_buf_printf(r->problems, "%s:%u: %s: \"%.*s\"\n", r->name, r->line, text,
                         (int)SK_MIN(found.len, 80), found.data);
}

/* One entry: a line, or several joined by parentheses, without comments. In OUT (ENTRY_MAX bytes) as plain
 * words between single spaces; a leading blank stays, it means "the same owner". */
static bool read_entry(struct reader *r, char *out, size_t *out_len) {
    size_t used = 0, at = 0;
    int depth = 0;
    bool quoted = false, fits = true;
    for (; at < r->rest.len; at++) {
        char c = r->rest.data[at];
        if (c == '\n') {
            r->line++;
            if (depth == 0) break;
            c = ' ';
        }
        bool escape = c == '\\' && at + 1 < r->rest.len && r->rest.data[at + 1] != '\n';
        if (!quoted && !escape) {
            if (c == ';') {
                while (at + 1 < r->rest.len && r->rest.data[at + 1] != '\n') at++;
                continue;
            }
            if (c == '(' || c == ')') {
                depth += c == '(' ? 1 : -1;
                c = ' ';
            }
            if (c == '\t' || c == '\r') c = ' ';
        }
        if (c == '"' && !escape) quoted = !quoted;
        fits = fits && used + 2 < ENTRY_MAX;
        if (fits) out[used++] = c;
        if (escape) {
            at++;
            if (fits) out[used++] = r->rest.data[at];
        }
    }
    r->rest = sk_str_slice(r->rest, at + 1, r->rest.len);
    *out_len = used;
    return fits && depth == 0 && !quoted;
}

static sk_str cut_word(sk_str *rest) {
    *rest = sk_str_trim(*rest);
    size_t end = 0;
    while (end < rest->len && rest->data[end] != ' ') end += rest->data[end] == '\\' ? 2 : 1;
    sk_str word = sk_str_slice(*rest, 0, end);
    *rest = sk_str_slice(*rest, end, rest->len);
    return word;
}

/* A TTL: seconds or "1h30m". */
static bool parse_ttl(sk_str word, uint32_t *out_s) {
    int64_t ms;
    if (word.len == 0 || word.data[0] < '0' || word.data[0] > '9' || sk_duration_parse(word, &ms))
        return false;
    if (ms % 1000 || ms / 1000 > INT32_MAX) return false;
    *out_s = (uint32_t)(ms / 1000);
    return true;
}

sk_err zone_records_add(struct zone_records *records, struct sk_arena *arena, const struct dns_name *owner,
                        uint16_t type, uint32_t ttl_s, struct dns_rdata rdata) {
    if (records->count >= ZONE_RECORDS_MAX) return SK_ERR_TOO_LARGE;
    if (records->count == records->capacity) {
        size_t capacity = records->capacity ? records->capacity * 2 : 64;
        struct zone_record *items = realloc(records->items, capacity * sizeof *items);
        if (!items) return SK_ERR_NO_MEMORY;
        records->items = items;
        records->capacity = capacity;
    }
    uint8_t *copy = sk_arena_alloc(arena, SK_MAX(rdata.bytes, 1));
    if (!copy) return SK_ERR_NO_MEMORY;
    memcpy(copy, rdata.data, rdata.bytes);
    records->items[records->count++] =
        (struct zone_record){.owner = *owner, .type = type, .ttl_s = ttl_s, .rdata = {copy, rdata.bytes}};
    return SK_OK;
}

/* TTL and class in either order, each at most once, then the type (RFC 1035 5.1). */
static bool read_ttl_class_type(struct reader *r, sk_str *rest, uint32_t *ttl_s, uint16_t *type) {
    bool has_ttl = false, has_class = false;
    for (;;) {
        sk_str word = cut_word(rest);
        if (word.len == 0) {
            problem(r, "no record type", word);
            return false;
        }
        if (!has_class && sk_str_ieq(word, SK_STR("IN")))
            has_class = true;
        else if (!has_ttl && parse_ttl(word, ttl_s))
            has_ttl = true;
        else if (dns_type_parse(word, type) == SK_OK)
            break;
        else {
            problem(r, "not a TTL, class IN or record type", word);
            return false;
        }
    }
    if (has_ttl) return true;
    *ttl_s = r->ttl_s;
    /* An SOA may come before any TTL is known: its own minimum serves (RFC 2308 section 4). */
    if (!r->has_ttl && *type != DNS_TYPE_SOA) problem(r, "no TTL: give one, or $TTL above", *rest);
    return r->has_ttl || *type == DNS_TYPE_SOA;
}

/* Types that belong to the signer or to the wire, never to a master file. */
static bool foreign_type(uint16_t type) {
    return type == DNS_TYPE_OPT || (type >= DNS_TYPE_IXFR && type <= DNS_TYPE_ANY) ||
           type == DNS_TYPE_RRSIG || type == DNS_TYPE_NSEC || type == DNS_TYPE_NSEC3 ||
           type == DNS_TYPE_NXNAME || type == ZONE_TYPE_MARK || type == 0;
}

static void read_record(struct reader *r, sk_str entry) {
    size_t bytes;
    uint16_t type;
    uint32_t ttl_s;
    if (entry.data[0] != ' ') {
        sk_str word = cut_word(&entry);
        r->has_owner = dns_name_parse(word, &r->origin, &r->owner) == SK_OK;
        if (!r->has_owner) {
            problem(r, "not a domain name", word);
            return;
        }
    } else if (!r->has_owner) {
        problem(r, "no owner name in the first record", entry);
        return;
    }
    if (!dns_name_in(&r->owner, r->apex)) {
        problem(r, "outside of the zone", sk_str_trim(entry));
        return;
    }
    if (!read_ttl_class_type(r, &entry, &ttl_s, &type)) return;
    if (foreign_type(type)) {
        problem(r, "a type that cannot stand in a zone file", sk_str_trim(entry));
        return;
    }
    sk_err err = dns_rdata_parse(type, entry, &r->origin, r->rdata, UINT16_MAX, &bytes);
    if (!err)
        err = zone_records_add(r->records, r->arena, &r->owner, type, ttl_s,
                               (struct dns_rdata){r->rdata, (uint16_t)bytes});
    if (err)
        problem(r, err == SK_ERR_MALFORMED ? "malformed record data" : sk_err_text(err), sk_str_trim(entry));
    if (!err && type == DNS_TYPE_SOA && !r->has_ttl) {
        const uint8_t *minimum = r->rdata + bytes - 4;
        r->ttl_s =
            (uint32_t)minimum[0] << 24 | (uint32_t)minimum[1] << 16 | (uint32_t)minimum[2] << 8 | minimum[3];
        r->has_ttl = true;
        r->records->items[r->records->count - 1].ttl_s = r->ttl_s;
    }
}

static void read_file(struct reader *r);

/* Only a plain name in the folder of the including file: a zone file never reaches elsewhere. */
static bool include_path(const struct reader *r, sk_str file, char *out, size_t capacity) {
    const char *slash = strrchr(r->name, '/');
    int folder = slash ? (int)(slash - r->name + 1) : 0;
    if (file.len == 0 || file.data[0] == '.' || sk_str_find_byte(file, '/') != file.len) return false;
    return (size_t)snprintf(out, capacity, "%.*s%.*s", folder, r->name, SK_STR_ARGS(file)) < capacity;
}

static void include(struct reader *r, sk_str rest) {
    char path[4096];
    struct sk_buf text;
    sk_str file = cut_word(&rest), origin = cut_word(&rest);
    if (r->depth == INCLUDE_DEPTH || !include_path(r, file, path, sizeof path)) {
        problem(r, "cannot include (only files of this folder, at most 8 deep)", file);
        return;
    }
    struct reader inner = *r;
    if (origin.len && dns_name_parse(origin, &r->origin, &inner.origin)) {
        problem(r, "not a domain name", origin);
        return;
    }
    sk_buf_init(&text, FILE_MAX + 1);
    sk_err err = io_file_load(path, FILE_MAX, &text);
    if (err) problem(r, sk_err_text(err), sk_str_from_c(path));
    inner.rest = sk_buf_str(&text);
    inner.name = path;
    inner.line = 0;
    inner.depth++;
    if (!err) read_file(&inner);
    sk_buf_free(&text);
}

static void read_directive(struct reader *r, sk_str entry) {
    sk_str word = cut_word(&entry);
    if (sk_str_ieq(word, SK_STR("$ORIGIN"))) {
        struct dns_name origin;
        if (dns_name_parse(cut_word(&entry), &r->origin, &origin))
            problem(r, "$ORIGIN needs a domain name", entry);
        else
            r->origin = origin;
    } else if (sk_str_ieq(word, SK_STR("$TTL"))) {
        r->has_ttl = parse_ttl(cut_word(&entry), &r->ttl_s);
        if (!r->has_ttl) problem(r, "$TTL needs seconds or a time such as 1h", entry);
    } else if (sk_str_ieq(word, SK_STR("$INCLUDE"))) {
        include(r, entry);
        return;
    } else {
        problem(r, "unknown directive ($ORIGIN, $TTL and $INCLUDE are known)", word);
        return;
    }
    if (sk_str_trim(entry).len) problem(r, "more than the directive takes", sk_str_trim(entry));
}

static void read_file(struct reader *r) {
    char *entry = malloc(ENTRY_MAX + UINT16_MAX);
    size_t len;
    if (!entry) {
        problem(r, sk_err_text(SK_ERR_NO_MEMORY), SK_STR(""));
        return;
    }
    r->rdata = (uint8_t *)entry + ENTRY_MAX;
    while (r->rest.len && *r->problem_count <= PROBLEMS_MAX) {
        bool whole = read_entry(r, entry, &len);
        sk_str text = sk_str_make(entry, len);
        if (!whole)
            problem(r, "unclosed quote or parenthesis, or an entry over 64 KiB", sk_str_trim(text));
        else if (sk_str_trim(text).len == 0)
            continue;
        else if (entry[0] == '$')
            read_directive(r, text);
        else
            read_record(r, text);
    }
    free(entry);
}

uint32_t zone_file_read(sk_str text, const char *name, const struct dns_name *apex, struct sk_arena *arena,
                        struct zone_records *records, struct sk_buf *problems) {
    uint32_t count = 0;
    struct reader r = {.rest = text,
                       .name = name,
                       .origin = *apex,
                       .apex = apex,
                       .arena = arena,
                       .records = records,
                       .problems = problems,
                       .problem_count = &count};
    read_file(&r);
    return count;
}
