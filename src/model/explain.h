// Findings in words. Each function adds one about the place `step` (unless that place has one already) and returns false, so that a check
// reads `return dx_explain_…`. In a run for the verdict alone they only return false.
#ifndef DX_MODEL_EXPLAIN_H
#define DX_MODEL_EXPLAIN_H

#include "model/run.h"

bool dx_explain(dx_run *run, const dx_step *step, const char *format, ...) DX_PRINTF(3, 4);
bool dx_explain_type(dx_run *run, const dx_step *step, uint8_t types, yyjson_val *value);
bool dx_explain_choice(dx_run *run, const dx_step *step, const dx_choice_rules *rules, yyjson_val *value);
// "must be at least 0": `words` and a number as the schema has it.
bool dx_explain_number(dx_run *run, const dx_step *step, const char *words, yyjson_val *limit);
// "must have at least 3 characters", or at most.
bool dx_explain_fewest(dx_run *run, const dx_step *step, uint64_t limit, const char *what);
bool dx_explain_most(dx_run *run, const dx_step *step, uint64_t limit, const char *what);
bool dx_explain_match(dx_run *run, const dx_step *step, const dx_pattern *pattern, dx_match match);
// A member that its object's schema does not have; suggests the nearest of its names.
bool dx_explain_unknown(dx_run *run, const dx_step *step, const dx_object_rules *rules, dx_slice name);
// One that is left over where unevaluatedProperties is false; suggests names of what the schema refers to as well.
bool dx_explain_unevaluated(dx_run *run, const dx_step *step, const dx_node *node, dx_slice name);
// None of the branches of anyOf or oneOf passes: says why of the one that was meant, when that can be told.
bool dx_explain_branches(dx_run *run, const dx_step *step, const dx_node_list *branches, yyjson_val *value);
bool dx_explain_not(dx_run *run, const dx_step *step, const dx_node *negated);

// Counts a finding of this kind, where such are counted. True when it need not be told.
bool dx_explain_spares(dx_run *run, dx_diag_kind kind);

// The pointer to a place in the instance, in the scratch arena.
dx_slice dx_step_pointer(dx_run *run, const dx_step *step);

#endif
