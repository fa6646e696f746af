package verify

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/finding"
)

// check is how an issuer is asked: by a call of its documentation that reads and changes nothing. docs/scan.md has the same table.
type check struct {
	issuer string
	rules  []string                // whose values are its tokens
	starts []string                // of its tokens: a rule may find others, too, that are none of its business
	fits   func(value string) bool // what else there is to its tokens; may be nil
	host   string
	method string // "" is GET
	path   string
	body   string
	header string // that has the token
	scheme string // what stands before it there

	headers map[string]string
	// reads is nil if the status tells everything: 200 that the token works, 401 that it does not.
	reads func(status int, body []byte) finding.Verdict
	// elsewhere says that others run the same server, with tokens of the same form: that it refuses one means nothing.
	elsewhere bool
}

const (
	authorization = "Authorization"
	bearer        = "Bearer "
)

var checks = []check{
	{issuer: "Airtable", rules: []string{"airtable-personal-access-token"}, starts: []string{"pat"},
		host: "api.airtable.com", path: "/v0/meta/whoami", header: authorization, scheme: bearer},
	{issuer: "Anthropic", rules: []string{"anthropic-api-key"}, starts: []string{"sk-ant-api"},
		host: "api.anthropic.com", path: "/v1/models", header: "x-api-key", headers: map[string]string{"anthropic-version": "2023-06-01"}},
	{issuer: "Buildkite", rules: []string{"buildkite-api-token"}, starts: []string{"bkua_"},
		host: "api.buildkite.com", path: "/v2/access-token", header: authorization, scheme: bearer},
	{issuer: "Cloudflare", rules: []string{"cloudflare-api-token"}, starts: []string{"cfut_"},
		host: "api.cloudflare.com", path: "/client/v4/user/tokens/verify", header: authorization, scheme: bearer, reads: readCloudflare},
	{issuer: "DigitalOcean", rules: []string{"digitalocean-pat"}, starts: []string{"dop_v1_", "doo_v1_"},
		host: "api.digitalocean.com", path: "/v2/account", header: authorization, scheme: bearer},
	{issuer: "Doppler", rules: []string{"doppler-api-token"}, starts: []string{"dp.pt.", "dp.st.", "dp.ct.", "dp.sa."},
		host: "api.doppler.com", path: "/v3/me", header: authorization, scheme: bearer},
	{issuer: "GitHub", rules: []string{"github-pat", "github-fine-grained-pat", "github-oauth", "github-app-token"}, starts: []string{"ghp_", "github_pat_", "gho_", "ghu_"},
		host: "api.github.com", path: "/user", header: authorization, scheme: bearer, elsewhere: true,
		headers: map[string]string{"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}},
	{issuer: "GitLab", rules: []string{"gitlab-pat"}, starts: []string{"glpat-"},
		host: "gitlab.com", path: "/api/v4/personal_access_tokens/self", header: "PRIVATE-TOKEN", elsewhere: true},
	{issuer: "Groq", rules: []string{"groq-api-key"}, starts: []string{"gsk_"},
		host: "api.groq.com", path: "/openai/v1/models", header: authorization, scheme: bearer},
	{issuer: "Heroku", rules: []string{"heroku-api-key-v2"}, starts: []string{"HRKU-"},
		host: "api.heroku.com", path: "/account", header: authorization, scheme: bearer, headers: map[string]string{"Accept": "application/vnd.heroku+json; version=3"}},
	{issuer: "Hugging Face", rules: []string{"huggingface-access-token", "huggingface-organization-api-token"}, starts: []string{"hf_", "api_org_"},
		host: "huggingface.co", path: "/api/whoami-v2", header: authorization, scheme: bearer},
	{issuer: "Linear", rules: []string{"linear-api-key"}, starts: []string{"lin_api_"},
		host: "api.linear.app", method: http.MethodPost, path: "/graphql", body: `{"query":"{ viewer { id } }"}`, header: authorization,
		headers: map[string]string{"Content-Type": "application/json"}, reads: readLinear},
	{issuer: "Netlify", rules: []string{"netlify-access-token"}, starts: []string{"nfp_", "nfo_", "nfc_"},
		host: "api.netlify.com", path: "/api/v1/user", header: authorization, scheme: bearer},
	{issuer: "Notion", rules: []string{"notion-api-token"}, starts: []string{"ntn_"},
		host: "api.notion.com", path: "/v1/users/me", header: authorization, scheme: bearer, headers: map[string]string{"Notion-Version": "2022-06-28"}},
	{issuer: "OpenAI", rules: []string{"openai-api-key"}, starts: []string{"sk-"}, fits: notAdmin,
		host: "api.openai.com", path: "/v1/models", header: authorization, scheme: bearer, reads: readOpenAI},
	{issuer: "Postman", rules: []string{"postman-api-token"}, starts: []string{"PMAK-"},
		host: "api.getpostman.com", path: "/me", header: "X-Api-Key"},
	{issuer: "Replicate", rules: []string{"replicate-api-token"}, starts: []string{"r8_"},
		host: "api.replicate.com", path: "/v1/account", header: authorization, scheme: bearer},
	{issuer: "SendGrid", rules: []string{"sendgrid-api-token"}, starts: []string{"SG."},
		host: "api.sendgrid.com", path: "/v3/scopes", header: authorization, scheme: bearer},
	{issuer: "Slack", rules: []string{"slack-bot-token", "slack-user-token", "slack-app-token"}, starts: []string{"xoxb-", "xoxp-", "xapp-"},
		host: "slack.com", method: http.MethodPost, path: "/api/auth.test", header: authorization, scheme: bearer, reads: readSlack},
	{issuer: "Stripe", rules: []string{"stripe-access-token", "stripe-test-key"}, starts: []string{"sk_live_", "rk_live_", "sk_test_", "rk_test_"}, fits: ofStripe,
		host: "api.stripe.com", path: "/v1/balance", header: authorization, scheme: bearer},
}

// checkFor is the check for a value that a rule found, or nil. Rules of the user's may have any name and find anything: only what looks like
// a token of the issuer is for it.
func checkFor(rule string, value []byte) *check {
	if len(value) > maxValue || bytes.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil
	}
	for i := range checks {
		if c := &checks[i]; slices.Contains(c.rules, rule) && c.takes(string(value)) {
			return c
		}
	}
	return nil
}

func (c *check) takes(value string) bool {
	return slices.ContainsFunc(c.starts, func(start string) bool { return strings.HasPrefix(value, start) }) && (c.fits == nil || c.fits(value))
}

// notAdmin leaves out the keys of OpenAI that manage an organization: models are not for them.
func notAdmin(value string) bool { return !strings.HasPrefix(value, "sk-admin-") }

// ofStripe leaves out the keys of Paystack and Clerk, which start like Stripe's: its own have 24 characters after that, newer ones 99.
func ofStripe(value string) bool {
	const start = len("sk_live_")
	return len(value) == start+24 || len(value) >= start+90
}

// verdict is what an answer says.
func (c *check) verdict(status int, body []byte) finding.Verdict {
	verdict := finding.Unknown
	switch {
	case c.reads != nil:
		verdict = c.reads(status, body)
	case status == http.StatusOK:
		verdict = finding.Alive
	case status == http.StatusUnauthorized:
		verdict = finding.Dead
	}
	if verdict == finding.Dead && c.elsewhere {
		return finding.Unknown
	}
	return verdict
}

// readSlack: it says 200 in any case. "invalid_auth" is also for addresses that a token may not be used from.
func readSlack(status int, body []byte) finding.Verdict {
	var answer struct {
		OK    bool
		Error string
	}
	switch {
	case status != http.StatusOK || json.Unmarshal(body, &answer) != nil:
		return finding.Unknown
	case answer.OK:
		return finding.Alive
	case slices.Contains([]string{"invalid_auth", "account_inactive", "token_revoked", "token_expired"}, answer.Error):
		return finding.Dead
	}
	return finding.Unknown
}

// readOpenAI: 401 is also for addresses that a key may not be used from, and for keys of another region.
func readOpenAI(status int, body []byte) finding.Verdict {
	var answer struct{ Error struct{ Code string } }
	switch {
	case status == http.StatusOK:
		return finding.Alive
	case status == http.StatusUnauthorized && json.Unmarshal(body, &answer) == nil && answer.Error.Code == "invalid_api_key":
		return finding.Dead
	}
	return finding.Unknown
}

// readCloudflare: a token that is switched off is an answer, too.
func readCloudflare(status int, body []byte) finding.Verdict {
	var answer struct{ Result struct{ Status string } }
	switch {
	case status == http.StatusUnauthorized:
		return finding.Dead
	case status != http.StatusOK || json.Unmarshal(body, &answer) != nil:
		return finding.Unknown
	case answer.Result.Status == "active":
		return finding.Alive
	case answer.Result.Status == "disabled", answer.Result.Status == "expired":
		return finding.Dead
	}
	return finding.Unknown
}

// readLinear: of a query in GraphQL, 200 may also be an error.
func readLinear(status int, body []byte) finding.Verdict {
	var answer struct {
		Data struct{ Viewer struct{ ID string } }
	}
	switch {
	case status == http.StatusUnauthorized:
		return finding.Dead
	case status == http.StatusOK && json.Unmarshal(body, &answer) == nil && answer.Data.Viewer.ID != "":
		return finding.Alive
	}
	return finding.Unknown
}
