// The redactor's memory: known values and names, kept and given up while other threads redact. Values are compiled into an automaton when
// one is next needed; whoever is using the last one keeps it alive.
#include "base/memory.h"
#include "crypto/digest.h"
#include "policy/redact_parts.h"

dx_redactor *dx_redactor_create(const dx_redact_options *options) {
    dx_redactor *redactor = dx_memory_zalloc(1, sizeof *redactor);
    if (!redactor) return NULL;
    if (options) redactor->options = *options;
    if (pthread_mutex_init(&redactor->lock, NULL) == 0) return redactor;
    dx_memory_free(redactor);
    return NULL;
}

// With the lock held.
static void let_go(dx_automaton *automaton) {
    if (automaton && --automaton->users == 0) dx_automaton_destroy(automaton);
}

void dx_redactor_destroy(dx_redactor *redactor) {
    if (!redactor) return;
    let_go(redactor->automaton);
    dx_secret_memory_free(&redactor->pool);
    for (size_t i = 0; i < redactor->name_count; i++) dx_memory_free((void *)(uintptr_t)redactor->names[i].data);
    dx_memory_free(redactor->names);
    dx_memory_free(redactor->values);
    pthread_mutex_destroy(&redactor->lock);
    dx_memory_free(redactor);
}

// --- values ------------------------------------------------------------------------------------------------------------------

static dx_slice bytes_of(const dx_redactor *redactor, const dx_redact_value *value) {
    return dx_slice_of((const char *)redactor->pool.data + value->at, value->size);
}

// Compares in constant time: how long a look-up takes must not tell how much of a secret was right.
static dx_redact_value *find_value(const dx_redactor *redactor, dx_slice secret) {
    for (size_t i = 0; i < redactor->value_count; i++)
        if (dx_secret_equal(bytes_of(redactor, &redactor->values[i]), secret)) return &redactor->values[i];
    return NULL;
}

static dx_status enlarge_pool(dx_redactor *redactor, size_t need) {
    if (need <= redactor->pool.size) return DX_OK;
    dx_secret_memory larger;
    dx_status status = dx_secret_memory_take(&larger, need > redactor->pool.size * 2 ? need : redactor->pool.size * 2);
    if (status != DX_OK) return status;
    if (redactor->pool_used) memcpy(larger.data, redactor->pool.data, redactor->pool_used);
    dx_secret_memory_free(&redactor->pool);
    redactor->pool = larger;
    return DX_OK;
}

static dx_status enlarge_list(void **list, size_t count, size_t *capacity, size_t item) {
    if (count < *capacity) return DX_OK;
    size_t more = *capacity ? *capacity * 2 : 16;
    void *larger = dx_memory_realloc(*list, more * item);
    if (!larger) return DX_NO_MEMORY;
    *list = larger;
    *capacity = more;
    return DX_OK;
}

static void forget_automaton(dx_redactor *redactor) {
    let_go(redactor->automaton);
    redactor->automaton = NULL;
}

static dx_status add_value(dx_redactor *redactor, dx_slice secret) {
    dx_redact_value *known = find_value(redactor, secret);
    if (known) {
        known->times++;
        return DX_OK;
    }
    if (redactor->value_count == DX_REDACT_VALUES_CAP || redactor->pool_used + secret.size > DX_REDACT_BYTES_CAP) return DX_TOO_LARGE;
    dx_status status = enlarge_list((void **)&redactor->values, redactor->value_count, &redactor->value_capacity, sizeof *redactor->values);
    if (status == DX_OK) status = enlarge_pool(redactor, redactor->pool_used + secret.size);
    if (status != DX_OK) return status;
    memcpy((char *)redactor->pool.data + redactor->pool_used, secret.data, secret.size);
    redactor->values[redactor->value_count++] = (dx_redact_value){redactor->pool_used, secret.size, 1};
    redactor->pool_used += secret.size;
    forget_automaton(redactor);
    return DX_OK;
}

dx_status dx_redactor_add_value(dx_redactor *redactor, dx_slice secret) {
    if (secret.size < DX_REDACT_VALUE_MIN) return DX_OK;
    if (secret.size > DX_REDACT_VALUE_CAP) return DX_TOO_LARGE;
    pthread_mutex_lock(&redactor->lock);
    dx_status status = add_value(redactor, secret);
    pthread_mutex_unlock(&redactor->lock);
    return status;
}

static void drop_value(dx_redactor *redactor, dx_redact_value *value) {
    char *pool = redactor->pool.data;
    size_t at = value->at, size = value->size;
    memmove(pool + at, pool + at + size, redactor->pool_used - at - size);
    redactor->pool_used -= size;
    dx_secret_wipe(pool + redactor->pool_used, size);
    *value = redactor->values[--redactor->value_count];
    for (size_t i = 0; i < redactor->value_count; i++)
        if (redactor->values[i].at > at) redactor->values[i].at -= size;
    forget_automaton(redactor);
}

void dx_redactor_remove_value(dx_redactor *redactor, dx_slice secret) {
    if (secret.size < DX_REDACT_VALUE_MIN) return;
    pthread_mutex_lock(&redactor->lock);
    dx_redact_value *known = find_value(redactor, secret);
    if (known && --known->times == 0) drop_value(redactor, known);
    pthread_mutex_unlock(&redactor->lock);
}

// --- the automaton of the present values -------------------------------------------------------------------------------------

static dx_automaton *compile(const dx_redactor *redactor) {
    dx_slice *values = dx_memory_zalloc(redactor->value_count, sizeof *values);
    if (!values) return NULL;
    for (size_t i = 0; i < redactor->value_count; i++) values[i] = bytes_of(redactor, &redactor->values[i]);
    dx_automaton *automaton = dx_automaton_create(values, redactor->value_count);
    dx_memory_free(values);
    if (automaton) automaton->users = 1; // the redactor itself
    return automaton;
}

dx_status dx_redactor_hold(dx_redactor *redactor, dx_automaton **out) {
    dx_status status = DX_OK;
    pthread_mutex_lock(&redactor->lock);
    if (!redactor->automaton && redactor->value_count && !(redactor->automaton = compile(redactor))) status = DX_NO_MEMORY;
    *out = redactor->automaton;
    if (*out) (*out)->users++;
    pthread_mutex_unlock(&redactor->lock);
    return status;
}

void dx_redactor_release(dx_redactor *redactor, dx_automaton *automaton) {
    if (!automaton) return;
    pthread_mutex_lock(&redactor->lock);
    let_go(automaton);
    pthread_mutex_unlock(&redactor->lock);
}

// --- names -------------------------------------------------------------------------------------------------------------------

static bool has_name(const dx_redactor *redactor, dx_slice folded) {
    for (size_t i = 0; i < redactor->name_count; i++)
        if (dx_slice_equal(redactor->names[i], folded)) return true;
    return false;
}

static dx_status add_name(dx_redactor *redactor, dx_slice folded) {
    if (has_name(redactor, folded)) return DX_OK;
    if (redactor->name_count == DX_REDACT_NAMES_CAP) return DX_TOO_LARGE;
    dx_status status = enlarge_list((void **)&redactor->names, redactor->name_count, &redactor->name_capacity, sizeof *redactor->names);
    if (status != DX_OK) return status;
    char *copy = dx_memory_alloc(folded.size);
    if (!copy) return DX_NO_MEMORY;
    memcpy(copy, folded.data, folded.size);
    redactor->names[redactor->name_count++] = dx_slice_of(copy, folded.size);
    return DX_OK;
}

dx_status dx_redactor_add_name(dx_redactor *redactor, dx_slice name) {
    char text[DX_REDACT_NAME_CAP];
    size_t size;
    if (!dx_redact_fold(text, &size, name)) return DX_TOO_LARGE;
    if (size == 0) return DX_OK;
    pthread_mutex_lock(&redactor->lock);
    dx_status status = add_name(redactor, dx_slice_of(text, size));
    pthread_mutex_unlock(&redactor->lock);
    return status;
}

bool dx_redactor_is_secret_name(dx_redactor *redactor, dx_slice name) {
    char text[DX_REDACT_NAME_CAP];
    size_t size;
    // Of a longer name the end says what it is: "…_access_token".
    if (name.size > DX_REDACT_NAME_CAP) name = dx_slice_from(name, name.size - DX_REDACT_NAME_CAP);
    if (!dx_redact_fold(text, &size, name) || size == 0) return false;
    dx_slice folded = dx_slice_of(text, size);
    if (dx_redact_is_built_in(folded)) return true;
    pthread_mutex_lock(&redactor->lock);
    bool known = has_name(redactor, folded);
    pthread_mutex_unlock(&redactor->lock);
    return known;
}
