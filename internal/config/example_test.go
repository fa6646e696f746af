package config_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tightlip/tightlip/internal/config"
	"github.com/tightlip/tightlip/secret"
)

func ExampleLoad() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := "version: 1\nsecrets:\n  npm: {from: env:NPM_TOKEN}\nbuild: {prove: warn}\n"
	if err := os.WriteFile(filepath.Join(dir, "tightlip.yaml"), []byte(file), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	c, err := config.Load(config.Options{Dir: dir, Environ: []string{"TIGHTLIP_ENGINE=docker"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range c.Settings()[:3] {
		fmt.Printf("%s: %s (%s)\n", s.Name, s.Value, s.Origin)
	}
	spec, err := c.Complete(secret.Spec{ID: "npm"}, os.LookupEnv)
	fmt.Println(spec.ID, "comes from", spec.Ref, err)
	// Output:
	// engine: docker (TIGHTLIP_ENGINE)
	// proof: warn (tightlip.yaml:4:16)
	// engine cache: 10000000000 bytes (default)
	// npm comes from env:NPM_TOKEN <nil>
}
