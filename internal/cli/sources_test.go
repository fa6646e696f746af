package cli

import (
	"testing"

	"github.com/tightlip/tightlip/secret/source/all"
)

// TestSourcesSayWhatTheyDoNotKnow: a life that the issuer decides is not said to be an hour, nor a grade without what it takes.
func TestSourcesSayWhatTheyDoNotKnow(t *testing.T) {
	want := map[string]sourceRow{
		"oauth2":      {Default: "the issuer's", Least: "the issuer's", Takes: "one of scope=, audience= and resource=, and revoke-url= or issuer="},
		"vault-lease": {Default: "the role's", Least: "the role's"},
		"vault-token": {Default: "15m", Least: "10s", Takes: "policies= without root, or a role"},
		"github-app":  {Default: "1h", Least: "the issuer's", Takes: "repositories= or permissions="},
	}
	for _, row := range sourceRows(all.Sources(all.Options{})) {
		if w, ok := want[row.Scheme]; ok && (row.Default != w.Default || row.Least != w.Least || row.Takes != w.Takes) {
			t.Errorf("%s: got %+v", row.Scheme, row)
		}
		delete(want, row.Scheme)
	}
	if len(want) > 0 {
		t.Errorf("there are no %v", want)
	}
}
