package gate

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// attack is one thing that a hostile client, or a hostile network, tries.
type attack struct {
	name string
	// raw is what is sent: NPM and APT are complete request lines' ends with the Host header, PROXY is the ticket's header.
	raw string
	// where it is sent to: "inside" of the TLS to npm (the default), to the "proxy", or to the "reverse" door
	to      string
	serve   http.HandlerFunc // how npm answers
	change  func(*Options)
	status  string // what the answer begins with, after HTTP/1.1; "cut": it ends before its time
	verdict Verdict
	reason  string // part of the audit's
	reached int    // requests that get to npm
	check   func(t *testing.T, w *world, answer string)
}

func get(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: npm.corp.example\r\nConnection: close\r\n"
}

// reflected answers with the credential as the origin got it, changed by f.
func reflected(f func(string) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s<%s>%s", strings.Repeat("filler ", 10), f(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")), strings.Repeat(" more", 100))
	}
}

func inHeader(name string, f func(string) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, f(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
		fmt.Fprint(w, "hello")
	}
}

func same(s string) string { return s }

func zipped(text string) []byte {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	_, _ = io.WriteString(zw, text)
	zw.Close()
	return b.Bytes()
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}
}

const dots = "dot segments"

var attacks = []attack{
	// Paths.
	{name: "dots", raw: get("/repo/../secret"), status: "400", verdict: Refused, reason: dots},
	{name: "an escaped dot", raw: get("/repo/%2e/x"), status: "400", verdict: Refused, reason: dots},
	{name: "one dot", raw: get("/repo/././x"), status: "200", verdict: Allowed, reached: 1, check: neverSent("/.")},
	{name: "dots between dots", raw: get("/repo/./.././x"), status: "400", verdict: Refused, reason: dots},
	{name: "dots at the end", raw: get("/repo/.."), status: "400", verdict: Refused, reason: dots},
	{name: "escaped dots", raw: get("/repo/%2e%2e/secret"), status: "400", verdict: Refused, reason: dots},
	{name: "half escaped dots", raw: get("/repo/.%2E/secret"), status: "400", verdict: Refused, reason: dots},
	{name: "twice escaped dots", raw: get("/repo/%252e%252e/secret"), status: "400", verdict: Refused, reason: dots},
	{name: "seven times escaped dots", raw: get("/repo/%25252525252525252e%2e/secret"), status: "400", verdict: Refused, reason: dots},
	{name: "backslash", raw: get(`/repo/..\secret`), status: "400", verdict: Refused, reason: dots},
	{name: "escaped backslash", raw: get(`/repo/..%5csecret`), status: "400", verdict: Refused, reason: dots},
	{name: "escaped slash", raw: get("/repo/..%2fsecret"), status: "400", verdict: Refused, reason: dots},
	{name: "twice escaped slash", raw: get("/repo/..%252fsecret"), status: "400", verdict: Refused, reason: dots},
	{name: "dots with a parameter", raw: get("/repo/..;a=b/secret"), status: "400", verdict: Refused, reason: dots},
	{name: "overlong UTF-8", raw: get("/repo/%c0%ae%c0%ae/secret"), status: "400", verdict: Refused, reason: dots},
	{name: "full-width dots", raw: get("/repo/%ef%bc%8e%ef%bc%8e/secret"), status: "400", verdict: Refused, reason: dots},
	{name: "a line end in the path", raw: get("/repo/x%0d%0aX-Y:%20z"), status: "400", verdict: Refused, reason: dots},
	{name: "a zero byte in the path", raw: get("/repo/x%00.tgz"), status: "400", verdict: Refused, reason: dots},
	{name: "a path that no route has", raw: get("/admin"), status: "403", verdict: Refused, reason: "no route"},
	{name: "a prefix of another name", raw: get("/repository-of-others/x"), status: "403", verdict: Refused, reason: "no route"},
	{name: "an escaped prefix", raw: get("/%72epo/x"), status: "403", verdict: Refused, reason: "no route"},
	{name: "two slashes before the prefix", raw: get("//repo/x"), status: "403", verdict: Refused, reason: "no route"},

	// Methods.
	{name: "TRACE", raw: "TRACE" + get("/repo/x")[3:], status: "405", verdict: Refused, reason: "TRACE"},
	{name: "TRACK", raw: "TRACK" + get("/repo/x")[3:], status: "405", verdict: Refused, reason: "TRACK"},
	{name: "CONNECT inside", raw: "CONNECT stranger.example:80 HTTP/1.1\r\nHost: npm.corp.example\r\n", status: "405", verdict: Refused, reason: "CONNECT"},
	{name: "PUT", raw: "PUT" + get("/repo/x")[3:] + "Content-Length: 0\r\n", status: "403", verdict: Refused, reason: "does not allow PUT"},
	{name: "DELETE", raw: "DELETE" + get("/repo/x")[3:], status: "403", verdict: Refused, reason: "does not allow DELETE"},
	{name: "POST", raw: "POST" + get("/repo/x")[3:] + "Content-Length: 0\r\n", status: "403", verdict: Refused, reason: "does not allow POST"},
	{name: "OPTIONS", raw: "OPTIONS" + get("/repo/x")[3:], status: "403", verdict: Refused, reason: "does not allow"},
	{name: "OPTIONS *", raw: "OPTIONS" + get("*")[3:], status: "403", verdict: Refused},
	{name: "git push", raw: "POST" + get("/repo/app.git/git-receive-pack")[3:] + "Content-Length: 0\r\n", status: "403", verdict: Refused, reason: "POST"},
	{name: "git push's question", raw: get("/repo/app.git/info/refs?service=git-receive-pack"), status: "403", verdict: Refused, reason: "GET"},
	{name: "git push's question, escaped", raw: get("/repo/app.git/info/refs?service=git%2Dreceive-pack"), status: "403", verdict: Refused, reason: "GET"},
	{name: "a method in a header", raw: get("/repo/x") + "X-HTTP-Method-Override: DELETE\r\n", status: "200", verdict: Allowed, reached: 1, check: neverSent("Override")},
	{name: "a path in a header", raw: get("/repo/x") + "X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\n", status: "200", verdict: Allowed, reached: 1, check: neverSent("admin")},
	{name: "GET with a body", raw: get("/repo/x") + "Content-Length: 4\r\n\r\nbody", status: "400", verdict: Refused, reason: "body"},

	// Hosts.
	{name: "another host inside", raw: "GET /repo/x HTTP/1.1\r\nHost: stranger.example\r\nConnection: close\r\n", status: "421", verdict: Refused, reason: "another host"},
	{name: "another port inside", raw: "GET /repo/x HTTP/1.1\r\nHost: npm.corp.example:8443\r\nConnection: close\r\n", status: "421", verdict: Refused, reason: "another host"},
	{name: "a URL of another host inside", raw: "GET http://stranger.example/x HTTP/1.1\r\nHost: stranger.example\r\nConnection: close\r\n", status: "421", verdict: Refused, reason: "another host"},
	{name: "a URL and another Host", raw: "GET https://npm.corp.example/repo/x HTTP/1.1\r\nHost: stranger.example\r\n", status: "400", verdict: Refused, reason: "Host"},
	{name: "two Hosts", raw: get("/repo/x") + "Host: stranger.example\r\n", status: "400", verdict: Refused, reason: "Host"},
	{name: "no Host", raw: "GET /repo/x HTTP/1.1\r\n", status: "400", verdict: Refused, reason: "Host"},
	{name: "a user in the Host", raw: "GET /repo/x HTTP/1.1\r\nHost: npm.corp.example@stranger.example\r\nConnection: close\r\n", status: "4", verdict: Refused},
	{name: "a plain URL and another Host", to: "proxy", raw: "GET http://apt.corp.example/x HTTP/1.1\r\nHost: stranger.example\r\nPROXY", status: "400", verdict: Refused, reason: "Host"},
	{name: "https without a tunnel", to: "proxy", raw: "GET https://npm.corp.example/repo/x HTTP/1.1\r\nHost: npm.corp.example\r\nPROXY", status: "400", verdict: Refused, reason: "CONNECT"},
	{name: "a forwarded host", raw: get("/repo/x") + "X-Forwarded-Host: stranger.example\r\nForwarded: host=stranger.example\r\n", status: "200", verdict: Allowed, reached: 1, check: neverSent("stranger")},

	// Framing.
	{name: "CL and TE", raw: "POST" + get("/free/x")[3:] + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX", status: "400", verdict: Refused, reason: "length"},
	{name: "two lengths", raw: "POST" + get("/free/x")[3:] + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", status: "400", verdict: Refused, reason: "length"},
	{name: "the same length twice", raw: "POST" + get("/free/x")[3:] + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", status: "400", verdict: Refused, reason: "length"},
	{name: "a signed length", raw: "POST" + get("/free/x")[3:] + "Content-Length: +5\r\n\r\nhello", status: "400", verdict: Refused, reason: "length"},
	{name: "an obfuscated coding", raw: "POST" + get("/free/x")[3:] + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", status: "400", verdict: Refused, reason: "length"},
	{name: "two codings", raw: "POST" + get("/free/x")[3:] + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", status: "400", verdict: Refused, reason: "length"},
	{name: "a space before the colon", raw: "POST" + get("/free/x")[3:] + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", status: "400", verdict: Refused, reason: "malformed"},
	{name: "a folded header", raw: get("/repo/x") + "X-A: b\r\n Transfer-Encoding: chunked\r\n", status: "400", verdict: Refused, reason: "malformed"},
	{name: "a bare line end", raw: get("/repo/x") + "X-A: b\nX-B: c\r\n", status: "400", verdict: Refused, reason: "malformed"},
	{name: "a bare carriage return", raw: get("/repo/x") + "X-A: b\rX-B: c\r\n", status: "400", verdict: Refused, reason: "malformed"},
	{name: "HTTP/1.0 with a coding", raw: "POST /free/x HTTP/1.0\r\nHost: npm.corp.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: "400", verdict: Refused, reason: "length"},
	{name: "a malformed chunk", raw: "POST" + get("/free/x")[3:] + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", status: "400", verdict: Refused, reason: "chunk"},
	{name: "trailers", raw: "POST" + get("/free/x")[3:] + "Transfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: x\r\n\r\n", status: "400", verdict: Refused, reason: "trailers"},
	{name: "a huge header", raw: get("/repo/x") + "X-A: " + strings.Repeat("a", 140<<10) + "\r\n", status: "4", verdict: Refused, reason: "too large"},
	{name: "HTTP/2 by prior knowledge", raw: "PRI * HTTP/2.0\r\n", status: "400", verdict: Refused, reason: "malformed"},

	// Other protocols.
	{name: "websocket", raw: get("/repo/x") + "Upgrade: websocket\r\n", status: "403", verdict: Refused, reason: "protocol"},
	{name: "upgrade in Connection", raw: "GET /repo/x HTTP/1.1\r\nHost: npm.corp.example\r\nConnection: close, Upgrade\r\n", status: "403", verdict: Refused, reason: "protocol"},
	{name: "an upgrade nobody asked for", raw: get("/repo/x"), serve: func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		conn.Close()
	}, status: "502", verdict: Refused, reason: "protocol", reached: 1},

	// Headers of the client.
	{name: "Connection: Authorization", raw: "GET /repo/x HTTP/1.1\r\nHost: npm.corp.example\r\nConnection: Authorization, close\r\n", status: "200", verdict: Allowed, reached: 1, check: authorized},
	{name: "Connection: the route's header", raw: "GET /repo/x HTTP/1.1\r\nHost: npm.corp.example\r\nX-Feed-Key: mine\r\nConnection: X-Feed-Key, close\r\n", change: func(o *Options) {
		for i := range o.Policy.Routes {
			o.Policy.Routes[i].Attach = Attach{Header, "X-Feed-Key"}
		}
	}, status: "200", verdict: Allowed, reached: 1, check: func(t *testing.T, w *world, _ string) {
		if got := w.npm.requests()[0].r.Header.Values("X-Feed-Key"); len(got) != 1 || got[0] != w.value {
			t.Errorf("the origin got %d values", len(got))
		}
	}},
	{name: "an Authorization of its own", raw: get("/repo/x") + "Authorization: Bearer mine\r\n", status: "200", verdict: Allowed, reached: 1, check: authorized},
	{name: "two Authorizations", raw: get("/repo/x") + "Authorization: Bearer mine\r\nAuthorization: Basic bWU6bWluZQ==\r\n", status: "200", verdict: Allowed, reached: 1, check: authorized},
	{name: "cookies", raw: get("/repo/x") + "Cookie: session=mine\r\n", status: "200", verdict: Allowed, reached: 1, check: neverSent("session")},
	{name: "tokens in other headers", raw: get("/repo/x") + "Private-Token: mine\r\nX-Api-Key: mine\r\nProxy-Authorization: mine\r\n", status: "200", verdict: Allowed, reached: 1, check: neverSent("mine")},
	{name: "a credential read in pieces", raw: get("/echo") + "Range: bytes=0-7\r\n", serve: func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x", time.Time{}, strings.NewReader(r.Header.Get("Authorization")))
	}, status: "cut", verdict: Refused, reason: errLeak.Error(), reached: 1},

	// The credential comes back.
	{name: "reflected", raw: get("/echo"), serve: reflected(same), status: "cut", verdict: Refused, reason: errLeak.Error(), reached: 1},
	{name: "reflected in base64", raw: get("/echo"), serve: reflected(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }), status: "cut", verdict: Refused, reached: 1},
	{name: "reflected in base64, one further", raw: get("/echo"), serve: reflected(func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x" + s)) }), status: "cut", verdict: Refused, reached: 1},
	{name: "reflected in base64, two further", raw: get("/echo"), serve: reflected(func(s string) string { return base64.StdEncoding.EncodeToString([]byte("xy" + s)) }), status: "cut", verdict: Refused, reached: 1},
	{name: "reflected in hex", raw: get("/echo"), serve: reflected(func(s string) string { return hex.EncodeToString([]byte(s)) }), status: "cut", verdict: Refused, reached: 1},
	{name: "reflected, URL-escaped", raw: get("/echo"), serve: reflected(url.QueryEscape), status: "cut", verdict: Refused, reached: 1},
	{name: "reflected byte by byte", raw: get("/echo"), serve: func(w http.ResponseWriter, r *http.Request) {
		for _, c := range []byte(r.Header.Get("Authorization")) {
			_, _ = w.Write([]byte{c})
			_ = http.NewResponseController(w).Flush()
		}
	}, status: "cut", verdict: Refused, reached: 1},
	{name: "reflected in gzip", raw: get("/echo") + "Accept-Encoding: gzip\r\n", serve: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(zipped(r.Header.Get("Authorization")))
	}, status: "cut", verdict: Refused, reached: 1},
	{name: "reflected in gzip that nobody asked for", raw: get("/echo"), serve: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(zipped(strings.Repeat("filler", 100_000) + r.Header.Get("Authorization") + strings.Repeat("filler", 100_000)))
	}, status: "cut", verdict: Refused, reached: 1, check: noneUnzipped},
	{name: "reflected in a file of gzip", raw: get("/echo"), serve: func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(zipped(r.Header.Get("Authorization")))
	}, status: "cut", verdict: Refused, reached: 1, check: noneUnzipped},
	{name: "reflected in an encoding nobody asked for", raw: get("/echo"), serve: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		fmt.Fprint(w, "hello")
	}, status: "502", verdict: Refused, reason: "encoding", reached: 1},
	{name: "no gzip under that name", raw: get("/echo"), serve: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		fmt.Fprint(w, r.Header.Get("Authorization"))
	}, status: "cut", verdict: Refused, reached: 1},
	{name: "reflected in a header", raw: get("/echo"), serve: inHeader("X-Token", same), status: "502", verdict: Refused, reason: errLeak.Error(), reached: 1},
	{name: "reflected in a header in base64", raw: get("/echo"), serve: inHeader("X-Token", func(s string) string { return base64.StdEncoding.EncodeToString([]byte("ci:" + s)) }), status: "502", verdict: Refused, reached: 1},
	{name: "reflected in Location", raw: get("/echo"), serve: inHeader("Location", func(s string) string { return "https://stranger.example/?t=" + s }), status: "502", verdict: Refused, reached: 1},
	{name: "reflected in a challenge", raw: get("/echo"), serve: inHeader("Www-Authenticate", same), status: "502", verdict: Refused, reached: 1},
	{name: "reflected in an error page", raw: get("/echo"), serve: func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, r.Header.Get("Authorization"), http.StatusUnauthorized)
	}, status: "cut", verdict: Refused, reached: 1},
	{name: "reflected in early hints", raw: get("/echo"), serve: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		fmt.Fprint(w, "hello")
	}, status: "200", verdict: Allowed, reached: 1},
	{name: "reflected in a trailer", raw: get("/echo"), serve: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Token")
		fmt.Fprint(w, "hello")
		w.Header().Set("X-Token", r.Header.Get("Authorization"))
		w.Header().Set(http.TrailerPrefix+"X-Other", r.Header.Get("Authorization"))
	}, status: "200", verdict: Allowed, reached: 1},
	{name: "cookies of the origin", raw: get("/echo"), serve: inHeader("Set-Cookie", func(string) string { return "session=theirs" }), status: "200", verdict: Allowed, reached: 1, check: func(t *testing.T, _ *world, answer string) {
		if strings.Contains(answer, "theirs") {
			t.Error("the client has the cookie")
		}
	}},
	{name: "a response with huge headers", raw: get("/echo"), serve: inHeader("X-A", func(string) string { return strings.Repeat("a", 300<<10) }), status: "502", verdict: Allowed, reached: 1},

	// Redirects.
	{name: "redirect to another origin", raw: get("/repo/x"), serve: redirect("https://user:word@stranger.example/x"), status: "302", verdict: Allowed, reached: 1, check: func(t *testing.T, w *world, answer string) {
		if !strings.Contains(answer, "Location: https://stranger.example/x\r\n") || len(w.stranger.requests()) != 0 {
			t.Errorf("the answer is %q", answer)
		}
	}},
	{name: "redirect to loopback", raw: get("/repo/x"), serve: redirect("http://127.0.0.1:22/"), status: "502", verdict: Refused, reason: "redirects", reached: 1},
	{name: "redirect to localhost", raw: get("/repo/x"), serve: redirect("http://LOCALHOST./"), status: "502", verdict: Refused, reason: "redirects", reached: 1},
	{name: "redirect to a metadata service", raw: get("/repo/x"), serve: redirect("http://169.254.169.254/latest/"), status: "502", verdict: Refused, reason: "redirects", reached: 1},
	{name: "redirect to a mapped address", raw: get("/repo/x"), serve: redirect("http://[::ffff:10.0.0.1]/"), status: "502", verdict: Refused, reason: "redirects", reached: 1},
	{name: "redirect to a number", raw: get("/repo/x"), serve: redirect("http://2130706433/"), status: "502", verdict: Refused, reason: "redirects", reached: 1},
	{name: "redirect to a file", raw: get("/repo/x"), serve: redirect("file:///etc/passwd"), status: "502", verdict: Refused, reason: "redirects", reached: 1},
	{name: "a realm elsewhere", raw: get("/repo/x"), serve: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Www-Authenticate", `Bearer realm="http://stranger.example/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	}, status: "401", verdict: Allowed, reached: 1, check: realmGetsNothing},

	// Addresses.
	{name: "a name on loopback", to: "proxy", raw: "GET http://near.example/ HTTP/1.1\r\nHost: near.example\r\nPROXY", status: "403", verdict: Refused, reason: "loopback"},
	{name: "loopback itself", to: "proxy", raw: "GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\nPROXY", status: "403", verdict: Refused, reason: "loopback"},
	{name: "a metadata service", to: "proxy", raw: "GET http://169.254.169.254/latest HTTP/1.1\r\nHost: 169.254.169.254\r\nPROXY", status: "403", verdict: Refused, reason: "metadata"},
	{name: "a name of a metadata service", to: "proxy", raw: "GET http://metadata.example/ HTTP/1.1\r\nHost: metadata.example\r\nPROXY", status: "403", verdict: Refused},
	{name: "a mapped address", to: "proxy", raw: "GET http://mapped.example/ HTTP/1.1\r\nHost: mapped.example\r\nPROXY", status: "403", verdict: Refused},
	{name: "the unspecified address", to: "proxy", raw: "GET http://0.0.0.0/ HTTP/1.1\r\nHost: 0.0.0.0\r\nPROXY", status: "403", verdict: Refused},
	{name: "a tunnel to loopback", to: "proxy", raw: "CONNECT near.example:443 HTTP/1.1\r\nHost: near.example:443\r\nPROXY", status: "403", verdict: Refused, reason: "loopback"},
	{name: "a tunnel to an IPv6 loopback", to: "proxy", raw: "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nPROXY", status: "403", verdict: Refused},
	{name: "a declared name of a metadata service", to: "proxy", raw: "GET http://metadata.corp.example/ HTTP/1.1\r\nHost: metadata.corp.example\r\nPROXY", change: func(o *Options) {
		o.Policy.Routes = append(o.Policy.Routes, Route{Secret: "npm", Origin: Origin{"http", "metadata.corp.example", "80"}, Attach: Attach{Kind: Bearer}})
	}, status: "403", verdict: Refused, reason: "metadata"},

	// Access.
	{name: "no ticket", to: "proxy", raw: "GET http://apt.corp.example/ HTTP/1.1\r\nHost: apt.corp.example\r\nConnection: close\r\n", status: "407", verdict: Refused, reason: "ticket"},
	{name: "a wrong ticket", to: "proxy", raw: "CONNECT npm.corp.example:443 HTTP/1.1\r\nHost: npm.corp.example\r\nProxy-Authorization: Basic dGlnaHRsaXA6eA==\r\n", status: "407", verdict: Refused, reason: "ticket"},
	{name: "sealed", to: "proxy", raw: "GET http://stranger.example/ HTTP/1.1\r\nHost: stranger.example\r\nPROXY", change: seal, status: "403", verdict: Refused, reason: "sealed"},
	{name: "a tunnel, sealed", to: "proxy", raw: "CONNECT stranger.example:443 HTTP/1.1\r\nHost: stranger.example:443\r\nPROXY", change: seal, status: "403", verdict: Refused, reason: "sealed"},
	{name: "the declared host at another port, sealed", to: "proxy", raw: "CONNECT npm.corp.example:22 HTTP/1.1\r\nHost: npm.corp.example:22\r\nPROXY", change: seal, status: "403", verdict: Refused, reason: "sealed"},
	{name: "a reverse door without the phantom", to: "reverse", raw: "GET /repo/x HTTP/1.1\r\nHost: REVERSE\r\nConnection: close\r\n", status: "401", verdict: Refused, reason: "phantom"},
	{name: "a reverse door under another name", to: "reverse", raw: "GET /repo/x HTTP/1.1\r\nHost: rebound.example\r\nAuthorization: Bearer PHANTOM\r\nConnection: close\r\n", status: "421", verdict: Refused, reason: "another host"},
	{name: "two requests at once, the second for another host", raw: "GET /repo/x HTTP/1.1\r\nHost: npm.corp.example\r\n\r\nGET /repo/x HTTP/1.1\r\nHost: stranger.example\r\nConnection: close\r\n\r\n", status: "200", verdict: Allowed, reached: 1, check: func(t *testing.T, _ *world, answer string) {
		if !strings.Contains(answer, "HTTP/1.1 421") {
			t.Errorf("the answers are %q", answer)
		}
	}},
	{name: "a request in the body of another", raw: "POST" + get("/repo/app.git/git-upload-pack")[3:] + "Content-Length: 65\r\n\r\nGET /admin HTTP/1.1\r\nHost: npm.corp.example\r\nX-Padding: abcde\r\n\r\n", status: "200", verdict: Allowed, reached: 1, check: authorized},
	{name: "a phantom in a query", raw: get("/repo/x?token=PHANTOM"), status: "200", verdict: Allowed, reached: 1, check: func(t *testing.T, w *world, _ string) {
		if uri := w.npm.requests()[0].r.RequestURI; !strings.HasSuffix(uri, w.gate.Phantom("npm")) {
			t.Errorf("the origin got %s", uri)
		}
	}},
	{name: "a phantom in a header of no credentials", raw: get("/repo/x") + "User-Agent: PHANTOM\r\n", status: "200", verdict: Allowed, reached: 1, check: func(t *testing.T, w *world, _ string) {
		if ua := w.npm.requests()[0].r.UserAgent(); ua != w.gate.Phantom("npm") {
			t.Errorf("the origin got %s", ua)
		}
	}},
}

func seal(o *Options) { o.Policy.Seal = true }

func neverSent(text string) func(*testing.T, *world, string) {
	return func(t *testing.T, w *world, _ string) {
		for _, r := range w.npm.requests() {
			if strings.Contains(r.head, text) {
				t.Errorf("the origin got %s", text)
			}
		}
		authorized(t, w, "")
	}
}

// authorized wants our credential, and no other.
func authorized(t *testing.T, w *world, _ string) {
	for _, r := range w.npm.requests() {
		if got := r.r.Header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer "+w.value {
			t.Errorf("the origin got %d values of Authorization, or other ones", len(got))
		}
	}
}

// noneUnzipped unpacks what the client got, as far as that goes.
func noneUnzipped(_ *testing.T, w *world, answer string) {
	_, body, _ := strings.Cut(answer, "\r\n\r\n")
	i := strings.Index(body, "\x1f\x8b")
	if i < 0 {
		return
	}
	zr, err := gzip.NewReader(strings.NewReader(strings.ReplaceAll(body[i:], "\r\n", "")))
	if err != nil {
		return
	}
	text, _ := io.ReadAll(zr)
	w.noTraces("what the client unpacks", string(text))
}

func realmGetsNothing(t *testing.T, w *world, _ string) {
	req, _ := http.NewRequest(http.MethodGet, "http://stranger.example:"+w.stranger.port()+"/token", nil)
	req.SetBasicAuth("ci", w.gate.Phantom("npm"))
	w.npm.respond(nil)
	res, err := w.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := w.stranger.requests(); len(got) != 1 || got[0].auth == "" {
		t.Errorf("the realm got %d requests", len(got))
	}
}

func TestAttacks(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			w := newWorld(t, a.change)
			w.npm.respond(a.serve)
			answer := w.send(a)
			if a.check != nil {
				a.check(t, w, answer)
			}
			w.judge(a, answer)
		})
	}
	if len(attacks) < 40 {
		t.Errorf("there are only %d attacks", len(attacks))
	}
}

// send sends the bytes of an attack and returns all that comes back.
func (w *world) send(a attack) string {
	w.t.Helper()
	raw := a.raw
	if !strings.Contains(raw, "\r\n\r\n") {
		raw += "\r\n"
	}
	raw = strings.NewReplacer("PROXY", "Connection: close\r\n"+w.proxyAuth(), "REVERSE", w.reverse, "PHANTOM", w.gate.Phantom("npm")).Replace(raw)
	var conn net.Conn
	var err error
	switch a.to {
	case "":
		conn, err = w.inside("npm.corp.example")
	case "proxy":
		conn, err = net.Dial("tcp", w.proxy)
	case "reverse":
		conn, err = net.Dial("tcp", w.reverse)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	go func() { _, _ = io.WriteString(conn, raw) }()
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 && a.status != "" {
		w.t.Errorf("the answer ends with %v", err)
	}
	return string(answer)
}

func (w *world) judge(a attack, answer string) {
	w.t.Helper()
	w.last(1)
	e := w.events[0]
	whole, bodyErr := wholeAnswer(answer)
	switch {
	case a.status == "cut" && whole && !strings.HasPrefix(answer, "HTTP/1.1 502"):
		w.t.Errorf("the client got all of %q", answer)
	case a.status != "cut" && !strings.HasPrefix(answer, "HTTP/1.1 "+a.status):
		w.t.Errorf("the answer is %.200q (%v)", answer, bodyErr)
	}
	if e.Verdict != a.verdict || !strings.Contains(e.Reason, a.reason) {
		w.t.Errorf("the audit says %+v", e)
	}
	if got := len(w.npm.requests()); got != a.reached {
		w.t.Errorf("%d requests got to the origin, want %d", got, a.reached)
	}
	w.noTraces("the answer", answer)
	for _, s := range []*server{w.stranger, w.near} {
		for _, r := range s.requests() {
			w.noTraces("what another server got", r.head+r.body)
		}
	}
	for _, r := range w.npm.requests() {
		w.noTraces("the URL", r.r.RequestURI)
	}
	audit, _ := json.Marshal(e)
	w.noTraces("the audit", string(audit))
	if strings.Contains(string(audit), w.gate.Ticket()) || strings.Contains(string(audit), "token=") {
		w.t.Errorf("the audit holds too much: %s", audit)
	}
}

// wholeAnswer tells whether an answer is complete.
func wholeAnswer(answer string) (bool, error) {
	res, err := http.ReadResponse(bufioReader(answer), nil)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err == nil, err
}

func TestServerName(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.inside("stranger.example"); err == nil {
		t.Error("a client got a certificate for another name")
	}
	if e := w.last(1); e.Verdict != Refused || !strings.Contains(e.Reason, errServerName.Error()) {
		t.Errorf("the audit says %+v", e)
	}
}

// TestSelf wants the gate not to be its own upstream, even if the policy says so.
func TestSelf(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strings.TrimPrefix(l.Addr().String(), "127.0.0.1:")
	w := newWorld(t, func(o *Options) {
		o.Policy.Pass = []Origin{{"http", "127.0.0.1", port}}
	})
	go func() { _ = w.gate.ServeForward(l) }()
	time.Sleep(50 * time.Millisecond)
	res, err := w.client().Get("http://127.0.0.1:" + port + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if e := w.last(1); res.StatusCode != http.StatusForbidden || !strings.Contains(e.Reason, errSelf.Error()) {
		t.Errorf("status %d, %+v", res.StatusCode, e)
	}
}

// TestRebinding has a name resolve to a public address first and to loopback then.
func TestRebinding(t *testing.T) {
	w := newWorld(t, nil)
	w.stranger.Close()
	res, err := w.client().Get("http://near.example:" + w.near.port() + "/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden || len(w.near.requests()) != 0 {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestUntrustedUpstream(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Roots = newTestAuthority(t).pool() })
	res, err := w.client().Get("https://npm.corp.example/repo/x")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusBadGateway || !strings.Contains(string(body), "certificate") || len(w.npm.requests()) != 0 {
		t.Errorf("status %d, %s", res.StatusCode, body)
	}
}

// TestConstraints wants the authority to be of no use for other hosts.
func TestConstraints(t *testing.T) {
	w := newWorld(t, nil)
	for host, ok := range map[string]bool{"npm.corp.example": true, "stranger.example": false, "127.0.0.1": false, "::1": false} {
		leaf, err := w.gate.ca.leaf(host)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifies(w.gate.CA(), leaf, host); (err == nil) != ok {
			t.Errorf("%s: %v", host, err)
		}
	}
	if c := w.gate.ca.cert; !c.MaxPathLenZero || !c.PermittedDNSDomainsCritical || c.NotAfter.After(time.Now().Add(13*time.Hour)) {
		t.Errorf("the authority is %+v", c)
	}
	again, _ := w.gate.ca.leaf("npm.corp.example")
	if first, _ := w.gate.ca.leaf("npm.corp.example"); first != again {
		t.Error("a certificate is made twice")
	}
}
