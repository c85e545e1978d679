/* What the model's files share: what it remembers, and the questions that it asks itself. */
#ifndef SK_TESTS_PROPERTY_MODEL_PRIVATE_H
#define SK_TESTS_PROPERTY_MODEL_PRIVATE_H

#include "model.h"
#include "text.h"

/* May it be given to others than the client it was fetched for? */
enum verdict {
    NEVER,
    MAY,  /* the standard allows it, and Skerry does not promise it */
    MUST, /* Skerry promises to keep it */
};

/* A response as it may be stored: what the origin gave, or that with a 304's fields laid over it. */
struct record {
    uint32_t serial,
        validation; /* X-Body, X-Validation; validation 0: as it first came; serial 0: of a HEAD */
    uint32_t uri, exchange;
    const struct record *base; /* that a 304 was laid over, or NULL */
    uint16_t status;
    struct trace_head head;
    const struct trace_head *request, *validating; /* whose fields Vary compares; validating may be NULL */
    int64_t request_time, response_time;
    uint64_t began, came; /* when its fill began, when its head came: places in the order of events */
    enum verdict verdict;
    bool optional; /* it may have been laid over and stored, or not */
    bool alone;    /* fetched for its client only */
    bool sure;     /* Skerry has stored it, as long as nothing has happened to it */
    bool complete, broken;
    bool until_close;    /* nothing but the connection's end told where its body ended */
    uint64_t body_bytes; /* UINT64_MAX until it is known */
    /* from its fields */
    struct text_control control;
    int64_t initial_age, lifetime, longest; /* the lifetime demanded, and the longest that is allowed */
};

struct exchange {
    uint32_t request, uri;
    uint64_t began;         /* of its fill */
    struct trace_head head; /* as it went to the origin */
    int64_t request_time;
    bool alone, conditional;
    bool answered, over, failed;
    uint64_t answered_at; /* or failed: place in the order */
    uint16_t status;
    bool shareable; /* its response was, or it is not known yet */
};

enum stage { SERVING, WAITING, ANSWERED, ENDED };

struct asked {
    uint32_t id, uri;
    char method[10];
    struct trace_head head;
    bool content;
    struct text_control control;
    uint64_t at; /* place in the order */
    bool pass;   /* no cache can answer it */
    bool gone;
    enum stage stage;
    uint32_t asks;       /* exchanges for it so far */
    struct record *must; /* that must answer, or NULL */
    bool refresh_due;
    struct record *fallback; /* that must answer if the origin fails, or NULL */
    /* the answer */
    uint16_t status;
    struct record *record;  /* that it was made of, or NULL */
    uint64_t first, end;    /* the part of its content that is due; END UINT64_MAX: to its end */
    bool no_content, loose; /* loose: the content is not looked at */
};

struct happening { /* a purge, or an invalidation */
    uint64_t at;
    bool soft, invalidation; /* invalidated: may still be validated (RFC 9111 4.4) */
    bool covers[TRACE_URIS];
    char tag[TRACE_NAME_BYTES]; /* of what it covers only responses with this tag; "": all */
};

#define MODEL_MOST 4096

struct model {
    bool may_forget, narrate;
    char complaint[1024];
    uint64_t clock; /* counts events: a place in their order */
    struct model_time now;
    struct record *records[MODEL_MOST];
    int record_count;
    struct exchange *exchanges[MODEL_MOST]; /* by number */
    int exchange_count;
    struct asked *asked[MODEL_MOST];
    int asked_count;
    struct happening happenings[MODEL_MOST];
    int happening_count;
    struct model_uri {
        char names[16][TRACE_NAME_BYTES]; /* every name that a Vary has had here, ever */
        int name_count;
        char known[16][TRACE_NAME_BYTES]; /* since what was stored here was last thrown away */
        int known_count;
        uint64_t unsure_before; /* what began before this may have been lost */
        uint64_t vary_grew;
        int64_t pass_until_ms; /* a response was not shareable: requests may go alone */
    } uris[TRACE_URIS];
};

/* --- model.c */

#define NARRATE(model, ...)                                                                                  \
    do {                                                                                                     \
        if ((model)->narrate) printf("           " __VA_ARGS__);                                             \
    } while (0)

struct asked *model_asked(const struct model *model, uint32_t id);
/* The newest response stored for this request, when Skerry has it without doubt; else NULL. */
struct record *model_newest(const struct model *model, const struct asked *request);
/* Something for this URI failed since PLACE. */
bool model_failed_since(const struct model *model, uint32_t uri, uint64_t place);

/* --- store.c: what may be stored, for how long it is fresh */

/* Sets what follows from the record's fields. REQUEST asked for it. */
void record_judge(struct record *record, const struct asked *request);
bool method_is_safe(const char *method);

/* --- use.c: may this record answer this request */

/* How long it may be served stale where the origin says SECONDS. */
int64_t stale_window(const struct text_control *control, int64_t seconds);
int64_t record_age(const struct record *record, int64_t now);
bool record_varies(const struct record *record, const struct trace_head *request); /* not the one selected */
/* NULL: allowed at this time; else why not. *out_refresh: only while it is being refreshed. */
const char *record_may_answer(const struct model *model, const struct record *record,
                              const struct asked *request, bool *out_refresh);
/* Without doubt, and Skerry promises it. */
bool record_must_answer(const struct model *model, const struct record *record, const struct asked *request,
                        bool *out_refresh);
bool record_may_answer_failure(const struct record *record, const struct asked *request, int64_t now);
bool record_must_answer_failure(const struct record *record, const struct asked *request, int64_t now);
/* Purged hard, so that not even its validators count any more. */
bool record_gone(const struct model *model, const struct record *record, uint64_t place);
/* The first hard (or soft) happening between the beginning of its fill and PLACE; NULL: none. */
const struct happening *record_hit_by(const struct model *model, const struct record *record, bool soft,
                                      uint64_t place);

enum condition { CONDITION_NONE, CONDITION_NOT_MODIFIED, CONDITION_FAILED };
enum condition record_condition(const struct record *record, const struct trace_head *request, int64_t now);

enum ranges { RANGES_WHOLE, RANGES_ONE, RANGES_MANY, RANGES_NONE };
/* What the Range field asks of BYTES of content. */
enum ranges record_ranges(const struct record *record, const struct asked *request, uint64_t bytes,
                          uint64_t *out_first, uint64_t *out_end);

#endif
