package config

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/internal/suggest"
	"github.com/tightlip/tightlip/secret"
	"go.yaml.in/yaml/v3"
)

// parsed is what a file says.
type parsed struct {
	values   []value
	secrets  []Secret
	pass     []gate.Origin
	passUses []Use
	agents   []Agent
}

type value struct {
	setting *setting
	text    string
	origin  Origin
}

// parse reads a file that comes from the given place. It returns all that is wrong, and what is right besides.
func parse(data []byte, from Origin, check func(secret.Ref) error) (parsed, []error) {
	p := parser{from: from, check: check}
	if root := p.document(data); root != nil {
		p.top(root)
	}
	return p.parsed, p.errs
}

type parser struct {
	parsed
	from  Origin
	check func(secret.Ref) error // nil: there is none
	errs  []error
}

// fail notes an error at a node, or about the whole file if that is nil.
func (p *parser) fail(n *yaml.Node, problem, try string) {
	p.errs = append(p.errs, &Error{Origin: p.at(n), Problem: problem, Try: try})
}

func (p *parser) at(n *yaml.Node) Origin {
	o := p.from
	if n != nil {
		o.Line, o.Column = n.Line, n.Column
	}
	return o
}

const needVersion = `begin it with "version: 1"`

func (p *parser) document(data []byte) *yaml.Node {
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, more yaml.Node
	err := decoder.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		p.fail(nil, "the file is empty", needVersion)
		return nil
	case err != nil:
		p.fail(nil, "is not YAML: "+strings.TrimPrefix(err.Error(), "yaml: "), "")
		return nil
	case !errors.Is(decoder.Decode(&more), io.EOF):
		p.fail(nil, "the file goes on after its first document", "remove the line --- or ...")
	}
	return doc.Content[0]
}

// top reads the whole of the file.
func (p *parser) top(root *yaml.Node) {
	known := []string{"version", "secrets", "broker", "ssh"}
	for _, s := range settings {
		if section, _, _ := strings.Cut(s.key, "."); section != "" && !slices.Contains(known, section) {
			known = append(known, section)
		}
	}
	hasVersion := false
	p.mapping(root, "the file", known, func(name string, key, node *yaml.Node) {
		switch name {
		case "version":
			hasVersion = true
			if node.ShortTag() != "!!int" || node.Value != "1" {
				p.fail(node, "version must be 1", "a newer version of tightlip may read this file")
			}
		case "secrets":
			p.secretsSection(node)
		case "broker":
			p.brokerSection(node)
		case "ssh":
			p.sshSection(node)
		case "allow":
			p.allow(key, node)
		default:
			p.section(name, node)
		}
	})
	if !hasVersion && root.Kind == yaml.MappingNode {
		p.fail(root, "the version is missing", needVersion)
	}
}

// section reads a mapping of settings.
func (p *parser) section(name string, node *yaml.Node) {
	byKey := map[string]*setting{}
	var known []string
	for _, s := range settings {
		if key, ok := strings.CutPrefix(s.key, name+"."); ok {
			byKey[key] = s
			known = append(known, key)
		}
	}
	p.mapping(node, name, known, func(key string, _, v *yaml.Node) {
		if v.Kind != yaml.ScalarNode || v.ShortTag() == "!!null" {
			p.fail(v, name+"."+key+" must be a single value", "")
			return
		}
		p.values = append(p.values, value{byKey[key], v.Value, p.at(v)})
	})
}

// allow reads the schemes that the project's file may use, which that file has no say in.
func (p *parser) allow(key, node *yaml.Node) {
	if p.from.Kind == FromProject {
		p.fail(key, "allow has no place in the project's file: only the user can allow sources to it", allowHint("SCHEME", "your config.yaml"))
		return
	}
	if node.Kind != yaml.SequenceNode {
		p.fail(node, "allow must be a list", "write allow: [cmd]")
		return
	}
	var schemes []string
	for _, item := range node.Content {
		if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" {
			p.fail(item, "allow must be a list of schemes", "write allow: [cmd]")
			return
		}
		schemes = append(schemes, item.Value)
	}
	i := slices.IndexFunc(settings, func(s *setting) bool { return s.key == "allow" })
	p.values = append(p.values, value{settings[i], strings.Join(schemes, ","), p.at(node)})
}

func (p *parser) secretsSection(node *yaml.Node) {
	p.mapping(node, "secrets", nil, func(id string, key, v *yaml.Node) {
		if err := secret.ValidID(id); err != nil {
			p.fail(key, "a secret's id must be printable text", "")
			return
		}
		p.secrets = append(p.secrets, p.secret(id, key, v))
	})
}

// secret reads one entry.
func (p *parser) secret(id string, key, node *yaml.Node) Secret {
	s := Secret{ID: id, Origin: p.at(key)}
	deliver, deliverAt := "", Origin{}
	p.mapping(node, "secret "+id, []string{"from", "rebuild", "waive", "broker", "seal", "deliver", "arg"}, func(name string, key, v *yaml.Node) {
		switch name {
		case "from":
			s.Origin = p.at(v)
			s.Ref, s.unknown = p.ref(v)
		case "rebuild":
			s.RebuildOnChange = true
			if v.Kind != yaml.ScalarNode || v.Value != "on-change" {
				p.fail(v, "rebuild must be on-change", "")
			}
		case "deliver":
			deliver, deliverAt = v.Value, p.at(v)
			if v.Kind != yaml.ScalarNode || v.Value != secret.DeliverMount && v.Value != secret.DeliverArgument {
				p.fail(v, "deliver must be mount or build-arg", "")
			}
		case "arg":
			s.Argument = v.Value
			if v.Kind != yaml.ScalarNode || v.Value == "" || strings.ContainsAny(v.Value, "= ") {
				p.fail(v, "arg must be the name of a build argument", "")
			}
		case "waive":
			s.Waive = v.Value == "true"
			if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!bool" {
				p.fail(v, "waive must be true or false", "")
			}
		case "broker":
			var err error
			s.Broker, err = gate.DecodeRoutes(id, v)
			p.policyErrors(v, err)
			if len(s.Broker) > 0 {
				s.Uses = append(s.Uses, brokerUse(id, s.Broker, p.at(v)))
			}
		case "seal":
			s.Seal = v.Value == "true"
			if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!bool" {
				p.fail(v, "seal must be true or false", "")
			}
		}
	})
	switch {
	case deliver == secret.DeliverArgument:
		s.Argument = cmp.Or(s.Argument, id)
		s.Uses = append(s.Uses, argumentUse(id, s.Argument, deliverAt))
	case s.Argument != "":
		p.fail(key, "arg is for deliver: build-arg", "")
	}
	if s.Seal && len(s.Broker) == 0 {
		p.fail(key, "seal leaves steps nothing but the broker, which the secret "+id+" has no route for", "add broker: [{origin: https://npm.corp.example, attach: bearer}]")
	}
	return s
}

// policyErrors reports what is wrong with a part of the broker's policy.
func (p *parser) policyErrors(n *yaml.Node, err error) {
	for _, e := range gate.PolicyErrors(err) {
		at := *n
		if e.Line > 0 {
			at.Line, at.Column = e.Line, e.Column
		}
		p.fail(&at, e.Problem, e.Try)
	}
}

// brokerSection reads what holds for all secrets that are used through the broker.
func (p *parser) brokerSection(node *yaml.Node) {
	p.mapping(node, "broker", []string{"pass"}, func(_ string, _, v *yaml.Node) {
		var err error
		p.pass, err = gate.DecodeOrigins(v)
		p.policyErrors(v, err)
		if len(p.pass) > 0 {
			p.passUses = append(p.passUses, passUse(p.pass, p.at(v)))
		}
	})
}

// sshSection reads what SSH agents may sign for.
func (p *parser) sshSection(node *yaml.Node) {
	p.mapping(node, "ssh", nil, func(id string, key, v *yaml.Node) {
		a, secretAt := Agent{ID: id, Origin: p.at(key)}, Origin{}
		p.mapping(v, "the SSH agent "+id, []string{"allow", "known-hosts", "keys", "secret"}, func(name string, _, v *yaml.Node) {
			list := p.words(name, v)
			switch name {
			case "allow":
				a.Allow = list
			case "known-hosts":
				a.KnownHosts = list
				a.Hosts = []Use{hostsUse(id, list, p.at(v))}
			case "keys":
				a.Keys = list
			case "secret":
				if len(list) != 1 {
					p.fail(v, "secret must be the id of one", "")
					return
				}
				a.Secret, secretAt = list[0], p.at(v)
			}
		})
		if a.Secret != "" {
			a.Uses = append(a.Uses, agentUse(a, secretAt))
		}
		p.agents = append(p.agents, a)
	})
}

// words is a list of texts, or one text.
func (p *parser) words(name string, n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	var out []string
	for _, item := range n.Content {
		if n.Kind != yaml.SequenceNode || item.Kind != yaml.ScalarNode {
			p.fail(n, name+" must be a list of texts", "")
			return nil
		}
		out = append(out, item.Value)
	}
	return out
}

// ref reads a reference. One of an unknown scheme is an error for who uses it alone: the program may be on the path of others.
func (p *parser) ref(node *yaml.Node) (ref secret.Ref, unknown *Error) {
	if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!str" {
		p.fail(node, "from must be a reference, as text", `write it in quotes, as in from: "env:NAME"`)
		return secret.Ref{}, nil
	}
	ref, err := secret.ParseRef(node.Value)
	if err == nil && p.check != nil {
		err = p.check(ref)
	}
	if err != nil {
		try := ""
		if se, ok := errors.AsType[*secret.SyntaxError](err); ok {
			try = se.Hint()
		}
		if errors.Is(err, secret.ErrUnknownScheme) {
			return ref, &Error{Origin: p.at(node), Problem: "from: " + err.Error(), Try: try}
		}
		p.fail(node, "from: "+err.Error(), try)
	}
	return ref, nil
}

// mapping calls each for the keys of a mapping, except those that are not known or there already. If known is nil, all are.
func (p *parser) mapping(node *yaml.Node, what string, known []string, each func(name string, key, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		p.fail(node, what+" must be a mapping of keys to values", "")
		return
	}
	var seen []string
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			p.fail(key, "a key must be text", "")
		case known != nil && !slices.Contains(known, key.Value):
			p.fail(key, unknownKey(what, key.Value, known), "")
		case slices.Contains(seen, key.Value):
			p.fail(key, what+" has the key "+key.Value+" twice", "")
		default:
			seen = append(seen, key.Value)
			if value.Kind == yaml.AliasNode {
				value = value.Alias
			}
			each(key.Value, key, value)
		}
	}
}

// unknownKey quotes the key unless it cannot be shown, or is so long that it may be a value.
func unknownKey(what, key string, known []string) string {
	const longest = 20
	text := what + " has an unknown key"
	if secret.Printable(key) && len(key) <= longest {
		text += ` "` + key + `"`
	}
	if better := suggest.DidYouMean(key, known); better != "" {
		return text + better
	}
	return text + "; known are " + strings.Join(known, ", ")
}
