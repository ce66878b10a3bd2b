// Internationalized labels (IDNA 2008, RFC 5890 to 5892) in their ASCII form.
#ifndef DX_MODEL_FORMAT_IDN_H
#define DX_MODEL_FORMAT_IDN_H

#include "base/slice.h"

// Whether what stands behind "xn--" is the Punycode of a valid U-label. 59 bytes at most.
bool dx_idn_label_valid(dx_slice punycode);

// Compiles the rules ahead of their first use; false without memory.
bool dx_idn_prepare(void);

#endif
