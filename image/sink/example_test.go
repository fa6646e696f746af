package sink_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/tightlip/tightlip/image/sink"
)

func ExampleWriteArchive() {
	var archive bytes.Buffer
	digest := "sha256:" + strings.Repeat("0", 64)
	err := sink.WriteArchive(context.Background(), &archive, "no/such/layout", digest, []string{"app:1"}, sink.OCIArchive)
	fmt.Println(err != nil, archive.Len())
	// Output: true 0
}
