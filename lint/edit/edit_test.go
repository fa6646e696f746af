package edit_test

import (
	"fmt"

	"github.com/tightlip/tightlip/lint/edit"
)

func ExampleApply() {
	fmt.Printf("%s\n", edit.Apply([]byte("ARG TOKEN\r\n"), []edit.Edit{{Start: 4, End: 9, Text: "VERSION"}, {Start: 0, End: 0, Text: "# "}}))
	// Output: # ARG VERSION
}
