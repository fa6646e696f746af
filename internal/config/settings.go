package config

import (
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tightlip/tightlip/internal/suggest"
)

// engines lists what Config.Engine can be; auto leaves the choice to the build.
var engines = []string{"auto", "docker", "embedded", "classic", "podman", "buildah"}

var proofs = []string{string(ProofStrict), string(ProofWarn), string(ProofOff)}

// setting is one thing that can be set, with all its names. An empty name: it cannot be set there.
type setting struct {
	name     string // for people
	flag     string // without dashes
	env      string
	key      string                             // in a file, with its section
	userOnly bool                               // the project's file may not set it
	fallback func(env map[string]string) string // nil or empty: nothing
	meaning  string
	set      func(*Config, string) error // the error continues a sentence that begins with the setting's name
	show     func(*Config) string
}

// settings is the one list of them.
var settings = []*setting{
	{
		name: "engine", flag: "engine", env: "TIGHTLIP_ENGINE", key: "build.engine", fallback: fixed("auto"),
		meaning: "what builds: " + strings.Join(engines, ", "),
		set: func(c *Config, text string) error {
			c.Engine = text
			return oneOf(text, engines)
		},
		show: func(c *Config) string { return c.Engine },
	},
	{
		name: "proof", flag: "prove", env: "TIGHTLIP_PROVE", key: "build.prove", fallback: fixed(string(ProofStrict)),
		meaning: "what a failed proof leads to: " + strings.Join(proofs, ", "),
		set: func(c *Config, text string) error {
			c.Prove = Proof(text)
			return oneOf(text, proofs)
		},
		show: func(c *Config) string { return string(c.Prove) },
	},
	{
		name: "engine cache", flag: "engine-cache", env: "TIGHTLIP_ENGINE_CACHE", key: "engine.cache", fallback: fixed("10GB"),
		meaning: "how much the embedded engine keeps on disk, such as 10GB",
		set: func(c *Config, text string) (err error) {
			c.EngineCache, err = parseSize(text)
			return err
		},
		show: func(c *Config) string { return strconv.FormatInt(c.EngineCache, 10) + " bytes" },
	},
	{
		name: "engine keep", flag: "engine-keep", env: "TIGHTLIP_ENGINE_KEEP", key: "engine.keep", fallback: fixed("0s"),
		meaning: "how long the embedded engine runs on after a build, such as 5m",
		set: func(c *Config, text string) (err error) {
			c.EngineKeep, err = parseDuration(text)
			return err
		},
		show: func(c *Config) string { return c.EngineKeep.String() },
	},
	{
		name: "allowed sources", flag: "allow-source", env: "TIGHTLIP_ALLOW", key: "allow", userOnly: true,
		meaning: "schemes the project's file may use, such as cmd; and broker, ssh, build-arg",
		set: func(c *Config, text string) (err error) {
			c.Allow, err = parseSchemes(text)
			return err
		},
		show: func(c *Config) string { return strings.Join(c.Allow, ", ") },
	},
	{
		name: "kept variables", flag: "keep-env", env: "TIGHTLIP_KEEP_ENV",
		meaning: "variables that commands and engines get although they look like credentials, such as NAME,AWS_*",
		set: func(c *Config, text string) (err error) {
			c.KeepEnv, err = parseNames(text)
			return err
		},
		show: func(c *Config) string { return strings.Join(c.KeepEnv, ", ") },
	},
	{
		name: "cache folder", env: "TIGHTLIP_CACHE_DIR", fallback: baseDir("XDG_CACHE_HOME", ".cache"),
		meaning: "where what can be made again is kept",
		set: func(c *Config, text string) error {
			c.CacheDir = text
			return absolutePath(text)
		},
		show: func(c *Config) string { return c.CacheDir },
	},
	{
		name: "state folder", env: "TIGHTLIP_STATE_DIR", fallback: baseDir("XDG_STATE_HOME", ".local/state"),
		meaning: "where what must outlive a run is kept",
		set: func(c *Config, text string) error {
			c.StateDir = text
			return absolutePath(text)
		},
		show: func(c *Config) string { return c.StateDir },
	},
}

const (
	variablePrefix    = "TIGHTLIP_"
	variableForConfig = "TIGHTLIP_CONFIG"
)

// Variable is an environment variable that has a meaning.
type Variable struct{ Name, Meaning string }

// Variables lists the environment variables that have a meaning. Any other that begins with TIGHTLIP_ is an error.
func Variables() []Variable {
	list := []Variable{{variableForConfig, "the project's file, instead of the tightlip.yaml above the working directory"}}
	for _, s := range settings {
		list = append(list, Variable{s.env, s.meaning})
	}
	return list
}

func oneOf(text string, known []string) error {
	if slices.Contains(known, text) {
		return nil
	}
	return errors.New("must be one of " + strings.Join(known, ", ") + suggest.DidYouMean(text, known))
}

// environment turns NAME=VALUE into a map. As in a shell, of equal names the last counts.
func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	return env
}

func absolutePath(text string) error {
	if filepath.IsAbs(text) {
		return nil
	}
	return errors.New("must be an absolute path")
}

func fixed(text string) func(map[string]string) string {
	return func(map[string]string) string { return text }
}

// baseDir finds tightlip's folder in one of the XDG base directories: "" if there is no home directory.
func baseDir(variable, inHome string) func(map[string]string) string {
	return func(env map[string]string) string {
		if base := env[variable]; filepath.IsAbs(base) { // the specification says to ignore a relative one
			return filepath.Join(base, "tightlip")
		}
		if home := env["HOME"]; filepath.IsAbs(home) {
			return filepath.Join(home, inHome, "tightlip")
		}
		return ""
	}
}
