package gate

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tightlip/tightlip/internal/suggest"
	"go.yaml.in/yaml/v3"
)

var (
	policyKeys = []string{"version", "seal", "pass", "secrets"}
	routeKeys  = []string{"origin", "attach", "user", "paths", "methods", "uploads", "connect", "listen", "client"}
)

// ParsePolicy reads a policy in YAML. The name is the file's, for errors. All that is wrong is reported at once, each thing as a
// [*PolicyError] in the joined error. An empty file is a policy that allows nothing.
func ParsePolicy(name string, data []byte) (Policy, error) {
	p := &parser{file: name}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return Policy{}, nil
	case err != nil:
		return Policy{}, &PolicyError{File: name, Problem: "the file is not YAML"}
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Policy{}, &PolicyError{File: name, Problem: "the file must hold one document"}
	}
	if len(doc.Content) == 1 && doc.Content[0].Tag != "!!null" {
		p.top(doc.Content[0])
	}
	if len(p.errs) == 0 {
		p.checkAll()
	}
	if err := errors.Join(p.errs...); err != nil {
		return Policy{}, err
	}
	return p.policy, nil
}

// DecodeRoutes reads the routes of one secret, as they stand in a policy and in other files. The error joins a [*PolicyError] for all that is wrong.
func DecodeRoutes(id string, n *yaml.Node) ([]Route, error) {
	p := &parser{}
	p.secret(id, n)
	if len(p.errs) == 0 {
		p.checkAll()
	}
	return p.policy.Routes, errors.Join(p.errs...)
}

// DecodeOrigins reads a list of origins like pass.
func DecodeOrigins(n *yaml.Node) ([]Origin, error) {
	p := &parser{}
	out := p.origins(n)
	return out, errors.Join(p.errs...)
}

// PolicyErrors are those that an error joins.
func PolicyErrors(err error) []*PolicyError {
	if e, ok := err.(*PolicyError); ok {
		return []*PolicyError{e}
	}
	var out []*PolicyError
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range list.Unwrap() {
			out = append(out, PolicyErrors(e)...)
		}
	}
	return out
}

type parser struct {
	file   string
	policy Policy
	nodes  []*yaml.Node // where each route is
	errs   []error
}

func (p *parser) fail(n *yaml.Node, problem, try string) {
	p.errs = append(p.errs, &PolicyError{File: p.file, Line: n.Line, Column: n.Column, Problem: problem, Try: try})
}

// failAt reports what another function found wrong with a node.
func (p *parser) failAt(n *yaml.Node, err error) {
	if e, ok := errors.AsType[*PolicyError](err); ok {
		p.fail(n, e.Problem, e.Try)
	}
}

func (p *parser) checkAll() {
	for i, r := range p.policy.Routes {
		p.failAt(p.nodes[i], r.check())
	}
	if len(p.errs) == 0 {
		if err := p.policy.Check(); err != nil {
			e, _ := errors.AsType[*PolicyError](err)
			p.errs = append(p.errs, &PolicyError{File: p.file, Problem: e.Problem, Try: e.Try})
		}
	}
}

// each yields the keys of a mapping, after it refused unknown ones and those that are there twice.
func (p *parser) each(n *yaml.Node, known []string, visit func(key string, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.fail(n, "this must be a mapping of keys", "")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || value.Kind == yaml.AliasNode:
			p.fail(key, "aliases and keys that are no words are not supported", "")
		case seen[key.Value]:
			p.fail(key, "a key is there twice", "")
		case known != nil && !slices.Contains(known, key.Value):
			p.fail(key, "unknown key"+suggest.DidYouMean(key.Value, known), "keys here are "+strings.Join(known, ", "))
		default:
			seen[key.Value] = true
			visit(key.Value, value)
		}
	}
}

func (p *parser) top(n *yaml.Node) {
	p.each(n, policyKeys, func(key string, value *yaml.Node) {
		switch key {
		case "version":
			if value.Value != "1" {
				p.fail(value, "the version must be 1", "version: 1")
			}
		case "seal":
			p.policy.Seal = p.boolean(value)
		case "pass":
			p.policy.Pass = p.origins(value)
		case "secrets":
			p.each(value, nil, p.secret)
		}
	})
}

func (p *parser) origins(n *yaml.Node) []Origin {
	var out []Origin
	for _, text := range p.list(n) {
		o, err := ParseOrigin(text.Value)
		p.failAt(text, err)
		out = append(out, o)
	}
	return out
}

// secret reads the routes of one secret.
func (p *parser) secret(id string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		p.fail(n, "the routes of a secret must be a list", "npm: [{origin: https://npm.corp.example, attach: bearer}]")
		return
	}
	for _, item := range n.Content {
		before := len(p.errs)
		r := p.route(id, item)
		if len(p.errs) == before {
			p.policy.Routes = append(p.policy.Routes, r)
			p.nodes = append(p.nodes, item)
		}
	}
}

func (p *parser) route(id string, n *yaml.Node) Route {
	r := Route{Secret: id}
	user, hasUser := "", false
	p.each(n, routeKeys, func(key string, value *yaml.Node) {
		switch key {
		case "origin":
			var err error
			r.Origin, err = ParseOrigin(p.text(value))
			p.failAt(value, err)
		case "attach":
			r.Attach = parseAttach(p.text(value))
		case "user":
			user, hasUser = p.text(value), true
		case "paths":
			r.Paths = p.texts(value)
		case "methods":
			r.Methods = p.texts(value)
		case "uploads":
			r.Uploads = p.boolean(value)
		case "connect":
			r.Connect = p.connect(value)
		case "listen":
			r.Listen = p.port(value)
		case "client":
			r.Client = parseClient(p.text(value))
		}
	})
	if hasUser {
		if r.Attach.Kind != Basic || r.Attach.Name != "" {
			p.fail(n, "user belongs to attach: basic", "attach: basic")
		}
		r.Attach.Name = user
	}
	return r
}

// parseAttach reads bearer, basic, basic:USER or header:NAME. Anything else makes an Attach that check refuses.
func parseAttach(text string) Attach {
	kind, name, _ := strings.Cut(text, ":")
	return Attach{Kind: AttachKind(kind), Name: name}
}

func (p *parser) connect(n *yaml.Node) string {
	text := p.text(n)
	if o, err := ParseOrigin("http://" + text); err != nil || !strings.HasSuffix(text, ":"+o.Port) {
		p.fail(n, "connect is not an address with a port", "connect: 127.0.0.1:8443")
	}
	return text
}

func (p *parser) port(n *yaml.Node) int {
	port, err := strconv.Atoi(p.text(n))
	if err != nil || port < 1 || port > 65535 {
		p.fail(n, "listen is not a port", "listen: 4873")
	}
	return port
}

func (p *parser) boolean(n *yaml.Node) bool {
	var b bool
	if n.Decode(&b) != nil {
		p.fail(n, "this must be true or false", "")
	}
	return b
}

func (p *parser) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		p.fail(n, "this must be a word", "")
	}
	return n.Value
}

func (p *parser) list(n *yaml.Node) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		p.fail(n, "this must be a list", "[one, two]")
	}
	return n.Content
}

func (p *parser) texts(n *yaml.Node) []string {
	var out []string
	for _, item := range p.list(n) {
		out = append(out, p.text(item))
	}
	return out
}

// routeForm is what to type.
const routeForm = "npm=https://npm.corp.example:bearer, pip=https://pypi.corp.example:basic:USER or x=https://x.corp.example:header:X-Api-Key"

// ParseRoute reads a route as a flag has it: ID=ORIGIN:ATTACH, such as npm=https://npm.corp.example:bearer. The error is a [*PolicyError].
func ParseRoute(text string) (Route, error) {
	id, rest, ok := strings.Cut(text, "=")
	scheme, rest, ok2 := strings.Cut(rest, "://")
	at := strings.LastIndex(rest, ":"+string(Bearer))
	for _, kind := range []AttachKind{Basic, Header} {
		if i := strings.Index(rest, ":"+string(kind)); i >= 0 {
			at = i
		}
	}
	if !ok || !ok2 || at < 0 {
		return Route{}, &PolicyError{Problem: "a route is not ID=ORIGIN:ATTACH", Try: routeForm}
	}
	o, err := ParseOrigin(scheme + "://" + rest[:at])
	if err != nil {
		return Route{}, err
	}
	r := Route{Secret: id, Origin: o, Attach: parseAttach(rest[at+1:])}
	return r, r.check()
}
