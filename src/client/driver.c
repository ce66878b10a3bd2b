#include "client/driver.h"

#include "client/fail.h"
#include "loop/embed.h"

static void tell_timer(dx_client *client) {
    const dx_loop_driver *driver = &client->driver;
    if (driver->timer) driver->timer(driver->context, client, dx_client_timeout_ms(client));
}

dx_error_code dx_driver_enter(dx_client *client, dx_error *error) {
    dx_loop_driver *driver = &client->driver;
    const dx_loop_driver *given = client->options.loop;
    memcpy(driver, given, given->size < sizeof *driver ? given->size : sizeof *driver);
    dx_status status = driver->uv ? dx_loop_create_on(&client->driven, driver->uv) : dx_loop_create(&client->driven);
    if (status == DX_OK) status = dx_engine_create(&client->engines[0], client, client->use, client->driven);
    if (status == DX_OK) dx_client_made_engine(client, client->engines[0]);
    if (status != DX_OK) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory or no descriptor for the loop");
    if (!driver->uv && driver->watch && !driver->watch(driver->context, client, dx_loop_backend_fd(client->driven)))
        return dx_fail(error, DX_ERROR_ARGUMENT, "the loop's driver can't watch a descriptor");
    if (!driver->uv) tell_timer(client);
    return DX_ERROR_NONE;
}

void dx_driver_leave(dx_client *client) {
    if (!client->driven) return;
    const dx_loop_driver *driver = &client->driver;
    if (!driver->uv && driver->unwatch) driver->unwatch(driver->context, client, dx_loop_backend_fd(client->driven));
    dx_loop_leave(client->driven, NULL, NULL);
    client->driven = NULL;
}

static bool is_embedded(const dx_client *client) {
    return client->driven && !client->driver.uv;
}

int dx_client_fd(const dx_client *client) {
    return is_embedded(client) ? dx_loop_backend_fd(client->driven) : -1;
}

int64_t dx_client_timeout_ms(const dx_client *client) {
    if (!is_embedded(client)) return -1;
    dx_nanos timeout = dx_loop_backend_timeout(client->driven);
    return timeout < 0 ? -1 : (int64_t)((timeout + DX_MILLISECOND - 1) / DX_MILLISECOND);
}

void dx_client_process(dx_client *client) {
    if (!is_embedded(client)) return;
    dx_loop_turn(client->driven);
    tell_timer(client);
}
