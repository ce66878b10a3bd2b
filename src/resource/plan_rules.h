// For `duplex plan`: the rules of the sections `models` and `resources`.
#ifndef DX_RESOURCE_PLAN_RULES_H
#define DX_RESOURCE_PLAN_RULES_H

#include "config/plan.h"

extern const dx_plan_rule dx_resource_plan_rules[];

#endif
