package minter

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/cloud"
	"github.com/tightlip/tightlip/secret/source/web"
)

// gcpImpersonate makes an access token of a service account:
// cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken. Nothing ends it but time.
var gcpImpersonate = &kind{
	scheme:  "gcp-impersonate",
	form:    "gcp-impersonate:SERVICE_ACCOUNT?scopes=NAME,NAME",
	what:    "an access token of a service account of Google Cloud",
	example: "gcp-impersonate:ci@shop.iam.gserviceaccount.com?scopes=devstorage.read_only&ttl=10m",
	about: secret.MintAbout{
		Grade: secret.GradeA, Least: time.Minute, Default: 15 * time.Minute,
		Narrow: "the service account; scopes= to kinds of APIs",
	},
	variables: cloud.GoogleVariables(),
	path:      "the address of a service account",
	keys:      []string{"scopes"},
	life:      "ttl",
	longest:   time.Hour,
	check: func(o *order) error {
		if name, host, ok := strings.Cut(o.Path, "@"); !ok || name == "" || host == "" || strings.Contains(o.Path, "/") {
			return o.wrong("what follows gcp-impersonate: is not the address of a service account", "")
		}
		return nil
	},
	mint: mintGCP,
}

const gcpScopes = "https://www.googleapis.com/auth/"

func mintGCP(ctx context.Context, o *order) (*credential, error) {
	own, err := cloud.Google(ctx, o.cloud())
	if err != nil {
		return nil, err
	}
	var scopes []string
	for _, name := range strings.Split(o.Or("scopes", "cloud-platform"), ",") {
		if !strings.HasPrefix(name, "https:") {
			name = gcpScopes + name
		}
		scopes = append(scopes, name)
	}
	client := &web.Client{Who: "Google", Base: "https://iamcredentials.googleapis.com", Auth: web.Bearer(own), HTTP: o.opts.HTTP}
	var made struct {
		Token   web.Text  `json:"accessToken"`
		Expires time.Time `json:"expireTime"`
	}
	err = client.Do(ctx, web.Call{
		Method: http.MethodPost, Path: "/v1/projects/-/serviceAccounts/" + url.PathEscape(o.Path) + ":generateAccessToken", Once: true, Into: &made,
		JSON:  map[string]any{"scope": scopes, "lifetime": fmt.Sprintf("%ds", int(o.life.Seconds()))},
		Needs: "iam.serviceAccounts.getAccessToken on " + o.Path + ", which roles/iam.serviceAccountTokenCreator has",
	})
	if err != nil {
		return nil, err
	}
	return &credential{value: made.Token.Value, expires: made.Expires}, nil
}
