// Package cloud finds the credentials that a user, a machine or a workload has for a cloud, in the order its maker's tools do.
package cloud

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

// Options are what is seen of the process, besides its environment and home directory.
type Options struct {
	// Resolve resolves references to files and commands.
	Resolve func(context.Context, secret.Ref) (*secret.Lease, error)
	// HTTP replaces the clients that clouds are called with, in tests.
	HTTP *http.Client
}

// probe is how long a metadata server may take that may not exist.
const probe = time.Second

// metadata asks the server that tells a machine who it is. There is none on most.
func (o Options) metadata(ctx context.Context, c web.Client, call web.Call) error {
	ctx, cancel := context.WithTimeout(ctx, probe)
	defer cancel()
	if c.HTTP = o.HTTP; c.HTTP == nil {
		c.HTTP = web.Direct()
	}
	return c.Do(ctx, call)
}

// read is what a file or a command has.
func (o Options) read(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	lease, err := o.Resolve(ctx, ref)
	if err != nil {
		return secret.Value{}, err
	}
	return lease.Value, nil
}

// readFile takes the path as it is.
func (o Options) readFile(ctx context.Context, path string) (secret.Value, error) {
	ref, err := secret.FileRef(path)
	if err != nil {
		return secret.Value{}, err
	}
	return o.read(ctx, ref)
}

// vouchers are the parameters of RFC 6749 and its extensions that are worth a token.
var vouchers = []string{"client_secret", "refresh_token", "client_assertion", "subject_token"}

// oauth asks for a token as RFC 6749, section 4.4 and its extensions do.
func (o Options) oauth(ctx context.Context, who, address string, form url.Values) (secret.Value, error) {
	for _, name := range vouchers {
		secret.Uses(ctx, name+" for "+who, secret.NewValue([]byte(form.Get(name))))
	}
	u, err := url.Parse(address)
	if err != nil {
		return secret.Value{}, errors.New("the address of " + who + " is no URL")
	}
	path := u.RequestURI()
	u.Path, u.RawPath, u.RawQuery = "", "", ""
	c := web.Client{Who: who, Base: u.String(), HTTP: o.HTTP, Means: web.OAuth}
	var answer struct {
		AccessToken web.Text `json:"access_token"`
	}
	err = c.Do(ctx, web.Call{Method: http.MethodPost, Path: path, Form: form, Into: &answer})
	return token(answer.AccessToken, err)
}

func token(t web.Text, err error) (secret.Value, error) {
	if err == nil && t.Len() == 0 {
		err = web.ErrMalformed
	}
	return t.Value, err
}
