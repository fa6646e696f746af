package lazy_test

import (
	"fmt"

	"github.com/tightlip/tightlip/internal/lazy"
)

func ExampleRegexp() {
	word := lazy.Regexp(`\w+`)
	fmt.Println(word().FindString("- lazy -"))
	// Output: lazy
}
