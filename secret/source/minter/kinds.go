package minter

// kinds is the table. A new kind gets a file with its row, a line here, and a run of the contract in its test.
var kinds = append(vaults(), []*kind{
	sshCert,
	gitea,
	oauth2,
	tokenExchange,
	pypi,
	npmToken,
	githubApp,
	gitlab,
	gitlabDeploy,
	awsSTS,
	awsCodeArtifact,
	awsECR,
	gcpImpersonate,
	jfrog,
	azureACR,
}...)
