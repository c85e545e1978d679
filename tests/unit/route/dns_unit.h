/* For tests of answering: queries made from words, answers shown as text to compare with. */
#ifndef SK_TESTS_ROUTE_DNS_UNIT_H
#define SK_TESTS_ROUTE_DNS_UNIT_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "route/answer.h"
#include "unit.h"

static inline struct dns_name name_of(const char *text) {
    struct dns_name name;
    assert_ok(dns_name_parse(sk_str_from_c(text), NULL, &name));
    return name;
}

static inline struct io_addr addr_of(const char *text) {
    struct io_addr addr;
    assert_ok(io_addr_parse(sk_str_from_c(text), &addr));
    return addr;
}

static inline struct zone *zone_of(const char *apex_text, const char *text, const struct zone_extra *extras,
                                   size_t count) {
    struct dns_name apex = name_of(apex_text);
    struct zone *zone = NULL;
    struct sk_buf problems;
    sk_buf_init(&problems, 0);
    if (zone_parse_with(sk_str_from_c(text), "test.zone", &apex, extras, count, &zone, &problems))
        fail_msg("%.*s", SK_STR_ARGS(sk_buf_str(&problems)));
    sk_buf_free(&problems);
    return zone;
}

/* A query under construction. */
struct asked {
    uint8_t data[1024];
    size_t bytes;
    size_t options_at; /* where OPT's length stands; 0: no OPT */
};

static inline void ask_u16(struct asked *q, uint16_t value) {
    q->data[q->bytes++] = (uint8_t)(value >> 8);
    q->data[q->bytes++] = (uint8_t)value;
}

static inline struct asked ask(const char *name_text, uint16_t type) {
    struct asked q = {.data = {0x12, 0x34, 0x01, 0, 0, 1}, .bytes = 12};
    struct dns_name name = name_of(name_text);
    memcpy(q.data + 12, name.wire, name.length);
    q.bytes += name.length;
    ask_u16(&q, type);
    ask_u16(&q, 1);
    return q;
}

static inline void ask_edns(struct asked *q, uint16_t payload, bool dnssec_ok) {
    q->data[11] = 1;
    q->data[q->bytes++] = 0;
    ask_u16(q, DNS_TYPE_OPT);
    ask_u16(q, payload);
    ask_u16(q, 0);
    ask_u16(q, dnssec_ok ? 0x8000 : 0);
    q->options_at = q->bytes;
    ask_u16(q, 0);
}

static inline void ask_option(struct asked *q, uint16_t code, const void *data, size_t bytes) {
    ask_u16(q, code);
    ask_u16(q, (uint16_t)bytes);
    memcpy(q->data + q->bytes, data, bytes);
    q->bytes += bytes;
    size_t all = q->bytes - q->options_at - 2;
    q->data[q->options_at] = (uint8_t)(all >> 8);
    q->data[q->options_at + 1] = (uint8_t)all;
}

/* --- showing ------------------------------------------------------------------------------------------ */

struct shown {
    const uint8_t *data;
    size_t bytes, at;
    char *text;
    size_t used, capacity;
};

__attribute__((format(printf, 2, 3))) static inline void show(struct shown *s, const char *format, ...) {
    va_list args;
    va_start(args, format);
    s->used += (size_t)vsnprintf(s->text + s->used, s->capacity - s->used, format, args);
    va_end(args);
    assert_true(s->used < s->capacity);
}

static inline unsigned show_u16(struct shown *s) {
    assert_true(s->at + 2 <= s->bytes);
    s->at += 2;
    return (unsigned)s->data[s->at - 2] << 8 | s->data[s->at - 1];
}

/* The name at *at, pointers followed, without its final dot. */
static inline void show_name(struct shown *s, size_t *at) {
    size_t from = *at, jumps = 0;
    bool jumped = false, any = false;
    for (;;) {
        assert_true(from < s->bytes);
        uint8_t length = s->data[from];
        if (length >= 0xc0) {
            assert_true(from + 1 < s->bytes && ++jumps < 128);
            if (!jumped) *at = from + 2;
            jumped = true;
            from = (size_t)(length & 0x3f) << 8 | s->data[from + 1];
            continue;
        }
        from++;
        if (length == 0) break;
        assert_true(from + length <= s->bytes && length < 64);
        show(s, "%s%.*s", any ? "." : "", (int)length, (const char *)s->data + from);
        from += length;
        any = true;
    }
    if (!any) show(s, ".");
    if (!jumped) *at = from;
}

static inline void show_rdata(struct shown *s, unsigned type, size_t bytes) {
    size_t at = s->at, end = s->at + bytes;
    char ip[64];
    assert_true(end <= s->bytes);
    if (type == DNS_TYPE_A || type == DNS_TYPE_AAAA) {
        show(s, " %s", inet_ntop(type == DNS_TYPE_A ? AF_INET : AF_INET6, s->data + at, ip, sizeof ip));
    } else if (type == DNS_TYPE_NS || type == DNS_TYPE_CNAME || type == DNS_TYPE_DNAME ||
               type == DNS_TYPE_MX) {
        if (type == DNS_TYPE_MX) at += 2;
        show(s, " ");
        show_name(s, &at);
        assert_int_equal(at, end);
    }
    s->at = end;
}

/* Everything from the flags to the last record, as "NOERROR aa | www.example.com 300 A 192.0.2.1 | ..."; the
 * three sections after one '|' each; OPT as "OPT" with its options. Fails the test when it does not parse. */
static inline const char *shown(const uint8_t *data, size_t bytes) {
    static char text[16384];
    static const char *const rcodes[16] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                           "NOTIMP",  "REFUSED", "YXDOMAIN"};
    struct shown s = {.data = data, .bytes = bytes, .at = 12, .text = text, .capacity = sizeof text};
    if (bytes == 0) return "";
    assert_true(bytes >= 12 && (data[2] & 0x80));
    show(&s, "%s", rcodes[data[3] & 15] ? rcodes[data[3] & 15] : "?");
    if (data[2] & 4) show(&s, " aa");
    if (data[2] & 2) show(&s, " tc");
    unsigned questions = (unsigned)data[4] << 8 | data[5];
    for (unsigned i = 0; i < questions; i++) {
        while (s.data[s.at]) s.at += 1 + (size_t)s.data[s.at];
        s.at += 5;
    }
    for (int section = 0; section < 3; section++) {
        unsigned count = (unsigned)data[6 + 2 * section] << 8 | data[7 + 2 * section];
        show(&s, " |");
        for (unsigned i = 0; i < count; i++) {
            char type_text[12];
            show(&s, " ");
            size_t mark = s.used;
            show_name(&s, &s.at);
            unsigned type = show_u16(&s), class_ = show_u16(&s);
            uint32_t ttl = show_u16(&s) << 16;
            ttl |= show_u16(&s);
            unsigned length = show_u16(&s);
            if (type == DNS_TYPE_OPT) {
                s.used = mark;
                show(&s, "OPT %u", class_);
                if (ttl >> 24) show(&s, " ext %u", ttl >> 24);
                if (ttl & 0x8000) show(&s, " do");
                for (size_t end = s.at + length; s.at < end;) {
                    unsigned code = show_u16(&s), option = show_u16(&s);
                    if (code == 8) show(&s, " ecs %u/%u", s.data[s.at + 2], s.data[s.at + 3]);
                    if (code == 3) show(&s, " nsid %.*s", (int)option, (const char *)s.data + s.at);
                    if (code == 10) show(&s, " cookie %u", option);
                    if (code == 15) show(&s, " ede %u", (unsigned)s.data[s.at] << 8 | s.data[s.at + 1]);
                    s.at += option;
                }
                continue;
            }
            show(&s, " %u %.*s", ttl, SK_STR_ARGS(dns_type_text((uint16_t)type, type_text)));
            show_rdata(&s, type, length);
        }
    }
    assert_int_equal(s.at, bytes);
    return text;
}

#endif
