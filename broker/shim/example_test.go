package shim_test

import (
	"fmt"
	"strings"

	"github.com/tightlip/tightlip/broker/shim"
)

func ExampleSpec_Args() {
	spec := shim.Spec{
		Mounts:  []shim.Mount{{Kind: shim.Secret, ID: "npm", Target: "/root/.npmrc", Required: true}},
		Command: []string{"npm", "ci"},
	}
	fmt.Println(strings.Join(spec.Args(), " "))
	// Output: --secret npm --target /root/.npmrc --required -- npm ci
}
