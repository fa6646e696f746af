package shim

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// identity is whom a command runs as.
type identity struct {
	uid, gid uint32
	groups   []uint32 // supplementary ones; container runtimes put the primary group there, too
	home     string
}

// resolveUser finds out what USER means, as container runtimes do: names must be in the files, numbers need not.
func resolveUser(spec, passwd, group string) (identity, error) {
	name, groupName, _ := strings.Cut(spec, ":")
	if name == "" {
		name = "0"
	}
	u := identity{home: "/"}
	entry := find(passwd, name, 6)
	switch {
	case entry != nil:
		name = entry[0]
		u.uid, u.gid = number(entry[2]), number(entry[3])
		if entry[5] != "" {
			u.home = entry[5]
		}
	case !isID(name):
		return u, fmt.Errorf("there is no user %q in /etc/passwd", name)
	default:
		u.uid = number(name)
	}
	u.groups = []uint32{0}
	switch {
	case groupName == "" && entry != nil:
		u.groups = append(u.groups, memberships(group, name)...)
	case groupName != "":
		entry := find(group, groupName, 3)
		if entry == nil && !isID(groupName) {
			return u, fmt.Errorf("there is no group %q in /etc/group", groupName)
		}
		if entry != nil {
			groupName = entry[2]
		}
		u.gid = number(groupName)
	}
	u.groups[0] = u.gid
	return u, nil
}

// find returns the first line of /etc/passwd or /etc/group with a name, or with a number if name is one.
func find(file, name string, fields int) []string {
	for _, entry := range entries(file, fields) {
		if isID(name) && number(entry[2]) == number(name) || !isID(name) && entry[0] == name {
			return entry
		}
	}
	return nil
}

// memberships are the groups that list a user.
func memberships(file, name string) []uint32 {
	var ids []uint32
	for _, entry := range entries(file, 4) {
		if slices.Contains(strings.Split(entry[3], ","), name) {
			ids = append(ids, number(entry[2]))
		}
	}
	return ids
}

// entries are the lines of /etc/passwd or /etc/group that have at least as many fields, and ids where ids belong.
func entries(file string, fields int) [][]string {
	var out [][]string
	for line := range strings.Lines(file) {
		entry := strings.Split(strings.TrimSpace(line), ":")
		if len(entry) < fields || !isID(entry[2]) || fields > 4 && !isID(entry[3]) {
			continue
		}
		out = append(out, entry)
	}
	return out
}

func isID(text string) bool {
	_, err := strconv.ParseUint(text, 10, 31)
	return err == nil
}

func number(text string) uint32 {
	n, _ := strconv.ParseUint(text, 10, 31)
	return uint32(n)
}

// lookupUser resolves USER in this root. HOME is where the user is at home, unless the image has set it: container runtimes
// have set it for root.
func lookupUser(spec string, env []string) (*identity, []string, error) {
	spec = os.Expand(spec, func(name string) string {
		value, _ := lookup(env, name)
		return value
	})
	if spec == "" {
		return nil, env, nil
	}
	// Images without these files are common.
	passwd, _ := os.ReadFile("/etc/passwd")
	group, _ := os.ReadFile("/etc/group")
	u, err := resolveUser(spec, string(passwd), string(group))
	if err != nil {
		return nil, env, err
	}
	root, err := resolveUser("0", string(passwd), "")
	if err != nil {
		return nil, env, err
	}
	if home, _ := lookup(env, "HOME"); home == "" || home == root.home {
		env = setVar(env, "HOME", u.home)
	}
	return &u, env, nil
}
