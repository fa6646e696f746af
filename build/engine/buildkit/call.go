package buildkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/moby/buildkit/frontend/subrequests"
	"github.com/moby/buildkit/frontend/subrequests/lint"
	"github.com/moby/buildkit/frontend/subrequests/outline"
	"github.com/moby/buildkit/frontend/subrequests/targets"
	"github.com/tightlip/tightlip/build"
)

// printCall prints the answer to --call, as docker build does. Nothing was built, so that nothing is to be named.
func (r *result) printCall() (err error) {
	call, res := r.options.CallFunc, r.response.ExporterResponse
	w := r.job.Redact.Writer(r.engine.streams.Out)
	defer func() { err = errors.Join(err, w.Close()) }()
	text := res["result.json"]
	if call.Format == "json" {
		fmt.Fprintln(w, text)
		return callStatus(res, call.IgnoreStatus)
	}
	switch call.Name {
	case "outline":
		err = outline.PrintOutline([]byte(text), w)
	case "targets":
		err = targets.PrintTargets([]byte(text), w)
	case "subrequests.describe":
		err = subrequests.PrintDescribe([]byte(text), w)
	case "lint":
		err = printLint([]byte(text), w)
	default:
		_, err = io.WriteString(w, res["result.txt"])
	}
	if err != nil {
		return err
	}
	return callStatus(res, call.IgnoreStatus)
}

func printLint(text []byte, w io.Writer) error {
	var results lint.LintResults
	if err := json.Unmarshal(text, &results); err != nil {
		return err
	}
	switch n := len(results.Warnings); {
	case n == 1:
		fmt.Fprintln(w, "Check complete, 1 warning has been found!")
	case n > 1:
		fmt.Fprintf(w, "Check complete, %d warnings have been found!\n", n)
	case results.Error == nil:
		fmt.Fprintln(w, "Check complete, no warnings found.")
	}
	if err := results.PrintTo(w, nil); err != nil {
		return err
	}
	if results.Error != nil {
		results.PrintErrorTo(w, nil)
		return &build.FailedError{Code: 1, Text: "the Dockerfile is not valid"}
	}
	return nil
}

// callStatus is the exit code that the frontend wants.
func callStatus(res map[string]string, ignore bool) error {
	n, err := strconv.Atoi(res["result.statuscode"])
	if ignore || err != nil || n == 0 {
		return nil
	}
	return &build.FailedError{Code: n, Text: "the check found something"}
}
