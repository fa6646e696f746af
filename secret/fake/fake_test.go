package fake_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret/fake"
)

// till is a product with one call for those who have a token.
func till(t *testing.T) *fake.Fake {
	t.Helper()
	var f *fake.Fake
	f = fake.Start(t, fake.API{
		Calls: map[string]func(*http.Request) fake.Answer{
			"GET /v1/{name}": func(r *http.Request) fake.Answer {
				return f.Authorized(func(*http.Request, fake.Token) fake.Answer {
					return fake.OK(map[string]string{"name": r.PathValue("name")})
				})(r)
			},
		},
		Error: func(_ int, message string) fake.Answer { return fake.OK(map[string]string{"error": message}) },
	})
	return f
}

func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	client := http.Client{Timeout: 200 * time.Millisecond}
	resp, err := client.Do(r)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestTokens(t *testing.T) {
	f := till(t)
	parent := f.Issue("t-", time.Hour, fake.Token{Name: "parent"})
	child := f.Issue("t-", 0, fake.Token{Parent: parent.ID})
	want := func(token fake.Token, status int) {
		t.Helper()
		if got, body := get(t, f.URL+"/v1/x?key="+token.Value, token.Value); got != status || (got != 200) != strings.Contains(body, f.Bait) {
			t.Errorf("got %d %s, want %d", got, body, status)
		}
	}
	want(parent, 200)
	want(child, 200)
	f.Skew(2 * time.Hour)
	want(parent, 401)
	want(child, 200)
	f.Skew(-2 * time.Hour)
	if n := f.Revoke(func(t fake.Token) bool { return t.Name == "parent" }); n != 2 || len(f.Living()) != 0 {
		t.Errorf("revoked %d, and %d live", n, len(f.Living()))
	}
	want(child, 401)
	if log := f.Log(); log[0] != "GET /v1/x?key 200" || strings.Contains(strings.Join(log, ""), parent.Value) {
		t.Errorf("got the log %q", log)
	}
}

func TestFaults(t *testing.T) {
	for name, statuses := range map[string][]int{
		"401": {401, 401}, "403": {403, 403}, "404": {404, 404}, "429": {429, 429}, "429 once": {429, 200},
		"500": {500, 500}, "500 once": {500, 200}, "slow": {0, 0}, "malformed": {200, 200},
	} {
		f := till(t)
		token := f.Issue("t-", 0, fake.Token{}).Value
		fault := fake.Faults()[name]
		fault.After, fault.Path = 1, "/v1"
		f.Fail(fault)
		for i, want := range slices.Concat([]int{200}, statuses) {
			status, body := get(t, f.URL+"/v1/x", token)
			spoilt := i > 0 && name == "malformed"
			if status != want || want == 200 && (strings.HasSuffix(body, "}") == spoilt || !strings.Contains(body, `"x"`)) {
				t.Errorf("%s: answer %d is %d %s, want %d", name, i, status, body, want)
			}
		}
		f.Mend()
		if status, _ := get(t, f.URL+"/v1/x", token); status != 200 {
			t.Errorf("%s: got %d when it is over", name, status)
		}
	}
	if len(fake.Faults()) != 9 {
		t.Error("a fault is not tested")
	}
}

func TestRevokedMidway(t *testing.T) {
	f := till(t)
	token := f.Issue("t-", 0, fake.Token{}).Value
	f.Fail(fake.Fault{After: 1, Times: 1, Revoke: true})
	for i, want := range []int{200, 401, 401} {
		if got, _ := get(t, f.URL+"/v1/x", token); got != want {
			t.Errorf("answer %d is %d, want %d", i, got, want)
		}
	}
}
