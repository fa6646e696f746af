package gate

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/secret"
)

// Bounds of a ticket that is given, in characters. Hex has 4 bits in each.
const (
	minTicket   = 26
	maxTicket   = 256
	minDistinct = 8 // 26 random characters of hex have fewer once in 200,000 times
)

const ticketRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~" // URLs and shells take these as they are

// ticketFrom is the ticket that is given, without the white space around it, or one of 130 random bits.
func ticketFrom(given secret.Value) (string, error) {
	if given.Len() == 0 {
		return shim.NewTicket(), nil
	}
	text := string(bytes.TrimSpace(given.Open()))
	distinct := map[rune]bool{}
	for _, r := range text {
		distinct[r] = true
	}
	problem := ""
	switch {
	case len(text) < minTicket || len(text) > maxTicket:
		problem = fmt.Sprintf("it must have %d to %d characters", minTicket, maxTicket)
	case strings.Trim(text, ticketRunes) != "":
		problem = "it must be of letters, digits and -_.~"
	case len(distinct) < minDistinct:
		problem = "it repeats too few characters to be random"
	default:
		return text, nil
	}
	return "", &UnfitError{Problem: problem, Try: "openssl rand -hex 16 makes one"}
}

// TicketMark is what all tickets that are made up hold, as a value to be searched for.
func TicketMark() secret.Value { return secret.NewValue([]byte(shim.TicketMark())) }

// isTicket compares in constant time.
func (g *Gate) isTicket(text string) bool {
	return subtle.ConstantTimeCompare([]byte(text), []byte(g.ticket)) == 1
}

// Address is where clients reach a listener.
func (g *Gate) Address(l net.Addr) string {
	_, port, err := net.SplitHostPort(l.String())
	if g.options.Host == "" || err != nil {
		return l.String()
	}
	return net.JoinHostPort(g.options.Host, port)
}

// Hand makes the forward door answer requests for a path of its own, from clients that have the ticket and share no files with the
// broker.
func (g *Gate) Hand(path string, content []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handed[path] = content
}

// handedFor is what a request to the proxy itself asks for; nil: nothing of it.
func (g *Gate) handedFor(r *http.Request) []byte {
	if r.URL.Host != "" || r.Method != http.MethodGet {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.handed[r.URL.Path]
}

func (x *exchange) handOut(r *http.Request, content []byte) {
	defer x.finish()
	step, ok := x.gate.stepOf(r.Header.Get("Authorization"))
	if !ok {
		x.answer.Header().Set("Www-Authenticate", `Basic realm="tightlip"`)
		x.fail(&refusal{http.StatusUnauthorized, "the proxy wants its ticket"})
		return
	}
	x.event.Verdict, x.event.Step = Passed, step
	x.answer.Header().Set("Content-Type", "text/plain; charset=utf-8")
	x.answer.Header().Set("Cache-Control", "no-store")
	_, _ = x.answer.Write(content)
}
