package shim

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Upgrade is the protocol that a connection to an SSH agent asks for: the agent's own, after the response's header.
const Upgrade = "ssh-agent"

// UpgradeBroker is the same for a connection to the broker.
const UpgradeBroker = "tightlip-broker"

// elementPrefix begins the element of NO_PROXY that says where the server is.
const elementPrefix = "tightlip."

var errNoServer = errors.New("neither NO_PROXY nor no_proxy says where tightlip's server is")

// Address is where a step finds the server, and what it shows there.
type Address struct {
	Port   int
	Ticket string
}

// Element is the last element of NO_PROXY in the steps' environment.
func (a Address) Element() string { return elementPrefix + strconv.Itoa(a.Port) + "." + a.Ticket }

// path is where the server has a secret or an agent.
func (a Address) path(kind Kind, id string) string {
	return "/" + a.Ticket + "/" + string(kind) + "/" + url.PathEscape(id)
}

// parseElement is the inverse of Element.
func parseElement(text string) (Address, bool) {
	rest, ok := strings.CutPrefix(text, elementPrefix)
	if !ok {
		return Address{}, false
	}
	port, ticket, ok := strings.Cut(rest, ".")
	n, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || n == 0 || !isTicket(ticket) {
		return Address{}, false
	}
	return Address{Port: int(n), Ticket: ticket}, true
}

// isTicket keeps what would not be one element of a path out of the request.
func isTicket(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// findServer takes the element of the server out of NO_PROXY and no_proxy. What else stands there is the user's own.
func findServer(env []string) (Address, []string, error) {
	var found Address
	rest := make([]string, 0, len(env))
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if name != "NO_PROXY" && name != "no_proxy" {
			rest = append(rest, entry)
			continue
		}
		comma := strings.LastIndexByte(value, ',')
		a, ok := parseElement(value[comma+1:])
		switch {
		case !ok:
			rest = append(rest, entry)
		case comma > 0:
			rest = append(rest, name+"="+value[:comma])
		}
		if ok {
			found = a
		}
	}
	if found.Port == 0 {
		return Address{}, rest, errNoServer
	}
	return found, rest, nil
}

// lookup is the value of a variable; the last entry of a name wins.
func lookup(env []string, name string) (string, bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if n, value, ok := strings.Cut(env[i], "="); ok && n == name {
			return value, true
		}
	}
	return "", false
}

// setVar sets a variable and drops what it was before.
func setVar(env []string, name, value string) []string {
	return append(withoutVar(env, name), name+"="+value)
}

// withoutVar drops a variable.
func withoutVar(env []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
}
