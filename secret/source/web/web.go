// Package web calls the HTTP APIs of stores and issuers of secrets.
//
// It retries what may be repeated, goes through the proxy of the environment, trusts the authorities of the system or of SSL_CERT_FILE,
// and makes errors that say what to grant and hold nothing of what was sent or received.
package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tightlip/tightlip/secret"
)

// Bounds of a call.
const (
	maxAnswer   = secret.MaxSize*2 + 1<<20 // bytes: a value may be encoded
	callTimeout = 30 * time.Second         // of one attempt
	attempts    = 4
	firstPause  = 250 * time.Millisecond
	longestWait = 20 * time.Second // that a server may ask for with Retry-After
)

// Client calls one API.
type Client struct {
	Who  string                                            // what is called, for people: "Vault"
	Base string                                            // the URL that paths are appended to
	Auth func(ctx context.Context, r *http.Request) error  // adds the credential; nil: there is none
	HTTP *http.Client                                      // nil: one of ours
	Deny func(status int, header http.Header) (why string) // explains a refusal in words of the API; nil: nothing to say
	// Means reads a refusal of an API that has one status for different things: which status it would be elsewhere, and what the API calls
	// it. The name has to be one that the function knows, since the body may hold anything. nil: the status says it.
	Means func(status int, body []byte) (meant int, name string)
}

// Call is one request.
type Call struct {
	Method string // empty: GET
	Path   string // escaped already, with its query
	Header http.Header
	JSON   any        // the body
	Form   url.Values // the body, if JSON is nil
	Raw    []byte     // the body, if both are nil
	Into   any        // what the JSON of the answer is decoded into; *[]byte takes it as it is; nil: it is dropped
	// Once says that the call makes something, and may not be repeated unless the server surely did nothing.
	Once bool
	// Needs is what the caller has to be granted: "secretmanager.versions.access on projects/p/secrets/s".
	Needs string
}

// Error is an answer that is a refusal. It wraps secret.ErrNotFound for 404 and 410.
type Error struct {
	Who    string
	Status int
	Needs  string
	Why    string // in words of the API, without anything of what it received
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s answered %d %s", e.Who, e.Status, http.StatusText(e.Status))
	if e.Why != "" {
		text += ": " + e.Why
	}
	if e.Needs != "" && e.Refused() {
		text += ": needs " + e.Needs
	}
	return text
}

// Refused tells whether the credential was the problem.
func (e *Error) Refused() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// Unwrap returns the sentinel, if there is one.
func (e *Error) Unwrap() error {
	if e.Status == http.StatusNotFound || e.Status == http.StatusGone {
		return secret.ErrNotFound
	}
	return nil
}

// StatusOf is the status of an answer that was a refusal, or 0.
func StatusOf(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return 0
}

// defaultHTTP is the client of those that have none of their own.
var defaultHTTP = &http.Client{
	Transport:     http.DefaultTransport.(*http.Transport).Clone(), // proxies of the environment, HTTP/2, keep-alive
	CheckRedirect: sameOrigin,
}

// sameOrigin keeps a redirect from taking a credential somewhere else.
func sameOrigin(r *http.Request, via []*http.Request) error {
	if len(via) > 5 || r.URL.Scheme != via[0].URL.Scheme || r.URL.Host != via[0].URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// Do sends a call and repeats it where that is safe: after 429 always, after 5xx and broken connections unless it is a Once.
func (c *Client) Do(ctx context.Context, call Call) error {
	base, err := c.base()
	if err != nil {
		return err
	}
	pause := firstPause
	for attempt := 1; ; attempt++ {
		retry, wait, err := c.once(ctx, base, call)
		if err == nil || !retry || attempt == attempts || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(max(pause, wait)):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", c.Who, ctx.Err())
		}
		pause *= 2
	}
}

// Check returns a *secret.SyntaxError if Base is no URL that credentials may be sent to. It reaches nothing.
func (c *Client) Check() error {
	_, err := c.base()
	return err
}

// base refuses to send a credential where everybody on the way can read it.
func (c *Client) base() (string, error) {
	u, err := url.Parse(c.Base)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
		return "", &secret.SyntaxError{Problem: "the address of " + c.Who + " is no URL", Try: "write https://HOST"}
	case u.Scheme == "http" && !near(u.Hostname()):
		return "", &secret.SyntaxError{Problem: "the address of " + c.Who + " is not encrypted: only this machine's may begin with http", Try: "write https://" + u.Host}
	}
	return strings.TrimSuffix(c.Base, "/"), nil
}

// near tells whether what is sent to a host stays on this machine, or on the link to what runs it: metadata servers have no TLS.
func near(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast())
}

func (c *Client) once(ctx context.Context, base string, call Call) (retry bool, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ctx, sent := traced(ctx)
	r, err := c.request(ctx, base, call)
	if err != nil {
		return false, 0, err
	}
	client := c.HTTP
	if client == nil {
		client = defaultHTTP
	}
	resp, err := client.Do(r)
	if err != nil {
		call.note(ctx, sent.Load())
		return !sent.Load() || !call.Once, 0, c.broken(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 300 {
		call.note(ctx, true)
	} else {
		e := c.refusal(resp, call.Needs)
		call.note(ctx, !refusedBefore(resp.StatusCode) || !refusedBefore(e.Status))
		retry, wait := repeatable(e.Status, resp.Header, call.Once)
		return retry, wait, e
	}
	return false, 0, c.decode(resp.Body, call.Into)
}

// refusal reads the body in any case, so that the connection can be used again.
func (c *Client) refusal(resp *http.Response, needs string) *Error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // without a body the status has to do
	e := &Error{Who: c.Who, Status: resp.StatusCode, Needs: needs}
	if c.Deny != nil {
		e.Why = c.Deny(resp.StatusCode, resp.Header)
	}
	if c.Means != nil {
		if meant, name := c.Means(resp.StatusCode, body); meant != 0 {
			e.Status, e.Why = meant, name
		}
	}
	return e
}

// repeatable tells whether a refusal may be another answer next time. Who asks for more patience than we have gets none.
func repeatable(status int, header http.Header, once bool) (bool, time.Duration) {
	wait := retryAfter(header.Get("Retry-After"))
	switch status {
	case http.StatusTooManyRequests:
		return wait <= longestWait, wait
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return !once && wait <= longestWait, wait
	}
	return false, 0
}

// retryAfter reads both forms of RFC 9110, section 10.2.3.
func retryAfter(text string) time.Duration {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

func (c *Client) request(ctx context.Context, base string, call Call) (*http.Request, error) {
	var body []byte
	kind := ""
	switch {
	case call.JSON != nil:
		var err error
		if body, err = json.Marshal(call.JSON); err != nil {
			return nil, err
		}
		kind = "application/json"
	case call.Form != nil:
		body, kind = []byte(call.Form.Encode()), "application/x-www-form-urlencoded"
	default:
		body = call.Raw
	}
	method := call.Method
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, base+call.Path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: the path of a call is malformed", c.Who)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "tightlip")
	for name, values := range call.Header {
		r.Header[name] = slices.Clone(values)
	}
	if c.Auth != nil {
		if err := c.Auth(ctx, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// broken keeps the cause, and drops the URL around it: that may hold what is none of a log's business.
func (c *Client) broken(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return &brokenError{c.Who, err}
}

// brokenError is a call without an answer. Its text does not quote what came instead of one, as that of net/http does.
type brokenError struct {
	who string
	err error
}

// Error implements error.
func (e *brokenError) Error() string {
	_, network := errors.AsType[net.Error](e.err) // also what DNS says, and that the time is over
	_, certificate := errors.AsType[*tls.CertificateVerificationError](e.err)
	for _, plain := range []error{io.EOF, io.ErrUnexpectedEOF, context.Canceled} {
		network = network || errors.Is(e.err, plain)
	}
	if network || certificate {
		return e.who + ": " + e.err.Error()
	}
	return e.who + ": the connection failed, or the answer is not HTTP"
}

// Unwrap returns the cause.
func (e *brokenError) Unwrap() error { return e.err }

// ErrMalformed is that an answer is not what the API promises.
var ErrMalformed = errors.New("the answer is not what was expected")

func (c *Client) decode(body io.Reader, into any) error {
	data, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: reading the answer: %w", c.Who, err)
	case len(data) > maxAnswer:
		return fmt.Errorf("%s: the answer %w", c.Who, secret.ErrTooLarge)
	}
	switch into := into.(type) {
	case nil:
		return nil
	case *[]byte:
		*into = data
		return nil
	}
	defer clear(data)
	if json.Unmarshal(data, into) != nil { // its error quotes what it could not read
		return fmt.Errorf("%s: %w", c.Who, ErrMalformed)
	}
	return nil
}

// Bearer adds a token as RFC 6750 says.
func Bearer(token secret.Value) func(context.Context, *http.Request) error {
	return Header("Authorization", "Bearer ", token)
}

// Header adds a token as a header of its own, behind a prefix.
func Header(name, prefix string, token secret.Value) func(context.Context, *http.Request) error {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set(name, prefix+string(bytes.TrimSpace(token.Open())))
		return nil
	}
}

// Basic adds a user and a password as RFC 7617 says.
func Basic(user string, password secret.Value) func(context.Context, *http.Request) error {
	return func(_ context.Context, r *http.Request) error {
		r.SetBasicAuth(user, string(bytes.TrimSpace(password.Open())))
		return nil
	}
}
