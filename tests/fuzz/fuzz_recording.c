// Recordings: files that somebody may have edited. What is read is whole, and its key has method, URL and digest in it; patterns of mock
// and fault rules end, whatever text they are held against.
#include "client/recording.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dx_arena *arena = dx_arena_create((size_t)64 << 20);
    dx_slice text = dx_slice_of((const char *)data, size), rest = text, pattern = dx_slice_cut(&rest, '\n');
    dx_recording recording;
    if (!arena) return 0;
    if (size < 2000 && pattern.size < 100) (void)dx_glob_fits(pattern, rest);
    if (dx_recording_read(&recording, arena, DX_SLICE("000001-get-x.json"), text) == DX_OK) {
        FUZZ_CHECK(recording.status >= 100 && recording.status <= 599 && recording.body.data);
        FUZZ_CHECK(recording.body.data[recording.body.size] == 0);
        FUZZ_CHECK(recording.key.size >= recording.method.size + recording.url.size + 2);
    }
    dx_arena_destroy(arena);
    return 0;
}
