package shim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// apply puts the settings of a client into a step's environment, and its trust store beside the certificates. A client for which the step
// has a setting of its own keeps that, and gets no other.
func (c BrokerClient) apply(certificates string, env []string) ([]string, error) {
	for _, kv := range c.Env {
		if name, _, _ := strings.Cut(kv, "="); hasVariable(env, name) {
			return env, nil
		}
	}
	if c.TrustStore != "" {
		bundle, err := os.ReadFile(certificates)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(certificates), c.TrustStore), trustStore(bundle), 0o444); err != nil {
			return nil, err
		}
	}
	return withGit(append(env, c.Env...), c.Git)
}

// hasVariable tells whether a variable is set. npm reads the names of its own in any case.
func hasVariable(env []string, name string) bool {
	for _, kv := range env {
		if have, _, _ := strings.Cut(kv, "="); strings.EqualFold(have, name) {
			return true
		}
	}
	return false
}

// withGit adds to the configuration that git finds in its environment. What is there stays.
func withGit(env []string, settings []GitSetting) ([]string, error) {
	if len(settings) == 0 {
		return env, nil
	}
	count := 0
	if text, ok := lookup(env, "GIT_CONFIG_COUNT"); ok && text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil || count < 0 {
			return nil, errors.New("GIT_CONFIG_COUNT is not a number")
		}
	}
	for _, s := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", count, s.Key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", count, s.Value))
		count++
	}
	return setVar(env, "GIT_CONFIG_COUNT", strconv.Itoa(count)), nil
}
