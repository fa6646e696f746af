package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/scan/verify"
)

// useVerifier has the scanner keep the values that issuers can be asked about.
func (s *scanner) useVerifier() {
	s.verifier = verify.New()
	s.options.Seen = s.verifier.Seen
}

// ask asks issuers about what was found in the images and is not ignored, after it said whom. What they did not answer is no error of the scan.
func (s *scanner) ask(ctx context.Context, looks []look) error {
	if s.verifier == nil {
		return nil
	}
	var found []*finding.Leak
	for _, l := range looks {
		list := l.findings()
		for i := range list {
			found = append(found, &list[i])
		}
	}
	err := s.verifier.Ask(ctx, found, func(hosts []string) {
		fmt.Fprintf(s.app.streams.Err, "tightlip: --verify asks %s about what it found\n", strings.Join(hosts, ", "))
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(s.app.streams.Err, "tightlip: warning: %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
	return nil
}
