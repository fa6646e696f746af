//go:build !linux

package image

// xattrs returns no attributes where images do not carry any.
func xattrs(string) (map[string]string, error) { return map[string]string{}, nil }
