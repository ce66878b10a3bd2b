// A script: a transaction that is a fixed list of statements, one after the other, all or nothing. What accounts and sessions mostly need;
// whoever must decide between statements writes a dx_tx of their own.
#ifndef DX_IDENTITY_SCRIPT_H
#define DX_IDENTITY_SCRIPT_H

#include "store/store.h"

typedef struct dx_step {
    const dx_statement *statement;
    const dx_value *params;
    size_t param_count;
    dx_status (*row)(void *ctx, const dx_row *row); // NULL: rows are ignored
    bool must_change;                               // changing no row ends the script with DX_NOT_FOUND
} dx_step;

typedef struct dx_script dx_script;
struct dx_script {
    dx_tx tx;
    const dx_step *steps; // live until `done`
    size_t count, at;
    void *ctx;
    void (*done)(dx_script *script, dx_status status); // NULL: read script->outcome after dx_store_run or a brief one
    dx_status outcome;
    char conflict[80]; // of DX_ALREADY_EXISTS: the column
};

void dx_script_init(dx_script *script, dx_tx_mode mode, const dx_step *steps, size_t count, void *ctx);

#endif
