// Package report shows the outcome of a build or a proof, to people and to machines.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tightlip/tightlip/finding"
)

// Report is the object that --format json prints. Its shape is stable: fields are added, never changed.
type Report struct {
	Image     Image             `json:"image"`
	Engine    string            `json:"engine,omitempty"`
	Secrets   []Secret          `json:"secrets"`
	Proof     *Proof            `json:"proof"` // null if nothing was to be proven
	Findings  []finding.Finding `json:"findings"`
	Named     bool              `json:"named"`               // the image has its names
	Rehearsal bool              `json:"rehearsal,omitempty"` // with phantoms in place of all secrets
	Requests  []Requests        `json:"requests,omitempty"`  // that went through the broker
	Leases    []Lease           `json:"leases,omitempty"`    // that were minted, or end with the build
	Withheld  []string          `json:"withheld,omitempty"`  // variables that a command did not get since they look like credentials
	Error     string            `json:"error,omitempty"`     // why the command failed, if it did
	Place     string            `json:"-"`                   // what was searched; empty: the image
}

// Requests are those of one kind that steps sent through the broker.
type Requests struct {
	Origin   string `json:"origin"`
	Secret   string `json:"secret"`  // whose credential they got; empty: none
	Verdict  string `json:"verdict"` // allowed, passed or refused
	Requests int    `json:"requests"`
	Bytes    int64  `json:"bytes"` // of the responses' bodies
}

// Lease is a credential that was made for this build, or ends with it.
type Lease struct {
	Secret  string    `json:"secret"`
	Lease   string    `json:"lease"` // the names by which it can be found at the issuer
	Expires time.Time `json:"expires,omitzero"`
	Fate    string    `json:"fate"`  // revoked and verified dead; revoked, not verified; revoked, still answers; cannot be revoked; could not be revoked; expired; a credential may have been made
	Alive   bool      `json:"alive"` // it may still open something
	Text    string    `json:"-"`     // the fate, with when it ends
}

// String is for people.
func (l Lease) String() string { return fmt.Sprintf("lease of %s (%s): %s", l.Secret, l.Lease, l.Text) }

// Image is what was built or proven.
type Image struct {
	Name   string   `json:"name"` // the first of Names
	Names  []string `json:"names"`
	ID     string   `json:"id"`     // of the config, as docker build prints it
	Digest string   `json:"digest"` // of the manifest or index
}

// Secret is one secret of the command.
type Secret struct {
	ID        string `json:"id"`
	Reference string `json:"reference"`
	Requested bool   `json:"requested"` // a step mounted it
}

// Proof is what was searched.
type Proof struct {
	Verdict      string   `json:"verdict"` // clean, leaked or incomplete
	Needles      int      `json:"needles"`
	Encodings    []string `json:"encodings"`
	Blobs        int      `json:"blobs"`
	Bytes        int64    `json:"bytes"`
	Cached       int      `json:"cached"` // blobs proven before and not read again
	Milliseconds int64    `json:"milliseconds"`
	Waived       []string `json:"waived"`             // ids of secrets too short to be proven
	Unminted     []string `json:"unminted,omitempty"` // ids of secrets that no step asked for, so that they have no value
	Spent        []string `json:"spent,omitempty"`    // ids of secrets that were build arguments, and may be in the image if they are dead
	NotSearched  []Unread `json:"not_searched"`
	Skipped      []Unread `json:"skipped"` // not searched, as the user allowed
}

// Unread is a place that was not searched.
type Unread struct {
	finding.Location
	Line   int    `json:"line,omitempty"` // in a source file, counted from 1
	Reason string `json:"reason"`
}

// JSON writes the report as one object.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r.filled())
}

// filled has empty lists instead of null ones.
func (r *Report) filled() *Report {
	c := *r
	c.Secrets, c.Findings, c.Image.Names = list(c.Secrets), list(c.Findings), list(c.Image.Names)
	if len(c.Image.Names) > 0 {
		c.Image.Name = c.Image.Names[0]
	}
	if r.Proof != nil {
		p := *r.Proof
		p.Encodings, p.Waived, p.NotSearched, p.Skipped = list(p.Encodings), list(p.Waived), list(p.NotSearched), list(p.Skipped)
		c.Proof = &p
	}
	return &c
}

func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// maxShown is how many findings Text shows.
const maxShown = 20

// Text writes the short form for a terminal, each line behind prefix.
func (r *Report) Text(w io.Writer, prefix string) {
	line := func(format string, args ...any) { fmt.Fprintln(w, prefix+printable(fmt.Sprintf(format, args...))) }
	mistakes := group(r.Findings)
	for i, m := range mistakes {
		if i == maxShown {
			line("  … and %d more: --format json lists them", len(mistakes)-maxShown)
			break
		}
		f := m[0]
		text := fmt.Sprintf("  %s (%s): %s", f.Secret, f.Encoding, f.Location)
		if f.Phantom && f.Secret != finding.Ticket {
			text = "  phantom of" + text[1:]
		}
		if f.Hidden {
			text += ", deleted later but still in the image"
		}
		if why := r.dead(f.Secret); why != "" && !f.Phantom {
			text += "; it is dead: the credential " + why
		}
		line("%s", text)
		if more := len(m) - 1; more > 0 {
			line("      and in %d more places, such as %s", more, m[1].Location)
		}
		if d := f.Dockerfile; d != nil {
			line("      %s:%d  %s", d.File, d.Line, d.Text)
		}
	}
	for _, l := range r.Leases {
		line("%s", l)
	}
	if r.Proof == nil {
		return
	}
	for i, u := range r.Proof.NotSearched {
		if i == maxShown {
			line("  … and %d more", len(r.Proof.NotSearched)-maxShown)
			break
		}
		line("  not searched: %s: %s", u.Location, u.Reason)
	}
	line("%s", r.Proof.summary(r.verdict()))
}

// dead is why all leases of a secret are known to open nothing any more, or "".
func (r *Report) dead(id string) string {
	deaths := map[string]string{"revoked and verified dead": "was revoked", "expired": "has expired"}
	why := ""
	for _, l := range r.Leases {
		if l.Secret != id {
			continue
		}
		if why = deaths[l.Fate]; why == "" {
			return ""
		}
	}
	return why
}

// verdict is what came of the proof, in words.
func (r *Report) verdict() string {
	var ids []string
	for _, s := range r.Secrets {
		if !slices.Contains(slices.Concat(r.Proof.Waived, r.Proof.Unminted, r.Proof.Spent), s.ID) {
			ids = append(ids, s.ID)
		}
	}
	names := strings.Join(ids, ", ")
	phantom := slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Phantom && f.Secret != finding.Ticket })
	ticket := slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Secret == finding.Ticket })
	switch {
	case r.Proof.Verdict == "leaked":
		return "leaked"
	case r.Proof.Verdict == "incomplete":
		return "not proven: not everything could be searched"
	case r.Rehearsal && phantom:
		return "rehearsed: what stands in for a secret is in the image"
	case r.Rehearsal:
		return "rehearsed: what stands in for " + names + " is nowhere in the image"
	case phantom:
		return "proven: " + names + " nowhere in the image, but a phantom is"
	case ticket:
		return "proven: " + names + " nowhere in the image, but " + finding.Ticket + " is"
	}
	return "proven: " + names + " nowhere in the " + cmp.Or(r.Place, "image")
}

// printable keeps names in an image from talking to the terminal.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// group puts together what one secret and one line of a Dockerfile did.
func group(findings []finding.Finding) [][]finding.Finding {
	type cause struct {
		secret, file string
		line         int
	}
	at := map[cause]int{}
	var groups [][]finding.Finding
	for _, f := range findings {
		if f.Dockerfile == nil {
			groups = append(groups, []finding.Finding{f})
			continue
		}
		c := cause{f.Secret, f.Dockerfile.File, f.Dockerfile.Line}
		i, ok := at[c]
		if !ok {
			i = len(groups)
			at[c], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	return groups
}

func (p *Proof) summary(verdict string) string {
	switch {
	case p.Needles == 0 && len(p.Unminted) > 0:
		return "no step asked for " + strings.Join(p.Unminted, ", ") + ": there is no value to search for"
	case p.Needles == 0:
		return "no secrets to prove"
	}
	return fmt.Sprintf("%s (%d needles in %d encodings, %d blobs, %d known from before, %s, %s)", verdict, p.Needles,
		len(p.Encodings), p.Blobs, p.Cached, Size(p.Bytes), time.Duration(p.Milliseconds)*time.Millisecond)
}

// Size renders a number of bytes.
func Size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	f, i := float64(n), 0
	for f >= 1000 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
