package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/finding"
)

var (
	//go:embed scan.html.tmpl
	htmlTemplate string
	//go:embed scan.css
	htmlStyle string
	//go:embed scan.js
	htmlScript string

	htmlPage = template.Must(template.New("scan").Parse(htmlTemplate))
)

// page is what the template shows. It is one file that loads nothing and sends nothing: its policy allows this style and
// this script by their hashes.
type page struct {
	Title, Tool, Policy string
	Style               template.CSS
	Script              template.JS
	Verdict             string // clean, leaked, incomplete or failed
	Headline            string
	Tallies             []tally
	Filters             []filter
	Images              []imageView
	Remedies            []remedy
	Rotate              string
	Findings            int
}

// tally is how many findings have a severity.
type tally struct {
	Severity finding.Severity
	N        int
}

// filter is a choice among the values that the findings have.
type filter struct {
	ID, Label, All string
	Values         []string
}

// imageView is one image: groups of findings outside of its layers, and a stack of layers for each platform.
type imageView struct {
	Name, Summary string
	Error         string
	Facts         []fact
	Groups        []groupView
	Stacks        []stackView
	Unread        []string
	Ignored       []leakView
}

type fact struct{ Name, Value string }

type groupView struct {
	Title    string
	Findings []leakView
}

type stackView struct {
	Platform string
	Layers   []layerView // the highest first
}

type layerView struct {
	ScanLayer
	Size     string
	Short    string // of CreatedBy, if that is long
	Width    string // of the bar, such as 37%
	Findings []leakView
}

type leakView struct {
	finding.Leak
	Place, Badge string // the badge is of the status
	Facts        []fact
}

func writeHTML(w io.Writer, scans []Scan, _ Options) error {
	return htmlPage.Execute(w, newPage(printed(scans)))
}

func newPage(scans []Scan) *page {
	p := &page{Style: template.CSS(htmlStyle), Script: template.JS(htmlScript), Policy: policy(), Remedies: remedies(scans), Rotate: rotate}
	p.Verdict, p.Headline = verdict(scans)
	p.Title = count(len(scans), "image")
	if len(scans) > 0 {
		p.Tool = scans[0].Tool
	}
	if len(scans) == 1 {
		p.Title = scans[0].name()
	}
	all := allFindings(scans)
	p.Findings = len(all)
	p.Tallies = tallies(all)
	p.Filters = filters(all)
	for i := range scans {
		p.Images = append(p.Images, viewImage(&scans[i]))
	}
	return p
}

// policy allows the style and the script by hash, and nothing else.
func policy() string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; base-uri 'none'; form-action 'none'", hash(htmlStyle), hash(htmlScript))
}

// verdict says in a word and in a line what came of all scans.
func verdict(scans []Scan) (word, line string) {
	var sum Scan
	failed := 0
	for i := range scans {
		sum.Findings = append(sum.Findings, scans[i].Findings...)
		sum.Unread = append(sum.Unread, scans[i].Unread...)
		if scans[i].Error != "" {
			failed++
		}
	}
	line = strings.ToUpper(sum.found()[:1]) + sum.found()[1:]
	switch {
	case len(sum.Findings) > 0:
		return "leaked", line
	case failed > 0:
		return "failed", "The scan failed"
	case len(sum.Unread) > 0:
		return "incomplete", "No secrets, where it could be searched"
	}
	return "clean", line
}

func allFindings(scans []Scan) []finding.Leak {
	var all []finding.Leak
	for i := range scans {
		all = append(all, scans[i].Findings...)
	}
	return worstFirst(all)
}

func tallies(all []finding.Leak) []tally {
	var out []tally
	for _, l := range all {
		if n := len(out); n > 0 && out[n-1].Severity == l.Severity {
			out[n-1].N++
		} else {
			out = append(out, tally{l.Severity, 1})
		}
	}
	return out
}

func filters(all []finding.Leak) []filter {
	out := []filter{
		{ID: "severity", Label: "Severity", All: "All severities"},
		{ID: "status", Label: "Status", All: "All states"},
		{ID: "rule", Label: "Rule", All: "All rules"},
	}
	for i, value := range []func(*finding.Leak) string{
		func(l *finding.Leak) string { return string(l.Severity) },
		func(l *finding.Leak) string { return string(l.Status) },
		func(l *finding.Leak) string { return l.Rule },
	} {
		for j := range all {
			if v := value(&all[j]); v != "" && !slices.Contains(out[i].Values, v) {
				out[i].Values = append(out[i].Values, v)
			}
		}
	}
	slices.Sort(out[2].Values)
	return out
}

func viewImage(s *Scan) imageView {
	v := imageView{Name: s.name(), Summary: s.summary(), Error: s.Error, Ignored: viewLeaks(s.Ignored), Stacks: stacks(s)}
	for _, f := range []fact{
		{"Also called", strings.Join(s.Image.Names[min(1, len(s.Image.Names)):], ", ")},
		{"Digest", s.Image.Digest}, {"ID", s.Image.ID}, {"Platforms", strings.Join(s.Image.Platforms, ", ")},
	} {
		v.Facts = appendFact(v.Facts, f.Name, f.Value)
	}
	for _, u := range s.Unread {
		v.Unread = append(v.Unread, fmt.Sprintf("%s: %s", u.Location, u.Reason))
	}
	files, documents := groupView{Title: "Files"}, groupView{Title: "Configuration, history and other documents"}
	for _, l := range viewLeaks(s.Findings) {
		switch {
		case l.Layer > 0:
		case l.Path != "":
			files.Findings = append(files.Findings, l)
		default:
			documents.Findings = append(documents.Findings, l)
		}
	}
	for _, g := range []groupView{files, documents} {
		if len(g.Findings) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
	return v
}

func appendFact(facts []fact, name, value string) []fact {
	if value == "" {
		return facts
	}
	return append(facts, fact{name, value})
}

// stacks draws the layers of each platform, with the findings in them.
func stacks(s *Scan) []stackView {
	var out []stackView
	largest := int64(1)
	for _, l := range withFound(s) {
		largest = max(largest, l.Size)
		i := slices.IndexFunc(out, func(v stackView) bool { return v.Platform == l.Platform })
		if i < 0 {
			i, out = len(out), append(out, stackView{Platform: l.Platform})
		}
		out[i].Layers = append(out[i].Layers, viewLayer(s, l))
	}
	for _, v := range out {
		for i, l := range v.Layers {
			v.Layers[i].Width = fmt.Sprintf("%.1f%%", 100*float64(l.ScanLayer.Size)/float64(largest))
		}
		slices.Reverse(v.Layers)
	}
	return out
}

// withFound is the layers, with those that have findings and are not listed.
func withFound(s *Scan) []ScanLayer {
	layers := slices.Clone(s.Layers)
	for _, l := range s.Findings {
		same := func(k ScanLayer) bool { return k.Platform == l.Platform && k.Index == l.Layer }
		if l.Layer > 0 && !slices.ContainsFunc(layers, same) {
			layers = append(layers, ScanLayer{Platform: l.Platform, Index: l.Layer, Digest: l.Digest, CreatedBy: l.CreatedBy})
		}
	}
	if len(s.Layers) == 0 {
		slices.SortStableFunc(layers, func(a, b ScanLayer) int { return a.Index - b.Index })
	}
	return layers
}

// longStep is the length from which a step is folded.
const longStep = 140

func viewLayer(s *Scan, l ScanLayer) layerView {
	v := layerView{ScanLayer: l, Size: Size(l.Size)}
	if cut := short(l.CreatedBy, longStep); cut != l.CreatedBy {
		v.Short = cut + "…"
	}
	var in []finding.Leak
	for _, f := range s.Findings {
		if f.Layer > 0 && f.Layer == l.Index && f.Platform == l.Platform {
			in = append(in, f)
		}
	}
	v.Findings = viewLeaks(in)
	return v
}

func viewLeaks(leaks []finding.Leak) []leakView {
	var out []leakView
	for _, l := range worstFirst(leaks) {
		out = append(out, viewLeak(l))
	}
	return out
}

// inside is the place without the layer, which is drawn around it.
func inside(l finding.Leak) string {
	outside := fmt.Sprintf("layer %d ", l.Layer)
	l.Platform = ""
	return strings.TrimPrefix(l.Place(), outside)
}

func viewLeak(l finding.Leak) leakView {
	v := leakView{Leak: l, Place: inside(l), Badge: string(l.Status)}
	if words := statusWords[l.Status]; words != "" {
		v.Badge = words
	}
	at := ""
	if l.Source != nil {
		at = fmt.Sprintf("%s line %d: %s", l.Source.File, l.Source.Line, l.Source.Text)
	}
	hint := ""
	if l.Hint != "" {
		hint = l.Hint + "…"
	}
	for _, f := range []fact{
		{"Place", l.Place()}, {"Platform", l.Platform}, {"Key", l.Key}, {"Value", hint}, {"Written in", l.Encoding}, {"Token", verdictWords[l.Verified]}, {"Dockerfile", at}, {"Step", l.CreatedBy},
		{"Layer", l.Digest}, {"Rule", l.Rule}, {"Fingerprint", l.Fingerprint}, {"Ignored because", l.Ignored},
	} {
		v.Facts = appendFact(v.Facts, f.Name, f.Value)
	}
	v.Fix = fixOf(&l)
	return v
}
