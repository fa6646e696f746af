package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tightlip/tightlip/secret"
)

// project is the project's file as it was read.
type project struct {
	path string // absolute, as it was found: a link to a trusted file is another file
	sum  [sha256.Size]byte
}

func newProject(path string, data []byte) *project {
	return &project{filepath.Clean(path), sha256.Sum256(data)}
}

// mark is where it is written down that the user trusts the file with this content at this place, and no other.
func (c *Config) mark() string {
	if c.project == nil || c.StateDir == "" {
		return ""
	}
	name := sha256.Sum256(append([]byte(c.project.path+"\x00"), c.project.sum[:]...))
	return filepath.Join(c.StateDir, "trust", hex.EncodeToString(name[:]))
}

// ProjectFile is the project's file that was read, or "".
func (c *Config) ProjectFile() string {
	if c.project == nil {
		return ""
	}
	return c.project.path
}

// Trusted tells whether the user trusts the project's file as it is now.
func (c *Config) Trusted() bool {
	mark := c.mark()
	if mark == "" {
		return false
	}
	_, err := os.Stat(mark)
	return err == nil
}

// Trust lets the project's file, as it is now, run commands and reach hosts for its secrets, and use these as it says. Any change of it
// ends that.
func (c *Config) Trust() error {
	mark := c.mark()
	if mark == "" {
		return errors.New("there is no project's file, or no folder to remember it in")
	}
	if err := os.MkdirAll(filepath.Dir(mark), 0o700); err != nil {
		return err
	}
	return os.WriteFile(mark, []byte(c.project.path+"\n"), 0o600)
}

// Distrust takes Trust back.
func (c *Config) Distrust() error {
	err := os.Remove(c.mark())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// refused is the first scheme in a reference that not any project's file may use, or "". Within a reference to an issuer, what is not of
// a known scheme is no reference, such as the permission contents:read.
func (c *Config) refused(ref secret.Ref) string {
	may := func(scheme string) bool {
		return slices.Contains(harmless, scheme) || slices.Contains(c.Allow, scheme) && !slices.Contains(useWords, scheme)
	}
	if !may(ref.Scheme) {
		return ref.Scheme
	}
	for _, scheme := range ref.Within() {
		if !may(scheme) && (slices.Contains(harmless, ref.Scheme) || c.known(secret.Ref{Scheme: scheme, Rest: "x"})) {
			return scheme
		}
	}
	return ""
}

func (c *Config) known(ref secret.Ref) bool { return c.check == nil || c.check(ref) == nil }
