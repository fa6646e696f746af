package leaks_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/tightlip/tightlip/image/imagetest"
	"github.com/tightlip/tightlip/scan/leaks"
)

// seen records what a search tells its hook.
type seen struct {
	mu     sync.Mutex
	values []string // "rule value"; the ticket of the first is 1
}

func (s *seen) tell(rule string, value []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = append(s.values, rule+" "+string(value))
	return len(s.values)
}

// TestSeen: the hook gets each value as it stands in files and documents, and its findings have the tickets.
func TestSeen(t *testing.T) {
	token := func(n string) string { return "SG." + (n + two)[:22] + "." + (n + one + three)[:43] }
	wide := ""
	for _, c := range utf16.Encode([]rune("key = " + token("3") + " is a text")) {
		wide += string([]byte{byte(c), byte(c >> 8)})
	}
	img := imagetest.Image(t, "linux/amd64", imagetest.Step{CreatedBy: "COPY . /", Files: []imagetest.File{
		file("a.txt", "SENDGRID "+token("1")+"\n"), file("b.txt", base64.StdEncoding.EncodeToString([]byte("the key is "+token("2")+" and so on"))), file("c.txt", wide),
		file("d.txt", strings.Repeat("a line of no meaning\n", 10000)+setting(two)),
	}})
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.Config.Env = []string{"MAIL=" + token("4")}
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	cache, err := leaks.OpenCache(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	opened := open(t, imagetest.NewArchive(t, "app:1", img))
	find(t, opened, leaks.Options{Cache: cache}) // the next one does not go by what this found
	hook := &seen{}
	r := find(t, opened, leaks.Options{Cache: cache, Seen: hook.tell})
	if r.Stats.Cached != 0 {
		t.Error("a layer was taken from the cache, which has no values")
	}
	want := map[string]string{ // by place
		"layer 1 /a.txt line 1":     "sendgrid-api-token " + token("1"),
		"layer 1 /d.txt line 10001": "generic-secret " + two,
		"config.Env[0]":             "sendgrid-api-token " + token("4"),
	}
	for _, f := range r.Findings {
		switch {
		case want[f.Place()] == "":
			if f.Encoding == "" || f.Ticket != 0 {
				t.Errorf("%s: %q has the ticket %d", f.Place(), f.Encoding, f.Ticket)
			}
		case f.Ticket == 0 || hook.values[f.Ticket-1] != want[f.Place()]:
			t.Errorf("%s has the ticket %d", f.Place(), f.Ticket)
		}
		delete(want, f.Place())
		if text, err := json.Marshal(f); err != nil || f.Verified != "" || strings.Contains(string(text), "icket") {
			t.Errorf("%s: %s %v", f.Place(), text, err)
		}
	}
	if len(want) > 0 || len(r.Findings) != 5 {
		t.Errorf("not found: %d of %q", len(want), places(r))
	}
	if slices.ContainsFunc(hook.values, func(v string) bool { return strings.HasSuffix(v, token("2")) || strings.HasSuffix(v, token("3")) }) {
		t.Error("a value was told that does not stand there so")
	}
}
