#include "trace.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const struct trace_uri trace_uris[TRACE_URIS] = {
    {"one.test", "/a"}, {"one.test", "/a/b"}, {"one.test", "/a/b?x=1"},
    {"two.test", "/a"}, {"two.test", "/c/d"},
};

const char *trace_value(const struct trace_head *head, const char *name) {
    for (uint32_t i = 0; i < head->count; i++)
        if (strcasecmp(head->lines[i].name, name) == 0) return head->lines[i].value;
    return NULL;
}

void trace_add(struct trace_head *head, const char *name, const char *value) {
    if (head->count == TRACE_LINES) return;
    struct trace_line *line = &head->lines[head->count++];
    snprintf(line->name, sizeof line->name, "%s", name);
    snprintf(line->value, sizeof line->value, "%s", value);
}

static void print_head(const struct trace_head *head) {
    for (uint32_t i = 0; i < head->count; i++)
        printf("        %s: %s\n", head->lines[i].name, head->lines[i].value);
}

static void print_request(const struct trace_op *op) {
    const struct trace_uri *uri = &trace_uris[op->uri];
    printf("%s http://%s%s", op->method, uri->host, uri->target);
    if (op->content_bytes) printf(", %u bytes of content", op->content_bytes);
    printf("%s\n", op->slow ? ", reads nothing for now" : "");
    print_head(&op->head);
}

static void print_answer(const struct trace_op *op) {
    static const char *const framings[] = {"Content-Length", "chunked", "until close"};
    static const char *const tags[] = {"", ", its ETag that of the request", ", without ETag",
                                       ", another ETag"};
    if (op->fail) {
        printf("the origin fails request %u of those that wait\n", op->pick);
        return;
    }
    printf("the origin answers request %u of those that wait: %u%s%s, %u bytes (%s), %u at once%s\n",
           op->pick, op->status, op->not_modified ? " (304 if conditional)" : "",
           op->not_modified ? tags[op->tag] : "", op->body_bytes, framings[op->framing], op->at_once,
           op->cut ? ", then cut off" : "");
    print_head(&op->head);
}

static void print_purge(const struct trace_op *op) {
    static const char *const kinds[] = {"URL", "prefix", "host", "pattern", "tag", "everything"};
    const struct trace_uri *uri = &trace_uris[op->uri];
    if (op->purge == TRACE_PURGE_TAG)
        printf("%s purge by tag: %s\n", op->soft ? "soft" : "hard", op->purged_tag);
    else
        printf("%s purge by %s: %s%s\n", op->soft ? "soft" : "hard", kinds[op->purge], uri->host,
               uri->target);
}

void trace_print_op(const struct trace_op *op) {
    printf("%5u  ", op->id);
    switch (op->kind) {
    case TRACE_REQUEST: print_request(op); break;
    case TRACE_ANSWER: print_answer(op); break;
    case TRACE_BODY:
        printf("body %u of those under way: %u bytes more%s\n", op->pick, op->more_bytes,
               op->break_off ? ", then cut off" : "");
        break;
    case TRACE_READ: printf("slow client %u reads on\n", op->pick); break;
    case TRACE_ABORT: printf("client %u of those that wait goes away\n", op->pick); break;
    case TRACE_CLOCK:
        printf("clock: %+lld s of the wall, %+lld ms of the monotonic one\n", (long long)op->wall_s,
               (long long)op->mono_ms);
        break;
    case TRACE_PURGE: print_purge(op); break;
    }
}
