package leaks

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/scan/detect"
)

// maxDocument is the size in bytes up to which a manifest, config or attestation is read as a document.
const maxDocument = 16 << 20

func isDocument(b image.Blob) bool {
	switch b.Kind {
	case finding.InConfig, finding.InManifest, finding.InAttestation, finding.InMetadata:
		return !b.MustUnpack
	}
	return false
}

// history are the commands in the history of an image config.
type history []string

// instructions are those behind the fields of an image config.
var instructions = []struct{ field, name string }{
	{"config.Env", "ENV"}, {"config.Labels", "LABEL"}, {"config.Cmd", "CMD"}, {"config.Entrypoint", "ENTRYPOINT"},
	{"config.Healthcheck", "HEALTHCHECK"}, {"config.OnBuild", "ONBUILD"}, {"config.WorkingDir", "WORKDIR"}, {"config.User", "USER"},
	{"config.Volumes", "VOLUME"}, {"config.Shell", "SHELL"},
}

// entryOf finds the history entry that a leak in the config comes from, -1 if none does for certain.
func (h history) entryOf(k leak) int {
	var entry int
	if _, err := fmt.Sscanf(k.Field, "history[%d]", &entry); err == nil {
		return entry
	}
	for _, i := range instructions {
		if !strings.HasPrefix(k.Field, i.field) {
			continue
		}
		for at, text := range slices.Backward(h) {
			if strings.Contains(text, i.name+" ") && (k.Key == "" || strings.Contains(text, k.Key)) {
				return at
			}
		}
	}
	return -1
}

// readDocument searches a document, string by string. One that is no JSON is searched as a text.
func (v *visitor) readDocument(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return err
	}
	v.piece.bytes += int64(len(text))
	if len(text) > maxDocument {
		v.piece.gaps = append(v.piece.gaps, gap{Reason: fmt.Sprintf("a document of more than %d MiB", maxDocument>>20)})
		_, err := io.Copy(io.Discard, r)
		return err
	}
	kind := v.piece.blob.Kind
	if !json.Valid(text) {
		w := walker{v: v, where: string(kind)}
		w.text("", "", string(text), detect.Command)
		return nil
	}
	w := walker{v: v, where: documentKind(kind, text)}
	if kind == finding.InConfig {
		v.piece.history = image.History(text)
	}
	w.dec = json.NewDecoder(bytes.NewReader(text))
	w.dec.UseNumber()
	return w.value("", "", 0)
}

// documentKind names what a document is.
func documentKind(kind finding.Kind, text []byte) string {
	if kind != finding.InAttestation {
		return string(kind)
	}
	switch head := text[:min(len(text), 4096)]; {
	case bytes.Contains(head, []byte("spdx")) || bytes.Contains(head, []byte("SPDX")) || bytes.Contains(head, []byte("cyclonedx")):
		return "sbom"
	case bytes.Contains(head, []byte("provenance")):
		return "provenance"
	}
	return "attestation"
}

// walker goes through a JSON document.
type walker struct {
	v     *visitor
	where string
	dec   *json.Decoder
}

// maxNested is how deep a document may be, and maxField how long the name of a field in it.
const (
	maxNested = 100
	maxField  = 4096
)

// value looks at the next value, whose field's whole name is path and whose own is name. Keys may come twice: each counts.
func (w *walker) value(path, name string, depth int) error {
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	if depth > maxNested || len(path) > maxField {
		return fmt.Errorf("a document with more than %d levels, or names of more than %d bytes", maxNested, maxField)
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return w.object(path, depth)
		}
		return w.array(path, name, depth)
	case string:
		w.leaf(path, name, token)
	case json.Number:
		w.leaf(path, name, token.String())
	}
	return nil
}

func (w *walker) object(path string, depth int) error {
	for w.dec.More() {
		token, err := w.dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		field := key
		if path != "" {
			field = path + "." + key
		}
		w.text(field, "", key, detect.File)
		if err := w.value(field, key, depth+1); err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

func (w *walker) array(path, name string, depth int) error {
	if isCommand(path) {
		return w.command(path)
	}
	for i := 0; w.dec.More(); i++ {
		if err := w.value(fmt.Sprintf("%s[%d]", path, i), name, depth+1); err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

// isCommand tells whether a list is the words of a command.
func isCommand(path string) bool {
	return slices.Contains([]string{"Cmd", "Entrypoint", "Shell", "Test", "OnBuild"}, path[strings.LastIndexByte(path, '.')+1:])
}

// command looks at a list of words as one text.
func (w *walker) command(path string) error {
	var words []string
	for {
		token, err := w.dec.Token()
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case string:
			words = append(words, token)
		case json.Delim:
			if token == ']' {
				w.text(path, "", strings.Join(words, " "), detect.Command)
				return nil
			}
		}
	}
}

func (w *walker) leaf(path, name, text string) {
	list, _, _ := strings.Cut(path, "[")
	switch {
	case strings.HasSuffix(list, "config.Env"):
		w.text(path, "", text, detect.Setting)
	case strings.HasPrefix(path, "history["), w.where == string(finding.InMetadata):
		w.text(path, "", text, detect.Command)
	default:
		key := strings.TrimPrefix(name, "build-arg:")
		w.text(path, key, text, detect.Setting)
		w.wrapped(path, text)
	}
}

// wrapped looks into what is text in base64, as provenance has the Dockerfile.
func (w *walker) wrapped(path, text string) {
	if len(text) < 40 {
		return
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	if err == nil && utf8.Valid(plain) {
		w.text(path, "", string(plain), detect.Command)
	}
}

// text looks at one text of a document. A key makes it a setting of that name.
func (w *walker) text(field, key, text string, kind detect.Kind) {
	before := 0
	if key != "" {
		before = len(key) + 1
		text = key + "=" + text
	}
	for _, m := range w.v.find(detect.Content{Data: []byte(text), Kind: kind}, func() string { return field }) {
		k := w.v.leak(m, []byte(text))
		k.Field, k.Offset, k.Where = field, int64(max(0, m.Start-before)), w.place(field)
		w.v.add(k)
		w.v.search.know(text[m.Start:m.End])
	}
}

// know remembers a value until the search ends, so that it is masked wherever a document has it.
func (s *search) know(value string) {
	if len(value) >= 4 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.known = append(s.known, value)
	}
}

// configPlaces are the parts of an image config that findings are named after.
var configPlaces = []string{
	"config.Env", "config.Labels", "config.Cmd", "config.Entrypoint", "config.OnBuild", "config.Healthcheck", "config.Volumes", "config.Shell",
	"config.User", "config.WorkingDir", "config.Hostname", "author", "comment",
	"container_config.Env", "container_config.Labels", "container_config.Cmd", "container_config.Entrypoint", "container_config.OnBuild",
}

// place names the part of the document: "config.Env", "history", "manifest.annotations".
func (w *walker) place(field string) string {
	switch list, _, _ := strings.Cut(field, "["); {
	case w.where == string(finding.InConfig) && strings.HasPrefix(list, "history"):
		return "history"
	case w.where == string(finding.InConfig):
		parts := strings.SplitN(list, ".", 3)
		if place := strings.Join(parts[:min(2, len(parts))], "."); slices.Contains(configPlaces, place) {
			return place
		}
		return w.where
	case w.where == string(finding.InManifest) && strings.Contains(list, "annotations"):
		return "manifest.annotations"
	}
	return w.where
}
