// Models around a call: hooks of the program, validation, names turned from camelCase to snake_case and back, and what the settings take
// out of an answer. A model is written in the API's own names.
//
//   request:  the caller's names → the API's, hooks before_request, validated (strict)
//   answer:   hooks after_response, validated (unknown values and fields pass, and are counted, unless validate.strict), filter_output,
//             the API's names → the caller's
#ifndef DX_CLIENT_MODELLING_H
#define DX_CLIENT_MODELLING_H

#include "client/call.h"

// The body of a request, in place. `asked` says whose; a body that is not JSON text is left alone.
dx_error_code dx_model_request(dx_bound *bound, dx_arena *arena, struct dx_client *client, const dx_asked *asked,
                               dx_error *error) DX_MUST_USE;
// The answer of a call, in place: call->error says what is wrong with it. `whole`: with hooks and validation, of an answer that succeeded.
void dx_model_answer(dx_call *call, bool whole);

// Parameters and JSON body of a call as the setting `sanitize` leaves them: copies, where they change. DX_ERROR_INVALID: one is refused.
dx_error_code dx_sanitize_asked(dx_asked *asked, dx_call *call, dx_error *error) DX_MUST_USE;

#endif
