package caller

import (
	"bytes"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"
)

// FuzzRead reads and moves what is nearly a file of each kind.
func FuzzRead(f *testing.F) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	var names []string
	for i, name := range archives {
		a, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		names = append(names, a.Files[0].Name)
		f.Add(byte(i), a.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, kind byte, text []byte) {
		name := names[int(kind)%len(names)]
		builds, err := Read(name, text)
		lines := bytes.Split(text, []byte("\n"))
		for _, b := range builds {
			checkPositions(t, b, lines)
			for _, a := range b.Args {
				moveOnce(t, name, text, a.Name, b.Dockerfile, err == nil)
			}
		}
	})
}

func checkPositions(t *testing.T, b Build, lines [][]byte) {
	if b.Line < 1 || b.Line > len(lines) {
		t.Errorf("a build is in line %d of %d", b.Line, len(lines))
	}
	for _, a := range b.Args {
		if a.Line < 1 || a.Line > len(lines) || a.Column < 1 || a.Width < 0 || a.Column-1+a.Width > len(lines[a.Line-1]) {
			t.Errorf("%s is at %d:%d, %d wide", a.Name, a.Line, a.Column, a.Width)
		}
	}
}

func moveOnce(t *testing.T, name string, text []byte, arg, dockerfile string, readable bool) {
	after, _ := Move(name, text, []string{arg}, dockerfile)
	if _, err := Read(name, after); err != nil && readable {
		t.Errorf("%v: the result is not readable:\n%s", err, after)
	}
	if again, _ := Move(name, after, []string{arg}, dockerfile); !bytes.Equal(again, after) {
		t.Errorf("a second move of %s changes\n%s\ninto\n%s", arg, after, again)
	}
}

func BenchmarkRead(b *testing.B) {
	archives, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range archives {
		a, err := txtar.ParseFile(name)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(filepath.Base(name), func(b *testing.B) {
			b.SetBytes(int64(len(a.Files[0].Data)))
			for b.Loop() {
				if _, err := Read(a.Files[0].Name, a.Files[0].Data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
