package detect

import (
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// -published adds what is found in folders with the sources of well-known programs to the list:
//
//	go test ./scan/detect -run TestPublished -published $(go env GOROOT):/usr/lib/python3
var publishedIn = flag.String("published", "", "folders, with : between them, whose credentials are no secrets")

func TestPublished(t *testing.T) {
	if published(someSecret) {
		t.Error("a value that is nowhere is in the list")
	}
	if *publishedIn == "" {
		return
	}
	d := New()
	list := maps.Clone(publishedSet())
	for _, root := range strings.Split(*publishedIn, ":") {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if r, err := gzip.NewReader(bytes.NewReader(text)); err == nil {
				path = strings.TrimSuffix(path, ".gz")
				text, _ = io.ReadAll(r) // of a broken one, what there is
			}
			for _, m := range d.Find(Content{Path: strings.TrimPrefix(path, "/"), Data: text}) {
				t.Logf("%s: %s %q", path, m.Rule.ID, text[m.Start:min(m.End, m.Start+60)])
				list[publishedName(string(text[m.Start:m.End]))] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text := strings.Join(slices.Sorted(maps.Keys(list)), "\n") + "\n"
	if err := os.WriteFile("published.txt", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
