// The fields, what each is for, and which of what they say counts. Fields that belong together (a family, or a policy by name) are gathered
// into a claim; of the claims the strictest is told.
#include "policy/rate_headers.h"

#include "base/compiler.h"
#include "policy/rate_parts.h"

typedef struct claim {
    bool has_limit, has_remaining, has_reset;
    uint64_t limit, remaining;
    int64_t reset; // microseconds from now
} claim;

typedef enum family { DRAFT, X_RATELIMIT, X_RATE_LIMIT, CONFIGURED, FAMILIES } family;

typedef struct reading {
    dx_rate_clock clock;
    claim families[FAMILIES];
    claim best; // of those weighed so far
    bool has_retry_after;
    int64_t retry_after; // microseconds
} reading;

// `policy` has named the quota's size, and what it counts.
typedef struct policy {
    dx_slice name;
    uint64_t limit;
    bool has_limit, other_unit;
} policy;

static const struct {
    dx_slice name;
    dx_rate_unit unit;
} RETRY_FIELDS[] = {
    {DX_SLICE_INIT("retry-after"), DX_RATE_SECONDS},
    {DX_SLICE_INIT("retry-after-ms"), DX_RATE_MILLISECONDS},
    {DX_SLICE_INIT("x-ms-retry-after-ms"), DX_RATE_MILLISECONDS},
    {DX_SLICE_INIT("x-retry-after"), DX_RATE_ANY_UNIT},
    {DX_SLICE_INIT("x-retry-in"), DX_RATE_ANY_UNIT},
};

static const struct {
    dx_slice prefix;
    family family;
} PREFIXES[] = {
    {DX_SLICE_INIT("ratelimit-"), DRAFT},
    {DX_SLICE_INIT("x-ratelimit-"), X_RATELIMIT},
    {DX_SLICE_INIT("x-rate-limit-"), X_RATE_LIMIT},
};

static const struct {
    dx_slice name; // behind the prefix
    dx_rate_role role;
    dx_rate_unit unit;
} ROLES[] = {
    {DX_SLICE_INIT("limit"), DX_RATE_LIMIT, DX_RATE_ANY_UNIT},
    {DX_SLICE_INIT("remaining"), DX_RATE_REMAINING, DX_RATE_ANY_UNIT},
    {DX_SLICE_INIT("reset"), DX_RATE_RESET, DX_RATE_ANY_UNIT},
    {DX_SLICE_INIT("reset-after"), DX_RATE_RESET, DX_RATE_SECONDS},
    {DX_SLICE_INIT("reset-ms"), DX_RATE_RESET, DX_RATE_MILLISECONDS},
    {DX_SLICE_INIT("limit-requests"), DX_RATE_LIMIT, DX_RATE_ANY_UNIT},
    {DX_SLICE_INIT("remaining-requests"), DX_RATE_REMAINING, DX_RATE_ANY_UNIT},
    {DX_SLICE_INIT("reset-requests"), DX_RATE_RESET, DX_RATE_ANY_UNIT},
};

static void say_limit(claim *about, uint64_t limit) {
    if (!about->has_limit || limit < about->limit) about->limit = limit;
    about->has_limit = true;
}
static void say_remaining(claim *about, uint64_t remaining) {
    if (!about->has_remaining || remaining < about->remaining) about->remaining = remaining;
    about->has_remaining = true;
}
static void say_reset(claim *about, int64_t reset) {
    if (!about->has_reset || reset > about->reset) about->reset = reset;
    about->has_reset = true;
}

// A wait in a field of its own, which may be a list where fields were joined; a date has a comma of its own.
static bool longest_wait(int64_t *out, dx_slice value, dx_rate_unit unit, const dx_rate_clock *clock) {
    if (dx_rate_wait_read(out, value, unit, clock)) return true;
    bool found = false;
    int64_t wait;
    for (size_t i = 0; value.data && i < DX_RATE_MEMBERS; i++) {
        if (!dx_rate_wait_read(&wait, dx_rate_cut(&value, ','), unit, clock)) continue;
        if (!found || wait > *out) *out = wait;
        found = true;
    }
    return found;
}

// "100" or "100, 100;w=60": the first number is the one in force, as the drafts have it; of joined remainders, the least.
static void say_counts(claim *about, dx_rate_role role, dx_slice value) {
    uint64_t count;
    for (size_t i = 0; value.data && i < DX_RATE_MEMBERS; i++) {
        dx_slice member = dx_rate_cut(&value, ',');
        if (!dx_rate_count_read(&count, dx_rate_cut(&member, ';'))) continue;
        if (role == DX_RATE_REMAINING) {
            say_remaining(about, count);
        } else {
            say_limit(about, count);
            return;
        }
    }
}

static void say(reading *self, claim *about, dx_rate_role role, dx_rate_unit unit, dx_slice value) {
    int64_t wait;
    if (role == DX_RATE_LIMIT || role == DX_RATE_REMAINING) {
        say_counts(about, role, value);
    } else if (longest_wait(&wait, value, unit, &self->clock)) {
        if (role == DX_RATE_RESET) {
            say_reset(about, wait);
            return;
        }
        if (wait < 0) wait = 0;
        if (!self->has_retry_after || wait > self->retry_after) self->retry_after = wait;
        self->has_retry_after = true;
    }
}

static void say_known(reading *self, const dx_field *field) {
    for (size_t i = 0; i < DX_COUNT_OF(RETRY_FIELDS); i++) {
        if (!dx_slice_equal_nocase(field->name, RETRY_FIELDS[i].name)) continue;
        say(self, NULL, DX_RATE_RETRY_AFTER, RETRY_FIELDS[i].unit, field->value);
        return;
    }
    for (size_t i = 0; i < DX_COUNT_OF(PREFIXES); i++) {
        dx_slice prefix = PREFIXES[i].prefix, head = field->name;
        if (head.size <= prefix.size || !dx_slice_equal_nocase(dx_slice_of(head.data, prefix.size), prefix)) continue;
        dx_slice rest = dx_slice_from(field->name, prefix.size);
        for (size_t k = 0; k < DX_COUNT_OF(ROLES); k++) {
            if (!dx_slice_equal_nocase(rest, ROLES[k].name)) continue;
            say(self, &self->families[PREFIXES[i].family], ROLES[k].role, ROLES[k].unit, field->value);
            return;
        }
    }
}

static void say_configured(reading *self, const dx_field *field, const dx_rate_name *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!dx_slice_equal_nocase(field->name, names[i].name)) continue;
        say(self, &self->families[CONFIGURED], names[i].role, names[i].unit, field->value);
    }
}

// Whether `a` makes one wait longer than `b`: fewer requests to the time until its reset. What says more counts for more.
static bool stricter(const claim *a, const claim *b) {
    int known_a = a->has_remaining * 4 + a->has_reset * 2 + a->has_limit, known_b = b->has_remaining * 4 + b->has_reset * 2 + b->has_limit;
    if (known_a < 6 || known_b < 6) return known_a > known_b;
    int64_t until_a = a->reset > 0 ? a->reset : 0, until_b = b->reset > 0 ? b->reset : 0;
    unsigned __int128 left = (unsigned __int128)until_a * b->remaining, right = (unsigned __int128)until_b * a->remaining;
    return left != right ? left > right : until_a > until_b;
}

static void weigh(reading *self, const claim *about) {
    if (stricter(about, &self->best)) self->best = *about;
}

// A parameter "key=value"; the value is empty where there is none.
static dx_slice take_parameter(dx_slice *rest, dx_slice *value) {
    dx_slice whole = dx_rate_cut(rest, ';');
    *value = whole;
    dx_slice key = dx_slice_cut(value, '=');
    return key;
}

static bool is(dx_slice text, const char *literal) {
    return dx_slice_equal(text, dx_slice_str(literal));
}

// RateLimit-Policy: "name";q=100;w=60, or 100;w=60 before draft 08.
static size_t read_policies(policy *out, dx_slice value, size_t count) {
    while (value.data && count < DX_RATE_MEMBERS) {
        dx_slice member = dx_rate_cut(&value, ','), parameter;
        policy at = {.name = dx_rate_cut(&member, ';')};
        at.has_limit = dx_rate_count_read(&at.limit, at.name);
        while (member.data) {
            dx_slice key = take_parameter(&member, &parameter);
            if (is(key, "q")) at.has_limit = dx_rate_count_read(&at.limit, parameter);
            if (is(key, "qu")) at.other_unit = !is(parameter, "\"requests\"");
        }
        out[count++] = at;
    }
    return count;
}

// One of RateLimit's list. False: it has none of its parameters, so it is of the older form.
static bool read_member(claim *about, dx_slice member) {
    dx_slice parameter;
    uint64_t number;
    while (member.data) {
        dx_slice key = take_parameter(&member, &parameter);
        if (!dx_rate_count_read(&number, parameter)) continue;
        if (is(key, "r")) say_remaining(about, number);
        if (is(key, "t") && number <= (uint64_t)DX_RATE_WAIT_CAP / 1000000) say_reset(about, (int64_t)number * 1000000);
    }
    return about->has_remaining || about->has_reset;
}

static void read_ratelimit(reading *self, dx_slice value, const policy *policies, size_t policy_count) {
    claim older = {0};
    uint64_t number;
    for (size_t i = 0; value.data && i < DX_RATE_MEMBERS; i++) {
        dx_slice member = dx_rate_cut(&value, ','), rest = member;
        dx_slice name = dx_rate_cut(&rest, ';'), pair = name;
        claim about = {0};
        if (read_member(&about, rest)) {
            bool counts = true;
            for (size_t k = 0; k < policy_count; k++) {
                if (!dx_slice_equal(policies[k].name, name)) continue;
                if (policies[k].has_limit) say_limit(&about, policies[k].limit);
                counts = counts && !policies[k].other_unit;
            }
            if (counts) weigh(self, &about);
            continue;
        }
        dx_slice key = dx_slice_cut(&pair, '=');
        if (!dx_rate_count_read(&number, pair)) continue;
        if (is(key, "limit")) say_limit(&older, number);
        if (is(key, "remaining")) say_remaining(&older, number);
        if (is(key, "reset") && number <= (uint64_t)DX_RATE_WAIT_CAP / 1000000) say_reset(&older, (int64_t)number * 1000000);
    }
    weigh(self, &older);
}

static void read_draft(reading *self, const dx_fields *fields) {
    policy policies[DX_RATE_MEMBERS];
    size_t count = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (!dx_slice_equal_nocase(fields->items[i].name, DX_SLICE("ratelimit-policy"))) continue;
        count = read_policies(policies, fields->items[i].value, count);
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        if (!dx_slice_equal_nocase(fields->items[i].name, DX_SLICE("ratelimit"))) continue;
        read_ratelimit(self, fields->items[i].value, policies, count);
    }
}

// The server's clock, when its Date is so far from ours that it can't be the way and the second that Date leaves out.
static dx_micros_utc server_time(const dx_fields *fields, dx_micros_utc now) {
    dx_micros_utc date;
    if (!dx_http_date_read(dx_fields_find(fields, DX_SLICE("date")), &date)) return now;
    return date - now > DX_RATE_SKEW || now - date > DX_RATE_SKEW ? date : now;
}

// Of most answers no field says anything: all that are known begin with one of two letters.
static bool may_say(const dx_fields *fields, size_t configured) {
    if (configured) return true;
    for (uint32_t i = 0; i < fields->count; i++) {
        dx_slice name = fields->items[i].name;
        char first = name.size ? (char)(name.data[0] | 0x20) : '\0';
        if (first == 'r' || first == 'x') return true;
    }
    return false;
}

void dx_rate_headers_read(dx_rate_headers *out, const dx_fields *fields, const dx_rate_name *names, size_t name_count, dx_micros_utc now) {
    *out = (dx_rate_headers){0};
    if (!may_say(fields, name_count)) return;
    reading self = {.clock = {.now = now, .server = server_time(fields, now)}};
    for (uint32_t i = 0; i < fields->count; i++) {
        say_known(&self, &fields->items[i]);
        say_configured(&self, &fields->items[i], names, name_count);
    }
    read_draft(&self, fields);
    for (size_t i = 0; i < FAMILIES; i++) weigh(&self, &self.families[i]);
    const claim *best = &self.best;
    *out = (dx_rate_headers){.has_limit = best->has_limit,
                             .has_remaining = best->has_remaining,
                             .has_reset = best->has_reset,
                             .has_retry_after = self.has_retry_after,
                             .limit = best->limit,
                             .remaining = best->remaining,
                             .retry_after = self.retry_after * DX_MICROSECOND};
    if (best->has_reset && __builtin_add_overflow(now, best->reset, &out->reset_at)) out->has_reset = false;
}

dx_nanos dx_rate_headers_wait(const dx_rate_headers *headers, dx_micros_utc now) {
    dx_nanos wait = headers->has_retry_after ? headers->retry_after : 0;
    if (!headers->has_remaining || headers->remaining || !headers->has_reset || headers->reset_at <= now) return wait;
    dx_nanos until;
    if (__builtin_sub_overflow(headers->reset_at, now, &until) || until > DX_RATE_WAIT_CAP) until = DX_RATE_WAIT_CAP;
    until *= DX_MICROSECOND;
    return until > wait ? until : wait;
}
