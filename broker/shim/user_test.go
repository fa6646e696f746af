package shim

import (
	"reflect"
	"strings"
	"testing"
)

func TestResolveUser(t *testing.T) {
	passwd := "root:x:0:0:root:/root:/bin/sh\n\n# a comment\nbroken:x:a:b::/:\n  app:x:1000:100::/home/app:/bin/sh  \r\napp:x:7:7::/second:\nshort:x:5:5\n" +
		"123:x:55:55::/numeric:\nnohome:x:56:56:::\n"
	group := "root:x:0:\nusers:x:100:\none:x:1:app,x\ntwo:x:2:x,app\nbroken:x:z:app\nthree:x:3\nfour:x:4:apple"
	for _, tt := range []struct {
		spec string
		want identity
	}{
		{"root", identity{0, 0, []uint32{0}, "/root"}},
		{"app", identity{1000, 100, []uint32{100, 1, 2}, "/home/app"}},
		{"1000", identity{1000, 100, []uint32{100, 1, 2}, "/home/app"}},
		{"app:", identity{1000, 100, []uint32{100, 1, 2}, "/home/app"}},
		{"app:two", identity{1000, 2, []uint32{2}, "/home/app"}},
		{"app:three", identity{1000, 3, []uint32{3}, "/home/app"}},
		{"app:2", identity{1000, 2, []uint32{2}, "/home/app"}},
		{"app:77", identity{1000, 77, []uint32{77}, "/home/app"}},
		{":two", identity{0, 2, []uint32{2}, "/root"}},
		{"123", identity{123, 0, []uint32{0}, "/"}}, // a number, although a user is called so
		{"42:43", identity{42, 43, []uint32{43}, "/"}},
		{"nohome", identity{56, 56, []uint32{56}, "/"}},
	} {
		if got, err := resolveUser(tt.spec, passwd, group); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, %v, want %+v", tt.spec, got, err, tt.want)
		}
	}
	for _, spec := range []string{"nobody", "short", "broken", "-1", "4294967296", "app:nobody", "app:broken", "app:-1", "app:1:2", "APP"} {
		if got, err := resolveUser(spec, passwd, group); err == nil {
			t.Errorf("%s is %+v", spec, got)
		}
	}
	if got, err := resolveUser("1:2", "", ""); err != nil || got.uid != 1 || got.gid != 2 {
		t.Errorf("without files: %+v, %v", got, err)
	}
	if _, err := resolveUser("root", "", ""); err == nil {
		t.Error("a name without /etc/passwd is somebody")
	}
}

// FuzzResolveUser checks that only names that are in the files become somebody.
func FuzzResolveUser(f *testing.F) {
	f.Add("app:two", "app:x:1000:100::/home/app:/bin/sh\n", "two:x:2:app\n")
	f.Add("1:2", ":::::", "\n:\n::::")
	f.Fuzz(func(t *testing.T, spec, passwd, group string) {
		u, err := resolveUser(spec, passwd, group)
		if err != nil {
			return
		}
		if len(u.groups) == 0 || u.groups[0] != u.gid || u.home == "" {
			t.Errorf("%q is %+v", spec, u)
		}
		if name, _, _ := strings.Cut(spec, ":"); !isID(name) && name != "" && !strings.Contains(passwd, name+":") {
			t.Errorf("%q is %+v", spec, u)
		}
	})
}
