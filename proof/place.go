package proof

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/scan"
)

// report turns leaks and gaps of blobs into findings about the image.
func (s *search) report(ctx context.Context, img image.Image, l image.Layout) {
	for _, g := range s.gaps {
		u := Unread{Location: s.locate(l, g.blob), Reason: g.reason}
		u.Path = g.path
		if s.options.skipped(g.file) {
			s.proof.Skipped = append(s.proof.Skipped, u)
		} else {
			s.proof.Unread = append(s.proof.Unread, u)
		}
	}
	for _, absent := range l.Absent {
		s.proof.Unread = append(s.proof.Unread, Unread{
			Location: finding.Location{Kind: finding.InManifest, Platform: absent.String(), Digest: absent.Manifest},
			Reason:   "absent: the image has this platform, but it is not here: prove registry:NAME instead",
		})
	}
	found := s.dedupe()
	if len(found) == 0 {
		return
	}
	hidden := s.hidden(ctx, img, l, found)
	for i, f := range found {
		id, phantom := strings.CutPrefix(f.secret, phantomOf)
		if f.blob.MustUnpack && !phantom && f.encoding != Earlier && !s.options.Forget {
			s.mark.putLeaked(f.blob.Digest, f.secret, earlier{Path: f.path, File: s.needles.maskString(f.file), Offset: f.offset})
		}
		where := s.locate(l, f.blob)
		where.Path, where.Field, where.Offset = f.path, f.field, f.offset
		s.proof.Findings = append(s.proof.Findings, finding.Finding{
			Secret: id, Phantom: phantom, Encoding: f.encoding, Location: where, Hidden: hidden[i], Dockerfile: s.origin(l, f, where),
		})
	}
}

// dedupe keeps one leak for each secret, encoding and place, and names the fields of documents. It leaves out the raw bytes of tar headers where a decoded
// field of them says more, and the copies of the config in old formats that docker save adds.
func (s *search) dedupe() []leak {
	type place struct{ digest, blobPath, secret, encoding, path, field string }
	seen := map[place]bool{}
	inHeader := map[string]bool{} // blob and secret
	inConfig := map[string]bool{} // secret
	current := map[string]bool{}  // blob and secret
	for _, l := range s.leaks {
		current[l.blob.Digest+" "+l.secret] = current[l.blob.Digest+" "+l.secret] || l.encoding != Earlier
		inConfig[l.secret] = inConfig[l.secret] || l.blob.Kind == finding.InConfig
		if l.field != "" {
			inHeader[l.blob.Digest+l.blob.Path+" "+l.secret] = true
		}
	}
	var out []leak
	for _, l := range s.leaks {
		if l.blob.MustUnpack && l.file == "" && l.field == "" && inHeader[l.blob.Digest+l.blob.Path+" "+l.secret] {
			continue
		}
		if l.blob.Kind == finding.InMetadata && inConfig[l.secret] || l.encoding == Earlier && current[l.blob.Digest+" "+l.secret] {
			continue
		}
		if doc, ok := s.documents[l.blob.Digest]; ok && l.field == "" {
			l.field = s.needles.maskString(fieldAt(doc.text, l.offset))
		}
		p := place{l.blob.Digest, l.blob.Path, l.secret, l.encoding, l.path, l.field}
		if !seen[p] {
			seen[p] = true
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b leak) int {
		return cmp.Or(cmp.Compare(a.blob.Digest, b.blob.Digest), cmp.Compare(a.path, b.path), cmp.Compare(a.offset, b.offset))
	})
	return out
}

// layerOf finds the platform and the layer, counted from 1, that a blob is; zeros if it is none.
func layerOf(l image.Layout, b image.Blob) (platform, layer int) {
	for p, platform := range l.Platforms {
		for i, layer := range platform.Layers {
			if layer.Is(b) {
				return p, i + 1
			}
		}
	}
	return 0, 0
}

// locate says what a blob is in the image.
func (s *search) locate(l image.Layout, b image.Blob) finding.Location {
	where := finding.Location{Kind: b.Kind, Digest: b.Digest}
	p, layer := layerOf(l, b)
	for i, platform := range l.Platforms {
		if b.Digest != "" && (platform.Manifest == b.Digest || platform.Config == b.Digest) {
			p = i
		}
	}
	where.Layer = layer
	if len(l.Platforms) > 1 && (layer > 0 || l.Platforms[p].Manifest == b.Digest || l.Platforms[p].Config == b.Digest) {
		where.Platform = l.Platforms[p].String()
	}
	return where
}

// origin finds the Dockerfile line that made the place of a leak.
func (s *search) origin(l image.Layout, f leak, where finding.Location) *finding.Source {
	if s.options.Origins == nil {
		return nil
	}
	config, entry := f.blob.Digest, -1
	switch f.blob.Kind {
	case finding.InLayer:
		p, layer := layerOf(l, f.blob)
		if layer == 0 {
			return nil
		}
		config, entry = l.Platforms[p].Config, l.Platforms[p].Layers[layer-1].History
	case finding.InConfig:
		entry = s.historyEntry(s.documents[config].history, f, where.Field)
	}
	origins := s.options.Origins(s.documents[config].history)
	if entry < 0 || entry >= len(origins) || origins[entry] == nil {
		return nil
	}
	source := *origins[entry]
	source.Text = s.needles.maskString(source.Text)
	return &source
}

// configKeywords are the instructions behind the fields of an image config.
var configKeywords = map[string]string{
	"config.Env": "ENV", "config.Labels": "LABEL", "config.Cmd": "CMD", "config.Entrypoint": "ENTRYPOINT",
	"config.Healthcheck": "HEALTHCHECK", "config.OnBuild": "ONBUILD", "config.WorkingDir": "WORKDIR", "config.User": "USER",
}

// historyEntry finds the history entry that a field of a config comes from: itself one, or the last that sets the
// field and holds the same secret, or else the only one that sets such a field.
func (s *search) historyEntry(history []string, f leak, field string) int {
	var entry int
	if _, err := fmt.Sscanf(field, "history[%d]", &entry); err == nil {
		return s.argument(history, f, entry)
	}
	for prefix, keyword := range configKeywords {
		if !strings.HasPrefix(field, prefix) {
			continue
		}
		var all []int
		for i, text := range slices.Backward(history) {
			if !strings.Contains(text, keyword+" ") {
				continue
			}
			if s.holds(text, f.secret) {
				return i
			}
			all = append(all, i)
		}
		if len(all) == 1 { // podman does not write what variables stood for
			return all[0]
		}
	}
	return -1
}

func (s *search) holds(text, secret string) (yes bool) {
	s.needles.Find([]byte(text), func(h Hit) { yes = yes || h.Secret == secret })
	return yes
}

// argument finds the ARG entry behind a RUN entry that holds the secret as a build argument: builders write
// "RUN |1 TOKEN=value /bin/sh -c …" and leave the value out of "ARG TOKEN". Any other entry stays as it is.
func (s *search) argument(history []string, f leak, entry int) int {
	if entry >= len(history) || !strings.Contains(history[entry], "|") {
		return entry
	}
	for i, text := range history[:entry] {
		_, name, ok := strings.Cut(text, "ARG ")
		name, _, _ = strings.Cut(name, "=")
		if _, value, found := strings.Cut(history[entry], " "+name+"="); ok && found {
			value, _, _ = strings.Cut(value, " /")
			if s.holds(value, f.secret) {
				return i
			}
		}
	}
	return entry
}

// hidden tells for each leak in a layer's file whether a later layer deletes or overwrites the file. It reads the
// image once more, headers only. What cannot be read hides nothing: the leak itself is never lost for it.
func (s *search) hidden(ctx context.Context, img image.Image, l image.Layout, found []leak) []bool {
	hidden := make([]bool, len(found))
	if !slices.ContainsFunc(found, func(f leak) bool { return f.blob.Kind == finding.InLayer && f.file != "" }) {
		return hidden
	}
	for b, err := range img.Blobs(ctx) {
		if err != nil {
			return hidden
		}
		p, layer := layerOf(l, b)
		if layer == 0 {
			continue
		}
		eachHeader(b, func(h *tar.Header) {
			for i, f := range found {
				fp, fl := layerOf(l, f.blob)
				if f.file == "" || fp != p || fl == 0 || fl >= layer || hidden[i] {
					continue
				}
				hidden[i], _ = image.Hides(h, f.file)
			}
		})
	}
	return hidden
}

// eachHeader calls do for the entries of a layer, as far as it can be read.
func eachHeader(b image.Blob, do func(*tar.Header)) {
	rc, err := b.Open()
	if err != nil {
		return
	}
	defer rc.Close()
	r, err := scan.Decompressed(rc, windowLimit)
	if err != nil {
		return
	}
	for h, err := range image.Headers(r) {
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return
		}
		do(h)
	}
}
