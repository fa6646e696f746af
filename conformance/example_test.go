package conformance_test

import (
	"os"

	"github.com/tightlip/tightlip/conformance"
)

func ExampleMarkdown() {
	conformance.Markdown(os.Stdout, []conformance.Result{{Engine: "docker 26", Rows: []conformance.Row{
		{Group: "missing", Case: "empty value", Plain: &conformance.Outcome{Text: "built"}, Ours: conformance.Outcome{Good: true, Text: "refused"}},
		{Group: "missing", Case: "required=true", Plain: &conformance.Outcome{Good: true, Text: "refused"}, Ours: conformance.Outcome{Good: true, Text: "refused"}},
	}}})
	// Output:
	// |  | docker 26 | with tightlip |
	// |---|---|---|
	// | **missing** | | |
	// | empty value | ✗ built | refused |
	// | required=true | refused | refused |
}
