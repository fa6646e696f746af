package cli

import (
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/report"
	"github.com/tightlip/tightlip/secret"
)

// asReport puts an outcome into the shape that is printed.
func asReport(out *build.Outcome, err error, redact func(string) string) *report.Report {
	r := &report.Report{
		Image:    report.Image{Names: out.Image.Names, ID: out.Image.ID, Digest: out.Image.Digest},
		Engine:   out.Engine,
		Findings: out.Findings,
		Named:    out.Named, Rehearsal: out.Rehearsal,
		Withheld: out.Withheld,
	}
	if err != nil {
		r.Error = redact(err.Error())
	}
	for _, s := range out.Secrets {
		r.Secrets = append(r.Secrets, report.Secret{ID: s.ID, Reference: redact(s.Ref.String()), Requested: s.Requested})
	}
	for _, e := range out.Leases {
		r.Leases = append(r.Leases, asLease(e, redact))
	}
	if p := out.Proof; p != nil {
		r.Proof = &report.Proof{
			Verdict: string(p.Verdict), Needles: p.Needles, Encodings: p.Encodings, Blobs: p.Blobs, Bytes: p.Bytes,
			Cached: p.Cached, Milliseconds: p.Millis, Waived: p.Waived, Unminted: p.Unminted, Spent: p.Spent,
			NotSearched: asUnread(p.Unread), Skipped: asUnread(p.Skipped),
		}
	}
	return r
}

func asLease(e secret.Ending, redact func(string) string) report.Lease {
	return report.Lease{
		Secret: e.ID, Lease: redact(e.Called()), Expires: e.Expires, Fate: string(e.Fate), Alive: e.Alive(), Text: redact(e.String()),
	}
}

func asUnread(in []proof.Unread) []report.Unread {
	var out []report.Unread
	for _, u := range in {
		out = append(out, report.Unread{Location: u.Location, Reason: u.Reason})
	}
	return out
}
