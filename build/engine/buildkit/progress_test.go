package buildkit

import (
	"strings"
	"testing"
	"time"

	"github.com/docker/buildx/util/progress"
	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// collector is a display that keeps what it is shown.
type collector struct {
	progress.Writer
	statuses []*client.SolveStatus
}

func (c *collector) Write(s *client.SolveStatus) { c.statuses = append(c.statuses, s) }

// text is all that the display was shown, logs of each step put together.
func (c *collector) text() string {
	var b strings.Builder
	logs := map[digest.Digest]string{}
	for _, s := range c.statuses {
		for _, v := range s.Vertexes {
			b.WriteString(v.Name + v.Error + "\n")
		}
		for _, st := range s.Statuses {
			b.WriteString(st.ID + st.Name + "\n")
		}
		for _, w := range s.Warnings {
			b.WriteString(string(w.Short) + "\n")
			for _, d := range w.Detail {
				b.WriteString(string(d) + "\n")
			}
		}
		for _, l := range s.Logs {
			logs[l.Vertex] += string(l.Data)
		}
	}
	for _, l := range logs {
		b.WriteString(l + "\n")
	}
	return b.String()
}

func newTestWriter(t *testing.T) (*redacting, *collector) {
	t.Helper()
	n, err := proof.NewNeedles([]proof.Secret{{ID: "a", Value: secret.NewValue([]byte("correct-horse-battery"))}})
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{}
	return newRedacting(c, redact.New(n), nil), c
}

func TestRedactingCoversEveryField(t *testing.T) {
	w, c := newTestWriter(t)
	const value = "correct-horse-battery"
	w.Write(&client.SolveStatus{
		Vertexes: []*client.Vertex{{Digest: "sha256:1", Name: "RUN echo " + value, Error: "failed: " + value}},
		Statuses: []*client.VertexStatus{{ID: value, Name: value}},
		Warnings: []*client.VertexWarning{{Short: []byte(value), Detail: [][]byte{[]byte("x " + value)}}},
		Logs:     []*client.VertexLog{{Vertex: "sha256:1", Data: []byte("log " + value + "\n")}},
	})
	w.Flush()
	if got := c.text(); strings.Contains(got, value) || strings.Count(got, "***") != 7 {
		t.Errorf("got:\n%s", got)
	}
}

func TestRedactingAcrossPieces(t *testing.T) {
	w, c := newTestWriter(t)
	for _, piece := range []string{"a correct-", "horse-", "battery b\n", "done corre"} {
		w.Write(&client.SolveStatus{Logs: []*client.VertexLog{{Vertex: "sha256:1", Stream: 1, Data: []byte(piece)}}})
		// Another step prints in between.
		w.Write(&client.SolveStatus{Logs: []*client.VertexLog{{Vertex: "sha256:2", Stream: 1, Data: []byte("x")}}})
	}
	now := time.Now()
	w.Write(&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "sha256:1", Completed: &now}}})
	if got := c.text(); !strings.Contains(got, "a *** b\ndone corre\n") {
		t.Errorf("a step has ended, and not all of its log was shown:\n%s", got)
	}
	w.Flush()
	if got := c.text(); !strings.Contains(got, "xxxx") {
		t.Errorf("got:\n%s", got)
	}
}

// TestRedactingLeavesTheOriginal: the caller may go on to use what it wrote.
func TestRedactingLeavesTheOriginal(t *testing.T) {
	w, _ := newTestWriter(t)
	v := &client.Vertex{Digest: "sha256:1", Name: "correct-horse-battery"}
	w.Write(&client.SolveStatus{Vertexes: []*client.Vertex{v}})
	if v.Name != "correct-horse-battery" {
		t.Error("the status was changed in place")
	}
}
