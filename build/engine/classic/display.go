package classic

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

// display shows a build as docker build does, with the user's instructions in the place of the translated ones.
type display struct {
	out     io.WriteCloser // redacts
	err     io.Writer
	kept    *bytes.Buffer    // of a quiet build: shown if it fails
	steps   []translate.Step // that are still to come
	now     *translate.Step  // what runs, if it was translated
	gate    *admission
	onBuild translate.Step // what the triggers of all stages mount
	failed  error
}

func newDisplay(w io.Writer, job build.Job, tr *translate.Result, g *admission) *display {
	d := &display{err: w, steps: tr.Steps, gate: g}
	for _, s := range tr.Steps {
		if len(s.Text) > 7 && strings.EqualFold(s.Text[:7], "onbuild") {
			d.onBuild.Uses = append(d.onBuild.Uses, s.Uses...)
		}
	}
	if job.Request.Quiet || job.Request.Progress == "quiet" || job.Request.Progress == "none" {
		d.kept = &bytes.Buffer{}
		w = d.kept
	}
	d.out = job.Redact.Writer(w)
	return d
}

// The daemon puts each piece that a step writes to its standard error between these, which would also part a value.
const red, normal = "\x1b[91m", "\x1b[0m"

func (d *display) show(m jsonstream.Message) {
	text := m.Stream
	switch {
	case strings.HasPrefix(text, "Step "):
		text = d.begin(text)
	case strings.HasPrefix(text, "# Executing") && strings.Contains(text, "build trigger"):
		d.gate.begin(&d.onBuild)
	case strings.HasPrefix(text, red):
		text = strings.TrimSuffix(strings.TrimPrefix(text, red), normal)
	case text == "" && m.Status != "" && m.Progress == nil: // of a pull
		text = strings.TrimPrefix(m.ID+": ", ": ") + m.Status + "\n"
	}
	_, err := io.WriteString(d.out, text)
	d.failed = errors.Join(d.failed, err)
}

// begin returns the line that says which step begins, with the user's instruction in it.
func (d *display) begin(line string) string {
	d.now = nil
	defer func() { d.gate.begin(d.now) }()
	head, instruction, _ := strings.Cut(line, " : ")
	instruction = strings.TrimPrefix(strings.TrimSpace(instruction), "ONBUILD ")
	// Steps come in their order, and two may have become the same.
	for i := range d.steps {
		if d.steps[i].New == instruction {
			d.now, d.steps = &d.steps[i], d.steps[i+1:]
			return head + " : " + d.now.Text + "\n"
		}
	}
	return line
}

// close shows what is left.
func (d *display) close(failed bool) error {
	err := errors.Join(d.failed, d.out.Close())
	if failed && d.kept != nil {
		_, _ = d.err.Write(d.kept.Bytes())
	}
	return err
}
