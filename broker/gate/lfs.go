package gate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Git LFS asks in a POST where objects are, for download and for upload alike:
// https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md

const (
	lfsType = "application/vnd.git-lfs+json"
	maxLFS  = 1 << 20 // bytes of a request or a response; clients ask for 100 objects at a time
)

// lfsBatch is such a request, with all that it may hold.
type lfsBatch struct {
	Operation string      `json:"operation"`
	Transfers []string    `json:"transfers,omitempty"`
	Ref       *lfsRef     `json:"ref,omitempty"`
	Objects   []lfsObject `json:"objects"`
	HashAlgo  string      `json:"hash_algo,omitempty"`
}

type lfsRef struct {
	Name string `json:"name"`
}

type lfsObject struct {
	OID  string      `json:"oid"`
	Size json.Number `json:"size"`
}

var errUpload = &refusal{http.StatusForbidden, "the request asks Git LFS for an upload, or cannot be read (uploads: true lets it write)"}

// isLFSBatch tells whether a request asks Git LFS where objects are.
func isLFSBatch(method, path string) bool {
	return method == http.MethodPost && strings.HasSuffix(path, "/info/lfs/objects/batch")
}

// onlyDownload lets a batch through that asks for downloads. It is written anew: no server reads more out of it than we did.
func onlyDownload(r *http.Request) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxLFS+1))
	var b lfsBatch
	if err != nil || len(data) > maxLFS || json.Unmarshal(data, &b) != nil || b.Operation != "download" {
		return errUpload
	}
	if data, err = json.Marshal(b); err != nil {
		return err
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
	r.Header.Del("Content-Encoding")
	r.Header.Set("Content-Type", lfsType)
	r.Header.Set("Content-Length", strconv.Itoa(len(data)))
	return nil
}

// lend puts the phantom in the place of the credential where a server tells the client to send what it has sent before, as
// Gitea does. Everything else in the response is left for the guard to find.
func (x *exchange) lend(res *http.Response) error {
	if !isLFSBatch(x.event.Method, x.event.Path) || !rewritable(res) || res.Header.Get("Content-Encoding") != "" {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxLFS+1))
	if err != nil {
		return err
	}
	if len(data) > maxLFS {
		return errRewriteSize
	}
	setBody(res, x.cred.lendIn(data))
	return nil
}

// lendIn rewrites the headers of the actions of a response. What holds no credential there stays as it is.
func (c *credential) lendIn(data []byte) []byte {
	var batch map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // sizes stay as they are
	if d.Decode(&batch) != nil || d.More() {
		return data
	}
	changed := false
	for _, object := range asList(batch["objects"]) {
		for _, action := range asMap(asMap(object)["actions"]) {
			header := asMap(asMap(action)["header"])
			for name, value := range header {
				text, _ := value.(string)
				if lent := c.lent(text); lent != text {
					header[name], changed = lent, true
				}
			}
		}
	}
	if out, err := json.Marshal(batch); changed && err == nil {
		return out
	}
	return data
}

// lent is a header's value with the phantom in the place of the credential.
func (c *credential) lent(text string) string {
	value := string(c.value.Open())
	if scheme, rest, _ := strings.Cut(text, " "); strings.EqualFold(scheme, "basic") {
		if plain, err := base64.StdEncoding.DecodeString(rest); err == nil && strings.Contains(string(plain), value) {
			return scheme + " " + base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(string(plain), value, c.phantom)))
		}
	}
	return strings.ReplaceAll(text, value, c.phantom)
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func asList(v any) []any {
	l, _ := v.([]any)
	return l
}
