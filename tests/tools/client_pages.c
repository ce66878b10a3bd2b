// Reads pages and makes batches as the end-to-end tests tell it to, by what programs see of libduplex alone.
//     client_pages DEFINITION items|pages|fetch ENDPOINT [--resume STATE] [--state FILE] [--prefetch N] [--max N] [NAME=VALUE]...
//     client_pages DEFINITION batch|ordered|started ENDPOINT COUNT CONCURRENCY [CANCEL_AT]     (its parameter: id)
// Items go to standard output, with --state the place behind each to a file; an error's name and message to standard error.
#include <duplex/batch.h>
#include <duplex/pages.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGS_CAP = 16 };

typedef struct asked {
    const char *resume, *state;
    dx_pages_options options;
    dx_arg args[ARGS_CAP + 1];
} asked;

static int complain(const dx_error *error) {
    fprintf(stderr, "%s: %s\n", dx_error_name(error->code), error->message);
    return 1;
}

static void read_words(asked *a, char **words) {
    size_t count = 0;
    for (; *words; words++) {
        char *value = strchr(*words, '=');
        if (!strcmp(*words, "--resume") && words[1])
            a->resume = *++words;
        else if (!strcmp(*words, "--state") && words[1])
            a->state = *++words;
        else if (!strcmp(*words, "--prefetch") && words[1])
            a->options.prefetch = (int)strtol(*++words, NULL, 10);
        else if (!strcmp(*words, "--max") && words[1])
            a->options.max_pages = strtoull(*++words, NULL, 10);
        else if (value && count < ARGS_CAP) {
            *value = '\0';
            a->args[count++] = DX_STR(*words, value + 1);
        }
    }
    a->args[count] = DX_END;
}

// Written anew beside, then renamed: whenever this is killed, one of the two places is there.
static void save(const dx_pages *pages, const char *path) {
    char beside[4096], *state = dx_pages_state(pages);
    (void)snprintf(beside, sizeof beside, "%s.new", path);
    FILE *file = fopen(beside, "w");
    if (file && state) fputs(state, file);
    if (file) (void)fclose(file);
    (void)rename(beside, path);
    dx_text_free(state);
}

static int read_items(dx_pages *pages, const asked *a) {
    const char *item;
    dx_error error = DX_ERROR_INIT;
    while (!dx_pages_next_item(pages, &item, NULL, &error) && item) {
        puts(item);
        (void)fflush(stdout);
        if (a->state) save(pages, a->state);
    }
    return error.code ? complain(&error) : 0;
}

static void print_page(const dx_response *page) {
    puts(dx_response_body(page, NULL));
    (void)fflush(stdout);
}

static int read_pages(dx_pages *pages, const asked *a) {
    dx_response *page;
    dx_error error = DX_ERROR_INIT;
    while (!dx_pages_next(pages, &page, &error) && page) {
        print_page(page);
        if (a->state) save(pages, a->state);
        dx_response_release(page);
    }
    dx_response_release(page);
    return error.code ? complain(&error) : 0;
}

typedef struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    dx_error error;
    bool over;
} waiting;

static void on_page(void *context, dx_pages *pages, dx_response *page, const dx_error *error) {
    waiting *w = context;
    pthread_mutex_lock(&w->lock);
    w->error = *error;
    if (page && !error->code) print_page(page);
    w->over = !page || error->code || dx_pages_fetch(pages, on_page, w, &w->error);
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    dx_response_release(page);
}

static int fetch_pages(dx_pages *pages) {
    waiting w = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .error = DX_ERROR_INIT};
    if (dx_pages_fetch(pages, on_page, &w, &w.error)) return complain(&w.error);
    pthread_mutex_lock(&w.lock);
    while (!w.over) (void)pthread_cond_wait(&w.changed, &w.lock);
    pthread_mutex_unlock(&w.lock);
    return w.error.code ? complain(&w.error) : 0;
}

static int pages_main(dx_client *client, const char *how, const char *name, char **words) {
    asked a = {.options = DX_PAGES_OPTIONS_INIT};
    dx_pages *pages;
    dx_error error = DX_ERROR_INIT;
    read_words(&a, words);
    dx_error_code code = a.resume ? dx_pages_resume(&pages, client, name, a.args, &a.options, a.resume, &error)
                                  : dx_pages_open(&pages, client, name, a.args, &a.options, &error);
    if (code) return complain(&error);
    int status = !strcmp(how, "items") ? read_items(pages, &a) : !strcmp(how, "pages") ? read_pages(pages, &a) : fetch_pages(pages);
    dx_pages_close(pages);
    return status;
}

typedef struct making {
    dx_batch *batch;
    unsigned long long made, count, told, cancel_at;
    dx_arg args[2];
    const char *name;
} making;

static bool make(void *context, dx_batch_item *item) {
    making *m = context;
    if (m->made == m->count) return false;
    m->args[0] = DX_UINT("id", m->made++);
    m->args[1] = DX_END;
    item->name = m->name;
    item->args = m->args;
    return true;
}

static void take(void *context, const dx_batch_result *result) {
    making *m = context;
    printf("%llu %s\n", (unsigned long long)result->index, dx_error_name(result->error->code));
    if (++m->told == m->cancel_at) dx_batch_cancel(m->batch);
}

static int batch_main(dx_client *client, const char *how, const char *name, char **words) {
    making m = {.name = name, .count = strtoull(words[0], NULL, 10), .cancel_at = words[2] ? strtoull(words[2], NULL, 10) : 0};
    dx_batch_options options = DX_BATCH_OPTIONS_INIT;
    dx_batch_progress progress;
    dx_error error = DX_ERROR_INIT;
    options.concurrency = (unsigned)strtoul(words[1], NULL, 10);
    options.ordered = !strcmp(how, "ordered");
    options.next = make;
    options.result = take;
    options.context = &m;
    if (dx_batch_create(&m.batch, client, &options, &error)) return complain(&error);
    dx_error_code code = !strcmp(how, "started") ? dx_batch_start(m.batch, NULL, NULL, &error) : dx_batch_run(m.batch, &error);
    if (!strcmp(how, "started")) (void)dx_batch_wait(m.batch, -1);
    dx_batch_tell(m.batch, &progress);
    fprintf(stderr, "%llu done, %llu failed\n", (unsigned long long)progress.done, (unsigned long long)progress.failed);
    dx_batch_destroy(m.batch);
    return code ? complain(&error) : 0;
}

int main(int argc, char **argv) {
    dx_client *client;
    dx_error error = DX_ERROR_INIT;
    if (argc < 4) return 2;
    if (dx_client_open(&client, argv[1], NULL, &error)) return complain(&error);
    bool batch = !strcmp(argv[2], "batch") || !strcmp(argv[2], "ordered") || !strcmp(argv[2], "started");
    int status = batch && argc < 6 ? 2
                 : batch           ? batch_main(client, argv[2], argv[3], argv + 4)
                                   : pages_main(client, argv[2], argv[3], argv + 4);
    dx_client_close(client);
    return status;
}
