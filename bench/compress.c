// What a content coding costs: CPU microseconds to compress one JSON answer, and what is left of it, by coding, level and size, as the
// server does it (a state of the thread's own, small answers with small windows). `ninja -C build bench_compress && build/bench_compress`
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "codec/compress.h"

#define SPAN_NS 100000000 // measured at least so long

static double cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

// Rows as the resources answer them: the same names again and again, values that differ.
static void write_rows(dx_buffer *out, size_t size) {
    uint32_t random = 12345;
    DX_BUFFER_LIT(out, "{\"items\":[");
    for (unsigned id = 1; out->size < size; id++) {
        random = random * 1664525u + 1013904223u;
        dx_buffer_printf(
            out, "{\"id\":%u,\"name\":\"product %08x\",\"price\":%u.%02u,\"in_stock\":%s,\"created_at\":\"2026-01-%02uT%02u:%02u:07Z\"},",
            id, random, random >> 22, random % 100, random & 1 ? "true" : "false", 1 + random % 28, random % 24, random % 60);
    }
    out->size = size;
}

static void measure(dx_coding coding, int level, dx_slice text) {
    dx_buffer out;
    unsigned rounds = 0;
    dx_buffer_init(&out, NULL, 64u << 20);
    double from = cpu_ns(), spent = 0;
    while (spent < SPAN_NS) {
        dx_compressor *compressor;
        dx_buffer_clear(&out);
        if (dx_compressor_create(&compressor, coding, level, (int64_t)text.size) != DX_OK) abort();
        if (dx_compressor_run(compressor, text, DX_COMPRESS_END, &out) != DX_OK) abort();
        dx_compressor_destroy(compressor);
        rounds++;
        spent = cpu_ns() - from;
    }
    printf("%6.1f us %4.1f%%  ", spent / rounds / 1000, 100.0 * (double)out.size / (double)text.size);
    dx_buffer_deinit(&out);
}

int main(void) {
    static const size_t sizes[] = {1024, 4096, 16384, 32768};
    printf("%-5s %5s  %-16s %-16s %-16s %-16s\n", "", "level", "1 KiB", "4 KiB", "16 KiB", "32 KiB");
    for (int coding = DX_CODING_GZIP; coding < DX_CODING_COUNT; coding++) {
        for (int level = 1; level <= 9; level++) {
            printf("%-5.*s %5d  ", DX_SLICE_ARG(dx_coding_name((dx_coding)coding)), level);
            for (size_t i = 0; i < DX_COUNT_OF(sizes); i++) {
                dx_buffer text;
                dx_buffer_init(&text, NULL, 1u << 20);
                write_rows(&text, sizes[i]);
                measure((dx_coding)coding, level, dx_buffer_slice(&text));
                dx_buffer_deinit(&text);
            }
            printf("\n");
        }
    }
    return 0;
}
