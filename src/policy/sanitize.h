// Input sanitising and output filtering over JSON: cleaning strings that come in, taking members out of what goes out. Off by default, and
// no defence by itself: against injection only parameters of statements and encoding at the place of output help (docs/sanitize.md says
// what these filters can't do). Pure functions over yyjson's mutable documents; one thread at a time has a document.
#ifndef DX_POLICY_SANITIZE_H
#define DX_POLICY_SANITIZE_H

#include "codec/json.h"

// Where a rule applies. "/a/*/b": a JSON pointer (RFC 6901) in which "*" stands for any one member or item, "**" for any number of levels;
// "name" without a "/" before it: every member of that name, at any depth.
#define DX_PATTERNS_CAP 256 // in one list

typedef enum dx_signature_action { DX_SIGNATURE_IGNORE, DX_SIGNATURE_REPORT, DX_SIGNATURE_REJECT } dx_signature_action;

// In this order, on every string that is a value. Zeroed, it does nothing.
typedef struct dx_sanitize {
    bool strip_nul;             // takes out U+0000
    bool normalize_newlines;    // CR LF and CR become LF
    bool collapse_controls;     // a run of control characters (C0 but tab, LF and CR; DEL; C1) becomes one space
    bool trim;                  // takes white space off both ends: space, tab, LF, CR, U+00A0
    uint32_t max_length;        // code points; more are refused; 0: any
    dx_signature_action sql;    // text that is common in attempts at SQL injection
    dx_signature_action script; // likewise of script injection
    bool escape_html;           // & < > " ' become entities; what is stored is then fit for HTML alone, and escaped twice by a template
    const dx_slice *except;     // patterns of values that are left alone: passwords, signatures, anything whose bytes count
    size_t except_count;
} dx_sanitize;

// One string, as a parameter has it. `out` is `text` itself when nothing changes, else in the arena. `pointer` is said in findings: of what
// is refused with DX_INVALID, of what is reported with DX_OK. `diags` may be NULL. DX_INVALID, DX_NO_MEMORY.
dx_status dx_sanitize_text(dx_slice *out, dx_arena *arena, const dx_sanitize *settings, dx_slice text, dx_slice pointer,
                           dx_diags *diags) DX_MUST_USE;
// Every string of a document that no exception covers, in place; names of members are not changed. The arena must outlive the document. All
// findings are collected. DX_INVALID when one of them is a refusal; DX_TOO_LARGE: over DX_JSON_DEPTH_CAP levels or DX_PATTERNS_CAP;
// DX_NO_MEMORY.
dx_status dx_sanitize_json(yyjson_mut_doc *doc, dx_arena *arena, const dx_sanitize *settings, dx_diags *diags) DX_MUST_USE;

typedef struct dx_filter_rule {
    dx_slice pattern;
    bool mask; // the value becomes `with`; else the member or item is taken out
    dx_slice with;
} dx_filter_rule;
// Applies the rules to a document; of a value that several match, the first counts. The root can be masked, not taken out. Texts of the
// rules must outlive the document. DX_TOO_LARGE as above.
dx_status dx_filter_json(yyjson_mut_doc *doc, const dx_filter_rule *rules, size_t count) DX_MUST_USE;

// Whether a value at this path (raw names and indices, outermost first) is one of the pattern's.
bool dx_pattern_matches(dx_slice pattern, const dx_slice *path, size_t depth);

#endif
