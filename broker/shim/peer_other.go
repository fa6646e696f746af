//go:build !linux

package shim

import "net"

// RootOnly accepts every connection: nothing here tells whose it is.
func RootOnly(l net.Listener) net.Listener { return l }
