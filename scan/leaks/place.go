package leaks

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
)

// view is an image whose blobs have been searched.
type view struct {
	search *search
	layout image.Layout
	above  stack
	steps  []steps // by number of the platform
	known  map[place]finding.Status
}

// steps are the history of one platform.
type steps struct {
	history history
	masked  []string
	origins []*finding.Source
}

// place turns what was found in blobs into findings about the image.
func (s *search) place(r *Result) {
	v := &view{search: s, layout: r.Layout, known: map[place]finding.Status{}}
	for _, p := range r.Layout.Platforms {
		v.steps = append(v.steps, s.stepsOf(p))
	}
	s.maskNames(r)
	v.layout, v.above = r.Layout, s.above(r.Layout)
	if len(v.steps) > 0 {
		r.History = v.steps[0].masked
	}
	r.Layers = s.layers(r.Layout, r.History)
	for _, p := range s.order {
		r.Stats.add(p)
		platform, layer, _ := locate(r.Layout, p.blob)
		for _, g := range p.gaps {
			where := finding.Location{Kind: p.blob.Kind, Platform: v.name(platform), Digest: p.blob.Digest, Layer: layer, Path: g.Path}
			r.Unread = append(r.Unread, Unread{where, g.Reason})
		}
		if s.inBase(r.Layout, layer, p.blob) {
			continue
		}
		for _, k := range p.leaks {
			r.Findings = append(r.Findings, v.finding(p.blob, k))
		}
	}
	for _, absent := range r.Layout.Absent {
		r.Unread = append(r.Unread, Unread{
			finding.Location{Kind: finding.InManifest, Platform: absent.String(), Digest: absent.Manifest},
			"absent: the image has this platform, but it is not here: scan registry:NAME instead",
		})
	}
	r.Findings = number(distinct(r.Findings))
}

// add counts a blob.
func (s *Stats) add(p *piece) {
	s.Files += p.files
	s.Bytes += p.bytes
	if p.blob.MustUnpack {
		s.Layers++
		if p.cached {
			s.Cached++
		}
	}
}

// stepsOf reads the history in a platform's config.
func (s *search) stepsOf(platform image.Platform) steps {
	var out steps
	for _, p := range s.order {
		if p.history != nil && p.blob.Digest == platform.Config {
			out.history = p.history
		}
	}
	for _, text := range out.history {
		out.masked = append(out.masked, clip(s.masked(text)))
	}
	out.origins = make([]*finding.Source, len(out.history))
	if s.options.Origins == nil {
		return out
	}
	for i, o := range s.options.Origins(out.history) {
		if o != nil && i < len(out.origins) {
			source := *o
			source.Text = s.masked(source.Text)
			out.origins[i] = &source
		}
	}
	return out
}

// finding is a leak in its place in the image.
func (v *view) finding(b image.Blob, k leak) finding.Leak {
	platform, layer, entry := locate(v.layout, b)
	f := finding.Leak{
		Rule: k.Rule, Title: k.Title, Severity: k.Severity, Fix: k.Fix, Where: k.Where, Platform: v.name(platform), Layer: layer, Digest: b.Digest,
		Path: k.Path, Inner: k.Inner, Field: k.Field, Key: k.Key, Line: k.Line, Offset: k.Offset, Entry: k.Entry, Encoding: k.Encoding, Hint: k.Hint, Ignored: k.Ignored,
		Ticket: k.ticket,
	}
	switch {
	case k.Path != "" && layer > 0:
		f.Status = v.status(platform, layer, k)
	case k.Path != "":
		f.Status = finding.Visible
	}
	if platform < 0 {
		return f
	}
	at := v.steps[platform]
	if b.Kind == finding.InConfig {
		entry = at.history.entryOf(k)
	}
	if entry >= 0 && entry < len(at.masked) {
		f.CreatedBy, f.Source = at.masked[entry], at.origins[entry]
	}
	return f
}

// place is a file of a layer.
type place struct {
	platform, layer int
	name            uint64
}

func (v *view) status(platform, layer int, k leak) finding.Status {
	if k.Trail == nil {
		k.Trail = trailOf(image.CleanName(k.Path))
	}
	at := place{platform, layer, k.Trail.last()}
	if _, ok := v.known[at]; !ok {
		v.known[at] = v.above.status(platform, layer, k.Trail)
	}
	return v.known[at]
}

// name is a platform's name in images for several.
func (v *view) name(platform int) string {
	if platform < 0 || len(v.layout.Platforms) < 2 {
		return ""
	}
	return v.layout.Platforms[platform].String()
}

// locate says which platform and layer, counted from 1, a blob is, and which entry of the history made it: -1 if none.
func locate(l image.Layout, b image.Blob) (platform, layer, entry int) {
	for i, p := range l.Platforms {
		if b.Digest != "" && (p.Manifest == b.Digest || p.Config == b.Digest) {
			return i, 0, -1
		}
		for j, layer := range slices.Backward(p.Layers) { // of a layer that is there twice, the upper one is to be seen
			if layer.Is(b) {
				return i, j + 1, layer.History
			}
		}
	}
	return -1, 0, -1
}

// distinct leaves out findings at a place that is known already: docker save adds copies of the config in old formats, and Docker's classic
// builder one of the container that made the last layer.
func distinct(list []finding.Leak) []finding.Leak {
	inConfig := map[string]bool{}
	for _, f := range list {
		if !isCopy(f) && f.Where != "file" {
			inConfig[f.Rule+f.Hint+f.Key] = true
		}
	}
	list = slices.DeleteFunc(list, func(f finding.Leak) bool { return isCopy(f) && inConfig[f.Rule+f.Hint+f.Key] })
	slices.SortStableFunc(list, func(a, b finding.Leak) int {
		return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Inner, b.Inner),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Rule, b.Rule))
	})
	return slices.CompactFunc(list, func(a, b finding.Leak) bool {
		return a.Rule == b.Rule && a.Platform == b.Platform && a.Digest == b.Digest && a.Path == b.Path && a.Inner == b.Inner && a.Field == b.Field && a.Entry == b.Entry && a.Offset == b.Offset
	})
}

func isCopy(f finding.Leak) bool {
	return f.Where == string(finding.InMetadata) || strings.HasPrefix(f.Where, "container_config.")
}

// number gives each finding its fingerprint.
func number(list []finding.Leak) []finding.Leak {
	seen := map[string]int{}
	for i := range list {
		f := &list[i]
		place := strings.Join([]string{f.Rule, f.Where, f.Path, f.Inner, f.Key, f.Platform}, "\x00")
		if f.Where != "file" {
			place += "\x00" + f.Field
		}
		seen[place]++
		sum := sha256.Sum256(fmt.Appendf(nil, "tightlip leak v1\x00%s\x00%d", place, seen[place]))
		f.Fingerprint = hex.EncodeToString(sum[:8])
	}
	return list
}
