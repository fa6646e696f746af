package buildkit

import (
	"bytes"
	"sync"

	"github.com/docker/buildx/util/progress"
	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
	"github.com/tightlip/tightlip/dockerfile/translate"
	"github.com/tightlip/tightlip/internal/redact"
)

// redacting is a progress writer through which no value passes. It comes before the display, so that every mode of
// that is covered, and works on the logs themselves, so that no line prefix can split a value.
type redacting struct {
	progress.Writer
	redact *redact.Redactor
	names  *translate.Result // may be nil

	mu   sync.Mutex
	logs map[logKey]*openLog
}

// logKey names one output stream of one step.
type logKey struct {
	vertex digest.Digest
	stream int
}

// openLog is a stream of which the end may be held back, and its latest piece.
type openLog struct {
	stream *redact.Stream
	last   client.VertexLog
}

func newRedacting(w progress.Writer, r *redact.Redactor, t *translate.Result) *redacting {
	return &redacting{Writer: w, redact: r, names: t, logs: map[logKey]*openLog{}}
}

// Write implements progress.Writer. It changes copies only: the status is also the caller's.
func (w *redacting) Write(s *client.SolveStatus) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clean := &client.SolveStatus{}
	for _, l := range s.Logs {
		clean.Logs = append(clean.Logs, w.log(l)...)
	}
	for _, v := range s.Vertexes {
		if v.Completed != nil {
			clean.Logs = append(clean.Logs, w.flush(v.Digest)...)
		}
		c := *v
		c.Name, c.Error = w.redact.String(w.names.Name(v.Name)), w.redact.String(w.names.AsWritten(v.Error))
		if v.ProgressGroup != nil {
			g := v.ProgressGroup.CloneVT()
			g.Name = w.redact.String(g.Name)
			c.ProgressGroup = g
		}
		clean.Vertexes = append(clean.Vertexes, &c)
	}
	for _, st := range s.Statuses {
		c := *st
		c.ID, c.Name = w.redact.String(st.ID), w.redact.String(st.Name)
		clean.Statuses = append(clean.Statuses, &c)
	}
	for _, warn := range s.Warnings {
		clean.Warnings = append(clean.Warnings, w.warning(warn))
	}
	w.Writer.Write(clean)
}

// log redacts one piece of a step's output. What is held back follows with the next piece or the step's end.
func (w *redacting) log(l *client.VertexLog) []*client.VertexLog {
	key := logKey{l.Vertex, l.Stream}
	open, ok := w.logs[key]
	if !ok {
		open = &openLog{stream: w.redact.NewStream()}
		w.logs[key] = open
	}
	open.last = *l
	if i := bytes.Index(l.Data, clipped); i >= 0 {
		// What BuildKit leaves out may be the rest of a value: its first bytes must not follow.
		before := append(open.stream.Push(l.Data[:i]), open.stream.Flush()...)
		return open.piece(append(before, open.stream.Push(l.Data[i:])...))
	}
	return open.piece(open.stream.Push(l.Data))
}

// clipped begins what BuildKit writes where it cuts a log.
var clipped = []byte("\n[output clipped, log limit ")

// flush shows what is held back of a step that has ended.
func (w *redacting) flush(vertex digest.Digest) []*client.VertexLog {
	var out []*client.VertexLog
	for key, open := range w.logs {
		if key.vertex == vertex {
			out = append(out, open.piece(open.stream.Flush())...)
			delete(w.logs, key)
		}
	}
	return out
}

func (o *openLog) piece(data []byte) []*client.VertexLog {
	if len(data) == 0 {
		return nil
	}
	l := o.last
	l.Data = append([]byte(nil), data...)
	return []*client.VertexLog{&l}
}

func (w *redacting) warning(in *client.VertexWarning) *client.VertexWarning {
	c := *in
	c.Short = w.redact.Bytes(in.Short)
	c.Detail = nil
	for _, d := range in.Detail {
		c.Detail = append(c.Detail, w.redact.Bytes(d))
	}
	if in.SourceInfo != nil {
		c.SourceInfo = in.SourceInfo.CloneVT()
		c.SourceInfo.Data = w.redact.Bytes(in.SourceInfo.Data)
	}
	return &c
}

// Flush shows what steps without an end had still to say.
func (w *redacting) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := &client.SolveStatus{}
	for key, open := range w.logs {
		rest.Logs = append(rest.Logs, open.piece(open.stream.Flush())...)
		delete(w.logs, key)
	}
	if len(rest.Logs) > 0 {
		w.Writer.Write(rest)
	}
}
