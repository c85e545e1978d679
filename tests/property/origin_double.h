/* An origin that answers when and as the trace says. It takes the place of origin_exchange_open and its like when
 * the program is linked (ld --wrap); heads go through the real parser. */
#ifndef SK_TESTS_PROPERTY_ORIGIN_DOUBLE_H
#define SK_TESTS_PROPERTY_ORIGIN_DOUBLE_H

#include "base/list.h"
#include "io/fiber.h"
#include "model.h"
#include "origin/origin.h"

enum double_state { DOUBLE_ASKED, DOUBLE_FAILED, DOUBLE_HEAD, DOUBLE_DONE };

/* One request at the origin. */
struct double_exchange {
    struct sk_list link; /* of those under way */
    uint32_t number, request, uri;
    char method[10];
    struct trace_head head; /* as it came */
    bool conditional;
    enum double_state state;
    struct io_fiber *waiting; /* for the head or for content */
    struct sk_arena arena;
    struct http_response response;
    uint32_t serial;
    uint64_t total, allowed, given; /* bytes of content: in all, that may come by now, that have been read */
    bool has_body, announced, cut;  /* announced: by Content-Length; cut: breaks once all allowed is given */
};

struct origin_double {
    struct model *model; /* of the present run */
    struct sk_list under_way;
    uint32_t count;
    char last_tag[TRACE_URIS][64], last_modified[TRACE_URIS][64];
};
extern struct origin_double origin_double;

struct model_time double_now(void);
/* The N-th of those whose head is still to come (or whose content is), modulo their number; NULL: none. */
struct double_exchange *double_pick(bool head_due, uint32_t n);
/* HEAD has its values made already. */
void double_answer(struct double_exchange *exchange, const struct trace_op *op,
                   const struct trace_head *head);
void double_continue(struct double_exchange *exchange, uint64_t more, bool break_off);

#endif
