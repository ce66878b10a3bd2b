// Judging a response when it comes, and deciding about a request: see freshness.h. What follows a revalidation is in freshness_update.c.
#include "policy/freshness.h"

#include "base/compiler.h"
#include "policy/cache_control.h"
#include "policy/vary.h"

static const int64_t SECOND_US = 1000000;

// --- a response ------------------------------------------------------------------------------------------------------------

// RFC 9110 section 15.1, but for 206, which is never stored here.
static bool is_heuristically_cacheable(int status) {
    static const int STATUSES[] = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
    for (size_t i = 0; i < DX_COUNT_OF(STATUSES); i++) {
        if (STATUSES[i] == status) return true;
    }
    return false;
}

// Those for which a definition's ttl counts: an answer, not a complaint.
static bool takes_ttl(int status) {
    return status < 400 && is_heuristically_cacheable(status);
}

// must-understand lets a cache store only what it knows the meaning of, and then overrules no-store (section 5.2.2.3).
static bool may_store(const dx_freshness_input *in, const dx_cache_control *asked, const dx_cache_control *said) {
    if (in->method != DX_GET || asked->no_store) return false;
    if (in->status < 200 || in->status > 599 || in->status == 206 || in->status == 304) return false;
    if (said->must_understand) return *dx_http_phrase(in->status) != '\0';
    return !said->no_store;
}

// The one value of a field that may stand once; false when there are two that differ.
static bool only_value(const dx_fields *fields, dx_slice name, dx_slice *out) {
    *out = (dx_slice){NULL, 0};
    for (uint32_t i = 0; i < fields->count; i++) {
        if (!dx_slice_equal_nocase(fields->items[i].name, name)) continue;
        if (out->data && !dx_slice_equal(*out, fields->items[i].value)) return false;
        *out = dx_slice_of(fields->items[i].value.data ? fields->items[i].value.data : "", fields->items[i].value.size);
    }
    return true;
}

// When the server made it. One without a Date, or with one that can't be read, was made when it came (RFC 9110 section 6.6.1).
static dx_micros_utc date_of(const dx_freshness_input *in) {
    dx_micros_utc date;
    return dx_http_date_read(dx_fields_get(in->response, DX_FIELD_DATE), &date) ? date : in->response_time;
}

// max-age, then Expires less Date (section 4.2.1). False: neither is there. What can't be read makes it stale, not unsaid.
static bool said_lifetime(const dx_freshness_input *in, const dx_cache_control *said, int64_t *lifetime_us) {
    dx_slice expires;
    dx_micros_utc when;
    *lifetime_us = 0;
    if (said->max_age.given == DX_SECONDS_GIVEN) *lifetime_us = said->max_age.seconds * SECOND_US;
    if (said->max_age.given != DX_SECONDS_NONE) return true;
    bool one = only_value(in->response, DX_SLICE("expires"), &expires);
    if (!one) return true;
    if (!expires.data) return false;
    if (dx_http_date_read(expires, &when) && when > date_of(in)) *lifetime_us = when - date_of(in);
    return true;
}

// Section 4.2.2. False: there is nothing to guess from, or a guess is not allowed.
static bool guessed_lifetime(const dx_freshness_input *in, const dx_cache_control *said, int64_t *lifetime_us) {
    dx_micros_utc modified, date = date_of(in);
    if (!is_heuristically_cacheable(in->status) && !said->is_public) return false;
    if (!dx_http_date_read(dx_fields_find(in->response, DX_SLICE("last-modified")), &modified) || modified >= date) return false;
    *lifetime_us = (date - modified) / 10;
    if (*lifetime_us > DX_FRESHNESS_HEURISTIC_CAP_S * SECOND_US) *lifetime_us = DX_FRESHNESS_HEURISTIC_CAP_S * SECOND_US;
    return true;
}

// The first of a list counts; what is no number, or negative, is not there (section 5.1).
static int64_t age_field_us(const dx_fields *response) {
    int64_t seconds;
    dx_slice value = dx_fields_find(response, DX_SLICE("age"));
    return dx_delta_seconds_read(dx_slice_trim(dx_slice_cut(&value, ',')), &seconds) ? seconds * SECOND_US : 0;
}

// Section 4.2.3, up to corrected_initial_age.
static int64_t initial_age_us(const dx_freshness_input *in) {
    int64_t apparent = in->response_time - date_of(in), delay = in->response_time - in->request_time;
    int64_t corrected = age_field_us(in->response) + (delay > 0 ? delay : 0);
    if (apparent < 0) apparent = 0;
    return apparent > corrected ? apparent : corrected;
}

// A definition's ttl counts from when the response came, however old it was then.
static void take_ttl(dx_freshness *out, int64_t ttl_s) {
    out->lifetime_us = ttl_s > 0 ? ttl_s * SECOND_US + out->initial_age_us : 0;
    out->flags |= DX_FRESHNESS_GUESSED;
}

// The lifetime by whoever has a say, and whether it is a guess of ours. False: nobody has one.
static bool find_lifetime(dx_freshness *out, const dx_freshness_input *in, const dx_cache_control *said,
                          const dx_freshness_options *options) {
    bool speaks = said_lifetime(in, said, &out->lifetime_us), counts = takes_ttl(in->status);
    bool sets_cookie = dx_fields_find(in->response, DX_SLICE("set-cookie")).data != NULL;
    if (counts && options->override_ttl_s >= 0 && (speaks || !sets_cookie)) {
        take_ttl(out, options->override_ttl_s);
        return true;
    }
    if (speaks) return true;
    // An old server's way to say no-cache; it means nothing by section 5.4, but a guess must not go against it.
    bool barred = said->no_cache || sets_cookie || dx_http_list_has(dx_fields_find(in->response, DX_SLICE("pragma")), DX_SLICE("no-cache"));
    if (barred) return false;
    if (counts && options->default_ttl_s >= 0) {
        take_ttl(out, options->default_ttl_s);
        return true;
    }
    out->flags |= DX_FRESHNESS_GUESSED;
    return options->heuristic && guessed_lifetime(in, said, &out->lifetime_us);
}

static int64_t window_us(const dx_cache_delta *said, int64_t otherwise_s) {
    if (said->given == DX_SECONDS_GIVEN) return said->seconds * SECOND_US;
    return said->given == DX_SECONDS_NONE && otherwise_s > 0 ? otherwise_s * SECOND_US : 0;
}

static void find_windows(dx_freshness *out, const dx_cache_control *said, const dx_freshness_options *options) {
    if (said->no_cache) out->flags |= DX_FRESHNESS_NO_CACHE;
    if (said->must_revalidate) out->flags |= DX_FRESHNESS_MUST_REVALIDATE;
    if (said->immutable) out->flags |= DX_FRESHNESS_IMMUTABLE;
    if (out->flags & (DX_FRESHNESS_NO_CACHE | DX_FRESHNESS_MUST_REVALIDATE)) return; // never stale (section 4.2.4)
    out->while_revalidate_us = window_us(&said->stale_while_revalidate, options->stale_while_revalidate_s);
    out->if_error_us = window_us(&said->stale_if_error, options->stale_if_error_s);
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

// When it is of no use any more, not even to be asked about.
static dx_micros_utc end_of_use(const dx_freshness *freshness, const dx_fields *response) {
    dx_slice etag, modified;
    int64_t windows = larger(freshness->while_revalidate_us, freshness->if_error_us);
    int64_t usable = freshness->flags & DX_FRESHNESS_NO_CACHE ? 0 : freshness->lifetime_us - freshness->initial_age_us + windows;
    dx_freshness_conditions(response, &etag, &modified);
    bool validator = etag.data || modified.data;
    return freshness->response_time + larger(usable, 0) + (validator ? DX_FRESHNESS_KEEP_S * SECOND_US : 0);
}

bool dx_freshness_judge(dx_freshness *out, const dx_freshness_input *in, const dx_freshness_options *options) {
    dx_cache_control asked, said;
    dx_cache_control_read(&asked, in->request);
    dx_cache_control_read(&said, in->response);
    *out = (dx_freshness){.response_time = in->response_time};
    if (!may_store(in, &asked, &said) || dx_vary_is_any(in->response)) return false;
    out->initial_age_us = initial_age_us(in);
    // Without a lifetime it may still be stored, and is asked about each time, when its status or the server says so (section 3).
    bool lives = find_lifetime(out, in, &said, options);
    if (!lives && !is_heuristically_cacheable(in->status) && !said.is_public && !said.is_private) return false;
    find_windows(out, &said, options);
    out->keep_until = end_of_use(out, in->response);
    return out->keep_until > in->response_time;
}

int64_t dx_freshness_age_us(const dx_freshness *freshness, dx_micros_utc now) {
    return freshness->initial_age_us + larger(now - freshness->response_time, 0);
}

bool dx_freshness_is_error(int status) {
    return status == 500 || status == 502 || status == 503 || status == 504;
}

// --- a request -------------------------------------------------------------------------------------------------------------

const char *dx_cache_verdict_name(dx_cache_verdict verdict) {
    static const char *const NAMES[] = {"bypass", "miss", "fresh", "stale", "revalidate", "unsatisfiable"};
    return (size_t)verdict < DX_COUNT_OF(NAMES) ? NAMES[verdict] : "bypass";
}

// Whether the caller asks with a condition or for a part: that is between it and the server.
static bool is_condition(const dx_field *field) {
    switch (field->id) {
    case DX_FIELD_IF_MATCH:
    case DX_FIELD_IF_NONE_MATCH:
    case DX_FIELD_IF_MODIFIED_SINCE:
    case DX_FIELD_IF_UNMODIFIED_SINCE:
    case DX_FIELD_IF_RANGE:
    case DX_FIELD_RANGE:
        return true;
    default:
        return false;
    }
}

static bool has_own_conditions(const dx_fields *request) {
    for (uint32_t i = 0; i < request->count; i++)
        if (is_condition(&request->items[i])) return true;
    return false;
}

// Most requests say nothing to a cache: they are looked through once, and nothing is read.
static bool says_nothing(const dx_fields *request) {
    for (uint32_t i = 0; i < request->count; i++) {
        const dx_field *field = &request->items[i];
        if (is_condition(field)) return false;
        if (field->id != DX_FIELD_OTHER) continue;
        if (dx_slice_equal_nocase(field->name, DX_SLICE("cache-control")) || dx_slice_equal_nocase(field->name, DX_SLICE("pragma")))
            return false;
    }
    return true;
}

static void read_request(dx_cache_control *asked, const dx_fields *request) {
    dx_cache_control_read(asked, request);
    if (asked->present) return;
    if (dx_http_list_has(dx_fields_find(request, DX_SLICE("pragma")), DX_SLICE("no-cache"))) asked->no_cache = true;
}

// Whether the caller's max-age and min-fresh let it be answered with. What can't be read lets nothing.
static bool suits(const dx_freshness *stored, const dx_cache_control *asked, int64_t age_us) {
    if (asked->max_age.given == DX_SECONDS_BROKEN || asked->min_fresh.given == DX_SECONDS_BROKEN) return false;
    if (asked->min_fresh.given && stored->lifetime_us - age_us < asked->min_fresh.seconds * SECOND_US) return false;
    // What does not change within its lifetime need not be younger than that (RFC 8246 section 2).
    bool settled = stored->flags & DX_FRESHNESS_IMMUTABLE && age_us < stored->lifetime_us;
    return settled || !asked->max_age.given || age_us <= asked->max_age.seconds * SECOND_US;
}

// max-stale: the caller takes it past its lifetime (section 5.2.1.2).
static bool takes_stale(const dx_freshness *stored, const dx_cache_control *asked, int64_t age_us) {
    if (asked->max_stale.given == DX_SECONDS_GIVEN) return age_us - stored->lifetime_us <= asked->max_stale.seconds * SECOND_US;
    return asked->max_stale.given == DX_SECONDS_NONE && asked->max_stale_any;
}

// A caller that names an age does not want it stale, unless it says max-stale too (section 5.2.1.1).
static bool revalidates_behind(const dx_freshness *stored, const dx_cache_control *asked, int64_t age_us) {
    if (asked->max_age.given || asked->min_fresh.given) return false;
    return age_us < stored->lifetime_us + stored->while_revalidate_us;
}

static dx_cache_verdict judge_stored(const dx_freshness *stored, const dx_cache_control *asked, int64_t age_us) {
    bool barred = stored->flags & DX_FRESHNESS_NO_CACHE || asked->no_cache || !suits(stored, asked, age_us);
    if (!barred && age_us < stored->lifetime_us) return DX_CACHE_FRESH;
    if (!barred && !(stored->flags & DX_FRESHNESS_MUST_REVALIDATE)) {
        if (revalidates_behind(stored, asked, age_us)) return asked->only_if_cached ? DX_CACHE_FRESH : DX_CACHE_STALE_REVALIDATE;
        if (takes_stale(stored, asked, age_us)) return DX_CACHE_FRESH;
    }
    return asked->only_if_cached ? DX_CACHE_UNSATISFIABLE : DX_CACHE_REVALIDATE;
}

static dx_micros_utc error_until(const dx_freshness *stored, const dx_cache_control *asked, dx_micros_utc now) {
    if (stored->flags & (DX_FRESHNESS_NO_CACHE | DX_FRESHNESS_MUST_REVALIDATE) || asked->no_cache) return 0;
    int64_t own = asked->stale_if_error.given == DX_SECONDS_GIVEN ? asked->stale_if_error.seconds * SECOND_US : 0;
    bool wants_young = (asked->max_age.given || asked->min_fresh.given) && !asked->max_stale.given && !asked->max_stale_any;
    int64_t window = wants_young ? own : larger(own, stored->if_error_us);
    if (!window) return 0;
    dx_micros_utc until = stored->response_time - stored->initial_age_us + stored->lifetime_us + window;
    return until > now ? until : 0;
}

dx_cache_decision dx_freshness_decide(const dx_freshness *stored, dx_method method, const dx_fields *request, dx_micros_utc now) {
    static const dx_cache_control NOTHING;
    dx_cache_control read;
    const dx_cache_control *asked = &NOTHING;
    dx_cache_decision decision = {.verdict = DX_CACHE_BYPASS};
    if (method != DX_GET && method != DX_HEAD) return decision;
    if (!says_nothing(request)) {
        read_request(&read, request);
        asked = &read;
        if (asked->no_store || has_own_conditions(request)) {
            if (asked->only_if_cached) decision.verdict = DX_CACHE_UNSATISFIABLE;
            return decision;
        }
    }
    if (!stored) {
        decision.verdict = asked->only_if_cached ? DX_CACHE_UNSATISFIABLE : DX_CACHE_MISS;
        return decision;
    }
    int64_t age_us = dx_freshness_age_us(stored, now);
    decision.verdict = judge_stored(stored, asked, age_us);
    decision.age_s = age_us / SECOND_US;
    decision.stale = age_us >= stored->lifetime_us;
    if (decision.verdict == DX_CACHE_REVALIDATE) decision.error_until = error_until(stored, asked, now);
    return decision;
}
