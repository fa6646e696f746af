package gate

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// reverseDoor stands for one origin at an address of ours, in plain HTTP, for tools that take a URL and no proxy.
type reverseDoor struct {
	gate    *Gate
	origin  Origin
	address string
	step    string // for the audit; may be empty
}

// serve answers one request.
func (d *reverseDoor) serve(w http.ResponseWriter, r *http.Request) {
	x := d.gate.newExchange(w, r, d.origin, d.step)
	x.door = d
	if !d.admits(r) {
		defer x.finish()
		if d.isHere(r.Host) {
			w.Header().Set("Www-Authenticate", `Basic realm="tightlip"`)
			x.fail(&refusal{http.StatusUnauthorized, "the door wants the phantom or the ticket"})
		} else {
			x.fail(&refusal{http.StatusMisdirectedRequest, "the request names another host than " + d.address})
		}
		return
	}
	x.run(r)
}

// admits wants proof that a client belongs to the build: a phantom, the ticket as the password, or the word of the step's shim. Any
// browser and any user of the machine reaches loopback.
func (d *reverseDoor) admits(r *http.Request) bool {
	if !d.isHere(r.Host) {
		return false
	}
	if _, own := ownStep(r); own || d.gate.options.Open {
		return true
	}
	_, shown := password(r.Header.Get("Authorization"))
	if d.gate.isTicket(shown) {
		return true
	}
	return slices.ContainsFunc(d.gate.policy.Routes, func(route Route) bool {
		return d.gate.credential(route).shown(r.Header, route.Attach) != nil
	})
}

// isHere tells whether a Host header names the door.
func (d *reverseDoor) isHere(host string) bool {
	_, port, _ := net.SplitHostPort(d.address)
	return host == d.address || host == "localhost:"+port || host == "127.0.0.1:"+port
}

// maxRewrite bounds, in bytes, a body in which URLs are rewritten. The metadata of npm's largest packages have some 50 MB.
const maxRewrite = 96 << 20

var errRewriteSize = errors.New("the response is too large to rewrite its URLs")

// rewrite makes URLs of the origin in a response into URLs of the door, in the body only if the client does not do that itself. A nil
// door changes nothing.
func (d *reverseDoor) rewrite(res *http.Response, c Client) error {
	if d == nil {
		return nil
	}
	if to := res.Header.Get("Location"); to != "" {
		res.Header.Set("Location", d.location(to))
	}
	if kind := c.kind(); kind != nil && kind.keeps || !rewritable(res) {
		return nil
	}
	for _, name := range []string{"Content-Length", "Content-Md5", "Digest", "Repr-Digest", "Content-Digest", "Etag"} {
		res.Header.Del(name)
	}
	if res.Request != nil && res.Request.Method == http.MethodHead {
		return nil
	}
	return d.rewriteBody(res)
}

func (d *reverseDoor) rewriteBody(res *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxRewrite+1))
	if err != nil {
		return err
	}
	if strings.EqualFold(res.Header.Get("Content-Encoding"), "gzip") {
		if body, err = gunzip(bytes.NewReader(body), maxRewrite+1); err != nil {
			return err
		}
		res.Header.Del("Content-Encoding")
	}
	if len(body) > maxRewrite {
		return errRewriteSize
	}
	setBody(res, d.replace(body))
	return nil
}

// setBody gives a response another body, and closes the first one with it.
func setBody(res *http.Response, body []byte) {
	res.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(body), res.Body}
	res.ContentLength = int64(len(body))
	res.Header.Set("Content-Length", strconv.Itoa(len(body)))
}

// location is a redirect to the origin made into one to the door.
func (d *reverseDoor) location(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text
	}
	if u.Scheme == "" {
		u.Scheme = d.origin.Scheme
	}
	if originOf(u) != d.origin {
		return text
	}
	u.Scheme, u.Host, u.User = "http", d.address, nil
	return u.String()
}

// rewritable is for the indexes of package managers: JSON and HTML. The manifests of registries are known by their digests.
func rewritable(res *http.Response) bool {
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if strings.HasPrefix(kind, "application/vnd.oci.") || strings.HasPrefix(kind, "application/vnd.docker.") {
		return false
	}
	return err == nil && (kind == "application/json" || kind == "text/html" || kind == "text/json" || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+html"))
}

// replace rewrites the origin's URLs, also with JSON's escaped slashes and with the port that goes without saying.
func (d *reverseDoor) replace(body []byte) []byte {
	full := d.origin.Scheme + "://" + d.origin.address()
	for _, from := range []string{full, d.origin.String()} {
		to := "http://" + d.address
		body = replaceOrigin(body, from, to)
		body = replaceOrigin(body, strings.ReplaceAll(from, "/", `\/`), strings.ReplaceAll(to, "/", `\/`))
	}
	return body
}

// replaceOrigin replaces from where it is a whole origin: no longer host and no port follows.
func replaceOrigin(body []byte, from, to string) []byte {
	if !bytes.Contains(body, []byte(from)) {
		return body
	}
	out := make([]byte, 0, len(body))
	for {
		i := bytes.Index(body, []byte(from))
		if i < 0 {
			return append(out, body...)
		}
		end := i + len(from)
		out = append(out, body[:i]...)
		if end < len(body) && continuesHost(body[end]) {
			out = append(out, from...)
		} else {
			out = append(out, to...)
		}
		body = body[end:]
	}
}

func continuesHost(c byte) bool {
	return c == ':' || c == '.' || c == '-' || c == '_' || c == '@' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c >= 0x80
}
