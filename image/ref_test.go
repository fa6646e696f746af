package image

import (
	"errors"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	dg := "sha256:" + strings.Repeat("ab", 32)
	for in, want := range map[string]Ref{
		"alpine:3.20":              {Name: "alpine:3.20"},
		"docker:alpine:3.20":       {Scheme: Docker, Name: "alpine:3.20"},
		"docker:" + dg:             {Scheme: Docker, Name: dg},
		"docker:docker:27":         {Scheme: Docker, Name: "docker:27"},
		"registry:localhost:5/a@b": {Scheme: Registry, Name: "localhost:5/a@b"},
		"oci:dir":                  {Scheme: OCI, Name: "dir"},
		"oci:dir:v1.2":             {Scheme: OCI, Name: "dir", Select: "v1.2"},
		"oci:/a:b/":                {Scheme: OCI, Name: "/a:b/"},
		`oci:C:\layout`:            {Scheme: OCI, Name: `C:\layout`},
		"oci:./x@" + dg:            {Scheme: OCI, Name: "./x", Select: dg},
		"tar:a:b.tar":              {Scheme: Tar, Name: "a:b.tar"},
		"dir:/":                    {Scheme: Dir, Name: "/"},
		"./docker:x":               {Name: "./docker:x"},
		"podman:localhost/app:1":   {Scheme: Podman, Name: "localhost/app:1"},
		"podman-4":                 {Name: "podman-4"},
		"context:./app":            {Scheme: Context, Name: "./app"},
		"container:web":            {Scheme: Container, Name: "web"},
	} {
		got, err := ParseRef(in)
		if err != nil || got != want {
			t.Errorf("ParseRef(%q) = %+v, %v, want %+v", in, got, err, want)
		}
		if got.String() != in {
			t.Errorf("ParseRef(%q).String() = %q", in, got)
		}
	}
	for _, in := range []string{"", "docker:", "podman:", "context:", "container:", "oci:", "oci::tag", "oci:@" + dg, "tar:a\x00b"} {
		if got, err := ParseRef(in); !errors.Is(err, ErrRef) {
			t.Errorf("ParseRef(%q) = %+v, %v, want ErrRef", in, got, err)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	f.Add("oci:dir:tag")
	f.Add("oci:dir@sha256:" + strings.Repeat("0", 64))
	f.Add("docker:docker:27")
	f.Add("C:\\x")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRef(s)
		if err != nil {
			return
		}
		if r.String() != s {
			t.Fatalf("%q became %q", s, r)
		}
		if again, err := ParseRef(r.String()); err != nil || again != r {
			t.Fatalf("%q: %+v, then %+v, %v", s, r, again, err)
		}
	})
}
