// Every element of a list of proxies is taken once, from the end, and lies within the list; what an element is read as lies within it.
#include "codec/forwarded.h"
#include "fuzz.h"

static int lies_in(dx_slice inner, dx_slice outer) {
    return inner.size == 0 || (inner.data >= outer.data && inner.data + inner.size <= outer.data + outer.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dx_slice all = dx_slice_of((const char *)data, size), list = all, element, host, port;
    const char *end = all.data + all.size;
    for (size_t count = 0; dx_forwarded_last(&list, &element); count++) {
        FUZZ_CHECK(count <= size && lies_in(element, all) && lies_in(list, all));
        FUZZ_CHECK(element.size == 0 || element.data + element.size <= end);
        if (element.size) end = element.data;
        dx_forwarded out;
        if (dx_forwarded_read(&out, element)) FUZZ_CHECK(lies_in(out.node, element) && lies_in(out.proto, element));
        for (int bare = 0; bare < 2; bare++) {
            if (dx_forwarded_node(element, bare, &host, &port) == DX_NODE_MALFORMED) continue;
            FUZZ_CHECK(host.size > 0 && lies_in(host, element) && lies_in(port, element));
        }
    }
    return 0;
}
