// What a change of models and resources means to those who call, and to the store.
#include "resource/plan_rules.h"

#define TIGHTER "what was accepted may be refused now; rows that are there stay as they are"
// Of these the store judges the rows, when it is asked to change its tables.
#define REQUIRED "what was accepted may be refused now; rows without a value need a default or a `fallback`, or it is refused"
#define UNIQUE   "what was accepted may be refused now; while rows collide, it is refused"
#define REFERS   "what was accepted may be refused now; while rows refer to none, it is refused"
#define OWNED    "whose rows are whose changes; rows that are there need a `fallback` or `dropped`"
#define COUNTED  "more may be refused, or less told, than before"

const dx_plan_rule dx_resource_plan_rules[] = {
    {"/resources", DX_PLAN_ADDED, DX_PLAN_TABLES, false, "their tables are made"},
    {"/resources", DX_PLAN_REMOVED, DX_PLAN_ONLINE, true, "all their paths are gone; their tables stay, with their rows"},
    {"/resources/*", DX_PLAN_ADDED, DX_PLAN_TABLES, false, "its table is made"},
    {"/resources/*", DX_PLAN_REMOVED, DX_PLAN_ONLINE, true, "its paths are gone; its table stays, with its rows"},
    {"/resources/*/model", DX_PLAN_ANY, DX_PLAN_TABLES, true, "its rows have the fields of another model"},
    {"/resources/*/access", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "others may call it"},
    {"/resources/*/access/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "others may call it"},
    {"/resources/*/owner_bypass_role", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "others see the rows of all owners"},
    {"/resources/*/owner", DX_PLAN_ANY, DX_PLAN_TABLES, true, OWNED},
    {"/resources/*/owner/**", DX_PLAN_ANY, DX_PLAN_TABLES, true, OWNED},
    {"/resources/*/id", DX_PLAN_ANY, DX_PLAN_TABLES, true, "the definition is refused where there are rows"},
    {"/resources/*/soft_delete", DX_PLAN_ANY, DX_PLAN_TABLES, true, "whether deleted rows are kept changes"},
    {"/resources/*/references/**", DX_PLAN_ANY, DX_PLAN_TABLES, true, REFERS},
    {"/resources/*/index/**", DX_PLAN_ANY, DX_PLAN_TABLES, false, "indexes are made or dropped"},
    {"/resources/*/unique/**", DX_PLAN_ADDED, DX_PLAN_TABLES, true, UNIQUE},
    {"/resources/*/unique/**", DX_PLAN_ANY, DX_PLAN_TABLES, false, NULL},
    {"/resources/*/dropped/**", DX_PLAN_ADDED, DX_PLAN_TABLES, false, "the values of the column are lost at the next start"},
    {"/resources/*/renamed/**", DX_PLAN_ADDED, DX_PLAN_TABLES, false, "requests under way at that moment may fail: they use the old name"},
    {"/resources/*/changes/**", DX_PLAN_ANY, DX_PLAN_TABLES, true, "whether changes can be followed, or for how long, changes"},
    {"/resources/*/bulk/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, COUNTED},
    {"/resources/*/expand/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, COUNTED},
    {"/resources/*/count", DX_PLAN_ANY, DX_PLAN_ONLINE, true, COUNTED},
    {"/resources/*/page/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "pages have other sizes"},
    {"/resources/*/require_if_match", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "whether writes need If-Match changes"},
    {"/models/*/properties/*", DX_PLAN_ADDED, DX_PLAN_TABLES, false, "the column is added"},
    {"/models/*/properties/*", DX_PLAN_REMOVED, DX_PLAN_TABLES, true,
     "the field is gone; its column goes at the next start, when no row has a value in it, and else the definition is refused"},
    {"/models/*/properties/*/type", DX_PLAN_ANY, DX_PLAN_TABLES, true, "values are converted, or the definition is refused"},
    {"/models/*/properties/*/type/**", DX_PLAN_ANY, DX_PLAN_TABLES, true, "values are converted, or the definition is refused"},
    {"/models/*/properties/*/enum/**", DX_PLAN_ADDED, DX_PLAN_ONLINE, false, NULL},
    {"/models/*/properties/*/enum/**", DX_PLAN_REMOVED, DX_PLAN_ONLINE, true, TIGHTER},
    {"/models/*/properties/*/description", DX_PLAN_ANY, DX_PLAN_ONLINE, false, NULL},
    {"/models/*/properties/*/title", DX_PLAN_ANY, DX_PLAN_ONLINE, false, NULL},
    {"/models/*/properties/*/default", DX_PLAN_ANY, DX_PLAN_ONLINE, false, NULL},
    {"/models/*/properties/*/*", DX_PLAN_REMOVED, DX_PLAN_ONLINE, false, NULL},
    {"/models/*/properties/*/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, TIGHTER},
    {"/models/*/required", DX_PLAN_ADDED, DX_PLAN_TABLES, true, REQUIRED},
    {"/models/*/required", DX_PLAN_ANY, DX_PLAN_TABLES, false, NULL},
    {"/models/*/required/*", DX_PLAN_ADDED, DX_PLAN_TABLES, true, REQUIRED},
    {"/models/*/required/*", DX_PLAN_ANY, DX_PLAN_TABLES, false, NULL},
    {NULL, 0, 0, false, NULL},
};
