// The field lines of a response's header block (RFC 7541), written into the place they are sent from. nghttp2 can do that, too, but copies
// and searches its list of fields once more for each response and codes by Huffman what will never be seen again: together a quarter of a
// short answer's cost. Here a field that goes out again is found by one hash of it, and becomes one byte.
//
// A line enters the peer's dynamic table when it goes out for the second time, so that what differs from answer to answer does not push
// out what does not. Strings are sent as they are: a Huffman code would save a few bytes once a connection.
//
// The table must match the peer's, entry for entry: whatever is written must be sent, in this order, and nobody else may add to the table.
#ifndef DX_NET_HPACK_H
#define DX_NET_HPACK_H

#include "codec/http.h"

#define DX_HPACK_TABLE_SIZE 4096u // octets, as RFC 7541 section 4.1 counts; what a peer allows that says nothing
#define DX_HPACK_ENTRIES    128u  // more than the table has room for, each being counted with 32 octets and its bytes
#define DX_HPACK_SEEN       128u
#define DX_HPACK_LINE_EXTRA 12u // octets of a line besides its name and value, at most

typedef struct dx_hpack_entry dx_hpack_entry;

// The encoder's side of one connection. Begins zeroed but for `limit`.
typedef struct dx_hpack {
    dx_hpack_entry *entries[DX_HPACK_ENTRIES]; // a ring; heap
    uint32_t next, count;                      // where the next one goes; how many there are
    uint32_t size, limit;                      // octets
    uint32_t seen[DX_HPACK_SEEN];              // hashes of lines that went out once
    uint8_t slots[2 * DX_HPACK_ENTRIES];       // by hash: place in the ring, plus 1; 0: none
} dx_hpack;

void dx_hpack_init(dx_hpack *hpack);
void dx_hpack_deinit(dx_hpack *hpack);
// The peer was told of another size of the table.
void dx_hpack_resize(dx_hpack *hpack, uint32_t limit);
// Takes the changes of the table's size that a header block begins with; false: they are malformed.
bool dx_hpack_follow(dx_hpack *hpack, dx_slice block);
// Writes a line to `to`, which has room for its name, its value and DX_HPACK_LINE_EXTRA; returns the end. Without memory the line is sent
// as it is.
char *dx_hpack_line(dx_hpack *hpack, char *to, const dx_field *field);
// Content-Length, which is seldom the same.
char *dx_hpack_length(char *to, uint64_t length);

#endif
