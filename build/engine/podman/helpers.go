package podman

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/tightlip/tightlip/internal/lazy"
)

// readBy are the variables of credentials that credential helpers are documented to read. One that is not here may read anything.
var readBy = map[string]string{
	"ecr-login": "AWS_*",
	"gcr":       "GOOGLE_* CLOUDSDK_*", "gcloud": "GOOGLE_* CLOUDSDK_*",
	"acr-env": "AZURE_* IDENTITY_HEADER MSI_SECRET",
	// They keep logins where no variable says how to open it.
	"pass": "", "secretservice": "", "osxkeychain": "", "wincred": "", "desktop": "", "desktop.exe": "", "containers-auth.json": "",
}

// HelperVariables lists the variables that the credential helpers of podman and buildah read, those that are set up: as names, or as beginnings of
// names with a *. The tools run the helpers, and give them what they have themselves.
func HelperVariables() []string {
	var out []string
	for _, helper := range helpers() {
		if names, known := readBy[helper]; known {
			out = append(out, strings.Fields(names)...)
		} else {
			out = append(out, "*")
		}
	}
	return out
}

// helpers are the credential helpers that the files of logins and containers-registries.conf(5) name. A file that cannot be read names none:
// the tools will say what is wrong with it.
func helpers() []string {
	var out []string
	logins := append(authFiles(), inHome("XDG_CONFIG_HOME", ".config", "containers", "auth.json"), inHome("DOCKER_CONFIG", ".docker", "config.json"))
	for _, path := range logins {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		file := configfile.New(path)
		err = file.LoadFromReader(f)
		f.Close()
		if err != nil {
			continue
		}
		out = append(out, file.CredentialsStore)
		for _, helper := range file.CredentialHelpers {
			out = append(out, helper)
		}
	}
	for _, path := range registriesFiles() {
		text, _ := os.ReadFile(path)
		if m := helperList().FindSubmatch(text); m != nil {
			out = append(out, strings.FieldsFunc(string(m[1]), func(r rune) bool { return strings.ContainsRune("\"', \t\r\n", r) })...)
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(helper string) bool { return helper == "" })
}

var helperList = lazy.Regexp(`(?m)^[ \t]*credential-helpers[ \t]*=[ \t]*\[([^\]]*)\]`)

func registriesFiles() []string {
	if path := os.Getenv("CONTAINERS_REGISTRIES_CONF"); path != "" {
		return []string{path}
	}
	var out []string
	for _, dir := range []string{inHome("XDG_CONFIG_HOME", ".config", "containers"), "/etc/containers"} {
		more, _ := filepath.Glob(filepath.Join(dir, "registries.conf.d", "*.conf")) // a pattern that is right
		out = append(append(out, filepath.Join(dir, "registries.conf")), more...)
	}
	return out
}

// inHome is a path in the folder that a variable names, or else in one of the home folder.
func inHome(variable, folder string, path ...string) string {
	dir := os.Getenv(variable)
	if dir == "" {
		home, _ := os.UserHomeDir()
		dir = filepath.Join(home, folder)
	}
	return filepath.Join(append([]string{dir}, path...)...)
}
