// Package verify asks issuers whether tokens live.
package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tightlip/tightlip/finding"
	"golang.org/x/sync/errgroup"
)

const (
	timeout    = 10 * time.Second // of one call
	atOnce     = 4
	maxBody    = 64 << 10 // bytes of an answer that are read
	maxValue   = 4 << 10  // bytes of a token
	maxTickets = 10_000   // values that are kept
	maxCalls   = 50       // to one host: an image may hold any number of what looks like tokens
)

// Verifier collects values with Seen and asks about them with Ask. It may be used by several goroutines, but not while Ask runs.
type Verifier struct {
	client *http.Client

	mu      sync.Mutex
	tickets map[[sha256.Size]byte]int
	tokens  []*token // that with the ticket n is the n-1st
	calls   map[string]int
	closed  map[string]bool // hosts that want no more calls
}

// New makes a Verifier that has seen nothing. It reaches the issuers through the proxy of the environment, if that names one.
func New() *Verifier {
	return newVerifier(&http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    timeout,
		MaxResponseHeaderBytes: maxBody,
		DisableKeepAlives:      true,
		Protocols:              onlyHTTP1(), // with GODEBUG=http2debug=2, HTTP/2 logs headers
	})
}

func onlyHTTP1() *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(true)
	return p
}

func newVerifier(t *http.Transport) *Verifier {
	client := &http.Client{
		Transport:     t,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Verifier{client: client, tickets: map[[sha256.Size]byte]int{}, calls: map[string]int{}, closed: map[string]bool{}}
}

// token is a value and what its issuer says of it.
type token struct {
	check   *check
	value   sealed
	verdict finding.Verdict
}

// sealed is a value that nothing prints: the text of a function is an address. It is nil once the value is forgotten.
type sealed func() []byte

func seal(value []byte) sealed {
	own := bytes.Clone(value)
	return func() []byte { return own }
}

// Seen keeps the value that a rule found, and names it by a ticket. It is 0 for what no issuer can be asked about.
func (v *Verifier) Seen(rule string, value []byte) (ticket int) {
	c := checkFor(rule, value)
	if c == nil {
		return 0
	}
	h := sha256.New()
	_, _ = io.WriteString(h, c.host+"\x00") // a hash takes everything
	_, _ = h.Write(value)
	id := [sha256.Size]byte(h.Sum(nil))
	v.mu.Lock()
	defer v.mu.Unlock()
	n, known := v.tickets[id]
	switch {
	case known && v.tokens[n-1].verdict == "" && v.tokens[n-1].value == nil:
		v.tokens[n-1].value = seal(value) // it was seen before the last Ask, and not asked about
	case !known && len(v.tokens) < maxTickets:
		v.tokens = append(v.tokens, &token{check: c, value: seal(value)})
		n = len(v.tokens)
		v.tickets[id] = n
	}
	return n
}

// Ask fills in the Verified of leaks with a ticket, but for those that are ignored: they are not asked about. Each value is asked about
// once, and no host before announce was called with all of them. In the end the Verifier has forgotten all values. The error is ctx's,
// or says for each host that could not answer why; no value is in it.
func (v *Verifier) Ask(ctx context.Context, leaks []*finding.Leak, announce func(hosts []string)) error {
	defer v.forget()
	leaks = slices.DeleteFunc(slices.Clone(leaks), func(l *finding.Leak) bool { return l.Ticket <= 0 || l.Ticket > len(v.tokens) || l.Ignored != "" })
	var open []*token
	hosts, chosen := map[string]bool{}, map[*token]bool{}
	for _, l := range leaks {
		if t := v.tokens[l.Ticket-1]; t.verdict == "" && t.value != nil && !chosen[t] {
			open, hosts[t.check.host], chosen[t] = append(open, t), true, true
		}
	}
	if len(open) > 0 {
		announce(slices.Sorted(maps.Keys(hosts)))
	}
	trouble := v.askAll(ctx, open)
	for _, l := range leaks {
		l.Verified = v.tokens[l.Ticket-1].verdict
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return trouble
}

// askAll asks about tokens. The error is about each host's first trouble.
func (v *Verifier) askAll(ctx context.Context, tokens []*token) error {
	trouble := make([]error, len(tokens))
	group := errgroup.Group{}
	group.SetLimit(atOnce)
	for i, t := range tokens {
		group.Go(func() error {
			t.verdict = finding.Unknown
			if err := v.admit(t.check.host); err != nil {
				trouble[i] = err
				return nil
			}
			t.verdict, trouble[i] = v.ask(ctx, t)
			return nil
		})
	}
	_ = group.Wait() // its functions return nothing
	told := map[string]bool{}
	var all []error
	for i, err := range trouble {
		if host := tokens[i].check.host; err != nil && !told[host] {
			told[host] = true
			all = append(all, fmt.Errorf("asking %s: %w", host, err))
		}
	}
	return errors.Join(all...)
}

var (
	errTooMany = fmt.Errorf("there are more than %d tokens: the others were not asked about", maxCalls)
	errClosed  = errors.New("it wants no more calls now")
)

// admit counts a call to a host.
func (v *Verifier) admit(host string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed[host] {
		return errClosed
	}
	if v.calls[host]++; v.calls[host] > maxCalls {
		return errTooMany
	}
	return nil
}

// ask makes the call about a token. The error says why the verdict is not known, if the answer does not.
func (v *Verifier) ask(ctx context.Context, t *token) (finding.Verdict, error) {
	r, err := t.check.request(ctx, string(t.value()))
	if err != nil {
		return finding.Unknown, errors.New("the call cannot be made")
	}
	response, err := v.client.Do(r)
	if err != nil {
		return finding.Unknown, reason(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusTooManyRequests {
		v.mu.Lock()
		v.closed[t.check.host] = true
		v.mu.Unlock()
	}
	var body []byte
	if t.check.reads != nil {
		if body, err = io.ReadAll(io.LimitReader(response.Body, maxBody)); err != nil {
			return finding.Unknown, reason(err)
		}
	}
	if verdict := t.check.verdict(response.StatusCode, body); verdict != finding.Unknown {
		return verdict, nil
	}
	return finding.Unknown, fmt.Errorf("it answered %d, which does not say whether the token works", response.StatusCode)
}

// reason is what an error of a call may say. Others may have what the host sent: the token itself, if it likes.
func reason(err error) error {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return fmt.Errorf("there was no answer within %s", timeout)
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e
	}
	return errors.New("there was no proper answer")
}

// forget overwrites the values. The copies that the HTTP client made are left to the garbage collector.
func (v *Verifier) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range v.tokens {
		if t.value != nil {
			clear(t.value())
			t.value = nil
		}
	}
}

// request is the call about a value.
func (c *check) request(ctx context.Context, value string) (*http.Request, error) {
	method := c.method
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url(), strings.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	for name, text := range c.headers {
		r.Header.Set(name, text)
	}
	r.Header.Set("User-Agent", "tightlip")
	r.Header.Set(c.header, c.scheme+value)
	return r, nil
}

func (c *check) url() string { return "https://" + c.host + c.path }
