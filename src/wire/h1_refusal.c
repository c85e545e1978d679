#include "wire/h1.h"

uint16_t wire_h1_refusal_status(enum wire_h1_refusal refusal) {
    switch (refusal) {
#define X(name, status, text)                                                                                \
    case WIRE_H1_REFUSAL_##name: return status;
        WIRE_H1_REFUSAL_TABLE(X)
#undef X
    }
    return 400;
}

const char *wire_h1_refusal_text(enum wire_h1_refusal refusal) {
    switch (refusal) {
#define X(name, status, text)                                                                                \
    case WIRE_H1_REFUSAL_##name: return text;
        WIRE_H1_REFUSAL_TABLE(X)
#undef X
    }
    return "";
}
