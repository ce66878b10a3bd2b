// What every fuzz target shares: libFuzzer's entry, and a check that stops the run. A target proves a property of what it reads, not only
// that nothing crashes. It keeps no state from one input to the next.
#ifndef DX_TESTS_FUZZ_H
#define DX_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                                                              \
    do {                                                                                                                                   \
        if (!(condition)) {                                                                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                                                 \
            abort();                                                                                                                       \
        }                                                                                                                                  \
    } while (0)

#endif
