/* usage: largeobject origin PORT BYTES | largeobject read PORT HOST TARGET FIRST BYTES */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "origin") == 0)
        return origin_serve((uint16_t)atoi(argv[2]), strtoull(argv[3], NULL, 10));
    if (argc == 7 && strcmp(argv[1], "read") == 0)
        return reader_read((uint16_t)atoi(argv[2]), argv[3], argv[4], strtoull(argv[5], NULL, 10),
                           strtoull(argv[6], NULL, 10));
    fprintf(stderr, "usage: largeobject origin PORT BYTES | largeobject read PORT HOST TARGET FIRST BYTES\n");
    return 2;
}
