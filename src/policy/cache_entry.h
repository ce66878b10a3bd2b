// A cached response: status, fields, body and what decides about its use, in ONE block of memory that never changes and is counted. A hit
// holds it and reads slices of it; nothing is copied, and it lives on after the cache has dropped it, until the last holder lets go.
//
// As bytes (for Redis) it is versioned, checked in every length, and summed; bytes that are anything else are a miss. The sum finds damage,
// not malice: who can write to the Redis can write what he likes. Secrets are not removed here: a body is what it is.
#ifndef DX_POLICY_CACHE_ENTRY_H
#define DX_POLICY_CACHE_ENTRY_H

#include <stdatomic.h>

#include "base/buffer.h"
#include "codec/http.h"
#include "policy/freshness.h"

#define DX_CACHE_FIELDS_CAP   256
#define DX_CACHE_TAGS_CAP     16
#define DX_CACHE_TAG_CAP      128                 // bytes of one
#define DX_CACHE_ENTRY_CAP    ((size_t)256 << 20) // bytes of one entry, as block or as bytes
#define DX_CACHE_ENTRY_SLOPPY 64                  // what the heap adds to a block at most, for those who count

// Read all, change nothing. Everything lies in the block; behind names, values and body is a NUL that does not count.
typedef struct dx_cache_entry {
    _Atomic uint32_t holders;
    _Atomic uint64_t known; // what a reader has found out of the body and need not find out again, as a number of its own; 0: nothing
    int status;
    size_t size; // of the block
    dx_freshness freshness;
    uint64_t tag_bits; // one bit for each tag, by hash: a tag whose bit is off is not here
    dx_slice key;      // dx_cache_key.text
    dx_slice vary;     // a block of policy/vary.h; empty: no Vary
    dx_slice body;
    dx_fields fields;
    const dx_slice *tags;
    size_t tag_count;
} dx_cache_entry;

typedef struct dx_cache_entry_parts {
    int status;
    const dx_freshness *freshness;
    dx_slice key, vary, body;
    const dx_fields *fields; // those that dx_freshness_keeps bars are left out
    const dx_slice *tags;
    size_t tag_count;
} dx_cache_entry_parts;

// Copies all of it; the caller holds the entry. DX_TOO_LARGE past a cap, DX_INVALID for an empty key, or a tag that is empty or
// has control characters; DX_NO_MEMORY.
dx_status dx_cache_entry_create(dx_cache_entry **out, const dx_cache_entry_parts *parts) DX_MUST_USE;
// Any thread.
dx_cache_entry *dx_cache_entry_hold(dx_cache_entry *entry);
void dx_cache_entry_release(dx_cache_entry *entry); // takes NULL

uint64_t dx_cache_tag_bit(dx_slice tag);
bool dx_cache_entry_has_tag(const dx_cache_entry *entry, dx_slice tag);

// Appends the bytes. Without room or memory the buffer says so.
void dx_cache_entry_write(dx_buffer *out, const dx_cache_entry *entry);
// Reads what dx_cache_entry_write wrote, all of `bytes`; the caller holds the entry. DX_MALFORMED for anything else: treat as a miss, and
// write over it. Whether its key is the one that was asked for is the caller's to compare. DX_NO_MEMORY.
dx_status dx_cache_entry_read(dx_cache_entry **out, dx_slice bytes) DX_MUST_USE;

#endif
