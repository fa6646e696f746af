package store

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/vault"
	"github.com/tightlip/tightlip/secret/source/web"
)

func vaults() []kind {
	var rows []kind
	for _, f := range vault.Flavours() {
		rows = append(rows, kind{
			scheme: f.Scheme,
			about: secret.About{
				Form: f.Scheme + ":MOUNT/PATH#FIELD", What: "a field of a secret in " + f.Name, Example: f.Scheme + ":kv/ci#pip",
				Variables: f.Variables(),
			},
			keys: append(vault.Keys(), "version"),
			read: func(ctx context.Context, r request) (found, error) { return readVault(ctx, r, f) },
			who:  f.Command + " token lookup",
		})
	}
	return rows
}

// readVault logs out as soon as it has read, and leaves nothing for a crash to leave behind: a value of KV does not depend on the token that
// read it. What other engines made for the token is revoked at the end.
func readVault(ctx context.Context, r request, f vault.Flavour) (found, error) {
	c, err := vault.Open(ctx, vault.Options{Flavour: f, Parts: r.Parts, Resolve: r.Resolve})
	if err != nil {
		return found{}, err
	}
	answer, err := readKV(ctx, c, r)
	var lease secret.Lease
	switch {
	case err == nil && answer.LeaseID != "":
		lease.Expires = time.Now().Add(time.Duration(answer.LeaseDuration) * time.Second)
		lease.Revoke = func(ctx context.Context) error { return c.End(ctx, answer.LeaseID) }
		lease.Forget = c.Forget
	case c.Close(context.WithoutCancel(ctx)) != nil:
		lease.Revoke = c.Close // once more at the end
	}
	if err != nil {
		return found{}, err
	}
	key := r.Field
	if key == "" {
		if key, err = onlyField(answer.Data); err != nil {
			return found{}, giveBack(ctx, lease, err)
		}
	}
	return found{value: secret.NewValue(answer.Data), key: key, lease: lease}, nil
}

func onlyField(data json.RawMessage) (string, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return "", web.ErrMalformed
	}
	return pick(fields, "")
}

// readKV reads what the API calls MOUNT/data/PATH in version 2 of the engine, however the reference writes it.
func readKV(ctx context.Context, c *vault.Client, r request) (vault.Answer, error) {
	path, version, err := kvPath(ctx, c, strings.Trim(r.Path, "/"))
	if err != nil {
		return vault.Answer{}, err
	}
	query := url.Values{}
	if number := r.Get("version"); number != "" {
		if version == "1" {
			return vault.Answer{}, &secret.SyntaxError{Problem: "only a KV engine of version 2 keeps versions", Try: "leave version= out"}
		}
		query.Set("version", number)
	}
	answer, err := c.Read(ctx, path, query)
	mount, rest, ok := strings.Cut(path, "/")
	if refusal, refused := errors.AsType[*web.Error](err); version == "" && refused && ok && !strings.HasPrefix(rest, "data/") {
		second, err := c.Read(ctx, mount+"/data/"+rest, query) // the engine may be of version 2
		if err == nil {
			return versioned(second), nil
		}
		refusal.Needs += ", or on " + mount + "/data/" + rest
	}
	if err != nil || version == "1" {
		return answer, err
	}
	return versioned(answer), nil
}

// kvPath is the path of the API, and the version of the engine there, or "" if that cannot be known.
func kvPath(ctx context.Context, c *vault.Client, path string) (full, version string, err error) {
	mount, err := c.Mount(ctx, path)
	rest, below := strings.CutPrefix(path, mount.Path)
	switch status := web.StatusOf(err); {
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests:
		return path, "", nil
	case err != nil:
		return "", "", err
	case mount.Options["version"] != "2" || !below:
		return path, "1", nil
	case strings.HasPrefix(rest, "data/"):
		return path, "2", nil
	}
	return mount.Path + "data/" + rest, "2", nil
}

// versioned takes the data out of an answer of version 2. Other answers have no such metadata.
func versioned(a vault.Answer) vault.Answer {
	var two struct {
		Data     json.RawMessage `json:"data"`
		Metadata struct {
			Version int `json:"version"`
		} `json:"metadata"`
	}
	if json.Unmarshal(a.Data, &two) == nil && two.Metadata.Version > 0 && len(two.Data) > 0 {
		a.Data = two.Data
	}
	return a
}
