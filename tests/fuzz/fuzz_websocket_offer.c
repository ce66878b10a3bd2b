// What a client offers of permessage-deflate, a field a line: what is agreed on is a window that there is.
#include "exchange/websocket_parts.h"
#include "fuzz.h"

#define LINES 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dx_slice rest = dx_slice_of((const char *)data, size);
    dx_field items[LINES];
    dx_fields fields = {items, 0, LINES};
    while (rest.data && fields.count < LINES)
        items[fields.count++] = (dx_field){.name = DX_SLICE("Sec-WebSocket-Extensions"), .value = dx_slice_cut(&rest, '\n')};
    bool echo_bits = false;
    uint8_t bits = dx_ws_agree_on_deflate(&fields, &echo_bits);
    FUZZ_CHECK(bits == 0 || (bits >= 9 && bits <= 15));
    FUZZ_CHECK(bits != 0 || !echo_bits);
    return 0;
}
