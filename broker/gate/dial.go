package gate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Errors of dialling that the audit tells apart.
var (
	errForbidden = errors.New("the address is on loopback, in a private network, or of a metadata service")
	errSelf      = errors.New("the address is the broker's own")
)

// dialTimeout is for one address.
const dialTimeout = 10 * time.Second

// dialer connects to upstreams. It decides on the address that it then dials, so a name that resolves to another one next time
// gains nothing.
type dialer struct {
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	public func(netip.Addr) bool

	mu  sync.Mutex
	own []netip.AddrPort
}

func newDialer() *dialer {
	return &dialer{
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		public: isPublic,
	}
}

// trust is how far the addresses of an upstream are taken.
type trust int

const (
	stranger trust = iota // public addresses only
	named                 // a name in the policy: loopback and private addresses, too
	literal               // an address in the policy: that one
)

// listening adds an address that nothing may be dialled at.
func (d *dialer) listening(addr net.Addr) {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.own = append(d.own, tcp.AddrPort())
	}
}

// dial connects to host:port, if one of its addresses may be.
func (d *dialer) dial(ctx context.Context, address string, t trust) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q is not valid", portText)
	}
	addrs, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var last error
	for _, addr := range addrs {
		to := netip.AddrPortFrom(addr, uint16(port))
		if last = d.check(to, t); last != nil {
			continue
		}
		var conn net.Conn
		nd := net.Dialer{Timeout: dialTimeout}
		if conn, last = nd.DialContext(ctx, "tcp", to.String()); last == nil {
			return conn, nil
		}
	}
	return nil, last
}

func (d *dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	addrs, err := d.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

func (d *dialer) check(to netip.AddrPort, t trust) error {
	addr := to.Addr()
	switch {
	case d.isOwn(to):
		return errSelf
	case t == literal, t == named && isNear(addr), d.public(addr):
		return nil
	}
	return errForbidden
}

// isOwn knows the addresses that the gate listens at. One that it listens at with all addresses is its own with any that is local.
func (d *dialer) isOwn(to netip.AddrPort) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.own, func(own netip.AddrPort) bool {
		addr := own.Addr().Unmap()
		same := addr == to.Addr() || addr.IsUnspecified() && isLocal(to.Addr()) || addr.IsLoopback() && (to.Addr().IsLoopback() || to.Addr().IsUnspecified())
		return same && own.Port() == to.Port()
	})
}

// isLocal is for addresses of this machine. If those cannot be listed, all are taken for it.
func isLocal(a netip.Addr) bool {
	if a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(addrs, func(own net.Addr) bool {
		prefix, err := netip.ParsePrefix(own.String())
		return err == nil && prefix.Addr().Unmap().WithZone("") == a.WithZone("")
	})
}

// isNear is for addresses of this machine and of private networks.
func isNear(a netip.Addr) bool {
	return (a.IsLoopback() || a.IsPrivate() || sharedSpace.Contains(a)) && !slices.Contains(metadata, a)
}

var (
	sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
	// metadata are services of clouds at addresses that are not link-local.
	metadata = []netip.Addr{netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("192.0.0.192")}
	// special is what no server on the Internet has; the prefixes that embed other addresses are among it.
	special = prefixes(
		"0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
		"::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	)
)

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

// isPublic is for addresses that may be dialled for a host that the policy does not name.
func isPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.IsValid() && a.IsGlobalUnicast() && !a.IsPrivate() && !slices.Contains(metadata, a) &&
		!slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// trustOf is how far an origin of the policy is trusted.
func trustOf(host string) trust {
	if _, err := netip.ParseAddr(host); err == nil {
		return literal
	}
	return named
}
