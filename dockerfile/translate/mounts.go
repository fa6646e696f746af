package translate

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/internal/lazy"
)

// variableName is what every shell takes for a variable. Anything else it might run as a command, and print.
var variableName = lazy.Regexp(`^[A-Za-z_][A-Za-z0-9_]*$`)

// runWithMounts translates a RUN for a builder that has mounts, but not all of their forms, or no heredocs; or one that uses a secret
// through the broker.
func (t *translation) runWithMounts(s state, c *instructions.RunCommand, at []parser.Range) ([]string, error) {
	brokered, err := t.brokered(&s, c, at)
	if err != nil {
		return nil, err
	}
	flags, setup, err := t.secretsAsFiles(c, at)
	if err != nil {
		return nil, err
	}
	flags, export, err := t.agentsAsSockets(c, at, flags)
	if err != nil {
		return nil, err
	}
	setup += export
	rehearsal := t.o.Brokered != nil && t.o.Brokered.Rehearsal
	if t.builder.NoExecSecrets && !c.PrependShell {
		rehearsal = false // the image may have no shell yet
	}
	shimmed := len(brokered) > 0 || rehearsal
	if setup == "" && (len(c.Files) == 0 || t.builder.Heredocs) && !shimmed {
		return nil, nil
	}
	var spec shim.Spec
	args := commandOf(c, s.shell, &spec)
	for _, m := range spec.Mounts { // the script of a heredoc
		if shimmed && !t.builder.StepFolders {
			flags = append(flags, t.scriptMount(m))
			continue
		}
		setup += fmt.Sprintf(`mkdir -p %s && printf %%s "$1" >%s && chmod 755 %s || exit 125; shift; `, path.Dir(m.Target), m.Target, m.Target)
		args = append([]string{m.Text}, args...)
	}
	if setup != "" {
		args = append([]string{"/bin/sh", "-c", setup + `exec "$@"`, "sh"}, args...)
	}
	name := ""
	if rehearsal {
		flags, args = t.rehearsed(t.file.Text(at), flags, args)
	}
	if len(brokered) > 0 {
		if flags, args, name, err = t.throughBroker(c, at, brokered, flags, args); err != nil {
			return nil, err
		}
	}
	text := t.step(at, shim.Spec{}, args, "")
	last := &t.res.Steps[len(t.res.Steps)-1]
	last.New = strings.Replace(text[0], "RUN ", strings.Join(append([]string{"RUN"}, flags...), " ")+" ", 1)
	last.Broker, last.Brokered, last.Wrapped = name, brokered, shimmed
	return []string{last.New}, nil
}

// secretsAsFiles makes of each secret that is a variable one that is a file below /dev, which is no part of the image, and the
// shell commands that set the variable from it.
func (t *translation) secretsAsFiles(c *instructions.RunCommand, at []parser.Range) (flags []string, setup string, err error) {
	if err := c.Expand(func(word string) (string, error) { return word, nil }); err != nil {
		return nil, "", t.fail(at, err.Error(), "")
	}
	written := t.file.Flags(at)
	mounts := instructions.GetMounts(c)
	n := 0
	for _, flag := range written {
		var m *instructions.Mount
		if strings.HasPrefix(flag, "--mount=") && len(mounts) > 0 {
			m, mounts = mounts[0], mounts[1:]
		}
		if m == nil || t.builder.SecretEnv || m.Type != instructions.MountTypeSecret || m.Env == nil {
			flags = append(flags, flag)
			continue
		}
		mount := secretMount(m)
		if strings.ContainsAny(mount.ID+mount.Target, "$,\"' ") || !variableName().MatchString(mount.Env) {
			return nil, "", t.fail(at, "a secret with such a name cannot be a variable with this builder", "env=NAME of letters, digits and _")
		}
		file := fmt.Sprintf("/dev/tightlip-%d", n)
		n++
		required := ""
		if m.Required {
			required = ",required=true"
		}
		// Whoever runs the step gets the variable, so the file is for everybody.
		flags = append(flags, fmt.Sprintf("--mount=type=secret,id=%s,target=%s,mode=0444%s", mount.ID, file, required))
		if mount.Target != "" {
			flags = append(flags, fmt.Sprintf("--mount=type=secret,id=%s,target=%s,mode=%04o,uid=%d,gid=%d%s",
				mount.ID, mount.Target, cmp.Or(mount.Mode, 0o400), mount.UID, mount.GID, required))
		}
		// The dot keeps the newlines at the end, which $( ) would drop. Only a missing file is an empty variable.
		setup += fmt.Sprintf(`%[1]s=; if [ -e %[2]s ]; then %[1]s=$(cat %[2]s && echo .) || exit 125; %[1]s=${%[1]s%%.}; fi; export %[1]s; `, mount.Env, file)
	}
	return flags, setup, nil
}

// agentsAsSockets mounts the sockets of the build's SSH agents in place of the builder's own, and returns the shell commands that tell the
// step of the first. What the build has no agent for is the builder's to leave out, or to complain about.
func (t *translation) agentsAsSockets(c *instructions.RunCommand, at []parser.Range, flags []string) (out []string, export string, err error) {
	mounts := slices.DeleteFunc(slices.Clone(instructions.GetMounts(c)), func(m *instructions.Mount) bool { return m.Type != instructions.MountTypeSSH })
	if t.o.Agents == "" {
		return flags, "", nil
	}
	n := 0
	for _, flag := range flags {
		if !sshFlag().MatchString(flag) {
			out = append(out, flag)
			continue
		}
		m := sshMount(mounts[n], n)
		n++
		if strings.ContainsAny(m.ID+m.Target, "$,\"' ") {
			return nil, "", t.fail(at, "an SSH mount with such a name or target has no translation", "a name and a path without variables")
		}
		if !t.o.HasAgent(m.ID) {
			out = append(out, flag)
			continue
		}
		socket := Socket{ID: m.ID, Mode: m.Mode, UID: m.UID, GID: m.GID}
		file := hashOf(fmt.Sprintf("%s %o %d %d", m.ID, m.Mode, m.UID, m.GID))
		if t.res.Sockets == nil {
			t.res.Sockets = map[string]Socket{}
		}
		t.res.Sockets[file] = socket
		out = append(out, fmt.Sprintf("--mount=type=bind,from=%s,source=%s,target=%s", t.o.Agents, file, m.Target))
		if export == "" { // a SSH_AUTH_SOCK of the image stays
			export = fmt.Sprintf("export SSH_AUTH_SOCK=\"${SSH_AUTH_SOCK-%s}\"; ", m.Target)
		}
	}
	return out, export, nil
}

// sshFlag is the flag of an SSH mount.
var sshFlag = lazy.Regexp(`^--mount=(\S*,)?type=ssh(,|$)`)
