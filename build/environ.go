package build

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tightlip/tightlip/scan/detect"
	"github.com/tightlip/tightlip/secret"
)

// always are variables that every program gets, whatever is in them. Without a proxy nothing could be fetched, also if it wants a password,
// and a wrong guess about one of the others would break every command. In Windows, names have no case.
var always = strings.Fields(`PATH HOME PWD OLDPWD SHELL TMPDIR TEMP TMP SSH_AUTH_SOCK
	HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY RSYNC_PROXY SOCKS_PROXY GRPC_PROXY
	http_proxy https_proxy ftp_proxy all_proxy no_proxy rsync_proxy socks_proxy grpc_proxy
	CARGO_HTTP_PROXY PIP_PROXY NPM_CONFIG_PROXY NPM_CONFIG_HTTP_PROXY NPM_CONFIG_HTTPS_PROXY NPM_CONFIG_NOPROXY
	npm_config_proxy npm_config_http_proxy npm_config_https_proxy npm_config_noproxy`)

// engines are what podman needs to reach a podman elsewhere.
var engines = []string{"CONTAINER_HOST", "CONTAINER_PASSPHRASE"}

// unnamed are variables of credentials whose names do not say so.
var unnamed = []string{"SYSTEM_ACCESSTOKEN", "SSHPASS"}

// named are variables whose names say credential, and do not mean it.
var named = []string{"AUTH0_DOMAIN"}

// environ is our environment for a command, and the names of the variables that were left out of it and that the user may miss. What the secrets
// come from is left out, too, and needs no telling.
func (r *Request) environ(from *secret.Resolver, keep []string) (env, withheld []string) {
	return r.hiding(from, keep).divide(os.Environ())
}

// EngineEnviron is our environment for a program that builds, or that shows images: as for commands, with build arguments that are named
// alone. All of the same user can see the environment of a process, and so do steps that run in a chroot.
func (r *Request) EngineEnviron(from *secret.Resolver, keep []string) []string {
	env, _ := r.hiding(from, slices.Concat(keep, r.BuildArg, engines)).divide(os.Environ())
	return env
}

func (r *Request) hiding(from *secret.Resolver, keep []string) *hiding {
	h := &hiding{own: from.Credentials(), keep: keep, detector: detect.New()}
	for _, s := range r.Secrets {
		h.secrets = append(h.secrets, from.Variables(s.Ref)...)
	}
	return h
}

// tell tells the user what a command does not get.
func (t Tools) tell(names []string) {
	if t.Withheld != nil && len(names) > 0 {
		t.Withheld(names)
	}
}

// hiding decides what a program gets of an environment.
type hiding struct {
	secrets  []string // variables that the secrets of this run come from
	own      []string // variables that sources take their own credentials from
	keep     []string // what the user wants passed on: names, or beginnings of names with a *
	detector *detect.Detector
}

func (h *hiding) divide(environ []string) (left, withheld []string) {
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case h.gone(name):
		case h.passes(name) || !h.credential(name, value):
			left = append(left, entry)
		default:
			withheld = append(withheld, name)
		}
	}
	slices.Sort(withheld)
	return left, slices.Compact(withheld)
}

// gone is for what a secret of this run comes from. Only its full name brings that back.
func (h *hiding) gone(name string) bool {
	same := func(n string) bool { return sameName(n, name) }
	return slices.ContainsFunc(h.secrets, same) && !slices.ContainsFunc(h.keep, same)
}

// passes is for what is never looked at. Windows has variables without a name, with the working folders of its drives.
func (h *hiding) passes(name string) bool {
	return name == "" || matches(h.keep, name) || matches(always, name)
}

// credential tells whether a variable holds a credential, by whose it is, by its name, or by what is in it.
func (h *hiding) credential(name, value string) bool {
	switch {
	case value == "":
		return false
	case matches(h.own, name):
		return true
	case matches(unnamed, name) || bundler(name, value):
		name = "secret"
	}
	if detect.SecretName(name) && !matches(named, name) && !measure(value) && !there(value) && h.finds(name+"="+value, detect.Setting) {
		return true
	}
	return h.finds(value, detect.File) || detect.InAddress(value)
}

// bundler is for the login at a server of gems, after which the variable is called: BUNDLE_GEMS__CORP__EXAMPLE. Others have options in them.
func bundler(name, value string) bool {
	return strings.HasPrefix(name, "BUNDLE_") && strings.Contains(name, "__") && !strings.HasPrefix(value, "-")
}

func (h *hiding) finds(text string, kind detect.Kind) bool {
	return len(h.detector.Find(detect.Content{Data: []byte(text), Kind: kind})) > 0
}

// measure is for a duration or a number. One of more digits may be a password that somebody thought up.
func measure(value string) bool {
	_, err := strconv.ParseFloat(value, 64)
	_, derr := time.ParseDuration(value)
	return err == nil && len(value) <= 6 || derr == nil
}

// there is for the path of something that exists. Of one that does not, detect decides: base64 may begin with a slash, too.
func there(value string) bool {
	if !filepath.IsAbs(value) {
		return false
	}
	_, err := os.Lstat(value)
	return err == nil
}

// matches tells whether a name is in a list, in which NAME* is for all that begin so.
func matches(list []string, name string) bool {
	return slices.ContainsFunc(list, func(pattern string) bool {
		start, open := strings.CutSuffix(pattern, "*")
		return sameName(pattern, name) || open && len(name) >= len(start) && sameName(start, name[:len(start)])
	})
}

func sameName(a, b string) bool {
	return a == b || runtime.GOOS == "windows" && strings.EqualFold(a, b)
}
