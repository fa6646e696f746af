package gate

import (
	"errors"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

const example = `version: 1
seal: true
pass: [https://pypi.example, "http://127.0.0.1:8080"]
secrets:
  npm:
    - origin: https://npm.corp.example
      attach: bearer
      paths: [/repo/]
      listen: 4873
      client: npm:/repo/npm/
    - {origin: "https://npm.corp.example", attach: bearer, paths: [/mine], uploads: true, methods: [GET, PUT]}
  pip:
    - {origin: "https://pypi.corp.example:8443", attach: basic, user: ci, connect: "127.0.0.1:9443"}
    - {origin: "https://feed.corp.example", attach: "header:X-Feed-Key"}
`

func TestParsePolicy(t *testing.T) {
	npm := Origin{"https", "npm.corp.example", "443"}
	want := Policy{Seal: true, Pass: []Origin{{"https", "pypi.example", "443"}, {"http", "127.0.0.1", "8080"}}, Routes: []Route{
		{Secret: "npm", Origin: npm, Attach: Attach{Kind: Bearer}, Paths: []string{"/repo/"}, Listen: 4873, Client: Client{"npm", "/repo/npm/"}},
		{Secret: "npm", Origin: npm, Attach: Attach{Kind: Bearer}, Paths: []string{"/mine"}, Uploads: true, Methods: []string{"GET", "PUT"}},
		{Secret: "pip", Origin: Origin{"https", "pypi.corp.example", "8443"}, Attach: Attach{Basic, "ci"}, Connect: "127.0.0.1:9443"},
		{Secret: "pip", Origin: Origin{"https", "feed.corp.example", "443"}, Attach: Attach{Header, "X-Feed-Key"}},
	}}
	got, err := ParsePolicy("p.yaml", []byte(example))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	for _, text := range []string{"", "# nothing\n", "version: 1\n", "null\n"} {
		if p, err := ParsePolicy("p.yaml", []byte(text)); err != nil || len(p.Routes) != 0 || p.declared(npm) {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
	}
}

func TestParsePolicyErrors(t *testing.T) {
	route := func(text string) string { return "secrets:\n  npm:\n    - {" + text + "}\n" }
	for text, want := range map[string]string{
		"secret: {}":                        `p.yaml:1:1: unknown key; did you mean "secrets"?`,
		"version: 2":                        "p.yaml:1:10: the version must be 1",
		"a: b: c":                           "p.yaml: the file is not YAML",
		"- a":                               "p.yaml:1:1: this must be a mapping",
		"---\n---\n":                        "one document",
		"seal: maybe":                       "p.yaml:1:7: this must be true or false",
		"seal: true\nseal: true":            "twice",
		"pass: [ftp://x.example]":           "p.yaml:1:8: an origin must begin with",
		"secrets: {npm: {}}":                "p.yaml:1:16: the routes of a secret must be a list",
		route(`orign: "https://x.example"`): `did you mean "origin"?`,
		route(`origin: "https://x.example", attach: bearer, client: nmp, listen: 1`):                                                                                     "p.yaml:3:7: a client is unknown",
		route(`origin: "https://x.example", attach: bearer, client: npm`):                                                                                                "the client npm needs a port",
		route(`origin: "https://x.example", attach: bearer, client: "go:../x", listen: 1`):                                                                               "must begin with /",
		route(`origin: "https://x.example", attach: bearer, client: "jvm:/x"`):                                                                                           "the path of a client",
		"secrets: {a: [{origin: \"https://a.example\", attach: bearer, client: go, listen: 1}, {origin: \"https://b.example\", attach: bearer, client: go, listen: 2}]}": "two routes are for the client go",
		route(`attach: bearer`):                                                                                        "p.yaml:3:7: a route has no origin",
		route(`origin: "https://x.example"`):                                                                           "attach is not",
		route(`origin: "https://x.example", attach: query`):                                                            "attach is not",
		route(`origin: "https://x.example", attach: bearer, user: x`):                                                  "user belongs to",
		route(`origin: "https://x.example", attach: "header:Host"`):                                                    "cannot be in that header",
		route(`origin: "https://x.example", attach: "header:Proxy-Authorization"`):                                     "cannot be in that header",
		route(`origin: "https://u:p@x.example", attach: bearer`):                                                       "a user or a password",
		route(`origin: "https://x.example/path", attach: bearer`):                                                      "no path",
		route(`origin: "https://*.example", attach: bearer`):                                                           "not valid",
		route(`origin: "https://x.example:0", attach: bearer`):                                                         "not valid",
		route(`origin: "https://127.1", attach: bearer`):                                                               "not valid",
		route(`origin: "https://x.example", attach: bearer, methods: [PUT]`):                                           "the method PUT writes",
		route(`origin: "https://x.example", attach: bearer, methods: [TRACE]`):                                         "a method is unknown",
		route(`origin: "https://x.example", attach: bearer, paths: [a]`):                                               "must begin with /",
		route(`origin: "https://x.example", attach: bearer, paths: [/a/../b]`):                                         "must begin with /",
		route(`origin: "https://x.example", attach: bearer, connect: x`):                                               "connect is not",
		route(`origin: "https://x.example", attach: bearer, listen: 70000`):                                            "listen is not a port",
		route(`origin: "https://x.example", attach: bearer`) + "    - {origin: \"https://x.example\", attach: bearer}": "two routes",
		"pass: [https://x.example]\n" + route(`origin: "https://x.example", attach: bearer`):                           "both in pass",
	} {
		_, err := ParsePolicy("p.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestParseRoute(t *testing.T) {
	for text, want := range map[string]Route{
		"npm=https://npm.corp.example:bearer":            {Secret: "npm", Origin: Origin{"https", "npm.corp.example", "443"}, Attach: Attach{Kind: Bearer}},
		"npm=http://[::1]:80:bearer":                     {Secret: "npm", Origin: Origin{"http", "::1", "80"}, Attach: Attach{Kind: Bearer}},
		"pip=https://pypi.corp.example:8443:basic:ci":    {Secret: "pip", Origin: Origin{"https", "pypi.corp.example", "8443"}, Attach: Attach{Basic, "ci"}},
		"x=https://x.corp.example/:header:X-Feed-Key":    {Secret: "x", Origin: Origin{"https", "x.corp.example", "443"}, Attach: Attach{Header, "X-Feed-Key"}},
		"b=https://x.corp.example:basic:bearer":          {Secret: "b", Origin: Origin{"https", "x.corp.example", "443"}, Attach: Attach{Basic, "bearer"}},
		"npm=https://NPM.corp.example:443:bearer":        {Secret: "npm", Origin: Origin{"https", "npm.corp.example", "443"}, Attach: Attach{Kind: Bearer}},
		"npm=https://npm.corp.example:basic:ci:password": {},
		"npm=https://npm.corp.example":                   {},
		"https://npm.corp.example:bearer":                {},
		"npm=npm.corp.example:bearer":                    {},
		"=https://npm.corp.example:bearer":               {},
		"npm=https://npm.corp.example:bearer:x":          {},
	} {
		got, err := ParseRoute(text)
		if bad := want.Secret == ""; bad != (err != nil) || !bad && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestRoutes(t *testing.T) {
	o := Origin{"https", "x.example", "443"}
	p := Policy{Routes: []Route{{Secret: "a", Origin: o, Paths: []string{"/a"}}, {Secret: "b", Origin: o, Paths: []string{"/a/b/"}}}}
	for path, want := range map[string]string{"/a": "a", "/a/x": "a", "/a/b": "b", "/a/b/c": "b", "/ab": "", "/": "", "/a/bc": "a"} {
		if r, ok := p.route(o, path); ok != (want != "") || r.Secret != want {
			t.Errorf("%s: %+v", path, r)
		}
	}
	if _, ok := p.route(Origin{"http", "x.example", "80"}, "/a"); ok {
		t.Error("another scheme has the route")
	}
	if (Route{Methods: []string{http.MethodGet}}).allows(http.MethodHead, "/", "") {
		t.Error("a method that is not listed is allowed")
	}
}

func TestCheckPath(t *testing.T) {
	for _, path := range []string{"/", "", "/a/b.c", "/@acme%2fhello", "/a..b/...", "/a%20b", "/%C3%A9", "/x/~1.2-3+b,c;d=e", "/a//b", "/.well-known/x", "/..a", "/100%25"} {
		if err := CheckPath(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"/..", "/a/%2E./", "/%252e%252e", "/a%5c..%5cb", "/a#b", "/a\x7f", "/%u002e%u002e/", "/a/..%00/", "/a/.%20./", "/..%3b/x", "/a/%2e%20/"} {
		if CheckPath(path) == nil {
			t.Errorf("%s is accepted", path)
		}
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1": true, "127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"100.100.100.200": false, "0.0.0.0": false, "::": false, "::1": false, "fe80::1": false, "fd00:ec2::254": false, "::ffff:10.0.0.1": false, "64:ff9b::7f00:1": false,
		"2002:7f00:1::": false, "224.0.0.1": false, "255.255.255.255": false, "168.63.129.16": false, "::127.0.0.1": false, "192.0.0.192": false,
	} {
		if isPublic(netip.MustParseAddr(text)) != want {
			t.Errorf("%s: want %t", text, want)
		}
	}
}

// FuzzCheckPath wants no dot segment to come out of a path that is accepted, by any number of unescapings.
func FuzzCheckPath(f *testing.F) {
	for _, seed := range []string{"/a/b", "/%2e%2e/", "/@acme%2fhello", `/..\x`, "/%25%32%65", "/..;/", "/%c0%ae"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if CheckPath(path) != nil {
			return
		}
		for range 10 {
			for _, s := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }) {
				if s == "." || s == ".." {
					t.Errorf("%q", path)
				}
			}
			if strings.ContainsAny(path, "\r\n\x00") {
				t.Errorf("%q has a line end", path)
			}
			path = unescaped(path)
		}
	})
}

// FuzzParsePolicy wants errors of one type that quote nothing, and policies that check.
func FuzzParsePolicy(f *testing.F) {
	for _, seed := range []string{example, "", "a: &x b\nc: *x", "secrets: {npm: [{origin: https://x.example, attach: bearer}]}", "pass: [x]", "npm=https://npm.corp.example:bearer"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy("p.yaml", []byte(text))
		if err != nil {
			if _, ok := errors.AsType[*PolicyError](err); !ok {
				t.Errorf("%q: %T", text, err)
			}
		} else if err := p.Check(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		for _, r := range p.Routes {
			if again, err := ParseOrigin(r.Origin.String()); err != nil || again != r.Origin {
				t.Errorf("%+v becomes %+v, %v", r.Origin, again, err)
			}
		}
		if r, err := ParseRoute(text); err == nil && r.check() != nil {
			t.Errorf("%q makes %+v", text, r)
		}
	})
}
