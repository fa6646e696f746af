package buildkit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/moby/buildkit/session/sshforward"
	"google.golang.org/grpc"
)

// fakeStream is the daemon's end of a stream, as messages.
type fakeStream struct {
	grpc.ServerStream
	in   chan []byte // closed when the step has no more to say
	out  chan []byte
	fail error // of sending
}

func (f *fakeStream) Context() context.Context { return context.Background() }

func (f *fakeStream) Send(m *sshforward.BytesMessage) error { return f.SendMsg(m) }

func (f *fakeStream) Recv() (*sshforward.BytesMessage, error) {
	m := new(sshforward.BytesMessage)
	return m, f.RecvMsg(m)
}

func (f *fakeStream) SendMsg(m any) error {
	if f.fail != nil {
		return f.fail
	}
	f.out <- bytes.Clone(m.(*sshforward.BytesMessage).Data)
	return nil
}

func (f *fakeStream) RecvMsg(m any) error {
	data, ok := <-f.in
	if !ok {
		return io.EOF
	}
	m.(*sshforward.BytesMessage).Data = data
	return nil
}

// TestStreamWrites: all that is written before Close arrives, in order, in messages that old builders take.
func TestStreamWrites(t *testing.T) {
	f := &fakeStream{in: make(chan []byte), out: make(chan []byte)}
	c := newStreamConn(f)
	var want []byte
	for i := range 200 {
		want = append(want, bytes.Repeat([]byte{byte(i)}, 1+i*317)...)
	}
	want = append(want, make([]byte, 3*maxMessage)...)
	go func() {
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 70_001)
			if _, err := c.Write(rest[:n]); err != nil {
				t.Error(err)
			}
			rest = rest[n:]
		}
		c.Close()
	}()
	var got []byte
	for done := false; !done; {
		select {
		case data := <-f.out:
			if len(data) > maxMessage {
				t.Fatalf("a message has %d bytes", len(data))
			}
			got = append(got, data...)
		case <-c.closed:
			done = true
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want %d, or others", len(got), len(want))
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing after Close: %v", err)
	}
}

// TestStreamReads: pieces, the end, and deadlines, also one that is set while somebody waits.
func TestStreamReads(t *testing.T) {
	f := &fakeStream{in: make(chan []byte, 2), out: make(chan []byte)}
	c := newStreamConn(f)
	f.in <- []byte("hello")
	b := make([]byte, 3)
	for _, want := range []string{"hel", "lo"} {
		if n, err := c.Read(b); err != nil || string(b[:n]) != want {
			t.Errorf("%q, %v", b[:n], err)
		}
	}
	waiting := make(chan error, 1)
	go func() { _, err := c.Read(make([]byte, 1)); waiting <- err }()
	time.Sleep(10 * time.Millisecond)
	c.SetReadDeadline(time.Unix(1, 0))
	if err := <-waiting; !errors.Is(err, os.ErrDeadlineExceeded) || !err.(net.Error).Timeout() {
		t.Errorf("a deadline in the past: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(time.Hour))
	c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline in the future: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	f.in <- []byte("x")
	close(f.in)
	if n, err := c.Read(b); n != 1 || err != nil {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	if _, err := c.Read(b); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// TestStreamBreaks: who writes learns that nobody listens.
func TestStreamBreaks(t *testing.T) {
	f := &fakeStream{in: make(chan []byte), out: make(chan []byte), fail: errors.New("gone")}
	c := newStreamConn(f)
	for range 10 {
		if _, err := c.Write(make([]byte, maxMessage)); err != nil {
			<-c.closed
			return
		}
	}
	t.Error("ten messages were taken")
}
