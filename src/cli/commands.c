// The commands table: every command of the program has one row here, in the order in which the help tells of them.
#include "cli/command.h"

const dx_command *const dx_commands[] = {&dx_cmd_serve,  &dx_cmd_plan,  &dx_cmd_reload, &dx_cmd_upgrade,    &dx_cmd_check, &dx_cmd_openapi,
                                         &dx_cmd_schema, &dx_cmd_users, &dx_cmd_cert,   &dx_cmd_secrets,    &dx_cmd_call,  &dx_cmd_apis,
                                         &dx_cmd_doctor, &dx_cmd_auth,  &dx_cmd_import, &dx_cmd_completion, NULL};
