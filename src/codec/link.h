// The Link field (RFC 8288): what else belongs to an answer, such as the next page of a list. Reads only; a server's own links are written
// where they are made. Thread-safe; nothing is allocated: what is found are parts of the input.
#ifndef DX_CODEC_LINK_H
#define DX_CODEC_LINK_H

#include "base/slice.h"

typedef struct dx_link {
    dx_slice target;   // what stands between < and >: a reference that may be relative, or empty
    dx_slice relation; // relation types, between spaces; a quoted one as it is written, without its quotes. Empty: none
    bool anchored;     // it is a link of something else than the answer (an anchor parameter)
} dx_link;

// Walks a field's value: the next link, and in `*rest` what stands behind it. False at the end. What is no link is skipped up to the next
// comma outside of quotes, and of a parameter that stands twice the first counts (RFC 8288 section 3.3). Start with the whole value.
bool dx_link_next(dx_slice *rest, dx_link *out);
// Whether the relation is among the link's, in any case.
bool dx_link_has_relation(const dx_link *link, dx_slice relation);
// The target of the first link of that relation whose context is the answer itself; false: there is none.
bool dx_link_find(dx_slice *target, dx_slice value, dx_slice relation);

#endif
