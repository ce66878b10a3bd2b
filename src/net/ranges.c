// Sets of address ranges: sorted, merged arrays of firsts and lasts, one a family, searched by halving.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "net/gate.h"

// Both families as 16 bytes: IPv4 as ::ffff:a.b.c.d, in an array of its own, so that ::/0 is not about it.
typedef struct range {
    uint8_t first[16], last[16];
} range;

typedef struct range_list {
    range *items;
    size_t count;
} range_list;

struct dx_ranges {
    range_list four, six;
    bool local; // "unix"
};

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_mapped(const uint8_t bytes[16]) {
    return memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

bool dx_address_bytes(const dx_address *address, uint8_t out[16]) {
    if (address->any.sa_family == AF_INET) {
        memcpy(out, mapped_prefix, sizeof mapped_prefix);
        memcpy(out + 12, &address->v4.sin_addr, 4);
    } else if (address->any.sa_family == AF_INET6) {
        memcpy(out, &address->v6.sin6_addr, 16);
    } else {
        return false;
    }
    return true;
}

// --- reading ---------------------------------------------------------------------------------------------------------------

typedef enum reading { READ, NOT_A_RANGE, BITS_BEHIND } reading;

// Reads "10.0.0.0/8" and the like; `*bits` counts from the front of the 16 bytes.
static reading read_range(dx_slice text, range *out, unsigned *bits) {
    char host[INET6_ADDRSTRLEN];
    uint64_t length;
    size_t slash = dx_slice_find(text, '/');
    size_t size = slash == SIZE_MAX ? text.size : slash;
    if (size == 0 || size >= sizeof host) return NOT_A_RANGE;
    memcpy(host, text.data, size);
    host[size] = 0;
    if (strlen(host) != size) return NOT_A_RANGE;
    bool four = inet_pton(AF_INET, host, out->first + 12) == 1;
    if (four)
        memcpy(out->first, mapped_prefix, sizeof mapped_prefix);
    else if (inet_pton(AF_INET6, host, out->first) != 1)
        return NOT_A_RANGE;
    unsigned most = four ? 32 : 128;
    if (slash == SIZE_MAX)
        length = most;
    else if (!dx_slice_to_u64(dx_slice_from(text, slash + 1), &length) || length > most)
        return NOT_A_RANGE;
    *bits = (unsigned)length + (128 - most);
    memcpy(out->last, out->first, 16);
    bool behind = false;
    for (unsigned i = *bits; i < 128; i++) {
        uint8_t bit = (uint8_t)(0x80 >> (i % 8));
        behind = behind || (out->first[i / 8] & bit);
        out->first[i / 8] &= (uint8_t)~bit;
        out->last[i / 8] |= bit;
    }
    return behind ? BITS_BEHIND : READ;
}

static void complain(dx_slice text, dx_slice pointer, size_t index, reading why, const range *meant, unsigned bits, dx_diags *diags) {
    char at[256], host[INET6_ADDRSTRLEN];
    int size = snprintf(at, sizeof at, "%.*s/%zu", DX_SLICE_ARG(pointer), index);
    dx_slice where = dx_slice_of(at, size > 0 && (size_t)size < sizeof at ? (size_t)size : 0);
    if (why == NOT_A_RANGE) {
        dx_diag *diag = dx_diags_add(diags, DX_INVALID, where, "\"%.*s\" is not a range of addresses", DX_SLICE_ARG(text));
        if (diag) diag->suggestion = DX_SLICE("write \"10.0.0.0/8\", \"192.0.2.7\", \"2001:db8::/32\" or \"unix\"");
        return;
    }
    dx_diag *diag =
        dx_diags_add(diags, DX_INVALID, where, "\"%.*s\" has bits behind its length: one address or a whole range?", DX_SLICE_ARG(text));
    bool four = is_mapped(meant->first) && bits >= 96 && dx_slice_find(text, ':') == SIZE_MAX;
    if (!diag || !inet_ntop(four ? AF_INET : AF_INET6, meant->first + (four ? 12 : 0), host, sizeof host)) return;
    size = snprintf(at, sizeof at, "%s/%u", host, four ? bits - 96 : bits);
    dx_diag_suggest(diags, diag, dx_slice_of(at, (size_t)size));
}

// --- making ----------------------------------------------------------------------------------------------------------------

static int compare(const void *a, const void *b) {
    return memcmp(((const range *)a)->first, ((const range *)b)->first, 16);
}

// Sorts, and merges those that overlap, so that at most one can hold an address.
static void settle(range_list *list) {
    size_t kept = 0;
    if (list->count > 1) qsort(list->items, list->count, sizeof *list->items, compare);
    for (size_t i = 1; i < list->count; i++) {
        range *last = &list->items[kept];
        if (memcmp(list->items[i].first, last->last, 16) > 0)
            list->items[++kept] = list->items[i];
        else if (memcmp(list->items[i].last, last->last, 16) > 0)
            memcpy(last->last, list->items[i].last, 16);
    }
    if (list->count) list->count = kept + 1;
}

static dx_status read_all(dx_ranges *ranges, const dx_slice *texts, size_t count, dx_slice pointer, dx_diags *diags) {
    dx_status status = DX_OK;
    for (size_t i = 0; i < count; i++) {
        range one;
        unsigned bits = 0;
        if (dx_slice_equal(texts[i], DX_SLICE("unix"))) {
            ranges->local = true;
            continue;
        }
        reading how = read_range(texts[i], &one, &bits);
        if (how != READ) {
            complain(texts[i], pointer, i, how, &one, bits, diags);
            status = DX_INVALID;
            continue;
        }
        range_list *list = is_mapped(one.first) && bits >= 96 ? &ranges->four : &ranges->six;
        list->items[list->count++] = one;
    }
    return status;
}

dx_status dx_ranges_create(dx_ranges **out, const dx_slice *texts, size_t count, dx_slice pointer, dx_diags *diags) {
    dx_ranges *ranges = dx_memory_zalloc(1, sizeof *ranges);
    if (!ranges) return DX_NO_MEMORY;
    ranges->four.items = dx_memory_zalloc(count + 1, sizeof(range));
    ranges->six.items = dx_memory_zalloc(count + 1, sizeof(range));
    dx_status status = ranges->four.items && ranges->six.items ? read_all(ranges, texts, count, pointer, diags) : DX_NO_MEMORY;
    if (status != DX_OK) {
        dx_ranges_destroy(ranges);
        return status;
    }
    settle(&ranges->four);
    settle(&ranges->six);
    *out = ranges;
    return DX_OK;
}

void dx_ranges_destroy(dx_ranges *ranges) {
    if (!ranges) return;
    dx_memory_free(ranges->four.items);
    dx_memory_free(ranges->six.items);
    dx_memory_free(ranges);
}

// --- asking ----------------------------------------------------------------------------------------------------------------

bool dx_ranges_have(const dx_ranges *ranges, const dx_address *address) {
    uint8_t bytes[16];
    if (!ranges) return false;
    if (!dx_address_bytes(address, bytes)) return ranges->local && address->any.sa_family == AF_UNIX;
    const range_list *list = is_mapped(bytes) ? &ranges->four : &ranges->six;
    size_t low = 0, high = list->count; // of the first range that begins behind the address
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(list->items[middle].first, bytes, 16) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && memcmp(bytes, list->items[low - 1].last, 16) <= 0;
}
