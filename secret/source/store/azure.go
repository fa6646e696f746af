package store

import (
	"context"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/cloud"
	"github.com/tightlip/tightlip/secret/source/web"
)

var azureKeyVault = kind{
	scheme: "azure-keyvault",
	about: secret.About{
		Form: "azure-keyvault:VAULT/SECRET#KEY", What: "a secret of Azure Key Vault, or a key of the JSON in it", Example: "azure-keyvault:shop-ci/pip",
		Variables: cloud.AzureVariables(),
	},
	who:  "az account show",
	read: readAzure,
}

// azureNames are those of vaults and secrets. No other hosts than these may be shown a token: it opens all vaults of its owner.
var azureNames = lazy.Regexp(`^([A-Za-z0-9-]+)(\.vault\.azure\.net|\.vault\.azure\.cn|\.vault\.usgovcloudapi\.net)?/([A-Za-z0-9-]+(?:/[0-9a-f]+)?)$`)

func readAzure(ctx context.Context, r request) (found, error) {
	name := azureNames().FindStringSubmatch(r.Path)
	if name == nil {
		return found{}, &secret.SyntaxError{
			Problem: "a reference to azure-keyvault: is not the name of a vault and of a secret", Try: "write azure-keyvault:VAULT/SECRET or …/VERSION",
		}
	}
	vault, domain, path := name[1], name[2], name[3]
	if domain == "" {
		domain = ".vault.azure.net"
	}
	token, err := cloud.Azure(ctx, r.cloud(), "https://"+strings.TrimPrefix(domain, "."))
	if err != nil {
		return found{}, err
	}
	c := web.Client{Who: "Azure Key Vault", Base: "https://" + vault + domain, Auth: web.Bearer(token), HTTP: r.HTTP}
	var answer struct {
		Value *web.Text `json:"value"`
	}
	err = c.Do(ctx, web.Call{
		Path: "/secrets/" + path + "?api-version=7.4", Into: &answer,
		Needs: "secrets/get on the vault " + vault + ", as in the role Key Vault Secrets User",
	})
	if err == nil && answer.Value == nil {
		err = web.ErrMalformed
	}
	if err != nil {
		return found{}, err
	}
	return found{value: answer.Value.Value, key: r.Field}, nil
}
