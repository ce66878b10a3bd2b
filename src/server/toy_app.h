// For tests: see toy_app.c.
#ifndef DX_SERVER_TOY_APP_H
#define DX_SERVER_TOY_APP_H

#include "server/parts.h"

typedef struct toy {
    char folder[64], path[128];
    dx_arena *arena;
    dx_diags diags;
    dx_app *app;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int port;
    bool ended;
    dx_status served;
} toy;

typedef struct toy_answer {
    int status;
    char *body;
    size_t body_size;
    char text[4u << 20]; // all of it
} toy_answer;

void toy_prepare(toy *t, const char *server_section); // writes the definition {"server": {<section>}}
void toy_write(const toy *t, const char *name, const char *text);
dx_status toy_create(toy *t, const dx_app_options *overrides);
void toy_start(toy *t, const char *server_section); // prepares, creates, serves
void toy_signal(toy *t);                            // SIGTERM
void toy_join(toy *t);                              // until the server has stopped
void toy_clean(toy *t);
void toy_stop(toy *t); // the three of them

void toy_wait_for_arrivals(int count); // of requests at /wait
void toy_release(void);                // lets them be answered

bool toy_accepts(const toy *t); // a connection
int toy_connect(const toy *t);
void toy_send(int client, const char *text, size_t size);
void toy_receive(int client, toy_answer *answer, bool no_body);
bool toy_field(const toy_answer *answer, const char *name, char *out, size_t size);
void toy_ask(const toy *t, toy_answer *answer, const char *request); // on a connection of its own
int toy_port(const char *url);

#endif
