// The chain's runner: a loop over a flat array on the way in, and over the same array backwards on the way out. The only state between
// two turns of the loop is the position and one byte that says whether somebody is running, waiting, or was resumed meanwhile.
#include "exchange/chain.h"

enum { IDLE, RUNNING, WAITING, WAITING_OUT, RESUMED_NEXT, RESUMED_ANSWER, DONE };

static dx_verdict call(dx_exchange *x, const dx_chain *chain) {
    if (DX_UNLIKELY(x->at == chain->filter_count)) return chain->handler(chain->conf, x);
    const dx_filter *filter = &chain->filters[x->at];
    return filter->ops->in ? filter->ops->in(filter->conf, x) : DX_NEXT;
}

// Nobody need make an answer that goes nowhere.
static void answer_for_nobody(dx_exchange *x) {
    if (x->response.status) return;
    (void)(x->aborted ? dx_exchange_fail(x, DX_CANCELLED, NULL) : dx_exchange_fail(x, DX_INTERNAL, "no answer was set"));
}

// Whether the filter x->at, which lets the answer past, has things run again; DX_WAIT: it is not known yet, and nobody resumed it
// meanwhile.
static dx_verdict ask_again(dx_exchange *x, const dx_filter *filter) {
    if (!filter->ops->again || x->aborted) return DX_ANSWER;
    dx_verdict verdict = filter->ops->again(filter->conf, x);
    if (verdict != DX_WAIT) return verdict;
    if (x->state == RUNNING) {
        x->state = WAITING_OUT;
        return DX_WAIT;
    }
    verdict = x->state == RESUMED_NEXT ? DX_NEXT : DX_ANSWER; // resumed before it returned
    x->state = RUNNING;
    return verdict;
}

// The way out of filter x->at and those before it. DX_NEXT: from x->at on it runs again. DX_WAIT: somebody waits. DX_ANSWER: it is through.
// `asked`: filter x->at has said already that the answer stands.
static dx_verdict leave(dx_exchange *x, const dx_chain *chain, bool asked) {
    answer_for_nobody(x);
    for (;;) {
        const dx_filter *filter = &chain->filters[x->at];
        dx_verdict verdict = asked ? DX_ANSWER : ask_again(x, filter);
        asked = false;
        if (verdict != DX_ANSWER) return verdict;
        answer_for_nobody(x);
        if (filter->ops->out) filter->ops->out(filter->conf, x);
        if (x->at == 0) return DX_ANSWER;
        x->at--;
    }
}

static void end(dx_exchange *x) {
    x->state = DONE;
    if (x->finished) x->finished(x);
}

// Filters that were passed, or that waited, are left; one that answered at once is not. False: none is. `asked` as for `leave`: one that
// waited and then answered by itself is not asked whether that stands.
static bool leaves_any(dx_exchange *x, const dx_chain *chain, bool waited, bool *asked) {
    *asked = waited && x->at < chain->filter_count;
    if (*asked) return true;
    if (x->at == 0) return false;
    x->at--;
    return true;
}

// Takes the verdict of position x->at, which `waited` or not, and runs on until somebody waits or the chain is through. `out`: it is the
// verdict of a filter on the way out.
static void run(dx_exchange *x, dx_verdict verdict, bool waited, bool out) {
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
        bool turns = verdict == DX_ANSWER || (!out && x->at == chain->filter_count);
        if (DX_UNLIKELY(!turns && x->aborted)) {
            (void)dx_exchange_fail(x, DX_CANCELLED, NULL);
            turns = waited = true;
        }
        if (turns) {
            bool asked = true;
            if (!out && !leaves_any(x, chain, waited, &asked)) {
                answer_for_nobody(x);
                return end(x);
            }
            verdict = leave(x, chain, asked);
            if (verdict == DX_ANSWER) return end(x);
            if (verdict == DX_WAIT) return;
        }
        out = waited = false;
        x->at++;
        verdict = call(x, chain);
    }
}

void dx_chain_run_with(dx_exchange *x, const dx_chain *chain) {
    x->chain = chain;
    x->at = 0;
    x->state = RUNNING;
    run(x, call(x, chain), false, false);
}

void dx_chain_run(dx_exchange *x) {
    dx_chain_run_with(x, &x->operation->chain);
}

void dx_exchange_resume(dx_exchange *x, dx_verdict verdict) {
    if (x->state == RUNNING) {
        x->state = verdict == DX_NEXT ? RESUMED_NEXT : RESUMED_ANSWER;
    } else if (x->state == WAITING || x->state == WAITING_OUT) {
        bool out = x->state == WAITING_OUT;
        x->state = RUNNING;
        run(x, verdict == DX_WAIT ? DX_ANSWER : verdict, true, out);
    }
}
