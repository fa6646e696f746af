package shimbin_test

import (
	"fmt"

	"github.com/tightlip/tightlip/broker/shimbin"
)

func ExampleFor() {
	_, err := shimbin.For("s390x")
	fmt.Println(err)
	// Output: tightlip has no shim for builders of the architecture "s390x"
}
