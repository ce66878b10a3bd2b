// What a failed call says to a person, and to a script by its exit status.
#include <stdio.h>

#include "cli/cli_call.h"

int dx_cli_exit_of(const dx_error *error) {
    switch (error->code) {
    case DX_ERROR_NONE:
        return DX_EXIT_OK;
    case DX_ERROR_ARGUMENT:
    case DX_ERROR_UNKNOWN_NAME:
        return DX_EXIT_USAGE;
    case DX_ERROR_CONFIG:
        return DX_EXIT_REFUSED;
    case DX_ERROR_STATUS:
        return error->http_status >= 500 ? DX_EXIT_SERVER_ERROR : DX_EXIT_CLIENT_ERROR;
    case DX_ERROR_AUTH:
        return DX_EXIT_AUTH;
    case DX_ERROR_TIMEOUT:
        return DX_EXIT_TIMEOUT;
    case DX_ERROR_LIMITED:
    case DX_ERROR_CIRCUIT_OPEN:
    case DX_ERROR_QUEUE_FULL:
        return DX_EXIT_LIMITED;
    case DX_ERROR_INVALID:
    case DX_ERROR_MALFORMED:
        return DX_EXIT_INVALID;
    case DX_ERROR_CANCELLED:
        return DX_EXIT_INTERRUPTED;
    default:
        return DX_EXIT_FAILED;
    }
}

static bool is_given(const dx_cli_call *call, dx_slice name) {
    for (const dx_arg *arg = call->args; arg && arg->kind != DX_ARG_END; arg++)
        if (dx_slice_equal(dx_slice_str(arg->name), name)) return true;
    return false;
}

static void list_missing(const dx_cli_call *call) {
    static const char *const places[] = {"path", "query", "header", "cookie", "body"};
    static const char *const types[] = {"any", "int", "float", "str", "bool", "list", "dict", "file"};
    bool headed = false;
    for (size_t i = 0; i < call->target->param_count; i++) {
        const dx_param *param = &call->target->params[i];
        if (!param->required || param->otherwise || is_given(call, param->name)) continue;
        if (!headed) fputs("missing:\n", stderr);
        headed = true;
        fprintf(stderr, "  %.*s (%s, %s)%s%.*s\n", DX_SLICE_ARG(param->name), types[param->type], places[param->in],
                param->description.size ? ": " : "", DX_SLICE_ARG(param->description));
    }
}

static void advise_names(const dx_cli_call *call) {
    if (call->target && !call->target->open)
        fprintf(stderr, "`duplex apis %s %.*s` tells its parameters.\n", call->file, DX_SLICE_ARG(call->target->full));
    else
        fprintf(stderr, "`duplex apis %s` lists what can be called.\n", call->file);
}

static void advise(const dx_cli_call *call, const dx_error *error) {
    switch (error->code) {
    case DX_ERROR_ARGUMENT:
        if (call->target) list_missing(call);
        advise_names(call);
        break;
    case DX_ERROR_UNKNOWN_NAME:
        advise_names(call);
        break;
    case DX_ERROR_RESOLVE:
    case DX_ERROR_CONNECT:
    case DX_ERROR_TLS:
        fprintf(stderr, "`duplex doctor --online %s` looks for the cause.\n", call->file);
        break;
    case DX_ERROR_TIMEOUT:
        fputs("--timeout SECONDS, or `timeout` in the definition, gives it longer.\n", stderr);
        break;
    case DX_ERROR_MALFORMED:
    case DX_ERROR_INVALID:
        if (error->http_status) fputs("--set validate.response=false takes the answer as it is.\n", stderr);
        break;
    default:
        break;
    }
    if (error->retry_after_ms > 0) fprintf(stderr, "It may work again in %.1f seconds.\n", (double)error->retry_after_ms / 1000);
}

int dx_cli_tell_error(const dx_cli_call *call, const dx_error *error) {
    if (error->code == DX_ERROR_CANCELLED) {
        fputs("duplex call: interrupted\n", stderr);
    } else {
        fprintf(stderr, "duplex call: %s\n", error->message);
        advise(call, error);
    }
    return dx_cli_exit_of(error);
}
