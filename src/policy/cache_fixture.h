// What the cache's tests share: fields written as text, and a moment to count from.
#ifndef DX_POLICY_CACHE_FIXTURE_H
#define DX_POLICY_CACHE_FIXTURE_H

#include "policy/cache.h"

#define FIXTURE_NOW ((dx_micros_utc)1767268800 * 1000000) // 2026-01-01 12:00:00
#define FIXTURE_S   ((int64_t)1000000)

// "Name: value" lines. {N} in a value is the HTTP date N seconds from FIXTURE_NOW on. Everything lies in the arena.
dx_fields fixture_fields(dx_arena *arena, const char *lines);
// An entry under a key, fresh for `lifetime_s` from FIXTURE_NOW; with a Vary when `response` has one (`request` is who asked). NULL without
// memory.
dx_cache_entry *fixture_entry(dx_arena *arena, const dx_cache_key *key, const char *response, const char *request, dx_slice body,
                              int64_t lifetime_s, const char *tag);
dx_cache_key fixture_key(dx_arena *arena, const char *space, const char *credential, const char *url);

#endif
