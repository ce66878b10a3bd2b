// `duplex doctor`: checks, each of which says a line, and what to do where something is wrong.
#ifndef DX_CLI_DOCTOR_H
#define DX_CLI_DOCTOR_H

#include "cli/apis_show.h"
#include "cli/command.h"

typedef enum dx_finding { DX_FINDING_OK, DX_FINDING_WARN, DX_FINDING_FAIL } dx_finding;

typedef struct dx_doctor {
    const char *file;
    int online;
    dx_arena *arena;
    dx_unsets unsets;
    dx_apis *apis; // NULL: the definition is broken
    unsigned failed, warned;
} dx_doctor;

// A line on standard output; `remedy` may be NULL.
void dx_doctor_say(dx_doctor *doctor, dx_finding finding, const char *remedy, const char *format, ...) DX_PRINTF(4, 5);

// --- doctor_online.c: name, connection, TLS and clock of every API, without a credential
void dx_doctor_reach(dx_doctor *doctor, const dx_api *api);

#endif
