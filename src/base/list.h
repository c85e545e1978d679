/* An intrusive doubly linked list with a sentinel head. No allocation, no lock: the owner orders access. */
#ifndef SK_BASE_LIST_H
#define SK_BASE_LIST_H

#include "base/base.h"

struct sk_list {
    struct sk_list *prev, *next;
};

static inline void sk_list_init(struct sk_list *head) { head->prev = head->next = head; }
static inline bool sk_list_empty(const struct sk_list *head) { return head->next == head; }
/* An element that is in no list is self-linked (init) or removed. */
static inline bool sk_list_linked(const struct sk_list *element) {
    return element->next != NULL && element->next != element;
}
static inline void sk_list_insert_after(struct sk_list *where, struct sk_list *element) {
    SK_ASSERT(where->next != NULL); /* a head that was never initialised */
    element->prev = where;
    element->next = where->next;
    where->next->prev = element;
    where->next = element;
}
static inline void sk_list_push_front(struct sk_list *head, struct sk_list *element) {
    sk_list_insert_after(head, element);
}
static inline void sk_list_push_back(struct sk_list *head, struct sk_list *element) {
    sk_list_insert_after(head->prev, element);
}
/* Leaves the element self-linked, so removing twice is harmless. */
static inline void sk_list_remove(struct sk_list *element) {
    element->prev->next = element->next;
    element->next->prev = element->prev;
    sk_list_init(element);
}
static inline struct sk_list *sk_list_first(const struct sk_list *head) {
    return sk_list_empty(head) ? NULL : head->next;
}
static inline struct sk_list *sk_list_last(const struct sk_list *head) {
    return sk_list_empty(head) ? NULL : head->prev;
}
static inline struct sk_list *sk_list_pop_front(struct sk_list *head) {
    struct sk_list *element = sk_list_first(head);
    if (element) sk_list_remove(element);
    return element;
}
/* Safe against removal of `cursor` itself inside the loop. */
#define SK_LIST_FOR_EACH(cursor, head)                                                                       \
    for (struct sk_list *cursor = (head)->next, *cursor##_next_ = cursor->next; cursor != (head);            \
         cursor = cursor##_next_, cursor##_next_ = cursor->next)

#endif
