/* kernels.c - infer's kernels on another processor: the tests of tests/infer ran when the program started; what is left
 * to say is which instruction sets they found. */
#include "cpu.h"

#include <stdio.h>
#include <string.h>

/* With the name of an instruction set: fails if the best one is another. */
int main(int argc, char **argv) {
    const char *name = ws_cpu_name(ws_cpu_detect());
    printf("best instruction set: %s\n", name);
    return argc > 1 && strcmp(argv[1], name) != 0;
}
