package translate_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

var (
	full      = translate.Builder{Mounts: true, SecretEnv: true, Heredocs: true}
	hashes    = regexp.MustCompile(`[0-9a-f]{16}`)
	throughUs = &translate.Brokered{
		Uses:    func(id string) bool { return id == "npm" || id == "sealed" },
		Sealed:  func(id string) bool { return id == "sealed" },
		Refused: func(id string) bool { return strings.HasPrefix(id, "GIT_AUTH_") },
	}
)

// TestBrokered: what becomes of steps that use a secret through the broker. SHIM and AGENT are their mounts.
func TestBrokered(t *testing.T) {
	const (
		shimMount = "--mount=type=secret,id=tightlip-shim,target=/dev/.tightlip,mode=0555,required=true"
		agent     = "--mount=type=ssh,id=tightlip-broker-#,target=/dev/.tightlip-broker,mode=0666,required=true"
		shim      = `"/dev/.tightlip","step","--broker","/dev/.tightlip-broker","--"`
		folder    = "--mount=type=bind,from=tightlip-broker-#,source=.,target=/dev/.tightlip"
	)
	old, folders := full, full
	old.NoExecSecrets, old.SecretEnv = true, false
	folders.StepFolders = true
	for _, tt := range []struct {
		name     string
		builder  translate.Builder
		base     translate.Base
		in, want string
	}{
		{"another secret", full, translate.Base{}, "RUN --mount=type=secret,id=pip x", "RUN --mount=type=secret,id=pip x"},
		{"shell form", full, translate.Base{}, `RUN --mount=type=secret,id=npm npm ci && echo "$X"`, `RUN --mount=type=secret,id=npm AGENT SHIM [` + shim + `,"/bin/sh","-c","npm ci && echo \"$X\""]`},
		{"exec form", full, translate.Base{}, `RUN --mount=type=secret,id=npm ["npm", "ci"]`, `RUN --mount=type=secret,id=npm AGENT SHIM [` + shim + `,"npm","ci"]`},
		{"the base's shell", full, translate.Base{Shell: []string{"/bin/bash", "-ec"}}, "RUN --mount=type=secret,id=npm x", `RUN --mount=type=secret,id=npm AGENT SHIM [` + shim + `,"/bin/bash","-ec","x"]`},
		{"default id", full, translate.Base{}, "RUN --mount=type=secret,target=/root/npm x", `RUN --mount=type=secret,target=/root/npm AGENT SHIM [` + shim + `,"/bin/sh","-c","x"]`},
		{"id in a variable", full, translate.Base{}, "ARG ID=npm\nRUN --mount=type=secret,id=$ID x", "ARG ID=npm\nRUN --mount=type=secret,id=$ID AGENT SHIM [" + shim + `,"/bin/sh","-c","x"]`},
		{"sealed", full, translate.Base{}, "RUN --mount=type=secret,id=sealed x", `RUN --mount=type=secret,id=sealed --network=none AGENT SHIM [` + shim + `,"/bin/sh","-c","x"]`},
		{"sealed anyway", full, translate.Base{}, "RUN --network=none --mount=type=secret,id=sealed x", `RUN --network=none --mount=type=secret,id=sealed AGENT SHIM [` + shim + `,"/bin/sh","-c","x"]`},
		{"document", full, translate.Base{}, "RUN --mount=type=secret,id=npm <<E\na\nb\nE", `RUN --mount=type=secret,id=npm AGENT SHIM [` + shim + `,"/bin/sh","-c","a\nb\n"]`},
		{"script", full, translate.Base{}, "RUN --mount=type=secret,id=npm <<E\n#!/x\nE", `RUN --mount=type=secret,id=npm --mount=type=secret,id=tightlip-script-#,target=/dev/pipes/E,mode=0755,required=true AGENT SHIM [` + shim + `,"/bin/sh","-c","/dev/pipes/E"]`},
		{
			"an old builder", old, translate.Base{}, "RUN --mount=type=secret,id=npm,env=T x",
			`RUN --mount=type=secret,id=npm,target=/dev/tightlip-0,mode=0444 AGENT SHIM --mount=type=tmpfs,target=/dev/.tightlip-shim ["/bin/sh","-c","cp /dev/.tightlip /dev/.tightlip-shim/shim && exec /dev/.tightlip-shim/shim \"$@\"","sh","step","--broker","/dev/.tightlip-broker","--",` +
				`"/bin/sh","-c","T=; if [ -e /dev/tightlip-0 ]; then T=$(cat /dev/tightlip-0 && echo .) || exit 125; T=${T%.}; fi; export T; exec \"$@\"","sh","/bin/sh","-c","x"]`,
		},
		{"a builder with folders", folders, translate.Base{}, "RUN --mount=type=secret,id=npm x", `RUN --mount=type=secret,id=npm ` + folder + ` ["/dev/.tightlip/shim","step","--broker","/dev/.tightlip/broker","--","/bin/sh","-c","x"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := dockerfile.Parse("Dockerfile", []byte("FROM a\n"+tt.in+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			o := translate.Options{Brokered: throughUs, NoFiles: true, Base: func(string, string) (translate.Base, error) { return tt.base, nil }}
			r, err := translate.For(tt.builder, f, o)
			if err != nil {
				t.Fatal(err)
			}
			want := "FROM a\n" + strings.NewReplacer("AGENT", agent, "SHIM", shimMount).Replace(tt.want) + "\n"
			if got := hashes.ReplaceAllString(string(r.Dockerfile), "#"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			for _, s := range r.Steps {
				if text := r.AsWritten(s.New + " x"); s.Wrapped && !strings.HasPrefix(text, strings.SplitN(tt.in, "\n", 2)[0]) && !strings.Contains(tt.in, "ARG") {
					t.Errorf("shown as %q", text)
				}
			}
			if again, err := translate.For(tt.builder, f, o); err != nil || string(again.Dockerfile) != string(r.Dockerfile) {
				t.Errorf("not the same again: %v", err)
			}
		})
	}
}

func TestBrokeredRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"RUN --mount=type=secret,id=$ID x":                            "value is not known here",
		"RUN --mount=type=secret,id=tightlip-shim,target=/x x":        "tightlip's own",
		"RUN --mount=type=secret,id=GIT_AUTH_TOKEN x":                 "for the builder itself",
		"RUN --network=host --mount=type=secret,id=sealed x":          "asks for --network=host",
		"ONBUILD RUN --mount=type=secret,id=sealed x\nFROM a AS b\n#": "",
	} {
		f, err := dockerfile.Parse("Dockerfile", []byte("FROM a\n"+in+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = translate.For(full, f, translate.Options{Brokered: throughUs})
		if e := (*translate.Error)(nil); want != "" && (!errors.As(err, &e) || !strings.Contains(err.Error(), want)) || want == "" && err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
	f, err := dockerfile.Parse("Dockerfile", []byte("FROM a\nRUN x\n"))
	if err != nil {
		t.Fatal(err)
	}
	base := func(string, string) (translate.Base, error) {
		return translate.Base{OnBuild: []string{"RUN --mount=type=secret,id=npm npm ci"}}, nil
	}
	if _, err := translate.For(full, f, translate.Options{Brokered: throughUs, Base: base}); err == nil || !strings.Contains(err.Error(), "has the trigger") {
		t.Errorf("a trigger of the base image: %v", err)
	}
}
