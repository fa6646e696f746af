package proof_test

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

func ExampleNeedles_NewScanner() {
	token := strings.Repeat("s3cret", 4)
	needles, err := proof.NewNeedles([]proof.Secret{{ID: "npm", Value: secret.NewValue([]byte(token))}})
	if err != nil {
		fmt.Println(err)
		return
	}
	scanner := needles.NewScanner(func(h proof.Hit) {
		fmt.Printf("%s as %s at byte %d\n", h.Secret, h.Encoding, h.Offset)
	})
	fmt.Fprintf(scanner, "ENV TOKEN=%s\n", token)
	fmt.Fprintf(scanner, "Authorization: Basic %s\n", base64.StdEncoding.EncodeToString([]byte("user:"+token)))
	// Output:
	// npm as raw at byte 10
	// npm as base64 at byte 63
}
