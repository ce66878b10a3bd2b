// How many columns of a terminal a text takes: wide characters of East Asia and pictures are two, marks that combine are none. Simple on
// purpose: ranges of blocks, not the tables of Unicode.
#ifndef DX_CLI_TEXT_WIDTH_H
#define DX_CLI_TEXT_WIDTH_H

#include "base/slice.h"

size_t dx_text_width(dx_slice text); // a byte that is no UTF-8 counts as one
// The size in bytes of the longest beginning that takes at most `width` columns; no character is cut.
size_t dx_text_fit(dx_slice text, size_t width);

#endif
