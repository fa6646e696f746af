package caller

import (
	"strconv"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
)

var majorVersion = lazy.Regexp(`@v(\d+)`)

// publish tells how the arguments get out.
func (u *use) publish() {
	var out []string
	at := u.offset(u.uses.key)
	if u.Published != "" {
		out, at = append(out, u.Published), -1
	}
	if text, line := u.provenance(); text != "" && len(out) == 0 {
		out, at = append(out, text), line
	}
	if u.uploads() {
		out = append(out, "the build record that the action uploads")
	}
	if len(out) == 0 {
		return
	}
	u.Published = strings.Join(out, ", and ")
	if at >= 0 {
		u.PublishedLine = u.line(at)
	}
}

const publicProvenance = "provenance, which has arguments in public repositories"

// provenance tells what the action attests, and where the file says so. Without a word it is all arguments in public repositories.
func (u *use) provenance() (string, int) {
	if !u.docker || !u.pushes() {
		return "", 0
	}
	if f, ok := u.field(u.with, "attests"); ok && provenance(strings.Join(strings.Fields(u.textOf(u.with, "attests")), ",")) {
		return maxProvenance, u.offset(f.key)
	}
	if f, ok := u.field(u.with, "provenance"); ok && u.known("provenance") != "" {
		if text := u.known("provenance"); text == "true" || provenance("type=provenance,"+text) {
			return maxProvenance, u.offset(f.key)
		}
		return "", 0
	}
	if v := u.version(); v > 0 && v < 4 {
		return "", 0
	}
	return publicProvenance, u.offset(u.uses.key)
}

// pushes tells whether the image may be pushed.
func (u *use) pushes() bool {
	push := strings.TrimSpace(u.textOf(u.with, "push"))
	outputs := u.textOf(u.with, "outputs")
	return push != "" && push != "false" || strings.Contains(outputs, "push=") || strings.Contains(outputs, "type=registry")
}

// version is the major version of the action; 0 if it is not given as one.
func (u *use) version() int {
	m := majorVersion().FindStringSubmatch(u.uses.value.Value)
	if m == nil {
		m = commentVersion().FindStringSubmatch(u.uses.value.LineComment)
	}
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

var commentVersion = lazy.Regexp(`\bv?(\d+)(?:\.\d+)*\b`)

// uploads tells whether the action uploads a record of the build, which has its arguments.
func (u *use) uploads() bool {
	if v := u.version(); u.record == 0 || v > 0 && v < u.record {
		return false
	}
	for _, name := range []string{"DOCKER_BUILD_RECORD_UPLOAD", "DOCKER_BUILD_SUMMARY"} {
		if v := u.vars[name]; v != nil {
			if text, _ := v.value.literal(); strings.EqualFold(text, "false") {
				return false
			}
		}
	}
	return true
}
