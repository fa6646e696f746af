package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

// Keys are those of references that say how to log in.
func Keys() []string {
	return []string{"auth", "path", "role", "role-id", "secret-id", "jwt", "namespace", "unwrap"}
}

// method is a way to log in. What it sends is found under these names in the reference, else in the environment.
type method struct {
	name   string
	fields []field
}

type field struct {
	key, sent string
	variable  string // without its prefix; it holds the text, or the secret
	fallback  string // a reference, if the field is one
	secret    bool
	optional  bool
}

var methods = []method{
	{"approle", []field{
		{key: "role-id", sent: "role_id", variable: "ROLE_ID"},
		{key: "secret-id", sent: "secret_id", variable: "SECRET_ID", secret: true},
	}},
	{"jwt", []field{
		{key: "role", sent: "role", variable: "AUTH_ROLE", optional: true}, // the mount may have a default_role
		{key: "jwt", sent: "jwt", variable: "ID_TOKEN", secret: true},
	}},
	{"kubernetes", []field{
		{key: "role", sent: "role", variable: "AUTH_ROLE"},
		{key: "jwt", sent: "jwt", secret: true, fallback: "file:/var/run/secrets/kubernetes.io/serviceaccount/token"},
	}},
}

// Variables are those that hold what a token is got with, or a token.
func (f Flavour) Variables() (names []string) {
	for _, prefix := range f.Prefixes {
		names = append(names, prefix+"TOKEN")
		for _, m := range methods {
			for _, field := range m.fields {
				if field.secret && field.variable != "" {
					names = append(names, prefix+field.variable)
				}
			}
		}
	}
	return names
}

func (c *Client) login(ctx context.Context, o Options, name string) error {
	for _, m := range methods {
		if m.name != name {
			continue
		}
		body, err := c.loginBody(ctx, o, m)
		if err != nil {
			return err
		}
		return c.loginAt(ctx, o, o.Parts.Or("path", m.name), body)
	}
	return &secret.SyntaxError{Problem: "auth= of " + o.Scheme + ": is unknown", Try: "write auth=token, auth=approle, auth=jwt or auth=kubernetes"}
}

func (c *Client) loginBody(ctx context.Context, o Options, m method) (map[string]string, error) {
	body := map[string]string{}
	for _, f := range m.fields {
		value, err := c.loginField(ctx, o, f)
		switch {
		case err != nil:
			return nil, secret.Prerequisite("logging in to "+o.Name+" with "+f.key+"=", err)
		case value != "":
			body[f.sent] = value
		case !f.optional:
			return nil, &secret.ResolveError{
				Problem: "auth=" + m.name + " of " + o.Scheme + ": needs " + f.key + "=",
				Try:     "add " + f.how() + ", percent-encoded, or export " + o.Prefixes[0] + f.variable + "=…",
			}
		}
	}
	return body, nil
}

func (f field) how() string {
	if f.secret {
		return f.key + "=REFERENCE, such as env:NAME or github-oidc:AUDIENCE"
	}
	return f.key + "=NAME"
}

func (c *Client) loginField(ctx context.Context, o Options, f field) (string, error) {
	if !f.secret {
		return o.Parts.Or(f.key, o.env(f.variable)), nil
	}
	ref, err := o.Parts.Ref(f.key)
	if err != nil {
		return "", err
	}
	if text := o.env(f.variable); ref.IsZero() && f.variable != "" && text != "" {
		secret.Uses(ctx, f.key+" of "+o.Name, secret.NewValue([]byte(text)))
		return text, nil
	}
	if ref.IsZero() && f.fallback != "" {
		ref, err = secret.ParseRef(f.fallback)
	}
	if err != nil || ref.IsZero() {
		return "", err
	}
	lease, err := o.Resolve(ctx, ref)
	if err != nil {
		return "", err
	}
	defer lease.Value.Wipe()
	secret.Uses(ctx, secret.ParentName(f.key, ref), lease.Value)
	value := bytes.TrimSpace(lease.Value.Open())
	if o.Parts.Get("unwrap") == f.key {
		return c.unwrapSecretID(ctx, secret.NewValue(value))
	}
	return string(value), nil
}

func (c *Client) loginAt(ctx context.Context, o Options, mount string, body map[string]string) error {
	var answer Answer
	err := c.Do(ctx, web.Call{Method: http.MethodPost, Path: "auth/" + Escape(mount) + "/login", JSON: body, Into: &answer})
	if err == nil {
		err = c.adopt(ctx, answer)
	}
	if err == nil {
		return nil
	}
	as := "auth/" + mount
	if role := body["role"]; role != "" {
		as += " as " + role
	}
	re := secret.Prerequisite("logging in to "+o.Name+" at "+as, err)
	if status := web.StatusOf(err); re.Try == "" && status >= 400 && status < 500 {
		re.Try = "look at what the role asks for: " + o.Command + " read auth/" + mount + "/role/ROLE"
	}
	return re
}

// adopt takes the token of an answer as the client's, and revokes it at the end. Batch tokens cannot be, and end soon.
func (c *Client) adopt(ctx context.Context, a Answer) error {
	if a.Auth == nil || a.Auth.ClientToken.Len() == 0 {
		return web.ErrMalformed
	}
	secret.Uses(ctx, "login to "+c.api.Who, a.Auth.ClientToken.Value)
	c.use(a.Auth.ClientToken.Value)
	if c.ours = a.Auth.TokenType != "batch"; c.ours {
		c.accessor = a.Auth.Accessor
	}
	return nil
}

// unwrap exchanges a wrapping token for what it wraps, once.
func (c *Client) unwrap(ctx context.Context, wrapping secret.Value) (answer Answer, err error) {
	before := c.token
	c.use(wrapping)
	defer c.use(before)
	err = c.Do(ctx, web.Call{Method: http.MethodPost, Path: "sys/wrapping/unwrap", Once: true, Into: &answer})
	if status := web.StatusOf(err); status >= 400 && status < 500 {
		re := secret.Prerequisite("unwrapping the token", err)
		re.Try = "wrap a new one for each secret that unwraps one: each can be unwrapped once, and if neither you nor another secret of this build did, somebody else did"
		return answer, re
	}
	return answer, err
}

func (c *Client) unwrapToken(ctx context.Context) error {
	answer, err := c.unwrap(ctx, c.token)
	if err != nil {
		return err
	}
	return c.adopt(ctx, answer)
}

func (c *Client) unwrapSecretID(ctx context.Context, wrapping secret.Value) (string, error) {
	answer, err := c.unwrap(ctx, wrapping)
	if err != nil {
		return "", err
	}
	var data struct {
		SecretID web.Text `json:"secret_id"`
	}
	if json.Unmarshal(answer.Data, &data) != nil || data.SecretID.Len() == 0 {
		return "", web.ErrMalformed
	}
	secret.Uses(ctx, "secret-id of "+c.api.Who, data.SecretID.Value)
	return string(data.SecretID.Open()), nil
}
