package podman

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/secret"
)

// handoff makes a result that has secrets to hand over.
func handoff(t *testing.T, values map[string][]byte) *result {
	t.Helper()
	set := secret.NewSet()
	for id, value := range values {
		if err := set.Add(id, &secret.Lease{Value: secret.NewValue(value)}); err != nil {
			t.Fatal(err)
		}
	}
	return &result{engine: &Engine{tool: Podman}, dir: t.TempDir(), job: build.Job{Handoff: build.NewHandoff(set)}}
}

func pathOf(spec string) string { return spec[strings.Index(spec, "src=")+len("src="):] }

// TestPipes reads secrets several times, one after the other, one larger than what a pipe holds.
func TestPipes(t *testing.T) {
	large := bytes.Repeat([]byte("large"), 100_000)
	b := handoff(t, map[string][]byte{"large": large, "unread": []byte("unread")})
	p, err := b.handOver(t.Context(), func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	path := pathOf(p.args[1])
	if strings.Contains(p.args[1], "id=unread") {
		path = pathOf(p.args[3])
	}
	for range 50 {
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, large) {
			t.Fatalf("got %d bytes, %v, want %d", len(got), err, len(large))
		}
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
	if b.job.Handoff.Requested("unread") || !b.job.Handoff.Requested("large") {
		t.Error("what was read is not what counts as requested")
	}
}

// TestPipesEnd ends the handing over at any moment, with readers that have been killed in the middle.
func TestPipesEnd(t *testing.T) {
	large := bytes.Repeat([]byte("large"), 100_000)
	for i := range 50 {
		b := handoff(t, map[string][]byte{"a": large, "b": large})
		p, err := b.handOver(t.Context(), func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, arg := range []string{p.args[1], p.args[3]} {
			wg.Go(func() {
				f, err := os.OpenFile(pathOf(arg), os.O_RDONLY|syscall.O_NONBLOCK, 0)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				_ = f.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
				_, _ = f.Read(make([]byte, 10))
			})
		}
		time.Sleep(time.Duration(i) * 20 * time.Microsecond)
		done := make(chan error)
		go func() { done <- p.close() }()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("it does not end")
		}
		wg.Wait()
	}
}

func TestPipesRefuse(t *testing.T) {
	if _, err := handoff(t, map[string][]byte{"a,src=/etc/passwd": []byte("value")}).handOver(t.Context(), func(error) {}); err == nil {
		t.Error("an id with a comma was taken")
	}
}
