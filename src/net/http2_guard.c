// What a peer may cost us. Some frames cost work and bring nothing: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, CONTINUATION, empty DATA. Some
// streams do: those that are reset before they are answered, whether by the peer (rapid reset, CVE-2023-44487) or by us because the peer
// broke a rule (CVE-2025-8671). Each kind has an allowance that time refills slowly and honest traffic quickly; who exceeds it is sent away
// with ENHANCE_YOUR_CALM, and nobody else notices. Sizes and counts have caps of their own, where they arise.
#include "net/http2.h"

// What honest traffic brings with it: two WINDOW_UPDATEs for a frame of content, a PING beside; a few frames around a request.
#define CONTROLS_A_DATA    4u
#define CONTROLS_A_REQUEST 4u

static void start(dx_http2_allowance *allowance, uint32_t most, dx_nanos now) {
    *allowance = (dx_http2_allowance){.left = most, .most = most, .at = now};
}

void dx_http2_guard_init(dx_http2 *h) {
    const dx_http_limits *limits = &h->connection->listener->options.limits;
    start(&h->controls, limits->controls, dx_http2_now(h));
    start(&h->resets, limits->resets, dx_http2_now(h));
}

static void give(dx_http2_allowance *allowance, uint32_t amount) {
    uint32_t room = allowance->most - allowance->left;
    allowance->left += amount < room ? amount : room;
}

static bool take(dx_http2_allowance *allowance, dx_nanos now) {
    if (DX_UNLIKELY(allowance->left == 0)) {
        dx_nanos each = 10 * DX_SECOND / (allowance->most ? allowance->most : 1);
        int64_t back = (now - allowance->at) / (each ? each : 1);
        give(allowance, back < allowance->most ? (uint32_t)back : allowance->most);
        if (allowance->left == 0) return false;
        allowance->at = now;
    }
    allowance->left--;
    return true;
}

// Behind a stream's end, nghttp2 decodes a head and forgets it: nobody would hear of it.
static bool is_forgotten(const dx_http2 *h, int32_t id) {
    return id <= nghttp2_session_get_last_proc_stream_id(h->session) && !nghttp2_session_get_stream_user_data(h->session, id);
}

bool dx_http2_guard_frame(dx_http2 *h, const nghttp2_frame_hd *frame) {
    switch (frame->type) {
    case NGHTTP2_HEADERS:
        return !is_forgotten(h, frame->stream_id) || take(&h->controls, dx_http2_now(h));
    case NGHTTP2_DATA:
        // Whether there is more than padding shows when the frame is whole (dx_http2_guard_padded).
        if (frame->flags & NGHTTP2_FLAG_PADDED || (frame->length == 0 && !(frame->flags & NGHTTP2_FLAG_END_STREAM)))
            return take(&h->controls, dx_http2_now(h));
        dx_http2_guard_data(h);
        return true;
    case NGHTTP2_RST_STREAM:
        return dx_http2_guard_reset(h);
    default:
        return take(&h->controls, dx_http2_now(h));
    }
}

void dx_http2_guard_request(dx_http2 *h) {
    give(&h->controls, CONTROLS_A_REQUEST);
}

void dx_http2_guard_data(dx_http2 *h) {
    give(&h->controls, CONTROLS_A_DATA);
}

void dx_http2_guard_padded(dx_http2 *h, const nghttp2_data *frame) {
    if (frame->hd.length > frame->padlen) dx_http2_guard_data(h);
}

void dx_http2_guard_answer(dx_http2 *h) {
    give(&h->resets, 1);
}

bool dx_http2_guard_reset(dx_http2 *h) {
    return take(&h->resets, dx_http2_now(h));
}
