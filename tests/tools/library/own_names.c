// A program whose own functions have names that libduplex uses inside, linked with libduplex.a.
#include <duplex/duplex.h>
#include <stdio.h>

int dx_memory_alloc(void);
int dx_arena_create(void);
int dx_hash(void);

int dx_memory_alloc(void) {
    return 1;
}
int dx_arena_create(void) {
    return 2;
}
int dx_hash(void) {
    return 3;
}

int main(void) {
    dx_client *client;
    static const char definition[] = "{\"apis\": {\"a\": {\"base_url\": \"http://127.0.0.1:1\"}}}";
    if (dx_client_open_text(&client, definition, sizeof definition - 1, NULL, NULL)) return 1;
    dx_client_close(client);
    printf("%d %s\n", dx_memory_alloc() + dx_arena_create() + dx_hash(), dx_version());
    return 0;
}
