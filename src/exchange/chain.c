// The chain's runner: a loop over a flat array on the way in, and over the same array backwards on the way out. The only state between
// two turns of the loop is the position and one byte that says whether somebody is running, waiting, or was resumed meanwhile.
#include "exchange/chain.h"

enum { IDLE, RUNNING, WAITING, RESUMED_NEXT, RESUMED_ANSWER, DONE };

static dx_verdict call(dx_exchange *x, const dx_chain *chain) {
    if (DX_UNLIKELY(x->at == chain->filter_count)) return chain->handler(chain->conf, x);
    const dx_filter *filter = &chain->filters[x->at];
    return filter->ops->in ? filter->ops->in(filter->conf, x) : DX_NEXT;
}

// The way out, from the filter behind the one that turned round. `passed`: how many filters saw the exchange on its way in.
static void leave(dx_exchange *x, const dx_chain *chain, uint16_t passed) {
    if (DX_UNLIKELY(x->response.status == 0)) // nobody need make an answer that goes nowhere
        (void)(x->aborted ? dx_exchange_fail(x, DX_CANCELLED, NULL) : dx_exchange_fail(x, DX_INTERNAL, "no answer was set"));
    for (uint16_t i = passed; i-- > 0;)
        if (chain->filters[i].ops->out) chain->filters[i].ops->out(chain->filters[i].conf, x);
    x->state = DONE;
    if (x->finished) x->finished(x);
}

// Takes the verdict of position x->at, which `waited` or not, and runs on until somebody waits or the chain is through.
static void run(dx_exchange *x, dx_verdict verdict, bool waited) {
    const dx_chain *chain = x->chain;
    for (;;) {
        if (verdict == DX_WAIT) {
            if (x->state == RUNNING) {
                x->state = WAITING;
                return;
            }
            verdict = x->state == RESUMED_NEXT ? DX_NEXT : DX_ANSWER; // resumed before it returned
            waited = true;
            x->state = RUNNING;
        }
        if (verdict == DX_ANSWER || x->at == chain->filter_count) break;
        if (DX_UNLIKELY(x->aborted)) {
            (void)dx_exchange_fail(x, DX_CANCELLED, NULL);
            waited = true;
            break;
        }
        x->at++;
        waited = false;
        verdict = call(x, chain);
    }
    leave(x, chain, (uint16_t)(x->at + (waited && x->at < chain->filter_count)));
}

void dx_chain_run_with(dx_exchange *x, const dx_chain *chain) {
    x->chain = chain;
    x->at = 0;
    x->state = RUNNING;
    run(x, call(x, chain), false);
}

void dx_chain_run(dx_exchange *x) {
    dx_chain_run_with(x, &x->operation->chain);
}

void dx_exchange_resume(dx_exchange *x, dx_verdict verdict) {
    if (x->state == RUNNING) {
        x->state = verdict == DX_NEXT ? RESUMED_NEXT : RESUMED_ANSWER;
    } else if (x->state == WAITING) {
        x->state = RUNNING;
        run(x, verdict == DX_WAIT ? DX_ANSWER : verdict, true);
    }
}
