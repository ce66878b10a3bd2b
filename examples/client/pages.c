// A list that comes in pages, item by item, and where to go on next time:
//     pages github.json octocat [STATE]
#include <duplex/pages.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    dx_client *client;
    dx_pages *pages;
    dx_error error = DX_ERROR_INIT;
    const char *item;
    const dx_arg *args = DX_ARGS(DX_STR("username", argc > 2 ? argv[2] : ""));
    if (argc < 3) return fprintf(stderr, "usage: pages DEFINITION USER [STATE]\n"), 2;
    if (dx_client_open(&client, argv[1], NULL, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    dx_error_code code = argc > 3 ? dx_pages_resume(&pages, client, "github.list_repos", args, NULL, argv[3], &error)
                                  : dx_pages_open(&pages, client, "github.list_repos", args, NULL, &error);
    while (!code && !(code = dx_pages_next_item(pages, &item, NULL, &error)) && item) puts(item);
    if (code) fprintf(stderr, "%s\n", error.message);
    char *state = pages ? dx_pages_state(pages) : NULL; // behind the last item that was printed
    if (state) fprintf(stderr, "go on with %s\n", state);
    dx_text_free(state);
    dx_pages_close(pages);
    dx_client_close(client);
    return code ? 1 : 0;
}
