// The Link field: whatever it holds, the walk ends, each link lies within the value and behind the one before it.
#include "codec/link.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dx_slice value = dx_slice_of((const char *)data, size), rest = value, found;
    dx_link link;
    size_t before = SIZE_MAX, links = 0;
    bool has_next = false;
    while (dx_link_next(&rest, &link)) {
        FUZZ_CHECK(rest.size < before && rest.size <= size);
        before = rest.size;
        FUZZ_CHECK(!link.target.size || (link.target.data > value.data && link.target.data + link.target.size < value.data + size));
        FUZZ_CHECK(!link.relation.size ||
                   (link.relation.data > value.data && link.relation.data + link.relation.size <= value.data + size));
        has_next = has_next || (!link.anchored && dx_link_has_relation(&link, DX_SLICE("next")));
        links++;
    }
    FUZZ_CHECK(rest.size == 0 && links <= size / 2);
    FUZZ_CHECK(dx_link_find(&found, value, DX_SLICE("next")) == has_next);
    return 0;
}
