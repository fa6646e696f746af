//go:build linux

// Command tightlip-shim runs inside builds whose builder has no mounts: as the first process of a step, or as the relay that
// steps reach tightlip through.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tightlip/tightlip/broker/shim"
)

func main() {
	code, err := run(context.Background(), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "tightlip:", err)
	}
	os.Exit(code)
}

func run(ctx context.Context, args []string) (int, error) {
	if len(args) > 0 && args[0] == "step" {
		spec, err := shim.ParseArgs(args[1:])
		if err != nil {
			return shim.Failed, err
		}
		return shim.Step(ctx, spec, os.Environ(), shim.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	}
	if len(args) > 0 && args[0] == "relay" {
		return 1, relay(ctx, args[1:])
	}
	return 2, errors.New("this is a part of tightlip that runs inside builds")
}

func relay(ctx context.Context, args []string) error {
	listen, deadline := "", 24*time.Hour
	for ; len(args) > 1; args = args[2:] {
		var err error
		switch args[0] {
		case "--listen":
			listen = args[1]
		case "--deadline":
			deadline, err = time.ParseDuration(args[1])
		default:
			err = fmt.Errorf("unknown flag %s", args[0])
		}
		if err != nil {
			return err
		}
	}
	if len(args) > 0 || listen == "" {
		return errors.New("usage: tightlip-shim relay --listen 127.0.0.1:7913 [--deadline 24h]")
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// A lost standard output is an error of Write, and not the end of the program.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return shim.Relay(ctx, listen, newStdio(), deadline)
}

// stdio is standard input and output as one connection.
type stdio struct{ in, out *os.File }

// newStdio makes reads end when the file is closed: blocking files do not do that.
func newStdio() stdio {
	file := func(fd int, name string) *os.File {
		_ = syscall.SetNonblock(fd, true)
		return os.NewFile(uintptr(fd), name)
	}
	return stdio{file(0, "stdin"), file(1, "stdout")}
}

func (s stdio) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s stdio) Write(b []byte) (int, error) { return s.out.Write(b) }
func (s stdio) Close() error                { return errors.Join(s.in.Close(), s.out.Close()) }
