// Running a program: the state of one validation, and the way from one part of an instance to the next. A run for the verdict alone
// (`diags` NULL) stops at the first failure and writes nothing; only when that fails and somebody wants to know why is it run again, to
// collect findings.
#ifndef DX_MODEL_RUN_H
#define DX_MODEL_RUN_H

#include "base/clock.h"
#include "model/program.h"
#include "model/schema.h"

// Where the run stands in the instance: a chain on the C stack, written out as a pointer only for a finding.
typedef struct dx_step {
    const struct dx_step *parent; // NULL: the instance itself
    const char *name;             // NULL: an array's index
    size_t number;                // bytes of `name`, or the index
} dx_step;

// The dynamic scope: resources entered, innermost first. A resource that is in it already is not added again, as only the outermost
// one matters.
typedef struct dx_scope {
    const struct dx_scope *outer;
    const dx_resource_root *root;
} dx_scope;

// Which members or items of one instance have been evaluated; kept only below an unevaluatedProperties or unevaluatedItems.
enum { DX_SEEN_INLINE = 4 };
typedef struct dx_seen {
    uint64_t *bits;
    size_t words;
    bool everything;
    uint64_t space[DX_SEEN_INLINE];
} dx_seen;

typedef struct dx_run {
    dx_arena *scratch;
    dx_diags *diags; // NULL: the verdict only
    const dx_scope *scope;
    unsigned depth;
    unsigned branching;     // unions being explained, one in the other
    uint32_t steps;         // containers and applicators checked
    uint32_t matches;       // patterns tried
    dx_nanos matching;      // the thread's time when patterns began to be timed; 0: not yet
    dx_schema_newer *newer; // see dx_schema_options
    bool first_only;
    bool gave_up;     // a limit was reached: the instance is invalid, whatever a `not` makes of it
    dx_status status; // DX_NO_MEMORY ends the run
} dx_run;

bool dx_run_node(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step) DX_MUST_USE;

// Whether `value` passes; `seen` may be NULL. In a run that collects, findings have been added when it does not.
static inline bool dx_run_check(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    if (node->alias) node = node->alias;
    if (node->always) return true;
    return dx_run_node(run, node, value, seen, step);
}
// Whether the pattern matches; under a limit for each match and one for all of a run's.
dx_match dx_run_match(dx_run *run, const dx_pattern *pattern, dx_slice text);
// The verdict without findings, even in a run that collects.
bool dx_run_verdict(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step);

bool dx_run_array(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step);
bool dx_run_object(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step);
bool dx_run_logic(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step);
bool dx_run_dependencies(dx_run *run, const dx_object_rules *rules, yyjson_val *value, dx_seen *seen, const dx_step *step);
bool dx_run_unevaluated(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step);
// Whether two items are equal; run_unique.c.
bool dx_run_has_twins(dx_run *run, yyjson_val *array);

// False, with the run's status set, when out of memory.
bool dx_seen_init(dx_run *run, dx_seen *seen, size_t count);
void dx_seen_merge(dx_seen *into, const dx_seen *from);
static inline void dx_seen_mark(dx_seen *seen, size_t index) {
    if (seen && index / 64 < seen->words) seen->bits[index / 64] |= (uint64_t)1 << (index % 64);
}
static inline bool dx_seen_has(const dx_seen *seen, size_t index) {
    return seen->everything || (index / 64 < seen->words && (seen->bits[index / 64] >> (index % 64) & 1));
}

// Goes on after a failure only to collect more.
static inline bool dx_run_goes_on(const dx_run *run) {
    return run->diags && !run->first_only && run->status == DX_OK && !run->gave_up;
}

#endif
