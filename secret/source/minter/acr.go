package minter

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/cloud"
	"github.com/tightlip/tightlip/secret/source/jwt"
	"github.com/tightlip/tightlip/secret/source/web"
)

// azureACR gets a token of a registry of images: azure.github.io/acr/AAD-OAuth.html. Nothing ends it but time.
var azureACR = &kind{
	scheme:  "azure-acr",
	form:    "azure-acr:REGISTRY?scope=repository:NAME:pull#FORMAT",
	what:    "a token of a registry of images of Azure",
	example: "azure-acr:acme?scope=repository:shop/api:pull",
	about: secret.MintAbout{
		Grade: secret.GradeC, Default: 3 * time.Hour, // or less with scope=: the registry is not asked
		Narrow: "scope= to a repository, and to pulling",
	},
	variables: cloud.AzureVariables(),
	path:      "the name of a registry",
	keys:      []string{"scope"},
	fields:    []string{"password", "docker"},
	check: func(o *order) error {
		name, domain, _ := strings.Cut(o.acrHost(), ".")
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || !slices.Contains(acrDomains, domain) {
			return o.wrong("what follows azure-acr: is not the name of a registry", "")
		}
		return nil
	},
	mint: mintACR,
}

// acrUser is who the password is for.
const acrUser = "00000000-0000-0000-0000-000000000000"

// acrDomains are those of Azure, and of its clouds in China and for the government of the USA. A token for all registries goes to no other.
var acrDomains = []string{"azurecr.io", "azurecr.cn", "azurecr.us"}

// acrHost completes a registry's name.
func (o *order) acrHost() string {
	if strings.Contains(o.Path, ".") {
		return o.Path
	}
	return o.Path + "." + acrDomains[0]
}

func (o *order) acr(path string) *web.Client {
	return &web.Client{Who: "the registry", Base: "https://" + o.acrHost() + path, HTTP: o.opts.HTTP, Means: web.OAuth}
}

func mintACR(ctx context.Context, o *order) (*credential, error) {
	own, err := cloud.Azure(ctx, o.cloud(), "https://containerregistry.azure.net")
	if err != nil {
		return nil, err
	}
	var made struct {
		Refresh web.Text `json:"refresh_token"`
		Access  web.Text `json:"access_token"`
	}
	form := url.Values{"grant_type": {"access_token"}, "service": {o.acrHost()}, "access_token": {text(own)}}
	if err := o.acr("/oauth2/exchange").Do(ctx, web.Call{Method: http.MethodPost, Form: form, Into: &made, Once: true, Needs: "the role AcrPull on the registry"}); err != nil {
		return nil, err
	}
	token := made.Refresh.Value
	if scope := o.Get("scope"); scope != "" {
		form := url.Values{"grant_type": {"refresh_token"}, "service": {o.acrHost()}, "scope": strings.Fields(scope), "refresh_token": {text(token)}}
		if err := o.acr("/oauth2/token").Do(ctx, web.Call{Method: http.MethodPost, Form: form, Into: &made, Once: true, Needs: scope + " on the registry"}); err != nil {
			return nil, err
		}
		token = made.Access.Value
	}
	expires, err := jwt.Expires(token)
	if err != nil {
		return nil, web.ErrMalformed
	}
	if o.Field == "docker" {
		token = dockerConfig(o.acrHost(), acrUser, token)
	}
	return &credential{value: token, expires: expires}, nil
}
