// For tests of streamed answers: an exchange over a wire that writes down what it is given, on a loop of its own. What is due to the source
// is told by wire_turn; wire_until waits for the next thing that happens on the wire.
#ifndef DX_EXCHANGE_WIRE_FIXTURE_H
#define DX_EXCHANGE_WIRE_FIXTURE_H

#include "exchange/chain.h"
#include "exchange/flow.h"

typedef struct wire_fixture {
    dx_arena *arena;
    dx_loop *loop;
    dx_flows flows;
    dx_exchange x;
    dx_buffer out; // what the wire took
    bool full;     // it takes nothing
    bool finished, was_cut, reading, stops;
    size_t consumed, writes;
} wire_fixture;

void wire_open(wire_fixture *w);
void wire_close(wire_fixture *w, dx_status why);               // the stream's end; frees everything. `why` as dx_exchange_closed
void wire_turn(wire_fixture *w);                               // one turn of the loop
void wire_until(wire_fixture *w);                              // runs until the wire is written to (or refuses), is finished or cut
void wire_ask(wire_fixture *w, dx_slice name, dx_slice value); // a field of the request
void wire_begin(wire_fixture *w);                              // the head goes out
void wire_drain(wire_fixture *w);                              // there is room again
void wire_feed(wire_fixture *w, dx_slice bytes);               // from the peer, in memory that may be written over
dx_slice wire_field(wire_fixture *w, const char *name);        // of the answer

#endif
