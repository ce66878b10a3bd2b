// The mock: a custom transport that answers by a table of rules, then by a function, and remembers what it was asked.
#include <pthread.h>

#include "base/memory.h"
#include "client/transport.h"

#define MOCK_ARENA_CAP ((size_t)1 << 30)

typedef struct mock_rule {
    struct mock_rule *next;
    dx_mock_rule rule; // its texts in the mock's arena
    unsigned used;
} mock_rule;

typedef struct mock_asked {
    struct mock_asked *next;
    dx_sent sent;
} mock_asked;

typedef struct mock {
    dx_transport *transport;
    pthread_mutex_t lock; // of all below
    dx_arena *rules_arena, *asked_arena;
    mock_rule *rules, **last_rule;
    mock_asked *asked, **last_asked;
    size_t asked_count;
    void (*answer)(void *context, const dx_sent *request, dx_reply *reply);
    void *answer_context;
} mock;

static void mock_send(void *context, const dx_sent *request, dx_reply *reply);

static mock *mock_of(const dx_transport *transport) {
    return dx_transport_context(transport, mock_send);
}

// --- copies ----------------------------------------------------------------------------------------------------------------------------

static bool copy_text(const char **text, dx_arena *arena) {
    if (*text) *text = dx_arena_copy(arena, dx_slice_str(*text)).data;
    return *text != NULL;
}

static bool copy_headers(const dx_header **headers, dx_arena *arena) {
    size_t count = 0;
    while (*headers && (*headers)[count].name) count++;
    dx_header *copy = DX_ARENA_ARRAY(arena, dx_header, count + 1);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = (*headers)[i];
        if (!copy[i].value || !*copy[i].value) copy[i].value = "";
        if (!copy_text(&copy[i].name, arena) || (*copy[i].value && !copy_text(&copy[i].value, arena))) return false;
    }
    *headers = copy;
    return copy != NULL;
}

static bool copy_body(const char **body, size_t size, dx_arena *arena) {
    char *copy = dx_arena_bytes(arena, size + 1);
    if (!copy) return false;
    if (size) memcpy(copy, *body, size);
    copy[size] = '\0';
    *body = copy;
    return true;
}

// --- answering -------------------------------------------------------------------------------------------------------------------------

static void remember(mock *m, const dx_sent *request) {
    if (m->asked_count >= DX_MOCK_ASKED_CAP) return;
    mock_asked *asked = DX_ARENA_NEW(m->asked_arena, mock_asked);
    if (!asked) return;
    asked->sent = *request;
    bool endpoint = !*request->endpoint || copy_text(&asked->sent.endpoint, m->asked_arena);
    if (!endpoint || !copy_text(&asked->sent.method, m->asked_arena) || !copy_text(&asked->sent.url, m->asked_arena) ||
        !copy_headers(&asked->sent.headers, m->asked_arena) || !copy_body(&asked->sent.body, request->body_size, m->asked_arena))
        return;
    *m->last_asked = asked;
    m->last_asked = &asked->next;
    m->asked_count++;
}

// The rule that answers, counted as used. NULL: none.
static const dx_mock_rule *pick(mock *m, const dx_sent *request) {
    for (mock_rule *rule = m->rules; rule; rule = rule->next) {
        if (rule->rule.times && rule->used >= rule->rule.times) continue;
        if (!dx_sent_fits(request, rule->rule.method, rule->rule.pattern)) continue;
        rule->used++;
        return &rule->rule;
    }
    return NULL;
}

static void answer_by_rule(const dx_mock_rule *rule, dx_reply *reply) {
    dx_reply_delay(reply, rule->delay_ms);
    if (rule->failure != DX_ERROR_NONE) return dx_reply_fail(reply, rule->failure, NULL);
    dx_reply_status(reply, rule->status ? rule->status : 200);
    for (const dx_header *header = rule->headers; header->name; header++) dx_reply_header(reply, header->name, header->value);
    dx_reply_body(reply, rule->body, rule->body_size);
    dx_reply_finish(reply);
}

static void mock_send(void *context, const dx_sent *request, dx_reply *reply) {
    mock *m = context;
    pthread_mutex_lock(&m->lock);
    remember(m, request);
    const dx_mock_rule *rule = pick(m, request);
    pthread_mutex_unlock(&m->lock);
    if (rule) return answer_by_rule(rule, reply);
    if (!m->answer) return dx_reply_fail(reply, DX_ERROR_RECORDING, "no rule of the mock fits, and it has no function");
    dx_reply_keep(reply);
    m->answer(m->answer_context, request, reply);
    if (!dx_reply_is_ended(reply)) dx_reply_finish(reply);
    dx_reply_let_go(reply);
}

// --- setting up ------------------------------------------------------------------------------------------------------------------------

static void mock_destroy(void *context) {
    mock *m = context;
    if (!m) return;
    dx_arena_destroy(m->rules_arena);
    dx_arena_destroy(m->asked_arena);
    (void)pthread_mutex_destroy(&m->lock);
    dx_memory_free(m);
}

dx_transport *dx_transport_mock_create(void) {
    mock *m = dx_memory_zalloc(1, sizeof *m);
    if (!m) return NULL;
    (void)pthread_mutex_init(&m->lock, NULL);
    m->rules_arena = dx_arena_create(MOCK_ARENA_CAP);
    m->asked_arena = dx_arena_create(MOCK_ARENA_CAP);
    m->last_rule = &m->rules;
    m->last_asked = &m->asked;
    dx_transport_custom custom = DX_TRANSPORT_CUSTOM_INIT;
    custom.context = m;
    custom.send = mock_send;
    custom.destroy = mock_destroy;
    if (m->rules_arena && m->asked_arena) m->transport = dx_transport_custom_create(&custom);
    if (m->transport) return m->transport;
    mock_destroy(m);
    return NULL;
}

static mock_rule *copy_rule(mock *m, const dx_mock_rule *from) {
    static const dx_mock_rule standard = DX_MOCK_RULE_INIT;
    mock_rule *rule = DX_ARENA_NEW(m->rules_arena, mock_rule);
    if (!rule) return NULL;
    rule->rule = standard;
    memcpy(&rule->rule, from, from->size < sizeof standard ? from->size : sizeof standard);
    dx_mock_rule *r = &rule->rule;
    if (r->body && !r->body_size) r->body_size = strlen(r->body);
    if (r->method && !copy_text(&r->method, m->rules_arena)) return NULL;
    if (r->pattern && !copy_text(&r->pattern, m->rules_arena)) return NULL;
    return copy_headers(&r->headers, m->rules_arena) && copy_body(&r->body, r->body_size, m->rules_arena) ? rule : NULL;
}

dx_error_code dx_mock_rule_add(dx_transport *transport, const dx_mock_rule *from) {
    mock *m = mock_of(transport);
    if (!m) return DX_ERROR_ARGUMENT;
    pthread_mutex_lock(&m->lock);
    mock_rule *rule = copy_rule(m, from);
    if (rule) {
        *m->last_rule = rule;
        m->last_rule = &rule->next;
    }
    pthread_mutex_unlock(&m->lock);
    return rule ? DX_ERROR_NONE : DX_ERROR_NO_MEMORY;
}

void dx_mock_answer(dx_transport *transport, void (*answer)(void *context, const dx_sent *request, dx_reply *reply), void *context) {
    mock *m = mock_of(transport);
    if (!m) return;
    m->answer = answer;
    m->answer_context = context;
}

// --- asking --------------------------------------------------------------------------------------------------------------------------

size_t dx_mock_count(const dx_transport *transport) {
    mock *m = mock_of(transport);
    if (!m) return 0;
    pthread_mutex_lock(&m->lock);
    size_t count = m->asked_count;
    pthread_mutex_unlock(&m->lock);
    return count;
}

const dx_sent *dx_mock_asked(const dx_transport *transport, size_t index) {
    mock *m = mock_of(transport);
    if (!m) return NULL;
    pthread_mutex_lock(&m->lock);
    const mock_asked *asked = m->asked;
    while (asked && index--) asked = asked->next;
    pthread_mutex_unlock(&m->lock);
    return asked ? &asked->sent : NULL;
}

void dx_mock_forget(dx_transport *transport) {
    mock *m = mock_of(transport);
    if (!m) return;
    pthread_mutex_lock(&m->lock);
    dx_arena_reset(m->asked_arena);
    m->asked = NULL;
    m->last_asked = &m->asked;
    m->asked_count = 0;
    pthread_mutex_unlock(&m->lock);
}
