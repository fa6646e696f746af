package web

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// Effect notes whether calls that make something may have done so: see Call.Once.
type Effect struct{ possible atomic.Bool }

// Possible tells whether something may have been made. It was not if no such call was sent, or each was refused with 4xx.
func (e *Effect) Possible() bool { return e.possible.Load() }

type effectKey struct{}

// Watch has an Effect note what calls with the context do.
func Watch(ctx context.Context, e *Effect) context.Context {
	return context.WithValue(ctx, effectKey{}, e)
}

// note is what became of one attempt.
func (c Call) note(ctx context.Context, possible bool) {
	if e, ok := ctx.Value(effectKey{}).(*Effect); ok && c.Once && possible {
		e.possible.Store(true)
	}
}

// traced tells afterwards whether a request may have been sent: whether there was ever a connection for it that was good, also with TLS.
func traced(ctx context.Context) (context.Context, *atomic.Bool) {
	var sent atomic.Bool
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }}), &sent
}

// refusedBefore tells whether a status says that nothing was done. 408 does not say how much of the request came.
func refusedBefore(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout
}
