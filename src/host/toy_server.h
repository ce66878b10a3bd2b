// For tests: see toy_server.c.
#ifndef DX_HOST_TOY_SERVER_H
#define DX_HOST_TOY_SERVER_H

#include "host/host.h"
#include "server/toy_app.h"

typedef struct toy_answer {
    int status;
    char *body;
    size_t body_size;
    char text[4u << 20]; // all of it
} toy_answer;

void toy_start(toy *t, const char *server_section); // prepares, serves
void toy_signal(toy *t);                            // SIGTERM
void toy_join(toy *t);                              // until the server has stopped
void toy_stop(toy *t);                              // both, and cleans up

// By the control socket and by hand: whoever makes the server's memory fail must not need any. Whether it was done; false, too, when there
// was no memory for an answer.
bool toy_reload(const toy *t);
int toy_begin_reload(const toy *t);
bool toy_end_reload(int connection);
unsigned toy_descriptors(void); // that are open in this process

bool toy_accepts(const toy *t); // a connection
int toy_connect(const toy *t);
void toy_send(int client, const char *text, size_t size);
void toy_receive(int client, toy_answer *answer, bool no_body);
bool toy_field(const toy_answer *answer, const char *name, char *out, size_t size);
void toy_ask(const toy *t, toy_answer *answer, const char *request); // on a connection of its own
int toy_port(const char *url);

#endif
