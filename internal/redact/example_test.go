package redact_test

import (
	"fmt"
	"strings"

	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

func Example() {
	token := strings.Repeat("s3cret", 4)
	needles, err := proof.NewNeedles([]proof.Secret{{ID: "npm", Value: secret.NewValue([]byte(token))}})
	if err != nil {
		fmt.Println(err)
		return
	}
	log := redact.New(needles).NewStream()
	fmt.Printf("%s|", log.Push([]byte("using s3cre")))
	fmt.Printf("%s|", log.Push([]byte("ts3crets3crets3cret now.")))
	fmt.Printf("%s\n", log.Flush())
	// Output:
	// using |*** now.|
}
