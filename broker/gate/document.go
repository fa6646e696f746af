package gate

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/tightlip/tightlip/internal/lazy"
)

// slot is a credential in the text of a file.
type slot struct {
	start, end int    // where it is written
	plain      string // the credential itself
	user       string // whom it is for, if the file says so
	host       string // where it is for: host, host:port, or "" if the file does not say
	fixed      string // the password, if the credential is the user
	// write is how another text is written in its place.
	write func(plain string) string
}

func asIs(plain string) string { return plain }

func inBase64(plain string) string { return base64.StdEncoding.EncodeToString([]byte(plain)) }

// slotsIn finds the credentials in a file of a known format, all of which is understood: netrc, URLs with a password (git-credentials),
// Docker's config.json, files of settings (npmrc, pip.conf, pypirc, Cargo's credentials.toml, yarnrc.yml, Gradle's properties), and Maven's
// and NuGet's settings. Comments are emptied. ok is false for a file that may hold more.
func slotsIn(text string) (slots []slot, ok bool) {
	for _, read := range []func(string) ([]slot, bool){netrcSlots, dockerSlots, elementSlots, settingSlots} {
		if slots, ok = read(text); ok && len(slots) > 0 {
			slices.SortFunc(slots, func(a, b slot) int { return cmp.Compare(a.start, b.start) })
			return slots, true
		}
	}
	return nil, false
}

// emptied is a slot for a text that steps need not see.
func emptied(start, end int) slot {
	return slot{start: start, end: end, write: func(string) string { return "" }}
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
func netrcSlots(text string) (out []slot, ok bool) {
	list := words(text)
	if len(list) == 0 || list[0].text != "machine" && list[0].text != "default" {
		return nil, false
	}
	host, login := "", word{}
	for i := 0; i < len(list); i++ {
		key := list[i].text
		if key == "default" {
			host, login = "", word{}
			continue
		}
		if i++; i == len(list) || strings.ContainsAny(list[i].text, "\"'\\#") {
			return nil, false
		}
		next := list[i]
		switch key {
		case "machine":
			host, login = next.text, word{}
		case "login":
			login = next
			for k := range out { // which may stand behind the password
				if out[k].host == host && out[k].user == "" {
					out[k].user = login.text
				}
			}
		case "password":
			s := slot{start: next.start, end: next.end, plain: next.text, user: login.text, host: host, write: asIs}
			if next.text == tokenAsUser {
				s.start, s.end, s.plain, s.fixed = login.start, login.end, login.text, next.text
			}
			out = append(out, s)
		default: // account, macdef, a comment
			return nil, false
		}
	}
	for _, s := range out {
		if s.fixed == "" && (s.user == "" || looksRandom(s.user)) {
			return nil, false
		}
	}
	return out, true
}

// tokenAsUser is the password beside a token that stands in the place of the user, as GitHub has it.
const tokenAsUser = "x-oauth-basic"

// dockerSlots are the credentials of Docker's config.json and of containers' auth.json.
func dockerSlots(text string) (out []slot, ok bool) {
	var doc struct {
		Auths       map[string]map[string]string `json:"auths"`
		CredsStore  string                       `json:"credsStore"`
		CredHelpers map[string]string            `json:"credHelpers"`
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(&doc) != nil || d.More() || len(doc.Auths) == 0 {
		return nil, false
	}
	for host, fields := range doc.Auths {
		for name, value := range fields {
			if name == "email" || name == "username" || value == "" {
				continue
			}
			at := strings.Index(text, `"`+value+`"`)
			if !slices.Contains([]string{"auth", "identitytoken", "registrytoken", "password"}, name) || at < 0 || strings.Count(text, `"`+value+`"`) != 1 {
				return nil, false
			}
			s := slot{start: at + 1, end: at + 1 + len(value), plain: value, user: fields["username"], host: host, write: asIs}
			if name == "auth" {
				s = s.userAndPassword()
			}
			out = append(out, s)
		}
	}
	return out, true
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
	settingPattern = lazy.Regexp(`^(\s*(?:export\s+)?"?[\w./@:$-]*\w"?\s*(?:=|:\s)\s*)(\S.*)$`)
	headPattern    = lazy.Regexp(`^\[[\w .:"'/@-]*\]$|^"?[\w ./@-]+"?:$|^---$`)
	secretSetting  = lazy.Regexp(`(?i)(passw(or)?d|passphrase|token|_auth|secret|api_?key|authident|pat)$`)
	doubtful       = lazy.Regexp(`(?i)pass|pwd|token|secret|key|auth|cred|private|pat$|session|otp|cookie|header|bearer|sign`)
	userSetting    = lazy.Regexp(`(?i)(user(name)?|login|email)$`)
	hostSetting    = lazy.Regexp(`^//([^/]+)/`)
	plainValue     = lazy.Regexp(`^(?i:true|false|yes|no|on|off|null|\d{1,6}|.{1,3})$`)
)

// settingSlots are the secrets of a file of which each line is a section, a comment, a URL, or a name and a value.
func settingSlots(text string) (out []slot, ok bool) {
	user, at := map[string]string{}, 0
	for line := range strings.Lines(text) {
		start := at
		at += len(line)
		bare := strings.TrimSpace(line)
		start += strings.Index(line, bare)
		switch {
		case bare == "" || headPattern().MatchString(bare) && !looksRandom(bare):
		case bare[0] == '#' || bare[0] == ';':
			out = append(out, emptied(start+1, start+len(bare)))
		default:
			found, ok := lineSlots(strings.TrimPrefix(bare, "- "), start+len(bare)-len(strings.TrimPrefix(bare, "- ")), user)
			if !ok {
				return nil, false
			}
			out = append(out, found...)
		}
	}
	for i := range out {
		out[i].user = cmp.Or(out[i].user, user[out[i].host])
	}
	return out, slices.ContainsFunc(out, func(s slot) bool { return s.plain != "" })
}

// lineSlots are those of one line, which begins at a place of the text.
func lineSlots(line string, at int, user map[string]string) (out []slot, ok bool) {
	if strings.HasPrefix(line, "http://") || strings.HasPrefix(line, "https://") {
		return urlSlots(line, at)
	}
	m := settingPattern().FindStringSubmatch(line)
	if m == nil {
		return nil, false
	}
	at += len(m[1])
	name, value := strings.Trim(strings.TrimPrefix(strings.Trim(m[1], " \t=:"), "export "), "\" "), m[2]
	if c := value[0]; (c == '"' || c == '\'') && len(value) > 2 && value[len(value)-1] == c {
		at, value = at+1, value[1:len(value)-1]
	}
	if strings.ContainsAny(value, "\"'{}[]<>\\`") {
		return nil, false
	}
	host := ""
	if h := hostSetting().FindStringSubmatch(name); h != nil {
		host = h[1]
	}
	switch {
	case strings.Contains(value, "://"):
		return urlSlots(value, at)
	case secretSetting().MatchString(name) && !plainValue().MatchString(value):
		if strings.ContainsAny(value, " \t$") {
			return nil, false
		}
		return []slot{settingSlot(name, slot{start: at, end: at + len(value), plain: value, host: host, write: asIs})}, true
	case userSetting().MatchString(name) && !looksRandom(value):
		user[host] = value
		return nil, true
	}
	return nil, plainValue().MatchString(value) || !doubtful().MatchString(name) && !looksRandom(value) && !strings.Contains(value, ":")
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

// urlSlots is the password of a URL, or the user if that is a token. A URL with a query may hold anything.
func urlSlots(text string, at int) ([]slot, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(text, " \t,") || looksRandom(u.Path) {
		return nil, false
	}
	if u.User == nil {
		return nil, true
	}
	userinfo := text[len(u.Scheme)+3 : strings.LastIndexByte(text, '@')]
	at += len(u.Scheme) + 3
	user, written, both := strings.Cut(userinfo, ":")
	password, _ := u.User.Password()
	if !both || password == "" || password == tokenAsUser {
		return []slot{{start: at, end: at + len(user), plain: u.User.Username(), host: u.Host, fixed: cmp.Or(password, tokenAsUser), write: url.QueryEscape}}, true
	}
	at += len(user) + 1
	return []slot{{start: at, end: at + len(written), plain: password, user: u.User.Username(), host: u.Host, write: url.QueryEscape}}, !looksRandom(u.User.Username())
}

// elements are those of Maven's and NuGet's settings whose texts are no secrets.
var elements = strings.Fields("settings servers server id username mirrors mirror mirrorof name url layout blocked profiles profile repositories repository pluginrepositories pluginrepository " +
	"releases snapshots enabled updatepolicy checksumpolicy activation activebydefault activeprofiles activeprofile localrepository interactivemode offline plugingroups plugingroup " +
	"configuration packagesources packagesourcecredentials packagesourcemapping packagesource package clear add")

// elementSlots are the passwords of an XML file: elements in Maven's settings, attributes in NuGet's.
func elementSlots(text string) (out []slot, ok bool) {
	if !strings.HasPrefix(text, "<") {
		return nil, false
	}
	d := xml.NewDecoder(strings.NewReader(text))
	var open []string
	user := ""
	for {
		at := int(d.InputOffset())
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		raw := text[at:min(len(text), int(d.InputOffset()))]
		switch token := token.(type) {
		case xml.StartElement:
			open = append(open, strings.ToLower(token.Name.Local))
			s, isUser, ok := attributeSlot(token, raw, at, open)
			if !ok {
				return nil, false
			}
			user = cmp.Or(isUser, user)
			out = append(out, s...)
		case xml.EndElement:
			open = open[:max(0, len(open)-1)]
		case xml.Comment:
			out = append(out, emptied(at+4, at+len(raw)-3))
		case xml.CharData:
			plain := strings.TrimSpace(raw)
			if plain == "" {
				continue
			}
			if len(open) == 0 || strings.ContainsAny(plain, "&<>") {
				return nil, false
			}
			start := at + strings.Index(raw, plain)
			switch name := open[len(open)-1]; {
			case name == "password" || name == "passphrase":
				out = append(out, slot{start: start, end: start + len(plain), plain: plain, user: user, write: asIs})
			case !slices.Contains(elements, name) || strings.Contains(plain, "://") && !plainURL(plain) || !strings.Contains(plain, "://") && looksRandom(plain):
				return nil, false
			case name == "username":
				user = plain
			}
		case xml.ProcInst:
		default:
			return nil, false
		}
		if err != nil {
			return nil, false
		}
	}
	for i := range out {
		out[i].user = cmp.Or(out[i].user, user)
	}
	return out, true
}

// attributeSlot is the password in NuGet's <add key="ClearTextPassword" value="…" />. No other attribute may hold anything.
func attributeSlot(e xml.StartElement, raw string, at int, open []string) (out []slot, user string, ok bool) {
	if e.Name.Local != "add" {
		inCredentials := len(open) > 1 && open[len(open)-2] == "packagesourcecredentials" // the name is a source's
		known := slices.Contains(elements, strings.ToLower(e.Name.Local)) || slices.Contains([]string{"password", "passphrase"}, e.Name.Local) || inCredentials
		return nil, "", known && !slices.ContainsFunc(e.Attr, func(a xml.Attr) bool {
			return a.Name.Space != "xmlns" && a.Name.Space != "xsi" && a.Name.Local != "xmlns"
		})
	}
	var key, value string
	for _, a := range e.Attr {
		switch strings.ToLower(a.Name.Local) {
		case "key":
			key = strings.ToLower(a.Value)
		case "value":
			value = a.Value
		case "protocolversion":
		default:
			return nil, "", false
		}
	}
	start := strings.Index(raw, `"`+value+`"`) + 1
	switch {
	case key == "username" && !looksRandom(value):
		return nil, value, true
	case (key == "cleartextpassword" || key == "password") && start > 0 && value != "":
		return []slot{{start: at + start, end: at + start + len(value), plain: value, write: asIs}}, "", true
	}
	return nil, "", !doubtful().MatchString(key) && plainURL(value)
}

func plainURL(text string) bool {
	found, ok := urlSlots(text, 0)
	return ok && len(found) == 0
}

var alphanumeric = lazy.Regexp(`[A-Za-z0-9]{8,}`)

// looksRandom tells whether a text has a word that may be a token: a long one, or one of letters and digits.
func looksRandom(text string) bool {
	for _, w := range alphanumeric().FindAllString(text, -1) {
		if len(w) >= 20 || strings.ContainsAny(w, "0123456789") && strings.ContainsFunc(w, unicode.IsLetter) {
			return true
		}
	}
	return false
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
		case s.plain == "": // emptied
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
