package podman

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tightlip/tightlip/build"
)

// pipes are named pipes, one for each secret, that a tool reads when a step mounts the secret: nothing of ours is on a disk, and
// we know what was asked for.
type pipes struct {
	broken func(error) // ends the tool: without a secret, it would go on with an empty one
	args   []string    // of the tool
	paths  []string
	ended  chan struct{} // closed once the tool has
	wg     sync.WaitGroup

	mu  sync.Mutex
	err error
}

// handOver begins to hand the secrets over.
func (b *result) handOver(ctx context.Context, broken func(error)) (*pipes, error) {
	p := &pipes{broken: broken, ended: make(chan struct{})}
	n := 0
	for _, id := range b.job.Handoff.IDs() {
		if strings.ContainsAny(id, ",\"\n") {
			return nil, errors.Join(refuse("another id", "%s takes no secret id with a comma or a quote: %s", b.engine.tool, id), p.close())
		}
		path := filepath.Join(b.dir, fmt.Sprintf("secret-%d", n))
		n++
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("making a pipe for secret %s: %w", id, err), p.close())
		}
		p.paths = append(p.paths, path)
		// Without a type, the tool would prefer a variable that is called like the id.
		p.args = append(p.args, "--secret", "id="+id+",type=file,src="+path)
		p.wg.Go(func() {
			if err := p.serve(ctx, b.job.Handoff, id, path); err != nil {
				p.fail(fmt.Errorf("handing over secret %s: %w", id, err))
			}
		})
	}
	return p, nil
}

// serve gives a secret to each reader, until the pipes are closed.
func (p *pipes) serve(ctx context.Context, h *build.Handoff, id, path string) error {
	for {
		w, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for a reader
		if err != nil {
			return err
		}
		select {
		case <-p.ended:
			return w.Close()
		default:
		}
		// The next reader gets a pipe of its own: with this one, it might read on before the first has seen its end.
		if err := replacePipe(path); err != nil {
			return errors.Join(err, w.Close())
		}
		value, err := h.Get(ctx, id)
		if err != nil {
			p.broken(err)
			<-p.ended // what the tool reads has no end before its own
			return w.Close()
		}
		_, err = w.Write(value.Open())
		if errors.Is(err, syscall.EPIPE) { // the tool was killed
			err = nil
		}
		if err := errors.Join(err, w.Close()); err != nil {
			return err
		}
	}
}

func replacePipe(path string) error {
	next := path + ".next"
	if err := syscall.Mkfifo(next, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

func (p *pipes) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = errors.Join(p.err, err)
}

// close ends the handing over. The tool must have ended.
func (p *pipes) close() error {
	close(p.ended)
	done := make(chan struct{})
	go func() { p.wg.Wait(); close(done) }()
	for {
		// Who waits for a reader gets one, which sees nothing: it is told that this is the end. Who writes to one that was killed
		// gets none any more.
		readers := p.read()
		select {
		case <-done:
			readers()
			return p.err
		case <-time.After(10 * time.Millisecond):
			readers()
		}
	}
}

func (p *pipes) read() (closeAll func()) {
	var open []*os.File
	for _, path := range p.paths {
		if r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil {
			open = append(open, r)
		}
	}
	return func() {
		for _, r := range open {
			r.Close()
		}
	}
}
