package shimbin_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/broker/shimbin"
)

func TestFor(t *testing.T) {
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for _, arch := range shimbin.Architectures {
		program, err := shimbin.For(arch)
		if _, statErr := os.Stat("bin/shim-linux-" + arch + ".gz"); statErr != nil {
			missing, ok := errors.AsType[*shimbin.MissingError](err)
			if !ok || !strings.Contains(missing.Hint(), "make shim") {
				t.Errorf("%s: got %v", arch, err)
			}
			t.Logf("%s: not built, so only the error is tested: make shim", arch)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		f, err := elf.NewFile(bytes.NewReader(program))
		if err != nil {
			t.Fatal(err)
		}
		if f.Machine != machines[arch] {
			t.Errorf("%s: the shim is for %s", arch, f.Machine)
		}
		if libs, err := f.ImportedLibraries(); len(libs) > 0 || err != nil {
			t.Errorf("%s: the shim needs %q, %v", arch, libs, err)
		}
		if len(program) > 5<<20 {
			t.Errorf("%s: the shim has %d bytes", arch, len(program))
		}
	}
}

func TestForOthers(t *testing.T) {
	for _, arch := range []string{"s390x", "", "../README", "amd64/v2"} {
		program, err := shimbin.For(arch)
		missing, ok := errors.AsType[*shimbin.MissingError](err)
		if !ok || missing.Hint() != "" || missing.Arch != arch || program != nil {
			t.Errorf("%q: got %d bytes, %v", arch, len(program), err)
		}
	}
}
