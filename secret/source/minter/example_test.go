package minter_test

import (
	"fmt"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/minter"
)

func Example() {
	for _, s := range minter.Sources(minter.Options{}) {
		about := s.(secret.Described).About()
		fmt.Println(about.Mint.Grade, about.Form)
	}
	// Output:
	// A vault-token:ROLE?policies=NAME,NAME
	// A vault-lease:PATH#FIELD
	// A openbao-token:ROLE?policies=NAME,NAME
	// A openbao-lease:PATH#FIELD
	// A ssh-cert:CA_KEY?principals=NAME,NAME
	// B gitea:https://HOST?user=NAME&token=REFERENCE&scopes=read:repository
	// A oauth2:TOKEN_URL?client-id=ID&client-secret=REFERENCE&scope=SCOPE+SCOPE&issuer=URL
	// A token-exchange:TOKEN_URL?subject=REFERENCE&subject-type=TYPE&audience=NAME&scope=SCOPE+SCOPE
	// A pypi:PROJECT,PROJECT?token=REFERENCE
	// B npm-token:https://HOST?user=NAME&password=REFERENCE
	// A github-app:APP_ID/INSTALLATION_ID?key=REFERENCE&repositories=NAME,NAME&permissions=NAME:read,NAME:write
	// A gitlab:https://HOST/GROUP/PROJECT?token=REFERENCE&scopes=SCOPE,SCOPE
	// A gitlab-deploy:https://HOST/GROUP/PROJECT?token=REFERENCE&scopes=SCOPE,SCOPE&username=NAME
	// A aws-sts:ROLE_ARN#FORMAT
	// B codeartifact:DOMAIN/OWNER_ACCOUNT
	// C ecr:ACCOUNT#FORMAT
	// A gcp-impersonate:SERVICE_ACCOUNT?scopes=NAME,NAME
	// A jfrog:https://HOST?token=REFERENCE&scope=SCOPE
	// C azure-acr:REGISTRY?scope=repository:NAME:pull#FORMAT
}
