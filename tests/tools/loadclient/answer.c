#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void answer_reset(struct answer *answer) {
    answer->state = ANSWER_HEAD;
    answer->chunked = answer->closes = answer->hit = false;
    answer->status = 0;
    answer->left = answer->body_bytes = 0;
    answer->sum = ANSWER_SUM_START;
    answer->line_bytes = answer->head_bytes = 0;
}

bool answer_ends_at_close(const struct answer *answer) { return answer->state == ANSWER_TO_CLOSE; }

/* The value of LINE when it is the field NAME, else NULL. */
static const char *field_value(const char *line, const char *name) {
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) != 0 || line[length] != ':') return NULL;
    return line + length + 1 + strspn(line + length + 1, " \t");
}

static bool read_length(const char *value, uint64_t *out_length) {
    char *end;
    if (*value < '0' || *value > '9') return false;
    *out_length = strtoull(value, &end, 10);
    return *end == '\0';
}

/* Returns false when the head cannot be right. LINES are NUL-terminated, one after the other. */
static bool read_fields(struct answer *answer, const char *line, const char *end, bool *out_has_length) {
    const char *value;
    for (; line < end; line += strlen(line) + 2) {
        if (strchr(line, ':') == NULL) return false;
        if ((value = field_value(line, "Content-Length"))) {
            if (*out_has_length || !read_length(value, &answer->left)) return false;
            *out_has_length = true;
        } else if ((value = field_value(line, "Transfer-Encoding"))) {
            if (strcasecmp(value, "chunked") != 0) return false;
            answer->chunked = true;
        } else if ((value = field_value(line, "Connection"))) {
            if (strcasestr(value, "close")) answer->closes = true;
        } else if ((value = field_value(line, "Cache-Status"))) {
            answer->hit = strstr(value, "; hit") != NULL || strstr(value, ";hit") != NULL;
        }
    }
    return !(answer->chunked && *out_has_length);
}

static void start_body(struct answer *answer, bool has_length) {
    bool bodiless = answer->status == 204 || answer->status == 304;
    answer->line_bytes = 0;
    if (bodiless || (has_length && answer->left == 0))
        answer->state = ANSWER_DONE;
    else if (answer->chunked)
        answer->left = 0, answer->state = ANSWER_CHUNK_SIZE;
    else if (has_length)
        answer->state = ANSWER_BODY;
    else
        answer->state = answer->closes ? ANSWER_TO_CLOSE : ANSWER_BAD;
}

static void head_complete(struct answer *answer) {
    char *head = answer->head, *end = head + answer->head_bytes - 2;
    bool has_length = false;
    for (char *at = head; (at = strstr(at, "\r\n")) != NULL; at += 2) *at = '\0';
    if (strlen(head) < 12 || strncmp(head, "HTTP/1.1 ", 9) != 0) {
        answer->state = ANSWER_BAD;
        return;
    }
    int status = atoi(head + 9);
    if (status >= 100 && status < 200) { /* interim: the next head follows */
        answer_reset(answer);
        return;
    }
    answer->status = status;
    if (!read_fields(answer, head + strlen(head) + 2, end, &has_length))
        answer->state = ANSWER_BAD;
    else
        start_body(answer, has_length);
}

static size_t feed_head(struct answer *answer, const char *data, size_t bytes) {
    size_t before = answer->head_bytes, room = ANSWER_HEAD_BYTES - before;
    size_t taken = bytes < room ? bytes : room;
    memcpy(answer->head + before, data, taken);
    answer->head[before + taken] = '\0';
    size_t from = before < 3 ? 0 : before - 3;
    char *end = memmem(answer->head + from, before + taken - from, "\r\n\r\n", 4);
    if (end == NULL) {
        answer->head_bytes += taken;
        if (answer->head_bytes == ANSWER_HEAD_BYTES) answer->state = ANSWER_BAD;
        return taken;
    }
    answer->head_bytes = (size_t)(end - answer->head) + 4;
    answer->head[answer->head_bytes] = '\0';
    taken = answer->head_bytes - before;
    head_complete(answer);
    return taken;
}

static size_t feed_body(struct answer *answer, const char *data, size_t bytes) {
    size_t taken = answer->state == ANSWER_BODY && bytes > answer->left ? (size_t)answer->left : bytes;
    uint64_t sum = answer->sum;
    for (size_t i = 0; i < taken; i++) sum = (sum ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    answer->sum = sum;
    answer->body_bytes += taken;
    if (answer->state != ANSWER_BODY) return taken;
    answer->left -= taken;
    if (answer->left == 0) answer->state = answer->chunked ? ANSWER_CHUNK_END : ANSWER_DONE;
    return taken;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A size line: hex digits, then CRLF. Skerry sends no extensions. */
static void feed_size(struct answer *answer, char c) {
    int digit = hex_digit(c);
    if (digit >= 0 && answer->line_bytes < 16) {
        answer->left = answer->left << 4 | (unsigned)digit;
        answer->line_bytes++;
    } else if (c == '\n' && answer->line_bytes >= 100) {
        answer->line_bytes = 0;
        answer->state = answer->left ? ANSWER_BODY : ANSWER_TRAILERS;
    } else if (c == '\r' && answer->line_bytes > 0 && answer->line_bytes < 100) {
        answer->line_bytes += 100; /* marks the CR */
    } else {
        answer->state = ANSWER_BAD;
    }
}

static void feed_chunk_end(struct answer *answer, char c) {
    if (c != "\r\n"[answer->line_bytes])
        answer->state = ANSWER_BAD;
    else if (++answer->line_bytes == 2)
        answer->line_bytes = 0, answer->left = 0, answer->state = ANSWER_CHUNK_SIZE;
}

static void feed_trailers(struct answer *answer, char c) {
    if (c == '\n') {
        if (answer->line_bytes == 0) answer->state = ANSWER_DONE;
        answer->line_bytes = 0;
    } else if (c != '\r') {
        answer->line_bytes++;
    }
}

size_t answer_feed(struct answer *answer, const char *data, size_t bytes) {
    size_t at = 0;
    while (at < bytes && answer->state < ANSWER_DONE) {
        switch (answer->state) {
        case ANSWER_HEAD: at += feed_head(answer, data + at, bytes - at); break;
        case ANSWER_BODY:
        case ANSWER_TO_CLOSE: at += feed_body(answer, data + at, bytes - at); break;
        case ANSWER_CHUNK_SIZE: feed_size(answer, data[at++]); break;
        case ANSWER_CHUNK_END: feed_chunk_end(answer, data[at++]); break;
        default: feed_trailers(answer, data[at++]); break;
        }
    }
    return at;
}
