// Patterns on PCRE2. The JIT runs on the caller's stack (32 KiB); a match that needs more is run again by the interpreter, which takes
// its memory from the heap under a limit. Match data is kept for each thread, so that matching takes no memory.
#include "model/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"

#define COMPILE_OPTIONS (PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C)

struct dx_pattern {
    pcre2_code *code;
    dx_slice text;
    bool jit;
};

// What all patterns share, made at first use; kept for the life of the process.
typedef struct shared {
    pcre2_general_context *memory;
    pcre2_compile_context *compile;
    pcre2_match_context *limits;
    pthread_key_t match_data; // one a thread
} shared;

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(shared *) shared_now;

static void *take(size_t size, void *ctx) {
    (void)ctx;
    return dx_memory_alloc(size);
}

static void give_back(void *memory, void *ctx) {
    (void)ctx;
    dx_memory_free(memory);
}

static void match_data_free(void *data) {
    pcre2_match_data_free(data);
}

static void shared_destroy(shared *made) {
    pcre2_match_context_free(made->limits);
    pcre2_compile_context_free(made->compile);
    pcre2_general_context_free(made->memory);
    dx_memory_free(made);
}

static shared *shared_create(void) {
    shared *made = dx_memory_zalloc(1, sizeof *made);
    if (!made) return NULL;
    made->memory = pcre2_general_context_create(take, give_back, NULL);
    if (made->memory) {
        made->compile = pcre2_compile_context_create(made->memory);
        made->limits = pcre2_match_context_create(made->memory);
    }
    if (!made->compile || !made->limits || pthread_key_create(&made->match_data, match_data_free) != 0) {
        shared_destroy(made);
        return NULL;
    }
    pcre2_set_match_limit(made->limits, DX_PATTERN_MATCH_LIMIT);
    pcre2_set_depth_limit(made->limits, DX_PATTERN_DEPTH_LIMIT);
    pcre2_set_heap_limit(made->limits, DX_PATTERN_HEAP_LIMIT);
    return made;
}

// NULL without memory; then the next call tries again.
static shared *shared_get(void) {
    shared *got = atomic_load_explicit(&shared_now, memory_order_acquire);
    if (DX_LIKELY(got != NULL)) return got;
    pthread_mutex_lock(&shared_lock);
    got = atomic_load_explicit(&shared_now, memory_order_relaxed);
    if (!got) {
        got = shared_create();
        atomic_store_explicit(&shared_now, got, memory_order_release);
    }
    pthread_mutex_unlock(&shared_lock);
    return got;
}

static pcre2_match_data *match_data(const shared *with) {
    pcre2_match_data *data = pthread_getspecific(with->match_data);
    if (DX_LIKELY(data != NULL)) return data;
    data = pcre2_match_data_create(1, with->memory);
    if (data && pthread_setspecific(with->match_data, data) != 0) {
        pcre2_match_data_free(data);
        data = NULL;
    }
    return data;
}

static void code_free(void *code) {
    pcre2_code_free(code);
}

static const char *describe(dx_arena *arena, int error) {
    PCRE2_UCHAR text[128] = "";
    pcre2_get_error_message(error, text, sizeof text);
    dx_slice message = dx_arena_copy(arena, dx_slice_str((const char *)text));
    return message.data ? message.data : "";
}

// Sets `*error` of PCRE2 on DX_INVALID.
static dx_status compile(dx_pattern *pattern, dx_slice pcre2, int *error) {
    shared *with = shared_get();
    if (!with) return DX_NO_MEMORY;
    PCRE2_SIZE at = 0;
    pattern->code = pcre2_compile((PCRE2_SPTR)(pcre2.data ? pcre2.data : ""), pcre2.size, COMPILE_OPTIONS, error, &at, with->compile);
    if (!pattern->code) return *error == PCRE2_ERROR_HEAP_FAILED ? DX_NO_MEMORY : DX_INVALID;
    pattern->jit = pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE) == 0; // refused where memory may not be executable
    return DX_OK;
}

dx_status dx_pattern_create(const dx_pattern **out, dx_arena *arena, dx_slice text, const char **problem) {
    *problem = "";
    if (text.size > DX_PATTERN_TEXT_CAP) {
        *problem = "it is too long";
        return DX_INVALID;
    }
    dx_pattern *pattern = DX_ARENA_NEW(arena, dx_pattern);
    if (!pattern) return DX_NO_MEMORY;
    pattern->text = text;
    dx_buffer translated;
    dx_buffer_init(&translated, NULL, DX_PATTERN_TEXT_CAP * 64);
    int error = 0;
    dx_status status = dx_pattern_translate(&translated, text, problem);
    if (status == DX_OK) {
        status = compile(pattern, dx_buffer_slice(&translated), &error);
        if (status == DX_INVALID) *problem = describe(arena, error);
    }
    dx_buffer_deinit(&translated);
    if (status == DX_OK) status = dx_arena_defer(arena, code_free, pattern->code);
    *out = pattern;
    return status;
}

const dx_pattern *dx_pattern_fixed(_Atomic(dx_pattern *) *slot, const char *pcre2) {
    dx_pattern *have = atomic_load_explicit(slot, memory_order_acquire);
    if (have) return have;
    dx_pattern *made = dx_memory_zalloc(1, sizeof *made);
    int error = 0;
    if (!made) return NULL;
    made->text = dx_slice_str(pcre2);
    if (compile(made, made->text, &error) != DX_OK) {
        dx_memory_free(made);
        return NULL;
    }
    if (atomic_compare_exchange_strong(slot, &have, made)) return made;
    pcre2_code_free(made->code); // another thread was first
    dx_memory_free(made);
    return have;
}

dx_match dx_pattern_match(const dx_pattern *pattern, dx_slice text) {
    shared *with = shared_get();
    pcre2_match_data *data = with ? match_data(with) : NULL;
    if (DX_UNLIKELY(!data)) return DX_MATCH_NO_MEMORY;
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.data ? text.data : "");
    int result = PCRE2_ERROR_JIT_STACKLIMIT;
    if (DX_LIKELY(pattern->jit)) result = pcre2_jit_match(pattern->code, subject, text.size, 0, PCRE2_NO_UTF_CHECK, data, with->limits);
    if (DX_UNLIKELY(result == PCRE2_ERROR_JIT_STACKLIMIT))
        result = pcre2_match(pattern->code, subject, text.size, 0, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, with->limits);
    if (result >= 0) return DX_MATCH_YES;
    if (result == PCRE2_ERROR_NOMATCH) return DX_MATCH_NO;
    return result == PCRE2_ERROR_NOMEMORY ? DX_MATCH_NO_MEMORY : DX_MATCH_LIMIT;
}

dx_slice dx_pattern_text(const dx_pattern *pattern) {
    return pattern->text;
}
