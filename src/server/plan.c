// `duplex plan`: what a change of the section `server` means, and the plan of two apps as JSON.
#include "config/plan.h"

#include "server/parts.h"

static const dx_plan_rule server_rules[] = {
    {"/server/workers", DX_PLAN_ANY, DX_PLAN_PROCESS, false, "a running process keeps its number of workers"},
    {"/server/store", DX_PLAN_ANY, DX_PLAN_PROCESS, true, "the data of the old store is not moved"},
    {"/server/user", DX_PLAN_ANY, DX_PLAN_PROCESS, false, "a running process keeps its user"},
    {"/server/group", DX_PLAN_ANY, DX_PLAN_PROCESS, false, "a running process keeps its group"},
    {"/server/timeouts/statement", DX_PLAN_ANY, DX_PLAN_PROCESS, false, "the running store keeps its bounds"},
    {"/server/timeouts/request", DX_PLAN_ANY, DX_PLAN_PROCESS, false, "the running store keeps its bounds"},
    {"/server/secret", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "tokens and cursors that were given out are void"},
    {"/server/base_path", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "every resource has another path"},
    {"/server/listen", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "who comes by the old address is refused"},
    {"/server/listen/**", DX_PLAN_ADDED, DX_PLAN_ONLINE, false, NULL},
    {"/server/listen/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "who comes by the old address is refused"},
    {"/server/allow/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "others may connect"},
    {"/server/deny/**", DX_PLAN_REMOVED, DX_PLAN_ONLINE, false, NULL},
    {"/server/deny/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "who has these addresses may not connect"},
    {"/server/trusted_proxies/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "whose word on who the client is counts changes"},
    {"/server/tls/client/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true,
     "which certificates clients may or must have, and what they may do, changes"},
    {"/server/tls/min_version", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "older clients may be refused"},
    {"/server/tls/ciphers", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "older clients may be refused"},
    {"/server/limits/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "over a lower bound, what was taken is refused"},
    {"/server/docs", DX_PLAN_ANY, DX_PLAN_ONLINE, false, NULL},
    {"/server/cors/**", DX_PLAN_REMOVED, DX_PLAN_ONLINE, true, "pages of other origins may do less"},
    {NULL, 0, 0, false, NULL},
};

static dx_status add_change(yyjson_mut_doc *doc, yyjson_mut_val *list, const dx_plan_change *change) {
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, list);
    bool made = object && yyjson_mut_obj_add_strn(doc, object, "pointer", change->pointer.data, change->pointer.size) &&
                yyjson_mut_obj_add_str(doc, object, "change", dx_plan_kind_name(change->kind)) &&
                yyjson_mut_obj_add_str(doc, object, "effect", dx_plan_effect_name(change->rule->effect)) &&
                yyjson_mut_obj_add_bool(doc, object, "breaking", change->rule->breaking);
    if (made && change->before.size) made = yyjson_mut_obj_add_strn(doc, object, "before", change->before.data, change->before.size);
    if (made && change->after.size) made = yyjson_mut_obj_add_strn(doc, object, "after", change->after.data, change->after.size);
    if (made && change->rule->note) made = yyjson_mut_obj_add_str(doc, object, "note", change->rule->note);
    return made ? DX_OK : DX_NO_MEMORY;
}

#define TABLES_CAP 64

dx_status dx_app_plan(const dx_app *before, const dx_app *after, dx_arena *arena, yyjson_mut_doc *doc, yyjson_mut_val *root) {
    const dx_plan_rule *tables[TABLES_CAP] = {server_rules};
    dx_plan plan;
    size_t count = 1;
    for (size_t f = 0; dx_features[f] && count < TABLES_CAP - 1; f++)
        if (dx_features[f]->plan) tables[count++] = dx_features[f]->plan;
    dx_status status = dx_plan_make(&plan, arena, before->definition, after->definition, tables);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "changes");
    if (status == DX_OK && !list) status = DX_NO_MEMORY;
    for (const dx_plan_change *change = plan.first; change && status == DX_OK; change = change->next)
        status = add_change(doc, list, change);
    if (status == DX_OK && !yyjson_mut_obj_add_uint(doc, root, "count", plan.count)) status = DX_NO_MEMORY;
    return status;
}
