package gate

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Origin is a scheme, a host and a port, all of them exact: what a credential is bound to.
type Origin struct {
	Scheme string // https or http
	Host   string // lower case, without brackets around an IPv6 address
	Port   string // always there
}

// originForm is what to type.
const originForm = "write an origin as https://npm.corp.example or https://npm.corp.example:8443: no path, no user, no wildcard"

// ParseOrigin reads an origin as it is written in a policy. The error is a [*PolicyError], which does not quote the text:
// somebody may have written a password into it.
func ParseOrigin(text string) (Origin, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Origin{}, &PolicyError{Problem: "an origin cannot be read", Try: originForm}
	}
	o := originOf(u)
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return Origin{}, &PolicyError{Problem: "an origin must begin with https:// or http://", Try: originForm}
	case u.User != nil:
		return Origin{}, &PolicyError{Problem: "an origin must not hold a user or a password", Try: originForm}
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return Origin{}, &PolicyError{Problem: "an origin has no path and no query", Try: originForm + "; paths: [/prefix/] limits the paths"}
	case !validHost(o.Host) || !validPort(o.Port):
		return Origin{}, &PolicyError{Problem: "the host or the port of an origin is not valid", Try: originForm}
	}
	return o, nil
}

// originOf is the origin of a URL, whatever that is.
func originOf(u *url.URL) Origin {
	o := Origin{Scheme: strings.ToLower(u.Scheme), Host: strings.ToLower(u.Hostname()), Port: u.Port()}
	if o.Port == "" {
		o.Port = defaultPorts[o.Scheme]
	}
	if ip, err := netip.ParseAddr(o.Host); err == nil {
		o.Host = ip.String()
	}
	return o
}

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// String is the origin as it is written: without the scheme's own port.
func (o Origin) String() string {
	if o == (Origin{}) {
		return ""
	}
	return o.Scheme + "://" + o.authority()
}

// MarshalText is String.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// authority is what a Host header of a request to the origin holds.
func (o Origin) authority() string {
	if o.Port != defaultPorts[o.Scheme] {
		return o.address()
	}
	if strings.Contains(o.Host, ":") {
		return "[" + o.Host + "]"
	}
	return o.Host
}

// address is where to connect to.
func (o Origin) address() string { return net.JoinHostPort(o.Host, o.Port) }

// matchesHost tells whether a Host header names the origin.
func (o Origin) matchesHost(host string) bool {
	return originOf(&url.URL{Scheme: o.Scheme, Host: host}) == o
}

func validHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == ""
	}
	if host == "" || len(host) > 253 || looksLikeIPv4(host) {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// looksLikeIPv4 is for the forms of addresses that only some resolvers know, such as 127.1 and 0x7f000001.
func looksLikeIPv4(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last != "" && (strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x"))
}

func validPort(port string) bool {
	n := 0
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
		if n = n*10 + int(c-'0'); n > 65535 {
			return false
		}
	}
	return n > 0 && port[0] != '0'
}
