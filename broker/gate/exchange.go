package gate

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// exchange is one request and its response.
type exchange struct {
	gate   *Gate
	origin Origin
	route  Route
	cred   *credential  // nil: the request goes on untouched
	door   *reverseDoor // nil: it came through the forward door

	began  time.Time
	event  Event
	cancel context.CancelCauseFunc
	timer  *time.Timer
	answer *answer
}

// refusal is why a request goes nowhere.
type refusal struct {
	status int
	reason string
}

func (r *refusal) Error() string { return r.reason }

// errStalled is why a request ends whose other side stands still.
var errStalled = errors.New("nothing moved for too long")

func (g *Gate) newExchange(w http.ResponseWriter, r *http.Request, o Origin, step string) *exchange {
	x := &exchange{gate: g, origin: o, began: time.Now(), answer: &answer{ResponseWriter: w, control: http.NewResponseController(w), stall: g.options.Stall}}
	x.event = Event{Time: x.began, Step: step, Origin: o.String(), Method: r.Method, Path: withoutDots(rawPath(r)), Verdict: Refused}
	if r.Method == http.MethodConnect {
		x.event.Path = ""
	}
	return x
}

// rawPath is the path of a request as it was sent.
func rawPath(r *http.Request) string {
	target := r.RequestURI
	if _, rest, ok := strings.Cut(target, "://"); ok && !strings.HasPrefix(target, "/") {
		_, path, _ := strings.Cut(rest, "/")
		target = "/" + path
		if q := strings.IndexByte(rest, '?'); q >= 0 && q < strings.IndexByte(rest+"/", '/') {
			target = "/"
		}
	}
	path, _, _ := strings.Cut(target, "?")
	return path
}

// run answers a request to a declared origin.
func (x *exchange) run(r *http.Request) {
	defer x.finish()
	if err := x.admit(r); err != nil {
		x.fail(err)
		return
	}
	x.event.Verdict, x.event.Secret = Allowed, x.cred.id
	x.forward(r, x.gate.upstream, x.rewrite, x.inspect)
}

// pass answers a request to any other origin.
func (x *exchange) pass(r *http.Request, t *http.Transport) {
	defer x.finish()
	x.event.Verdict = Passed
	x.forward(r, t, untouched, x.watch)
}

// untouched puts back what httputil takes out, besides the headers of the connection itself.
func untouched(pr *httputil.ProxyRequest) {
	pr.Out.Host, pr.Out.URL.RawQuery = pr.In.Host, pr.In.URL.RawQuery
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := pr.In.Header[name]; ok {
			pr.Out.Header[name] = values
		}
	}
}

// finish writes the audit, also when the response is aborted.
func (x *exchange) finish() {
	if x.event.Status == 0 {
		x.event.Status = x.answer.status
	}
	x.event.Bytes = x.answer.bytes
	if x.answer.whole && x.answer.sum != nil && x.event.Status == http.StatusOK && x.event.Reason == "" {
		x.event.SHA256 = hex.EncodeToString(x.answer.sum.Sum(nil))
	}
	x.event.Millis = float64(time.Since(x.began).Microseconds()) / 1000
	x.gate.audit(x.event)
}

// fail answers with a plain reason.
func (x *exchange) fail(err error) {
	status := http.StatusBadGateway
	if no, ok := errors.AsType[*refusal](err); ok {
		status = no.status
	}
	x.event.Reason = err.Error()
	x.answer.Header().Set("Connection", "close") // the rest of the request is not worth reading
	http.Error(x.answer, "tightlip: "+x.gate.Redactor().String(err.Error()), status)
}

// admit finds the route of a request, or says why it is refused.
func (x *exchange) admit(r *http.Request) error {
	path := withoutDots(rawPath(r))
	switch {
	case r.Method == http.MethodTrace || r.Method == "TRACK" || r.Method == http.MethodConnect:
		return &refusal{http.StatusMethodNotAllowed, "the method " + r.Method + " shows or hides what is sent"}
	case !x.hostFits(r):
		return &refusal{http.StatusMisdirectedRequest, "the request names another host than " + x.origin.authority()}
	case r.Header.Get("Upgrade") != "" || hasToken(r.Header, "Connection", "upgrade"):
		return &refusal{http.StatusForbidden, "a connection with a credential cannot become another protocol"}
	case CheckPath(path) != nil:
		return &refusal{http.StatusBadRequest, errPath.Error()}
	case slices.Contains(readMethods, r.Method) && r.ContentLength != 0:
		return &refusal{http.StatusBadRequest, "a " + r.Method + " has a body"}
	}
	route, ok := x.gate.policy.route(x.origin, path)
	if !ok {
		return &refusal{http.StatusForbidden, "no route of " + x.origin.String() + " is for this path"}
	}
	x.event.Secret = route.Secret
	if !route.allows(r.Method, path, r.URL.RawQuery) {
		return &refusal{http.StatusForbidden, "the route of " + x.origin.String() + " does not allow " + shownMethod(r.Method) + " here (uploads: true lets it write)"}
	}
	if !route.Uploads && isLFSBatch(r.Method, path) {
		if err := onlyDownload(r); err != nil {
			return err
		}
	}
	cred, err := x.gate.ready(r.Context(), x.gate.credential(route))
	x.route, x.cred = route, cred
	return err
}

func shownMethod(method string) string {
	if slices.Contains(allMethods, method) {
		return method
	}
	return "this method"
}

func (x *exchange) hostFits(r *http.Request) bool {
	if x.door != nil {
		return x.door.isHere(r.Host)
	}
	if r.URL.IsAbs() && originOf(r.URL) != x.origin {
		return false
	}
	return x.origin.matchesHost(r.Host)
}

// hasToken tells whether a list in a header has an element.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for element := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(element), token) {
				return true
			}
		}
	}
	return false
}

// forward sends a request on and its response back.
func (x *exchange) forward(r *http.Request, t *http.Transport, rewrite func(*httputil.ProxyRequest), inspect func(*http.Response) error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	x.cancel = cancel
	x.timer = time.AfterFunc(x.gate.options.Stall, func() { cancel(errStalled) })
	defer x.timer.Stop()
	r = r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &upload{ReadCloser: r.Body, x: x}
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: rewrite, Transport: t, BufferPool: x.gate.buffers, ErrorLog: log.New(io.Discard, "", 0),
		ModifyResponse: inspect,
		ErrorHandler:   func(_ http.ResponseWriter, r *http.Request, err error) { x.broken(r, err) },
	}
	if r.Method == http.MethodGet {
		x.answer.sum = sha256.New()
	}
	proxy.ServeHTTP(x.answer, r)
	x.answer.whole = true // else it panics
}

// watch keeps a response that goes on untouched from standing still. A connection that becomes another protocol may.
func (x *exchange) watch(res *http.Response) error {
	if res.StatusCode == http.StatusSwitchingProtocols {
		x.timer.Stop()
		return nil
	}
	res.Body = &download{ReadCloser: res.Body, x: x}
	return nil
}

func (x *exchange) progress() { x.timer.Reset(x.gate.options.Stall) }

// droppedHeaders make some servers read a request as another one than was checked, or tell them who sent it. A range would let
// a client read a credential in pieces.
var droppedHeaders = []string{
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url", "X-Original-Uri", "X-Host", "X-Forwarded-Server", "X-Real-Ip",
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-Uri", "Range", "If-Range", "Request-Range", "Te", "Via",
}

// rewrite makes the request that goes upstream. Its origin is that of our table, whatever the client said.
func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host, out.URL.User = x.origin.Scheme, x.origin.authority(), nil
	out.Host, out.URL.RawQuery = x.origin.authority(), pr.In.URL.RawQuery // the query that was checked
	out.URL.Path, out.URL.RawPath = withoutDots(out.URL.Path), withoutDots(out.URL.RawPath)
	for _, name := range droppedHeaders {
		out.Header.Del(name)
	}
	if strings.Contains(strings.ToLower(pr.In.Header.Get("Accept-Encoding")), "gzip") {
		out.Header.Del("Accept-Encoding") // the transport asks for gzip, and unpacks it for us to look at
	} else {
		out.Header.Set("Accept-Encoding", "identity")
	}
	x.cred.attach(out.Header, x.route.Attach, x.door != nil)
}

// answerHeaders are those of responses that do not reach the client: cookies are credentials, and the others are about
// the connection to the origin, which is not the client's.
var answerHeaders = []string{"Set-Cookie", "Set-Cookie2", "Alt-Svc", "Strict-Transport-Security", "Public-Key-Pins", "Accept-Ranges"}

// inspect makes the response that goes to the client, if it may.
func (x *exchange) inspect(res *http.Response) error {
	if res.StatusCode == http.StatusSwitchingProtocols {
		return &refusal{http.StatusBadGateway, "the origin wants another protocol"}
	}
	if headersLeak(res.Header, x.gate.Redactor()) {
		return errLeak
	}
	for _, name := range answerHeaders {
		res.Header.Del(name)
	}
	if err := x.checkLocation(res); err != nil {
		return err
	}
	coding := strings.ToLower(strings.TrimSpace(strings.Join(res.Header.Values("Content-Encoding"), ",")))
	if coding != "" && coding != "identity" && coding != "gzip" {
		return errCoding
	}
	if x.event.Method == http.MethodHead || res.ContentLength == 0 {
		return x.door.rewrite(res, x.route.Client)
	}
	if err := x.lend(res); err != nil {
		return err
	}
	body := io.Reader(newGuard(res.Body, x.gate.search.Load().needles, res.ContentLength))
	body = newUnzipGuard(body, x.gate.search.Load().needles, res.ContentLength, coding == "gzip")
	res.Body = &download{ReadCloser: struct {
		io.Reader
		io.Closer
	}{body, res.Body}, x: x, res: res}
	return x.door.rewrite(res, x.route.Client)
}

// checkLocation lets a redirect to another origin go to the client, who follows it without a credential. It refuses those to places
// that are nobody's business: a declared origin is trusted with a credential, not with this machine's network.
func (x *exchange) checkLocation(res *http.Response) error {
	text := res.Header.Get("Location")
	if text == "" {
		return nil
	}
	to, err := url.Parse(text)
	if err != nil || len(res.Header.Values("Location")) > 1 {
		return &refusal{http.StatusBadGateway, "the origin redirects to no valid URL"}
	}
	to = (&url.URL{Scheme: x.origin.Scheme, Host: x.origin.authority()}).ResolveReference(to)
	target := originOf(to)
	if x.gate.policy.declared(target) || slices.Contains(x.gate.policy.Pass, target) {
		return nil
	}
	if to.Scheme != "http" && to.Scheme != "https" || !x.gate.mayName(target.Host) {
		return &refusal{http.StatusBadGateway, "the origin redirects to loopback, a private network or a metadata service"}
	}
	if to.User != nil {
		to.User = nil
		res.Header.Set("Location", to.String())
	}
	return nil
}

// mayName tells whether a host may be what a client is sent to. What a name resolves to is checked when it is dialled.
func (g *Gate) mayName(host string) bool {
	host = strings.TrimSuffix(host, ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return g.dialer.public(ip.Unmap())
	}
	return validHost(host) && host != "localhost" && !strings.HasSuffix(host, ".localhost")
}

// broken answers for an upstream that did not, or whose response must not be seen.
func (x *exchange) broken(r *http.Request, err error) {
	if cause := context.Cause(r.Context()); errors.Is(cause, errStalled) {
		err = errStalled
	}
	status, reason, refused := explain(err)
	if x.event.Reason = x.origin.String() + ": " + reason; refused {
		x.event.Verdict = Refused
	}
	if x.answer.status == 0 {
		http.Error(x.answer, "tightlip: "+x.gate.Redactor().String(x.event.Reason), status)
	}
}

// explain says what an error means to a client. Refused ones are our decision.
func explain(err error) (status int, reason string, refused bool) {
	if no, ok := errors.AsType[*refusal](err); ok {
		return no.status, no.reason, true
	}
	if errors.Is(err, errForbidden) || errors.Is(err, errSelf) {
		return http.StatusForbidden, err.Error(), true
	}
	for _, no := range []error{errLeak, errCoding, errUnzip, errHeldBack, errRewriteSize} {
		if errors.Is(err, no) {
			return http.StatusBadGateway, no.Error(), true
		}
	}
	if isMalformed(err) {
		return http.StatusBadRequest, err.Error(), true
	}
	if timeout, ok := errors.AsType[net.Error](err); errors.Is(err, errStalled) || errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout() {
		return http.StatusGatewayTimeout, "no answer in time", false
	}
	return http.StatusBadGateway, plainReason(err), false
}

func isMalformed(err error) bool {
	return slices.ContainsFunc([]error{errHead, errHeadSize, errLength, errChunk, errTrailer, errHostTwice}, func(e error) bool { return errors.Is(err, e) })
}

// plainReason leaves out of an error what a client need not know.
func plainReason(err error) string {
	var (
		verify *tls.CertificateVerificationError
		dns    *net.DNSError
		op     *net.OpError
	)
	switch {
	case errors.As(err, &verify), errors.As(err, new(x509.UnknownAuthorityError)):
		return "its certificate is not trusted here (--upstream-ca FILE adds an authority)"
	case errors.As(err, &dns):
		return "its name cannot be resolved"
	case errors.As(err, &op) && op.Op == "dial":
		return "it cannot be reached"
	case errors.Is(err, context.Canceled):
		return "the request was given up"
	}
	return fmt.Sprintf("it gave no valid answer (%T)", err)
}

// answer is the response as the client gets it.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	status  int
	bytes   int64
	sum     hash.Hash // of the body; nil if nobody asks
	whole   bool      // all of the body is written
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader drops informational responses: their headers would reach the client unseen.
func (a *answer) WriteHeader(status int) {
	if status >= 100 && status < 200 {
		return
	}
	a.status = status
	a.extend()
	a.ResponseWriter.WriteHeader(status)
}

// Write gives the client some more time for each piece.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.extend()
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	if a.sum != nil {
		a.sum.Write(p[:n])
	}
	return n, err
}

func (a *answer) extend() { _ = a.control.SetWriteDeadline(time.Now().Add(a.stall)) }

// upload is the body of a request, which must not stand still.
type upload struct {
	io.ReadCloser
	x *exchange
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	_ = u.x.answer.control.SetReadDeadline(time.Now().Add(u.x.gate.options.Stall))
	n, err := u.ReadCloser.Read(p)
	u.x.progress()
	if err == io.EOF {
		_ = u.x.answer.control.SetReadDeadline(time.Time{}) // the server reads on, to see the client go
	}
	return n, err
}

// download is the body of a response, which must not stand still, and whose trailers nobody has looked at.
type download struct {
	io.ReadCloser
	x   *exchange
	res *http.Response
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.x.progress()
	if err == io.EOF && d.res != nil {
		clear(d.res.Trailer)
		d.res.Trailer = nil
	}
	if err != nil && err != io.EOF {
		d.x.cut(err)
	}
	return n, err
}

// cut notes why a response ends before its time.
func (x *exchange) cut(err error) {
	if _, reason, refused := explain(err); refused {
		x.event.Verdict, x.event.Reason = Refused, x.origin.String()+": "+reason
	} else if x.event.Reason == "" {
		x.event.Reason = x.origin.String() + ": the response was cut off"
	}
}

// buffers are reused.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{pool: sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}}
}

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte { return *b.pool.Get().(*[]byte) }

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

// gunzip unpacks a whole body, up to a limit.
func gunzip(r io.Reader, limit int64) ([]byte, error) {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return nil, errUnzip
	}
	return io.ReadAll(io.LimitReader(zr, limit))
}
