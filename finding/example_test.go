package finding_test

import (
	"fmt"

	"github.com/tightlip/tightlip/finding"
)

func ExampleLocation_String() {
	fmt.Println(finding.Location{Kind: finding.InLayer, Layer: 3, Path: "app/.npmrc", Offset: 40})
	fmt.Println(finding.Location{Kind: finding.InConfig, Platform: "linux/arm64", Field: "config.Env[1]", Offset: 112})
	// Output:
	// layer 3 app/.npmrc at byte 40
	// linux/arm64 config Env[1] at byte 112
}
