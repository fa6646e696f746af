package gate

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// batch posts to an LFS server below a path, and returns the status and what there is of the answer.
func (w *world) batch(client *http.Client, url, body string, header http.Header) (int, string) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodPost, url+"/app.git/info/lfs/objects/batch", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header = header.Clone()
	res, err := client.Do(req)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(answer)
}

// TestLFSRequests lets a route that may only read ask for downloads, in words that no server can read in another way.
func TestLFSRequests(t *testing.T) {
	const plain = `{"operation":"download","transfers":["basic"],"ref":{"name":"refs/heads/main"},"objects":[{"oid":"12","size":9007199254740993}],"hash_algo":"sha256"}`
	for _, c := range []struct {
		path, body string
		status     int
		got        string
	}{
		{"/repo", plain, 200, plain},
		{"/repo", `{"operation":"upload","operation":"download","objects":[{"oid":"12","size":1,"operation":"upload"}],"x":1}`, 200, `{"operation":"download","objects":[{"oid":"12","size":1}]}`},
		{"/repo", strings.Replace(plain, "download", "upload", 1), 403, ""},
		{"/repo", `{"operation":"download","Operation":"upload","objects":[]}`, 403, ""},
		{"/repo", plain + plain, 403, ""},
		{"/repo", "operation=download", 403, ""},
		{"/repo", "", 403, ""},
		{"/repo", `{"operation":"download","objects":[{"oid":"` + strings.Repeat("1", maxLFS) + `","size":1}]}`, 403, ""},
		{"/free", strings.Replace(plain, "download", "upload", 1), 200, strings.Replace(plain, "download", "upload", 1)},
	} {
		w := newWorld(t, nil)
		status, answer := w.batch(w.client(), "https://npm.corp.example"+c.path, c.body, http.Header{"Content-Type": {"text/plain"}, "Content-Encoding": {"identity"}})
		if status != c.status {
			t.Errorf("%s %.80s: %d, %s", c.path, c.body, status, answer)
		}
		requests := w.npm.requests()
		if c.got == "" && len(requests) > 0 || c.got != "" && (len(requests) != 1 || requests[0].body != c.got) {
			t.Errorf("%s %.80s: the origin got %v", c.path, c.body, requests)
		}
		if c.path == "/repo" && c.got != "" && (requests[0].r.Header.Get("Content-Type") != lfsType || requests[0].r.Header.Get("Content-Encoding") != "") {
			t.Errorf("%.80s: the origin got %s", c.body, requests[0].head)
		}
	}
}

// TestLFSAnswers has servers repeat what they got, as Gitea does: the client gets the phantom, which opens the object.
func TestLFSAnswers(t *testing.T) {
	const ask, object = `{"operation":"download","objects":[]}`, "https://npm.corp.example/repo/app.git/info/lfs/objects/12"
	for name, c := range map[string]struct {
		auth    func(value string) string
		outside bool // of the actions' headers
		cut     bool
	}{
		"bearer":    {auth: func(v string) string { return "Bearer " + v }},
		"basic":     {auth: func(v string) string { return basic("ci", v) }},
		"another":   {auth: func(string) string { return "Bearer of-another-service" }},
		"elsewhere": {auth: func(v string) string { return "Bearer " + v }, outside: true, cut: true},
		"in base64": {auth: func(v string) string { return "Digest " + basic("ci", v)[6:] }, cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			answer := func(auth string) string {
				outside := ""
				if c.outside {
					outside, auth = auth, "none"
				}
				return fmt.Sprintf(`{"message":%q,"objects":[{"oid":"12","size":9007199254740993,"actions":{"download":{"href":%q,"header":{"Authorization":%q}}}}]}`, outside, object, auth)
			}
			w.npm.respond(func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Content-Type", lfsType)
				fmt.Fprint(rw, answer(c.auth(w.value)))
			})
			status, body := w.batch(w.client(), "https://npm.corp.example/repo", ask, http.Header{"Content-Type": {lfsType}})
			w.noTraces("the answer", body)
			if c.cut {
				if strings.Contains(body, object) {
					t.Errorf("the answer is not cut: %d", status)
				}
				return
			}
			if want := answer(c.auth(w.gate.Phantom("npm"))); !sameJSON(body, want) {
				t.Errorf("got %s\nwant %s", body, want)
			}
			_, body = w.batch(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+w.reverse+"/repo", ask, http.Header{"Authorization": {"Bearer " + w.gate.Phantom("npm")}})
			if w.noTraces("the door's answer", body); !strings.Contains(body, `"http://`+w.reverse+`/repo/app.git/info/lfs/objects/12"`) {
				t.Errorf("the door answers %s", body)
			}
		})
	}
}

func sameJSON(a, b string) bool {
	canonical := func(text string) string {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var v any
		_ = d.Decode(&v)
		out, _ := json.Marshal(v)
		return string(out)
	}
	return canonical(a) == canonical(b)
}
