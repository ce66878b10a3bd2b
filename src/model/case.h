// Names in snake_case and camelCase, and the names of whole JSON trees turned from one into the other.
//
//   to camelCase: "_" before a small letter goes, and the letter becomes a capital; leading "_"s, and those before anything else, stay.
//     html_url → htmlUrl     line_2 → line_2     _id → _id     a__b → a_B     created_at_ → createdAt_
//   to snake_case: a capital becomes "_" and a small letter; no "_" is added at the start. A run of capitals is one word (an acronym); when
//   a small letter follows, the last of the run begins the next word. A digit belongs to the word before it.
//     htmlUrl → html_url     userID → user_id     HTMLParser → html_parser     utf8Name → utf8_name     has2FA → has2_fa
//
// snake → camel → snake gives the name back when it has no capitals and no "_" stands after another (or at the start before … nothing:
// "_id" is well). camel → snake → camel gives it back when it begins small and no two capitals follow each other: an acronym comes back as
// a word (userID → user_id → userId), so a name with one needs to be given as it is. Letters are ASCII's; other bytes stay as they are.
#ifndef DX_MODEL_CASE_H
#define DX_MODEL_CASE_H

#include "codec/json.h"
#include "duplex/model.h"

// Writes `name` in the case `to`; `out` has room for 2 * name.size bytes. Returns the bytes written; DX_CASE_AS_IS copies.
size_t dx_case_write(char *out, dx_case to, dx_slice name);

// A copy of `value` with the names of all members, at every depth, in the case `to`; values stay. In `doc`'s memory, strings copied.
// Errors: DX_CONFLICT when two members of one object would have one name (`diags`, which may be NULL, has the pointer, in the names of
// `value`), DX_NO_MEMORY. Reads nothing deeper than DX_JSON_DEPTH_MAX: DX_INVALID.
dx_status dx_case_convert(yyjson_mut_val **out, yyjson_mut_doc *doc, yyjson_val *value, dx_case to, dx_arena *scratch,
                          dx_diags *diags) DX_MUST_USE;

#endif
