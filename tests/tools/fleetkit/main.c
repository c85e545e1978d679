#include "fleetkit.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc > 4 && !strcmp(argv[1], "make")) return fleetkit_make(argv[2], argv[3], argv + 4, argc - 4);
    if (argc == 4 && !strcmp(argv[1], "publish")) return fleetkit_publish(argv[2], argv[3]);
    fprintf(stderr, "usage: fleetkit make FOLDER FLEET NODE... | fleetkit publish FOLDER BUS\n");
    return 2;
}
