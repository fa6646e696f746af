// Package vault speaks with Vault and with OpenBao, whose API is the same.
package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

// Flavour is what differs between the two products.
type Flavour struct {
	Scheme   string
	Name     string   // for people
	Prefixes []string // of environment variables, the first one that is set counts
	Command  string
}

// Flavours are the products. OpenBao reads Vault's variables where its own are not set, as its command does.
func Flavours() []Flavour {
	return []Flavour{
		{Scheme: "vault", Name: "Vault", Prefixes: []string{"VAULT_"}, Command: "vault"},
		{Scheme: "openbao", Name: "OpenBao", Prefixes: []string{"BAO_", "VAULT_"}, Command: "bao"},
	}
}

func (f Flavour) env(name string) string {
	for _, prefix := range f.Prefixes {
		if value := os.Getenv(prefix + name); value != "" {
			return value
		}
	}
	return ""
}

// Options say how a client finds its server and its token.
type Options struct {
	Flavour
	Parts   secret.Parts                                             // of a reference that knows Keys
	Resolve func(context.Context, secret.Ref) (*secret.Lease, error) // of references in the reference
}

// Client calls the API with a token.
type Client struct {
	api   web.Client
	token secret.Value
	ours  bool // the token was made for this client, and is revoked with it

	accessor string // of a token that is ours
}

// Accessor names the token that was made for this client, if one was, to who wants it revoked. It opens nothing.
func (c *Client) Accessor() string { return c.accessor }

// Open finds a token in the environment, or logs in as the reference says. The client is to be closed.
func Open(ctx context.Context, o Options) (*Client, error) {
	c, err := connect(o)
	if err != nil {
		return nil, err
	}
	if method := o.Parts.Or("auth", "token"); method != "token" {
		return c, c.login(ctx, o, method)
	}
	token, err := findToken(o.Flavour)
	if err != nil {
		return nil, err
	}
	secret.Uses(ctx, "token of "+o.Name, token)
	c.use(token)
	if o.Parts.Get("unwrap") == "token" {
		return c, c.unwrapToken(ctx)
	}
	return c, nil
}

// With returns a client of a token that is somebody else's: it is not to be closed, which would wipe it.
func With(o Options, token secret.Value) (*Client, error) {
	c, err := connect(o)
	if err == nil {
		c.use(token)
	}
	return c, err
}

// connect makes a client without a token.
func connect(o Options) (*Client, error) {
	c := &Client{api: web.Client{Who: o.Name, Base: o.env("ADDR"), Means: means}}
	if c.api.Base == "" {
		return nil, &secret.ResolveError{Problem: "the address of " + o.Name + " is not set", Try: "export " + o.Prefixes[0] + "ADDR=https://HOST:8200"}
	}
	c.api.Auth = func(_ context.Context, r *http.Request) error {
		r.Header.Set("X-Vault-Request", "true") // listeners can be set up to refuse what a browser was tricked into
		if namespace := o.Parts.Or("namespace", o.env("NAMESPACE")); namespace != "" {
			r.Header.Set("X-Vault-Namespace", namespace)
		}
		if token := c.token.Open(); len(token) > 0 {
			r.Header.Set("X-Vault-Token", string(token))
		}
		return nil
	}
	path := o.env("CACERT")
	if path == "" {
		return c, nil
	}
	authorities, err := os.ReadFile(path)
	if err == nil {
		c.api.HTTP, err = web.Trusting(authorities)
	}
	if err != nil {
		return nil, &secret.ResolveError{Problem: "the authorities of " + o.Name + ": " + err.Error(), Try: "correct " + o.Prefixes[0] + "CACERT"}
	}
	return c, nil
}

func (c *Client) use(token secret.Value) { c.token = token }

// findToken looks where the products' own commands do.
func findToken(f Flavour) (secret.Value, error) {
	text := f.env("TOKEN")
	if home, err := os.UserHomeDir(); text == "" && err == nil {
		content, err := os.ReadFile(filepath.Join(home, ".vault-token"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return secret.Value{}, &secret.ResolveError{Problem: "the token of " + f.Name + ": " + err.Error()}
		}
		text = string(content)
	}
	if text = strings.TrimSpace(text); text != "" {
		return secret.NewValue([]byte(text)), nil
	}
	return secret.Value{}, &secret.ResolveError{
		Problem: "there is no token for " + f.Name,
		Try:     f.Command + " login, export " + f.Prefixes[0] + "TOKEN=…, or name a way to log in with auth=approle, auth=jwt or auth=kubernetes",
	}
}

// Answer is what the API answers.
type Answer struct {
	Data          json.RawMessage `json:"data"`
	LeaseID       string          `json:"lease_id"`
	LeaseDuration int             `json:"lease_duration"` // seconds
	Auth          *Auth           `json:"auth"`
}

// Auth is a token that was made.
type Auth struct {
	ClientToken   web.Text `json:"client_token"`
	Accessor      string   `json:"accessor"`
	LeaseDuration int      `json:"lease_duration"` // seconds; 0: it does not expire
	TokenType     string   `json:"token_type"`     // "service" or "batch"
	Orphan        bool     `json:"orphan"`         // it does not end with the token that made it
}

// Do sends a call, whose path is without /v1.
func (c *Client) Do(ctx context.Context, call web.Call) error {
	call.Path = "/v1/" + call.Path
	err := c.api.Do(ctx, call)
	if e, ok := errors.AsType[*web.Error](err); ok && e.Why == invalidToken {
		e.Needs = "" // which may well be granted
	}
	return err
}

const invalidToken = "the token has expired, was revoked, or never was one"

// means tells a token that there is not from one that may not do something: both are 403. Not all versions tell.
func means(status int, body []byte) (meant int, name string) {
	if status == http.StatusForbidden && bytes.Contains(body, []byte(`* invalid token\n`)) {
		return status, invalidToken
	}
	return 0, ""
}

// Read is a GET of a path that is not escaped, such as kv/data/ci.
func (c *Client) Read(ctx context.Context, path string, query url.Values) (Answer, error) {
	call := web.Call{Path: Escape(path), Needs: "the capability read on " + path}
	if len(query) > 0 {
		call.Path += "?" + query.Encode()
	}
	var answer Answer
	call.Into = &answer
	err := c.Do(ctx, call)
	return answer, err
}

// Escape makes a path fit for a Call.
func Escape(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return strings.Join(segments, "/")
}

// Close revokes the token if it was made for this client, and wipes it.
func (c *Client) Close(ctx context.Context) error {
	if c.ours {
		ctx, cancel := context.WithTimeout(ctx, closeTime)
		defer cancel()
		if err := c.Do(ctx, web.Call{Method: http.MethodPost, Path: "auth/token/revoke-self", Needs: "the capability update on auth/token/revoke-self"}); err != nil {
			return err
		}
	}
	c.token.Wipe()
	return nil
}

// closeTime bounds how long logging out may take.
const closeTime = 5 * time.Second

// End revokes a lease, or the client's own token, with which all its leases end.
func (c *Client) End(ctx context.Context, lease string) error {
	if c.ours {
		return c.Close(ctx)
	}
	return c.Do(ctx, web.Call{
		Method: http.MethodPost, Path: "sys/leases/revoke", JSON: map[string]string{"lease_id": lease}, Needs: "the capability update on sys/leases/revoke",
	})
}

// Forget wipes the token, which nobody may be using any more.
func (c *Client) Forget() { c.token.Wipe() }

// Mount is where a path belongs to.
type Mount struct {
	Path    string            `json:"path"` // with a slash at its end
	Type    string            `json:"type"` // "kv"
	Options map[string]string `json:"options"`
}

// Mount asks which engine is behind a path. Whoever may read the path may ask this, unless a proxy in between does not let it through.
func (c *Client) Mount(ctx context.Context, path string) (Mount, error) {
	var answer struct {
		Data Mount `json:"data"`
	}
	err := c.Do(ctx, web.Call{Path: "sys/internal/ui/mounts/" + Escape(path), Into: &answer})
	return answer.Data, err
}
