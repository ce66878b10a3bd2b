// Regular expressions of `pattern`, `patternProperties` and the format `regex`: ECMA-262 syntax with the `u` flag, run by PCRE2 with JIT
// where the system allows it, under limits on steps, memory and depth, so that no pattern can hold a thread for long.
#ifndef DX_MODEL_PATTERN_H
#define DX_MODEL_PATTERN_H

#include "base/buffer.h"

typedef struct dx_pattern dx_pattern;

#define DX_PATTERN_TEXT_CAP    (16u << 10) // bytes of a pattern as written
#define DX_PATTERN_MATCH_LIMIT 100000u     // PCRE2's match limit: backtracking points
#define DX_PATTERN_DEPTH_LIMIT 1000u
#define DX_PATTERN_HEAP_LIMIT  (4u << 10) // KiB

typedef enum dx_match { DX_MATCH_NO, DX_MATCH_YES, DX_MATCH_LIMIT, DX_MATCH_NO_MEMORY } dx_match;

// Compiles; what PCRE2 takes is freed with the arena. DX_INVALID with `*problem` (static or in the arena) set when the syntax is refused.
dx_status dx_pattern_create(const dx_pattern **out, dx_arena *arena, dx_slice text, const char **problem) DX_MUST_USE;
// Whether it matches anywhere in `text`, which is valid UTF-8. DX_MATCH_LIMIT when a limit was reached first.
dx_match dx_pattern_match(const dx_pattern *pattern, dx_slice text);
dx_slice dx_pattern_text(const dx_pattern *pattern);

// A pattern of the program's own in PCRE2's syntax, compiled at first use and kept for good in `*slot`. NULL without memory.
const dx_pattern *dx_pattern_fixed(_Atomic(dx_pattern *) *slot, const char *pcre2);

// Writes the PCRE2 form of an ECMA-262 pattern; DX_INVALID with `*problem` set when it is not one. Needs PCRE2_UTF,
// PCRE2_DOLLAR_ENDONLY and PCRE2_MATCH_UNSET_BACKREF, and no PCRE2_UCP.
dx_status dx_pattern_translate(dx_buffer *out, dx_slice text, const char **problem) DX_MUST_USE;

#endif
