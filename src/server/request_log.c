// The request log: one JSON object a line for every request. A worker writes its lines into a page of its own; full pages, and those that a
// timer finds, go to one thread that writes them out. So a slow disk or a reader that stands still never holds a loop; when all pages are
// waiting, lines are dropped and counted, and the count is logged. At shutdown the rest is written.
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/memory.h"
#include "codec/json.h"
#include "codec/text.h"
#include "server/parts.h"

#define PAGE_SIZE   (64u << 10)
#define PAGES_CAP   128 // waiting to be written, in the process
#define LINE_CAP    (24u << 10)
#define TEXT_CAP    768 // of one field: longer ones are cut; escaped, four of them fit into a line
#define FLUSH_AFTER (100 * DX_MILLISECOND)

struct dx_log_page {
    dx_log_page *next;
    size_t size;
    char text[PAGE_SIZE];
};

struct dx_request_log {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    pthread_t thread;
    dx_log_page *first, **last, *spare;
    size_t pages; // made
    int descriptor;
    bool stopping;
};

// --- the thread
// -------------------------------------------------------------------------------------------------------------------------------

static void write_page(int descriptor, const dx_log_page *page) {
    for (size_t done = 0; done < page->size;) {
        ssize_t written = write(descriptor, page->text + done, page->size - done);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN && poll(&(struct pollfd){.fd = descriptor, .events = POLLOUT}, 1, -1) >= 0) continue;
        if (written < 0) return; // nobody reads the log any more: serving goes on
        done += (size_t)written;
    }
}

static void *write_pages(void *arg) {
    dx_request_log *log = arg;
    pthread_mutex_lock(&log->lock);
    for (;;) {
        while (!log->first && !log->stopping) pthread_cond_wait(&log->arrived, &log->lock);
        dx_log_page *page = log->first;
        if (!page) break;
        if (!(log->first = page->next)) log->last = &log->first;
        pthread_mutex_unlock(&log->lock);
        write_page(log->descriptor, page);
        pthread_mutex_lock(&log->lock);
        page->size = 0;
        page->next = log->spare;
        log->spare = page;
    }
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

dx_status dx_request_log_start(dx_request_log **out, int descriptor) {
    dx_request_log *log = dx_memory_zalloc(1, sizeof *log);
    if (!log) return DX_NO_MEMORY;
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->arrived, NULL);
    log->last = &log->first;
    log->descriptor = descriptor;
    if (pthread_create(&log->thread, NULL, write_pages, log) != 0) {
        pthread_cond_destroy(&log->arrived);
        pthread_mutex_destroy(&log->lock);
        dx_memory_free(log);
        return DX_UNAVAILABLE;
    }
    *out = log;
    return DX_OK;
}

void dx_request_log_stop(dx_request_log *log) {
    if (!log) return;
    pthread_mutex_lock(&log->lock);
    log->stopping = true;
    pthread_cond_signal(&log->arrived);
    pthread_mutex_unlock(&log->lock);
    pthread_join(log->thread, NULL);
    for (dx_log_page *page = log->spare, *next; page; page = next) {
        next = page->next;
        dx_memory_free(page);
    }
    pthread_cond_destroy(&log->arrived);
    pthread_mutex_destroy(&log->lock);
    dx_memory_free(log);
}

static dx_log_page *take_page(dx_request_log *log) {
    pthread_mutex_lock(&log->lock);
    dx_log_page *page = log->spare;
    bool make = !page && log->pages < PAGES_CAP;
    if (page) log->spare = page->next;
    if (make) log->pages++;
    pthread_mutex_unlock(&log->lock);
    if (!make) return page;
    page = dx_memory_alloc(sizeof *page);
    if (page) page->size = 0;
    return page;
}

static void hand_over(dx_request_log *log, dx_log_page *page) {
    page->next = NULL;
    pthread_mutex_lock(&log->lock);
    *log->last = page;
    log->last = &page->next;
    pthread_cond_signal(&log->arrived);
    pthread_mutex_unlock(&log->lock);
}

// --- a worker's side
// ----------------------------------------------------------------------------------------------------------------------------

static void flush(dx_request_logger *logger) {
    if (!logger->page || logger->page->size == 0) return;
    hand_over(logger->log, logger->page);
    logger->page = NULL;
}

static void on_timer(dx_timer *timer) {
    flush(DX_CONTAINER_OF(timer, dx_request_logger, timer));
}

void dx_request_logger_init(dx_request_logger *logger, dx_request_log *log, dx_loop *loop) {
    *logger = (dx_request_logger){.log = log, .loop = loop, .timer = {.fire = on_timer}};
}

void dx_request_logger_deinit(dx_request_logger *logger) {
    if (!logger->log) return;
    dx_timer_stop(logger->loop, &logger->timer);
    flush(logger);
    if (logger->page) { // empty, but the log's to free
        hand_over(logger->log, logger->page);
        logger->page = NULL;
    }
    logger->log = NULL;
}

// --- a line
// ---------------------------------------------------------------------------------------------------------------------------------------

static void write_text(dx_buffer *line, dx_slice text) {
    if (text.size > TEXT_CAP) text.size = TEXT_CAP;
    dx_json_write_string(line, text);
}

static void add_text(dx_buffer *line, dx_slice key, dx_slice text) { // `key` is ,"name":
    if (!text.size) return;
    dx_buffer_add(line, key);
    write_text(line, text);
}

static void add_number(dx_buffer *line, dx_slice key, int64_t number) {
    dx_buffer_add(line, key);
    dx_buffer_i64(line, number);
}

// "user%5Bpassword%5D" is as telling as "user[password]".
static bool is_secret(const dx_exchange *x, dx_slice name) {
    dx_slice decoded;
    return dx_log_is_secret(dx_percent_decode(&decoded, x->arena, name, true) == DX_OK ? decoded : name);
}

// The query as it was sent, but for the values of parameters whose names look like secrets.
static void add_query(dx_buffer *line, const dx_exchange *x) {
    dx_slice query = x->request.query;
    char text[TEXT_CAP];
    dx_buffer shown = {.data = text, .capacity = sizeof text, .cap = sizeof text};
    for (dx_slice rest = query; rest.data && query.size;) {
        dx_slice pair = dx_slice_cut(&rest, '&'), value = pair, name = dx_slice_cut(&value, '=');
        dx_slice part = value.data && is_secret(x, name) ? DX_SLICE("[redacted]") : value;
        if (sizeof text - shown.size < name.size + part.size + 2) break; // what does not fit is left out
        if (shown.size) dx_buffer_byte(&shown, '&');
        dx_buffer_add(&shown, name);
        if (value.data) dx_buffer_byte(&shown, '=');
        dx_buffer_add(&shown, part);
    }
    add_text(line, DX_SLICE(",\"query\":"), dx_buffer_slice(&shown));
}

static void write_head(dx_buffer *line, const dx_exchange *x, bool failed) {
    char time[DX_TIME_TEXT_CAP];
    DX_BUFFER_LIT(line, "{\"time\":\"");
    dx_buffer_append(line, time, dx_time_write(time, x->loop ? dx_loop_utc(x->loop) : dx_clock_utc()));
    dx_buffer_add(line, failed ? DX_SLICE("\",\"level\":\"error\",\"event\":\"request\"")
                               : DX_SLICE("\",\"level\":\"info\",\"event\":\"request\""));
}

static void write_line(dx_buffer *line, const dx_exchange *x, const struct dx_request_facts *facts) {
    const dx_exchange_request *request = &x->request;
    bool failed = x->response.status >= 500;
    write_head(line, x, failed);
    add_text(line, DX_SLICE(",\"method\":"), dx_slice_str(request->method < DX_METHOD_COUNT ? dx_method_name(request->method) : "other"));
    add_text(line, DX_SLICE(",\"path\":"), request->path);
    add_query(line, x);
    if (x->operation) {
        add_text(line, DX_SLICE(",\"route\":"), x->operation->path);
        add_text(line, DX_SLICE(",\"operation\":"), x->operation->id);
    }
    add_number(line, DX_SLICE(",\"status\":"), x->response.status);
    add_number(line, DX_SLICE(",\"duration_us\":"), facts->duration / DX_MICROSECOND);
    add_number(line, DX_SLICE(",\"bytes\":"), (int64_t)facts->bytes);
    if (!facts->sent) DX_BUFFER_LIT(line, ",\"sent\":false");
    add_text(line, DX_SLICE(",\"request_id\":"), x->request_id);
    add_text(line, DX_SLICE(",\"trace_id\":"), dx_slice_of(x->trace_id, DX_TRACE_ID_SIZE));
    if (x->principal) add_text(line, DX_SLICE(",\"principal\":"), x->principal->id);
    add_text(line, DX_SLICE(",\"peer\":"), request->peer);
    add_text(line, DX_SLICE(",\"user_agent\":"), dx_fields_get(&request->fields, DX_FIELD_USER_AGENT));
    if (x->error != DX_OK) add_text(line, DX_SLICE(",\"error\":"), dx_slice_str(dx_status_code(x->error)));
    if (failed) add_text(line, DX_SLICE(",\"detail\":"), x->error_detail);
    DX_BUFFER_LIT(line, "}\n");
}

// Without a log of requests, one that failed is told all the same.
static DX_COLD void tell_failure(const dx_exchange *x, const struct dx_request_facts *facts) {
    dx_log_record record;
    if (x->response.status < 500 || !dx_log_enabled(DX_LOG_ERROR)) return;
    dx_log_begin(&record, DX_LOG_ERROR, "request");
    dx_log_text(&record, "method", dx_slice_str(x->request.method < DX_METHOD_COUNT ? dx_method_name(x->request.method) : "other"));
    dx_log_text(&record, "path", x->request.path);
    dx_log_int(&record, "status", x->response.status);
    dx_log_micros(&record, "duration_us", facts->duration);
    dx_log_text(&record, "request_id", x->request_id);
    dx_log_text(&record, "trace_id", dx_slice_of(x->trace_id, DX_TRACE_ID_SIZE));
    dx_log_text(&record, "error", dx_slice_str(dx_status_code(x->error)));
    dx_log_text(&record, "detail", x->error_detail);
    dx_log_end(&record);
}

static void tell_dropped(dx_request_logger *logger) {
    dx_log_record record;
    dx_log_begin(&record, DX_LOG_WARN, "request_log_dropped");
    dx_log_int(&record, "lines", (int64_t)logger->dropped);
    dx_log_end(&record);
    logger->dropped = 0;
}

void dx_request_log_add(dx_request_logger *logger, const dx_exchange *x, const struct dx_request_facts *facts) {
    if (!logger->log) {
        tell_failure(x, facts);
        return;
    }
    if (logger->page && PAGE_SIZE - logger->page->size < LINE_CAP) flush(logger);
    if (!logger->page) {
        if (!(logger->page = take_page(logger->log))) {
            logger->dropped++;
            return;
        }
        if (logger->dropped) tell_dropped(logger);
    }
    dx_log_page *page = logger->page;
    if (page->size == 0) dx_timer_start(logger->loop, &logger->timer, FLUSH_AFTER);
    dx_buffer line = {.data = page->text + page->size, .capacity = LINE_CAP, .cap = LINE_CAP};
    write_line(&line, x, facts);
    if (DX_LIKELY(dx_buffer_status(&line) == DX_OK))
        page->size += line.size;
    else
        logger->dropped++;
}
