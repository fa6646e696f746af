package build_test

import (
	"encoding/json"
	"fmt"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/secret"
)

// A request holds references and no values, and can be shown.
func ExampleRequest_Printable() {
	ref, err := secret.ParseRef("env:NPM_TOKEN")
	if err != nil {
		fmt.Println(err)
		return
	}
	r := &build.Request{
		Context: ".", Tag: []string{"app"}, BuildArg: []string{"TOKEN=perhaps a value"}, Prove: build.ProveStrict,
		Secrets: []build.Secret{{ID: "npm", Ref: ref}},
	}
	text, err := json.Marshal(r.Printable())
	fmt.Println(string(text), err)
	// Output: {"context":".","build-arg":["TOKEN=…"],"tag":["app"],"secrets":[{"id":"npm","reference":"env:NPM_TOKEN"}],"prove":"strict"} <nil>
}
