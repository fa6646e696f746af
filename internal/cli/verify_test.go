package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/scan/leaks"
)

// TestAsk: the hosts are named before anything is sent, and only those that there is something to ask about.
func TestAsk(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "err"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := &scanner{app: &app{streams: Streams{Err: out}}}
	if s.options.Seen != nil || s.ask(t.Context(), nil) != nil {
		t.Error("something is asked without --verify")
	}
	s.useVerifier()
	value := "SG." + strings.Repeat("aB3", 8)
	ticket := s.options.Seen("sendgrid-api-token", []byte(value))
	looks := []look{{err: errors.New("no such image")}, {result: &leaks.Result{Findings: []finding.Leak{
		{Rule: "sendgrid-api-token", Ticket: ticket}, {Rule: "sendgrid-api-token", Ticket: ticket, Ignored: "a test"}, {Rule: "netrc"},
	}}}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so nothing is sent
	if err := s.ask(ctx, looks); !errors.Is(err, context.Canceled) {
		t.Errorf("said %v", err)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil || string(text) != "tightlip: --verify asks api.sendgrid.com about what it found\n" {
		t.Errorf("printed %q, %v", text, err)
	}
	for i, want := range []finding.Verdict{finding.Unknown, "", ""} {
		if got := looks[1].result.Findings[i].Verified; got != want {
			t.Errorf("finding %d is %q, want %q", i, got, want)
		}
	}
}
