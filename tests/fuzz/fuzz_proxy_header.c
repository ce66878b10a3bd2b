// A PROXY header is found in the same place whatever follows it; all that comes before its end is a header's beginning; what was refused
// stays refused when more comes.
#include <string.h>

#include "fuzz.h"
#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char longer[2 * DX_PROXY_HEADER_CAP];
    if (size > DX_PROXY_HEADER_CAP) return 0;
    dx_proxy_header header, again;
    dx_proxy_reading reading = dx_proxy_header_read(&header, dx_slice_of((const char *)data, size));
    if (size) memcpy(longer, data, size);
    memset(longer + size, 'x', DX_PROXY_HEADER_CAP);
    dx_proxy_reading behind = dx_proxy_header_read(&again, dx_slice_of(longer, size + DX_PROXY_HEADER_CAP));
    if (reading == DX_PROXY_MALFORMED) FUZZ_CHECK(behind == DX_PROXY_MALFORMED);
    if (reading != DX_PROXY_WHOLE) return 0;
    FUZZ_CHECK(header.size > 0 && header.size <= size);
    FUZZ_CHECK(behind == DX_PROXY_WHOLE && again.size == header.size && again.has_client == header.has_client);
    char text[DX_ADDRESS_TEXT_CAP];
    if (header.has_client) dx_address_text(&header.client, text);
    size_t cuts[] = {0, 1, header.size / 2, header.size - 1};
    for (size_t i = 0; i < 4; i++) {
        FUZZ_CHECK(cuts[i] == header.size || dx_proxy_header_read(&again, dx_slice_of((const char *)data, cuts[i])) == DX_PROXY_MORE);
    }
    return 0;
}
