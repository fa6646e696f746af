package translate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/tightlip/tightlip/broker/shim"
)

// Brokered says which secrets steps use without having them.
type Brokered struct {
	Uses   func(id string) bool
	Sealed func(id string) bool // steps with it lose their network
	Cut    bool                 // steps have no network in any case, unless they ask for one
	// Refused are ids that no step may mount, since they would be real; nil: none.
	Refused func(id string) bool
	// Rehearsal leads no step anywhere, and lets those that fail succeed.
	Rehearsal bool
}

// What the steps that use such a secret mount. Below /dev, nothing stays in the image.
const (
	ShimID           = "tightlip-shim" // the id under which the builder asks for the shim
	ShimFile         = "shim"          // its name in a step's folder, and that of the socket
	SocketFile       = "broker"
	shimAt           = "/dev/.tightlip"
	shimCopy         = "/dev/.tightlip-shim" // a folder in memory, for builders that allow no programs among secrets
	brokerAt         = "/dev/.tightlip-broker"
	scriptPrefix     = "tightlip-script-"
	rehearsalContext = "tightlip-rehearsal"
	// rehearsalMark begins the target of an empty mount that tells steps apart.
	rehearsalMark = "/dev/.tightlip-rehearsal-"
)

// brokered are the secrets of a step that it uses without having them.
func (t *translation) brokered(s *state, c *instructions.RunCommand, at []parser.Range) ([]string, error) {
	if t.o.Brokered == nil || t.o.Brokered.Rehearsal {
		return nil, nil
	}
	if err := c.Expand(func(word string) (string, error) { return word, nil }); err != nil {
		return nil, t.fail(at, err.Error(), "")
	}
	var ids []string
	for _, m := range instructions.GetMounts(c) {
		name := m.From
		switch m.Type {
		case instructions.MountTypeSecret:
			name = secretMount(m).ID
		case instructions.MountTypeSSH:
			name = m.CacheID
		}
		id, unclear := t.value(s, name)
		switch {
		case unclear:
			return nil, t.fail(at, "what a mount names holds a variable whose value is not known here", "the name itself")
		case ours(id):
			return nil, t.fail(at, namesOurs, "another name")
		case m.Type != instructions.MountTypeSecret:
		case t.o.Brokered.Refused != nil && t.o.Brokered.Refused(id):
			return nil, t.fail(at, "the secret "+id+" is for the builder itself: no step may mount it in a build with the broker", "another id")
		case t.o.Brokered.Uses(id) && !slices.Contains(ids, id):
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// ours tells whether a name is one by which the builder knows what steps mount for the broker. Nobody else may use these: who does would
// have another step's way to it.
func ours(name string) bool { return strings.HasPrefix(strings.ToLower(name), "tightlip-") }

const namesOurs = "names that begin with tightlip- are tightlip's own"

// checkFrom refuses a COPY of what steps mount for the broker.
func (t *translation) checkFrom(s *state, c *instructions.CopyCommand) error {
	if t.o.Brokered == nil || c.From == "" {
		return nil
	}
	if from, unclear := t.value(s, c.From); unclear || ours(from) {
		return t.fail(c.Location(), namesOurs, "another name")
	}
	return nil
}

// checkTrigger refuses a step of a base image that the broker would have to be in front of.
func (t *translation) checkTrigger(image, trigger string, at []parser.Range) error {
	if t.o.Brokered == nil || t.o.Brokered.Rehearsal {
		return nil
	}
	c := triggered(trigger)
	if from, ok := c.(*instructions.CopyCommand); ok && (ours(from.From) || strings.Contains(from.From, "$")) {
		return t.fail(at, fmt.Sprintf("image %s has the trigger %q: %s", image, trigger, namesOurs), "another base image")
	}
	run, ok := c.(*instructions.RunCommand)
	if !ok {
		return nil
	}
	ids, err := t.brokered(&state{}, run, at)
	if err == nil && len(ids) > 0 {
		err = t.fail(at, fmt.Sprintf("image %s has the trigger %q, which would have to use %s through the broker", image, trigger, ids[0]), "another base image")
	}
	return err
}

// throughBroker has the shim run a step's command, with the mounts that lead to the broker.
func (t *translation) throughBroker(c *instructions.RunCommand, at []parser.Range, ids, flags, args []string) (newFlags, newArgs []string, name string, err error) {
	sealed := slices.ContainsFunc(ids, t.o.Brokered.Sealed)
	network := instructions.GetNetwork(c)
	switch {
	case !sealed || network == instructions.NetworkNone || network == instructions.NetworkDefault && t.o.Brokered.Cut:
	case network != instructions.NetworkDefault:
		return nil, nil, "", t.fail(at, fmt.Sprintf("the step is to have no network but the broker (seal), and asks for --network=%s", network), "the one or the other")
	default:
		flags = append(slices.DeleteFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--network") }), "--network=none")
	}
	name = shim.BrokerID(t.nameOf(at, ids))
	socket := brokerAt
	if t.builder.StepFolders {
		socket = shimAt + "/" + SocketFile
	} else {
		flags = append(flags, "--mount=type=ssh,id="+name+",target="+brokerAt+",mode=0666,required=true")
	}
	flags, args = t.withShim(flags, name, shim.Spec{Broker: socket, Command: args})
	return flags, args, name, nil
}

// rehearsed has the shim run a step's command, so that the build goes on.
func (t *translation) rehearsed(text string, flags, args []string) (newFlags, newArgs []string) {
	flags = append(flags, "--mount=type=tmpfs,target="+rehearsalMark+hashOf(text))
	return t.withShim(flags, rehearsalContext, shim.Spec{Rehearsal: true, Command: args})
}

// withShim is a step whose command the shim runs.
func (t *translation) withShim(flags []string, context string, spec shim.Spec) (newFlags, args []string) {
	if t.builder.StepFolders {
		flags = append(flags, "--mount=type=bind,from="+context+",source=.,target="+shimAt)
		return flags, append([]string{shimAt + "/" + ShimFile, "step"}, spec.Args()...)
	}
	flags = append(flags, "--mount=type=secret,id="+ShimID+",target="+shimAt+",mode=0555,required=true")
	args = append([]string{shimAt, "step"}, spec.Args()...)
	if t.builder.NoExecSecrets {
		flags = append(flags, "--mount=type=tmpfs,target="+shimCopy)
		args = append([]string{"/bin/sh", "-c", "cp " + shimAt + " " + shimCopy + "/shim && exec " + shimCopy + `/shim "$@"`, "sh"}, args[1:]...)
	}
	return flags, args
}

// AsWritten puts the user's steps in the place of translated ones in a text about them: an error of the builder, or a part of the file.
// Without a result, the text stays.
func (r *Result) AsWritten(text string) string {
	if r == nil {
		return text
	}
	r.once.Do(func() { r.written = r.replacer() })
	return r.written.Replace(text)
}

func (r *Result) replacer() *strings.Replacer {
	var pairs []string
	for _, program := range []string{shimAt, shimAt + "/" + ShimFile} {
		for _, how := range []string{"--broker " + brokerAt, "--broker " + shimAt + "/" + SocketFile, "--rehearsal"} {
			pairs = append(pairs, program+" step "+how+" -- ", "")
		}
	}
	for _, s := range r.Steps {
		pairs = append(pairs, s.New, s.brief())
	}
	return strings.NewReplacer(pairs...)
}

// Context is the named context of what the step mounts, for builders with StepFolders.
func (s Step) Context() string {
	if s.Broker == "" {
		return rehearsalContext
	}
	return s.Broker
}

// brief is the step in one line.
func (s Step) brief() string {
	first, rest, _ := strings.Cut(s.Text, "\n")
	if rest != "" {
		first += " …"
	}
	return first
}

// Name is how the builder's display shows a step, with the user's text in the place of the translated one. Without a result, it stays.
func (r *Result) Name(name string) string {
	if r == nil {
		return name
	}
	at := strings.Index(name, "RUN ")
	for _, s := range r.Steps {
		if mark := s.mark(); at >= 0 && mark != "" && strings.Contains(name, mark) {
			return name[:at] + s.brief()
		}
	}
	return name
}

// mark is what only the translation of this step holds.
func (s Step) mark() string {
	switch {
	case s.Broker != "":
		return s.Broker
	case s.Wrapped:
		return rehearsalMark + hashOf(s.Text)
	}
	return ""
}

// nameOf tells steps apart that have other secrets, or another network.
func (t *translation) nameOf(at []parser.Range, ids []string) string {
	text := strings.TrimSpace(t.file.Text(at))
	for _, id := range ids {
		text += fmt.Sprintf("\x00%s\x00%t", id, t.o.Brokered.Sealed(id))
	}
	return hashOf(text)
}

// hashOf is the same for the same text: what a step mounts is a part of its cache key.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(text)))
	return hex.EncodeToString(sum[:8])
}

// scriptMount is the script of a heredoc as something to mount.
func (t *translation) scriptMount(m shim.Mount) string {
	id := scriptPrefix + hashOf(m.Text)
	if t.res.Scripts == nil {
		t.res.Scripts = map[string]string{}
	}
	t.res.Scripts[id] = m.Text
	return fmt.Sprintf("--mount=type=secret,id=%s,target=%s,mode=0755,required=true", id, path.Clean(m.Target))
}
