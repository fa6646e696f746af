package sshagent_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tightlip/tightlip/broker/sshagent"
)

func ExampleSettings() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	known := filepath.Join(dir, "known_hosts")
	line := "git.corp.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n"
	if err := os.WriteFile(known, []byte(line), 0o600); err != nil {
		log.Fatal(err)
	}
	policy, err := sshagent.Settings{Allow: []string{"git@git.corp.example"}, KnownHosts: []string{known}}.Policy()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(policy.Rules[0].Target, len(policy.Rules[0].Known.Keys))

	_, err = sshagent.Settings{Allow: []string{"git@git.corp.example:2222"}, KnownHosts: []string{known}}.Policy()
	fmt.Println(err)
	// Output:
	// git@git.corp.example 1
	// allow, entry 1: no key of the host git.corp.example:2222 is known
}
