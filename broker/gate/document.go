package gate

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
)

// slot is a credential in the text of a file.
type slot struct {
	start, end int    // where it is written
	plain      string // the credential itself
	user       string // whom it is for, if the file says so
	host       string // where it is for: host, host:port, or "" if the file does not say
	// write is how another text is written in its place.
	write func(plain string) string
}

func asIs(plain string) string { return plain }

func inBase64(plain string) string { return base64.StdEncoding.EncodeToString([]byte(plain)) }

// slotsIn finds the credentials in a file of a known format: netrc, URLs with a password (git-credentials, pip.conf), Docker's
// config.json, and files of settings (npmrc, pypirc, Cargo's credentials.toml, yarnrc.yml, Gradle's properties) or XML elements (Maven's
// and NuGet's settings). It is empty for other texts.
func slotsIn(text string) []slot {
	var all []slot
	for _, read := range []func(string) []slot{netrcSlots, dockerSlots, urlSlots, settingSlots, elementSlots} {
		for _, s := range read(text) {
			overlaps := func(o slot) bool { return s.start < o.end && o.start < s.end }
			if s.plain != "" && !slices.ContainsFunc(all, overlaps) {
				all = append(all, s)
			}
		}
	}
	slices.SortFunc(all, func(a, b slot) int { return cmp.Compare(a.start, b.start) })
	return all
}

// fill is the text with other texts in its slots.
func fill(text string, slots []slot, with string) string {
	var out strings.Builder
	at := 0
	for _, s := range slots {
		out.WriteString(text[at:s.start])
		out.WriteString(s.write(with))
		at = s.end
	}
	out.WriteString(text[at:])
	return out.String()
}

// word is a piece of text without white space.
type word struct {
	text       string
	start, end int
}

var wordPattern = lazy.Regexp(`\S+`)

func words(text string) []word {
	var out []word
	for _, at := range wordPattern().FindAllStringIndex(text, -1) {
		out = append(out, word{text[at[0]:at[1]], at[0], at[1]})
	}
	return out
}

// netrcSlots are the passwords of a netrc file, each for the machine in front of it.
func netrcSlots(text string) []slot {
	list := words(text)
	if len(list) == 0 || list[0].text != "machine" && list[0].text != "default" {
		return nil
	}
	var out []slot
	host, login := "", ""
	for i := 0; i < len(list); i++ {
		key := list[i].text
		if key == "default" {
			host, login = "", ""
		}
		if i+1 == len(list) || !slices.Contains([]string{"machine", "login", "password", "account"}, key) {
			continue
		}
		i++
		next := list[i]
		switch key {
		case "machine":
			host, login = next.text, ""
		case "login":
			login = next.text
			for k := range out { // which may stand behind the password
				if out[k].host == host && out[k].user == "" {
					out[k].user = login
				}
			}
		case "password":
			out = append(out, slot{start: next.start, end: next.end, plain: next.text, user: login, host: host, write: asIs})
		}
	}
	return out
}

var urlPattern = lazy.Regexp(`https?://([^\s:/@"'<>]*):([^\s/@"'<>]+)@([^\s/"'<>]+)`)

// urlSlots are the passwords of URLs.
func urlSlots(text string) []slot {
	var out []slot
	for _, m := range urlPattern().FindAllStringSubmatchIndex(text, -1) {
		user, err1 := url.PathUnescape(text[m[2]:m[3]])
		plain, err2 := url.PathUnescape(text[m[4]:m[5]])
		if err1 == nil && err2 == nil {
			out = append(out, slot{start: m[4], end: m[5], plain: plain, user: user, host: text[m[6]:m[7]], write: url.QueryEscape})
		}
	}
	return out
}

var dockerPattern = lazy.Regexp(`"(?:https?://)?([^"/\s]+)[^"\s]*"\s*:\s*\{[^{}]*?"(auth|identitytoken|registrytoken)"\s*:\s*"([^"]+)"`)

// dockerSlots are the credentials of Docker's config.json and of containers' auth.json.
func dockerSlots(text string) []slot {
	if !strings.Contains(text, `"auths"`) {
		return nil
	}
	var out []slot
	for _, m := range dockerPattern().FindAllStringSubmatchIndex(text, -1) {
		s := slot{start: m[6], end: m[7], plain: text[m[6]:m[7]], host: text[m[2]:m[3]], write: asIs}
		if text[m[4]:m[5]] == "auth" {
			s = s.userAndPassword()
		}
		out = append(out, s)
	}
	return out
}

// userAndPassword is the slot of a text user:password in base64.
func (s slot) userAndPassword() slot {
	plain, err := base64.StdEncoding.DecodeString(s.plain)
	user, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok {
		return s
	}
	s.user, s.plain = user, password
	s.write = func(plain string) string { return inBase64(user + ":" + plain) }
	return s
}

var (
	settingPattern = lazy.Regexp(`(?m)^[ \t]*(?:export[ \t]+)?"?([\w./@:$-]*?[\w])"?[ \t]*(?:=|:[ \t])[ \t]*("[^"\r\n]+"|'[^'\r\n]+'|[^\s"'#;][^\r\n]*?)[ \t]*\r?$`)
	secretSetting  = lazy.Regexp(`(?i)(passw(or)?d|passphrase|token|_auth|secret|api_?key|authident)$`)
	userSetting    = lazy.Regexp(`(?i)(user(name)?|login)$`)
	hostSetting    = lazy.Regexp(`^//([^/]+)/`)
)

// settingSlots are the secrets of lines such as name = value. The host is that of an npmrc's //host/ in front of the name.
func settingSlots(text string) []slot {
	var out []slot
	user := map[string]string{}
	for _, m := range settingPattern().FindAllStringSubmatchIndex(text, -1) {
		name, start, end := text[m[2]:m[3]], m[4], m[5]
		if c := text[start]; c == '"' || c == '\'' {
			start, end = start+1, end-1
		}
		host := ""
		if h := hostSetting().FindStringSubmatch(name); h != nil {
			host = h[1]
		}
		value := text[start:end]
		switch {
		case userSetting().MatchString(name):
			user[host] = value
		case secretSetting().MatchString(name) && !strings.HasPrefix(value, "${"):
			out = append(out, settingSlot(name, slot{start: start, end: end, plain: value, host: host, write: asIs}))
		}
	}
	for i := range out {
		out[i].user = cmp.Or(out[i].user, user[out[i].host])
	}
	return out
}

// settingSlot knows the settings of npm that are in base64.
func settingSlot(name string, s slot) slot {
	switch {
	case strings.HasSuffix(name, "_auth"):
		return s.userAndPassword()
	case strings.HasSuffix(name, "_password"):
		if plain, err := base64.StdEncoding.DecodeString(s.plain); err == nil {
			s.plain, s.write = string(plain), inBase64
		}
	}
	return s
}

var (
	elementPattern = lazy.Regexp(`(?i)<(password|passphrase)>\s*([^<>\s]+)\s*</`)
	addPattern     = lazy.Regexp(`(?i)<add\s+key="(?:cleartext)?password"\s+value="([^"]+)"`)
	elementUser    = lazy.Regexp(`(?i)<(?:username>\s*|add\s+key="username"\s+value=")([^<>"\s]+)`)
)

// elementSlots are the passwords of XML files.
func elementSlots(text string) []slot {
	var out []slot
	user := ""
	if m := elementUser().FindAllStringSubmatch(text, 2); len(m) == 1 {
		user = m[0][1]
	}
	for _, m := range elementPattern().FindAllStringSubmatchIndex(text, -1) {
		out = append(out, slot{start: m[4], end: m[5], plain: text[m[4]:m[5]], user: user, write: asIs})
	}
	for _, m := range addPattern().FindAllStringSubmatchIndex(text, -1) {
		out = append(out, slot{start: m[2], end: m[3], plain: text[m[2]:m[3]], user: user, write: asIs})
	}
	return out
}

// isFor tells whether a file names the host of an origin: alone, with its port, or as a URL, as apt has it.
func (s slot) isFor(o Origin) bool {
	host := s.host
	if scheme, rest, ok := strings.Cut(host, "://"); ok {
		if scheme != o.Scheme {
			return false
		}
		host = rest
	}
	host, _, _ = strings.Cut(host, "/")
	return host != "" && (strings.EqualFold(host, o.address()) || strings.EqualFold(host, o.Host))
}

// slotFor chooses the credential for an origin: the one of its host, else the only one that there is for no host in particular.
func slotFor(slots []slot, o Origin) (slot, bool) {
	var free []slot
	for _, s := range slots {
		switch {
		case s.isFor(o):
			return s, true
		case s.host == "" && !slices.ContainsFunc(free, func(f slot) bool { return f.plain == s.plain }):
			free = append(free, s)
		}
	}
	if len(free) != 1 {
		return slot{}, false
	}
	return free[0], true
}
