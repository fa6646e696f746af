package vault_test

import (
	"fmt"

	"github.com/tightlip/tightlip/secret/source/vault"
)

func Example() {
	for _, f := range vault.Flavours() {
		fmt.Println(f.Name, f.Prefixes[0]+"ADDR", vault.Escape("kv/data/a b"))
	}
	// Output:
	// Vault VAULT_ADDR kv/data/a%20b
	// OpenBao BAO_ADDR kv/data/a%20b
}
