// Tokens that a login endpoint of the API's own gives: the source of auth objects of the type dynamic_token.
#ifndef DX_CLIENT_DYNAMIC_TOKEN_H
#define DX_CLIENT_DYNAMIC_TOKEN_H

#include "client/token.h"

void *dx_dynamic_token_read(dx_auth_reader *reader, const dx_auth_plan *plan); // NULL without memory; findings are in the reader
extern const dx_token_source_ops dx_dynamic_token_source;

#endif
