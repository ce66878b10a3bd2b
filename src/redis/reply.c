// Replies: hiredis' parser, our memory. Its functions that make objects are ours, so that a reply costs no malloc, is bounded, and one that
// cannot be built does not cost the connection: a stand-in takes its place, the parser goes on to its end, and one call fails.
#include "base/memory.h"
#include "redis/redis_internal.h"

#define BUFFER_KEPT ((size_t)64 << 10) // of the parser's, between two replies

static const dx_redis_reply nothing; // its address says "could not be built"; it is never read nor written
#define STAND_IN ((dx_redis_reply *)(uintptr_t)&nothing)

static dx_redis_reply *make(const redisReadTask *task, dx_redis_kind kind, size_t more) {
    dx_redis_replies *r = task->privdata;
    dx_redis_reply *parent = task->parent ? task->parent->obj : NULL;
    if (r->failed != DX_OK || parent == STAND_IN) return STAND_IN;
    r->size += sizeof(dx_redis_reply) + more;
    dx_redis_reply *made = r->size > r->cap ? NULL : dx_arena_alloc(r->arena, sizeof *made);
    if (!made) {
        r->failed = r->size > r->cap ? DX_TOO_LARGE : DX_NO_MEMORY;
        return STAND_IN;
    }
    *made = (dx_redis_reply){.kind = kind};
    if (parent) parent->items[task->idx] = made;
    return made;
}

static void *make_string(const redisReadTask *task, char *text, size_t size) {
    dx_redis_kind kind = task->type == REDIS_REPLY_ERROR    ? DX_REDIS_ERROR
                         : task->type == REDIS_REPLY_STATUS ? DX_REDIS_STATUS
                                                            : DX_REDIS_STRING;
    dx_redis_replies *r = task->privdata;
    dx_redis_reply *made = make(task, kind, size);
    if (made == STAND_IN) return made;
    made->text = dx_arena_copy(r->arena, dx_slice_of(text, size));
    if (!made->text.data) r->failed = DX_NO_MEMORY;
    return made;
}

static void *make_array(const redisReadTask *task, int count) {
    dx_redis_replies *r = task->privdata;
    dx_redis_reply *made = make(task, DX_REDIS_ARRAY, (size_t)count * sizeof(void *));
    if (made == STAND_IN) return made;
    made->items = dx_arena_zalloc(r->arena, (size_t)count, sizeof(void *));
    if (!made->items) {
        r->failed = DX_NO_MEMORY;
        return STAND_IN;
    }
    made->count = (size_t)count;
    return made;
}

static void *make_integer(const redisReadTask *task, long long value) {
    dx_redis_reply *made = make(task, DX_REDIS_INTEGER, 0);
    if (made != STAND_IN) made->integer = value;
    return made;
}

static void *make_nil(const redisReadTask *task) {
    return make(task, DX_REDIS_NIL, 0);
}

static redisReplyObjectFunctions functions = {make_string, make_array, make_integer, make_nil, NULL}; // read only, though not declared so

static redisReader *open_reader(dx_redis_replies *replies) {
    redisReader *reader = redisReaderCreateWithFunctions(&functions);
    if (!reader) return NULL;
    reader->privdata = replies;
    reader->maxbuf = 0; // 0.14 asserts that it gets memory for a smaller buffer; we replace the reader instead
    return reader;
}

dx_status dx_redis_replies_open(dx_redis_replies *replies, size_t cap) {
    *replies = (dx_redis_replies){.cap = cap};
    replies->arena = dx_arena_create(2 * cap + ((size_t)1 << 20)); // what is not the reply itself (chunks half full) does not count
    replies->reader = replies->arena ? open_reader(replies) : NULL;
    if (replies->reader) return DX_OK;
    dx_redis_replies_close(replies);
    return DX_NO_MEMORY;
}

void dx_redis_replies_close(dx_redis_replies *replies) {
    if (replies->reader) redisReaderFree(replies->reader);
    dx_arena_destroy(replies->arena);
    replies->reader = NULL;
    replies->arena = NULL;
}

dx_status dx_redis_replies_feed(dx_redis_replies *replies, const char *data, size_t size) {
    redisReader *reader = replies->reader;
    // The parser keeps a string until it is whole.
    if (reader->len - reader->pos + size > replies->cap + BUFFER_KEPT) return DX_TOO_LARGE;
    if (redisReaderFeed(reader, data, size) != REDIS_OK) return DX_NO_MEMORY;
    if (reader->len > replies->peak) replies->peak = reader->len;
    return DX_OK;
}

dx_status dx_redis_replies_next(dx_redis_replies *replies, const dx_redis_reply **out) {
    void *reply = NULL;
    if (redisReaderGetReply(replies->reader, &reply) != REDIS_OK) return DX_MALFORMED;
    *out = reply;
    return DX_OK;
}

void dx_redis_replies_done(dx_redis_replies *replies) {
    dx_arena_reset(replies->arena);
    replies->size = 0;
    replies->failed = DX_OK;
    redisReader *reader = replies->reader;
    if (replies->peak <= BUFFER_KEPT || reader->pos != reader->len) return;
    redisReader *fresh = open_reader(replies); // all is read, and it was a large one
    if (!fresh) return;
    replies->peak = 0;
    redisReaderFree(reader);
    replies->reader = fresh;
}
