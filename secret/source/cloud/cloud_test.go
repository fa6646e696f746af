package cloud_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/cloud"
)

func Example() {
	_, err := cloud.AWS{Who: "AWS STS", Name: "sts", Variable: "STS"}.Client(context.Background(), cloud.Options{}, "corp.example/", nil)
	if re, ok := errors.AsType[*secret.ResolveError](err); ok {
		fmt.Println(re.Error())
		fmt.Println(re.Hint())
	}
	// Output:
	// no region of AWS is set, or it is none
	// add ?region=NAME or export AWS_REGION=NAME
}
