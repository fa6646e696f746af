package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/secret"
)

// Use is something that a file has done with secrets, or with this machine's network, besides handing a secret to the steps that mount
// it. A stranger's file could name any credential of the user and have it used at a host of its own, so that not any project's file may.
type Use struct {
	Word   string // allows it, in the list of allowed schemes
	Text   string // what it is: "steps use secret npm at https://npm.corp.example"
	Origin Origin
}

// The words that allow uses.
const (
	UseBroker   = "broker"    // steps use secrets at hosts, and reach hosts from this machine
	UseAgent    = "ssh"       // steps sign with secrets
	UseArgument = "build-arg" // secrets are in the image
)

var useWords = []string{UseBroker, UseAgent, UseArgument}

func newUse(word, text string, at Origin) Use {
	if !secret.Printable(text) {
		text = strconv.Quote(text)
	}
	return Use{word, text, at}
}

func brokerUse(id string, routes []gate.Route, at Origin) Use {
	var places []string
	for _, r := range routes {
		place := r.Origin.String()
		if r.Connect != "" { // over plain HTTP, whoever is there gets the credential
			place += " (which is at " + r.Connect + ")"
		}
		places = append(places, place)
	}
	return newUse(UseBroker, "steps use secret "+id+" at "+strings.Join(places, ", "), at)
}

// passUse is for the hosts that steps reach through the broker without a credential. That is more than a plain build gives them: it is
// this machine that connects, also to its own loopback, its private networks and its cloud's metadata, and a seal of the user's has a
// hole there.
func passUse(origins []gate.Origin, at Origin) Use {
	var places []string
	for _, o := range origins {
		places = append(places, o.String())
	}
	return newUse(UseBroker, "steps that use the broker reach "+strings.Join(places, ", ")+" from this machine", at)
}

// laxerUses is for an entry that replaces one which keeps the secret from steps, or steps from the network.
func laxerUses(replaced, s Secret) []Use {
	var out []Use
	if len(replaced.Broker) > 0 && len(s.Broker) == 0 {
		out = append(out, newUse(UseBroker, "steps get secret "+s.ID+", which they do not by "+replaced.Origin.String(), s.Origin))
	}
	if replaced.Seal && !s.Seal {
		out = append(out, newUse(UseBroker, "steps with secret "+s.ID+" are not sealed, which they are by "+replaced.Origin.String(), s.Origin))
	}
	return out
}

func argumentUse(id, argument string, at Origin) Use {
	return newUse(UseArgument, "secret "+id+" comes to the build as the argument "+argument+", and stays in the image", at)
}

func agentUse(a Agent, at Origin) Use {
	targets := "any user and host"
	if len(a.Allow) > 0 {
		targets = strings.Join(a.Allow, ", ")
	}
	return newUse(UseAgent, "steps sign with secret "+a.Secret+" through the SSH agent "+a.ID+", for "+targets, at)
}

// hostsUse is for the files that say which keys the hosts of an agent have. They bind the user's own --ssh-allow to keys of the file's
// choice: a step whose key is there under the name of an allowed host could have any login signed.
func hostsUse(id string, files []string, at Origin) Use {
	return newUse(UseAgent, "with --ssh-allow, the SSH agent "+id+" knows hosts by "+strings.Join(files, ", "), at)
}

// MayUse is an [*Error] if one of the uses with a word is the project's, whose file is not trusted, and the user did not allow the word.
func (c *Config) MayUse(word string, uses []Use) error {
	for _, u := range uses {
		if u.Word == word && u.Origin.Kind == FromProject && !c.Allows(u) && !c.Trusted() {
			return &Error{
				Origin:  u.Origin,
				Problem: u.Text + ", which a project's file may not decide on its own",
				Try:     trustHint(u.Word, c.userFile),
			}
		}
	}
	return nil
}

// Allows tells whether the user allows a use to any project's file.
func (c *Config) Allows(u Use) bool { return slices.Contains(c.Allow, u.Word) }

// Wants lists what the project's file may do only if it is trusted, or if the user allows it, in the order of its lines. Of its secrets
// these are those whose schemes are not allowed.
func (c *Config) Wants() []Use {
	var all []Use
	for _, s := range c.Secrets {
		if scheme := c.refused(s.Ref); !s.Ref.IsZero() && scheme != "" {
			all = append(all, newUse(scheme, "secret "+s.ID+" from "+s.Ref.String(), s.Origin))
		}
		all = append(all, s.Uses...)
	}
	for _, a := range c.Agents {
		all = append(append(all, a.Uses...), a.Hosts...)
	}
	all = slices.DeleteFunc(append(all, c.PassUses...), func(u Use) bool { return u.Origin.Kind != FromProject })
	slices.SortStableFunc(all, func(a, b Use) int { return a.Origin.Line - b.Origin.Line })
	return all
}
