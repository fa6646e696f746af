package image

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Mirrors are the places to look for an image before its own registry, as the engines of this machine are set up. The zero value has
// none.
type Mirrors struct {
	hub  []string // Docker's, for Docker Hub alone
	list []mirrored
}

// mirrored is a registry, or a part of one, with its mirrors: see containers-registries.conf(5).
type mirrored struct {
	Prefix   string
	Location string
	Mirror   []struct{ Location string }
}

// SystemMirrors reads registries.conf, the user's or the system's, and Docker's daemon.json. What cannot be read has none: the engines
// complain about that themselves.
func SystemMirrors() Mirrors {
	home, _ := os.UserHomeDir()
	return ReadMirrors([]string{
		os.Getenv("CONTAINERS_REGISTRIES_CONF"), filepath.Join(home, ".config/containers/registries.conf"), "/etc/containers/registries.conf",
	}, []string{filepath.Join(home, ".config/docker/daemon.json"), "/etc/docker/daemon.json"})
}

// ReadMirrors reads the first file that there is of each kind.
func ReadMirrors(registries, daemons []string) Mirrors {
	var conf struct{ Registry []mirrored }
	var daemon struct {
		Mirrors []string `json:"registry-mirrors"`
	}
	_ = toml.Unmarshal(first(registries), &conf)
	_ = json.Unmarshal(first(daemons), &daemon)
	m := Mirrors{list: conf.Registry}
	for _, address := range daemon.Mirrors {
		_, host, _ := strings.Cut(strings.TrimRight(address, "/"), "://")
		m.hub = append(m.hub, host)
	}
	return m
}

func first(names []string) []byte {
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil {
			return text
		}
	}
	return nil
}

// of lists other names for an image, whose repository is written with its registry, such as docker.io/library/debian. rest is its tag or digest,
// with the sign in front.
func (m Mirrors) of(repository, rest string) []string {
	var out []string
	for _, r := range m.list {
		prefix := r.Prefix
		if prefix == "" {
			prefix = r.Location
		}
		below, ok := strings.CutPrefix(repository, prefix)
		if prefix == "" || !ok || below != "" && below[0] != '/' {
			continue
		}
		for _, mirror := range r.Mirror {
			out = append(out, mirror.Location+below+rest)
		}
	}
	if below, ok := strings.CutPrefix(repository, "docker.io/"); ok {
		for _, host := range m.hub {
			out = append(out, host+"/"+below+rest)
		}
	}
	return out
}
