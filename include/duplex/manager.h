/* Managing the APIs of a client while it runs: registering and replacing them, reading the definition again, lists, health.
 *
 * A change is made whole or not at all: what is new is read and checked first, and when anything is wrong with it nothing changes and the
 * error says why. Calls under way finish on what they began with. Limits, breakers, tokens and counts of an API go on where the settings
 * that they come from have stayed the same.
 *
 * Thread rule: any thread; changes wait for each other, calls never wait for them. */
#ifndef DUPLEX_MANAGER_H
#define DUPLEX_MANAGER_H

#include "duplex/client.h"

DX_BEGIN_DECLS

/* --- changing ------------------------------------------------------------------------------------------------------------------ */

/* Adds the API `name`, or replaces it: `json` is what stands under apis.<name> in a definition, with variables and sealed values. The
 * definition's `defaults` and models count for it, too. DX_ERROR_CONFIG, DX_ERROR_ARGUMENT (a name that none can be), DX_ERROR_NO_MEMORY.
 */
DX_API DX_NODISCARD dx_error_code dx_client_register(dx_client *client, const char *name, const char *json, size_t size, dx_error *error);
/* Takes it away: new calls find it no more. One of the definition comes back with the next dx_client_update. DX_ERROR_UNKNOWN_NAME. */
DX_API DX_NODISCARD dx_error_code dx_client_unregister(dx_client *client, const char *name, dx_error *error);
/* Reads the whole definition again: from `path` (NULL: the file that the client was opened with), or from a text. APIs that were registered
 * stay, over the new defaults and models; where the definition has one of the same name, the registered one counts. */
DX_API DX_NODISCARD dx_error_code dx_client_update(dx_client *client, const char *path, dx_error *error);
DX_API DX_NODISCARD dx_error_code dx_client_update_text(dx_client *client, const char *json, size_t size, dx_error *error);

/* --- health -------------------------------------------------------------------------------------------------------------------- */

typedef enum dx_health {
    DX_HEALTH_UNKNOWN = 0, /* nothing was heard of it of late */
    DX_HEALTH_HEALTHY = 1,
    DX_HEALTH_DEGRADED = 2,
    DX_HEALTH_UNHEALTHY = 3
} dx_health;
DX_API const char *dx_health_name(dx_health health); /* "healthy" */

/* By what: the API's circuit breaker (open: unhealthy), its last check (failed: unhealthy), and the calls of the last minutes
 * (`health.window`): a share that failed, a mean time. Answers below 500 but 429 tell of a healthy API, whatever the caller thinks of
 * them. */
typedef struct dx_health_report {
    uint32_t size;
    dx_health health;
    uint64_t calls, failures; /* in the window */
    double success_rate;      /* of them; 1 when there are none */
    int64_t mean_ns;
    bool checked; /* a check was made; the next three are its */
    bool check_passed;
    int64_t check_ns;
    int64_t checked_at; /* milliseconds since 1970 */
    char reason[160];   /* for a person; no secret is in it */
} dx_health_report;
#define DX_HEALTH_REPORT_INIT                                                                                                              \
    { sizeof(dx_health_report), DX_HEALTH_UNKNOWN, 0, 0, 1, 0, false, false, 0, 0, "" }

/* As things are known to be, without asking the API. DX_ERROR_UNKNOWN_NAME. */
DX_API DX_NODISCARD dx_error_code dx_client_health(dx_client *client, const char *api, dx_health_report *out, dx_error *error);
/* Checks now: by the program's own check, or by a call of `health.endpoint`, or (without either) as dx_client_health. Blocks. That the API
 * is not well is no error of this function. Not from inside a callback. */
DX_API DX_NODISCARD dx_error_code dx_client_check_health(dx_client *client, const char *api, dx_health_report *out, dx_error *error);
/* A check of the program's own, instead of `health.endpoint`, by dx_client_check_health: returns whether the API is well, and may write why
 * not to `reason` (NUL-terminated, `room` bytes). It may call the client. On the thread that asks. NULL takes it away. Outlives the API. */
typedef bool (*dx_health_check)(void *context, dx_client *client, const char *api, char *reason, size_t room);
DX_API DX_NODISCARD dx_error_code dx_client_set_health_check(dx_client *client, const char *api, dx_health_check check, void *context,
                                                             dx_error *error);

/* --- looking ------------------------------------------------------------------------------------------------------------------- */

typedef struct dx_api_info {
    const char *name, *title, *base_url; /* title: "" when there is none */
    const char *const *versions;         /* of endpoints, the default one first; ends with NULL */
    size_t endpoints;
    dx_health health;
    bool registered;       /* by dx_client_register, not by the definition */
    int64_t registered_at; /* milliseconds since 1970: when it came to be what it is */
} dx_api_info;

/* All APIs by name. `*items` is one piece of memory: dx_client_list_free. */
DX_API DX_NODISCARD dx_error_code dx_client_list(dx_client *client, dx_api_info **items, size_t *count, dx_error *error);
DX_API void dx_client_list_free(dx_api_info *items); /* takes NULL */
/* One as JSON, as it counts: settings with all defaults and endpoints, with "[redacted]" instead of what is or may be a secret;
 * NUL-terminated, to be freed by dx_text_free. `size` may be NULL. DX_ERROR_UNKNOWN_NAME. */
DX_API DX_NODISCARD dx_error_code dx_client_describe(dx_client *client, const char *api, char **json, size_t *size, dx_error *error);
/* The status of all as JSON: health and why, counts, breaker, limits, checks. Likewise. */
DX_API DX_NODISCARD dx_error_code dx_client_status_json(dx_client *client, char **json, size_t *size, dx_error *error);

DX_END_DECLS

#endif
