package config

import (
	"errors"
	"testing"

	"github.com/tightlip/tightlip/secret"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "version: 1\n", "version: 1\nsecrets: {a: {from: 'env:A', rebuild: on-change, waive: true}}\n", "version: 1\nallow: [cmd]\n",
		"version: 1\nbuild: {engine: docker, prove: warn}\nengine: {cache: 10GB, keep: 0s}\n", "a: &x {b: *x}\n", "---\n", "? [a]\n: *a", "<<: {version: 1}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, kind := range []Kind{FromUser, FromProject} {
			got, errs := parse(data, Origin{Kind: kind, Name: "f"}, nil)
			for _, err := range errs {
				ce, ok := errors.AsType[*Error](err)
				if !ok || ce.Problem == "" || ce.Origin.Kind != kind {
					t.Errorf("%#v", err)
				}
			}
			for _, s := range got.secrets {
				if s.Origin.Line < 1 || s.Origin.Column < 1 || !secret.Printable(s.ID+s.Ref.String()) {
					t.Errorf("%+v", s)
				}
			}
			for _, v := range got.values {
				_ = v.setting.set(&Config{}, v.text)
			}
		}
	})
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "12": 12, "1B": 1, "2kB": 2000, "2KiB": 2048, "3 MB": 3e6, "3mib": 3 << 20, "10GB": 10e9, "1TiB": 1 << 40, "9223372036854775807": 1<<63 - 1,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%s: got %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "GB", "1.5GB", "-1", "1PB", "1 0GB", "9223372036854775808", "8388608TiB", "10K", "0x1GB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: got %d", text, got)
		}
	}
}
