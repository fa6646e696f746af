//go:build !linux

package embedded

import "context"

// Engine is a running engine.
type Engine struct{}

// Start returns ErrUnsupported.
func Start(context.Context, Options) (*Engine, error) { return nil, ErrUnsupported }

// Check returns ErrUnsupported.
func Check() (string, error) { return "", ErrUnsupported }

// Serve returns ErrUnsupported.
func Serve(context.Context, ServeOptions) error { return ErrUnsupported }

// Address is empty.
func (*Engine) Address() string { return "" }

// StateDir is empty.
func (*Engine) StateDir() string { return "" }

// Ended is true.
func (*Engine) Ended() bool { return true }

// Close does nothing.
func (*Engine) Close() error { return nil }
