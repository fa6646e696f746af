package sshagent

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Target is a user at a host.
type Target struct {
	User string
	Host string // a name in lower case, or an address without brackets
	Port int    // tells known hosts apart. What a server proves is its key, not its port
}

// defaultPort is what known_hosts does not mention.
const defaultPort = 22

// String is user@host, with the port if it is not 22.
func (t Target) String() string { return t.User + "@" + t.address() }

// address is the host as ParseTarget reads it.
func (t Target) address() string {
	joined := net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
	if t.Port == defaultPort {
		return strings.TrimSuffix(joined, ":"+strconv.Itoa(defaultPort))
	}
	return joined
}

// known is the host as known_hosts has it.
func (t Target) known() string {
	if t.Port == defaultPort {
		return t.Host
	}
	return "[" + t.Host + "]:" + strconv.Itoa(t.Port)
}

var errTarget = errors.New("this is not user@host or user@host:port, without patterns")

// ParseTarget reads user@host or user@host:port. An address of IPv6 is in brackets.
func ParseTarget(text string) (Target, error) {
	at := strings.LastIndexByte(text, '@')
	if at < 1 || !validUser(text[:at]) {
		return Target{}, errTarget
	}
	host, port, err := net.SplitHostPort(text[at+1:])
	if err != nil {
		host, port, err = net.SplitHostPort(text[at+1:] + ":" + strconv.Itoa(defaultPort))
	}
	n, notNumber := strconv.ParseUint(port, 10, 16)
	bracketed := strings.HasPrefix(text[at+1:], "[")
	if err != nil || notNumber != nil || n == 0 {
		return Target{}, errTarget
	}
	host = strings.ToLower(host)
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" && ip.Is6() == bracketed {
		host = ip.String()
	} else if bracketed || !validHost(host) {
		return Target{}, errTarget
	}
	return Target{User: text[:at], Host: host, Port: int(n)}, nil
}

func validHost(host string) bool {
	foreign := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}
	return host != "" && len(host) <= 255 && host[0] != '-' && host[0] != '.' && !strings.ContainsFunc(host, foreign)
}

func validUser(user string) bool {
	return len(user) <= maxShown && shown(user) == user && !strings.ContainsAny(user, " *?,:/")
}
