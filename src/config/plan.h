// What changes from one definition to another: the completed trees are compared, so that order, spelling and defaults that are written out
// make no difference. Each room says by rules what a change of its settings means; what is no rule's business takes effect at a reload.
#ifndef DX_CONFIG_PLAN_H
#define DX_CONFIG_PLAN_H

#include "config/definition.h"

typedef enum dx_plan_kind { DX_PLAN_ADDED = 1, DX_PLAN_REMOVED = 2, DX_PLAN_CHANGED = 4, DX_PLAN_ANY = 7 } dx_plan_kind;
typedef enum dx_plan_effect {
    DX_PLAN_ONLINE,  // a reload does it
    DX_PLAN_TABLES,  // a reload does it, and changes tables of the store
    DX_PLAN_PROCESS, // needs a new process: `duplex upgrade`, or a restart
    DX_PLAN_EFFECTS
} dx_plan_effect;

// A rule of a room, in a table that ends with a NULL pattern; the first that fits counts.
typedef struct dx_plan_rule {
    const char *pattern; // a JSON pointer; a token of * is any one, ** at the end is any number of them, none too
    unsigned kinds;      // dx_plan_kind, together
    dx_plan_effect effect;
    bool breaking;    // clients that worked may not any more
    const char *note; // what happens, in words; NULL: nothing more than the effect says
} dx_plan_rule;

typedef struct dx_plan_change {
    dx_slice pointer;
    dx_plan_kind kind;
    dx_slice before, after; // as JSON, cut; empty: an object, or not there. A secret is never shown
    const dx_plan_rule *rule;
    struct dx_plan_change *next;
} dx_plan_change;

typedef struct dx_plan {
    dx_plan_change *first, **last;
    size_t count; // the list has no more than DX_PLAN_CAP of them
} dx_plan;
#define DX_PLAN_CAP 10000

// `tables`: NULL-terminated. Everything lives in the arena.
dx_status dx_plan_make(dx_plan *out, dx_arena *arena, const dx_definition *before, const dx_definition *after,
                       const dx_plan_rule *const *tables) DX_MUST_USE;
const char *dx_plan_effect_name(dx_plan_effect effect); // "online", "tables", "process"
const char *dx_plan_kind_name(dx_plan_kind kind);       // "added", "removed", "changed"

#endif
