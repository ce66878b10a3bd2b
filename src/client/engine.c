#include "client/engine.h"

#include "base/memory.h"
#include "client/cache_custom.h"
#include "client/client.h"
#include "loop/embed.h"

dx_status dx_engine_create(dx_engine **out, struct dx_client *client, dx_transport_use use, dx_loop *loop) {
    *out = NULL;
    dx_engine *engine = dx_memory_zalloc(1, sizeof *engine);
    if (!engine) return DX_NO_MEMORY;
    engine->client = client;
    engine->use = use;
    engine->loop = loop;
    engine->borrowed_loop = loop != NULL;
    engine->owner = pthread_self();
    dx_status status = loop ? DX_OK : dx_loop_create(&engine->loop);
    if (status == DX_OK) status = use.ops->open(&engine->transport, use.conf, engine->loop);
    engine->admission.ops = use.ops;
    engine->admission.transport = engine->transport;
    engine->admission.loop = engine->loop;
    if (status == DX_OK) {
        *out = engine;
        return DX_OK;
    }
    engine->transport = NULL;
    dx_engine_destroy(engine);
    return status;
}

void dx_engine_destroy(dx_engine *engine) {
    if (!engine) return;
    if (engine->loop) dx_loop_settle(engine->loop); // what was told to calls that are over
    if (engine->transport) engine->use.ops->close(engine->transport);
    dx_admission_deinit(&engine->admission);
    if (engine->client) dx_redis_links_leave(&engine->client->redis, engine->loop);
    if (engine->client && engine->client->customs) dx_customs_leave(engine->client->customs, engine->loop);
    if (!engine->borrowed_loop) dx_loop_destroy(engine->loop);
    dx_memory_free(engine);
}
