// Who may connect, and how often at once: lists of addresses, and counts by address over all workers. One a process; thread-safe.
#ifndef DX_NET_GATE_H
#define DX_NET_GATE_H

#include "base/diag.h"
#include "net/address.h"

// A set of address ranges (RFC 4632): a sorted array per family, searched by halving.
typedef struct dx_ranges dx_ranges;
// `texts` like "10.0.0.0/8", "::1", "unix" (peers on unix sockets). A finding at `pointer`/<index> for each that is not one.
dx_status dx_ranges_create(dx_ranges **out, const dx_slice *texts, size_t count, dx_slice pointer, dx_diags *diags) DX_MUST_USE;
void dx_ranges_destroy(dx_ranges *ranges);                               // takes NULL
bool dx_ranges_have(const dx_ranges *ranges, const dx_address *address); // IPv4 in IPv6 (::ffff:…) is IPv4; false for NULL
// 16 bytes, IPv4 as ::ffff:a.b.c.d; false for a unix socket's.
bool dx_address_bytes(const dx_address *address, uint8_t out[16]);

typedef struct dx_gate dx_gate;
typedef struct dx_gate_rules {
    const dx_ranges *allow; // NULL: everybody
    const dx_ranges *deny;  // NULL: nobody; wins over `allow`
    // Proxies that speak for others: `allow` and `each` are not about them, for whom they speak is judged by what they say. `deny` is.
    const dx_ranges *proxies;
    uint32_t each; // connections that one address (IPv6: one /64) may have at once; 0: no bound of its own. Not for peers on unix sockets
    uint32_t all;  // connections in all, of every worker; 0: no bound
} dx_gate_rules;
bool dx_gate_admits(const dx_gate_rules *rules, const dx_address *address); // by `allow` and `deny` alone
dx_status dx_gate_create(dx_gate **out, const dx_gate_rules *rules) DX_MUST_USE;
void dx_gate_destroy(dx_gate *gate);
// New rules, for connections from now on. The old ranges may be destroyed when every loop has passed a turn.
void dx_gate_change(dx_gate *gate, const dx_gate_rules *rules);
typedef enum dx_entry {
    DX_ENTRY_OPEN,
    DX_ENTRY_DENIED,
    DX_ENTRY_CROWDED, // the address has as many connections as one may have
    DX_ENTRY_FULL     // there are as many as there may be
} dx_entry;
// Counts the connection in, when it may come; then dx_gate_leave, once.
dx_entry dx_gate_enter(dx_gate *gate, const dx_address *address);
// The same for the peer of an endpoint where all speak for others (PROXY protocol): judged as one of `proxies`.
dx_entry dx_gate_enter_proxy(dx_gate *gate, const dx_address *address);
void dx_gate_leave(dx_gate *gate, const dx_address *address);
// A connection was closed for it. The log tells how many were, at most once a second.
void dx_gate_refused(dx_gate *gate, dx_entry why);

#endif
