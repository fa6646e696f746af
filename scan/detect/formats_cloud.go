package detect

import (
	"bytes"

	"github.com/tightlip/tightlip/finding"
)

const awsWhy = "Whoever has it can do in the account what its owner may: read data, start machines, make more keys."

// cloudFormats are the formats of clouds and their command lines.
var cloudFormats = []format{
	{
		rule: Rule{ID: "aws-credentials", Title: "AWS secret access key", Severity: finding.Critical, Why: awsWhy,
			Fix: asFile("aws", "/root/.aws/credentials", "aws s3 cp s3://corp-assets/… .")},
		paths:    []string{".aws/credentials", ".aws/config", "aws/credentials"},
		marks:    []string{"aws_secret_access_key", "aws_session_token"},
		looks:    startsWithSection,
		read:     readINI,
		settings: []setting{on("*aws_secret_access_key|*aws_session_token|*aws_security_token", plain)},
	},
	{
		rule: Rule{ID: "aws-cli-cache", Title: "cached AWS session", Severity: finding.High, Why: awsWhy,
			Fix: asFile("aws", "/root/.aws/credentials", "aws s3 cp s3://corp-assets/… .")},
		paths:    []string{".aws/cli/cache/*", ".aws/sso/cache/*"},
		read:     readJSON,
		settings: []setting{on("*SecretAccessKey|*SessionToken|accessToken|refreshToken|clientSecret", plain)},
	},
	{
		rule: Rule{ID: "boto-config", Title: "key in a boto configuration", Severity: finding.Critical, Why: awsWhy,
			Fix: asFile("boto", "/root/.boto", "gsutil cp gs://corp-assets/… .")},
		paths:    []string{".boto", "boto.cfg"},
		read:     readINI,
		settings: []setting{on("*secret_access_key|*gs_oauth2_refresh_token|*gs_service_key_file_password|oauth2.client_secret", plain)},
	},
	{
		rule: Rule{ID: "s3cfg", Title: "S3 secret key", Severity: finding.Critical, Why: awsWhy,
			Fix: asFile("s3cfg", "/root/.s3cfg", "s3cmd get s3://corp-assets/…")},
		paths:    []string{".s3cfg", "s3cfg"},
		read:     readINI,
		settings: []setting{on("*secret_key|*access_token|*gpg_passphrase", plain)},
	},
	{
		rule: Rule{ID: "gcp-service-account", Title: "key of a Google Cloud service account", Severity: finding.Critical,
			Why: "Whoever has it can do in the project what the service account may, until somebody deletes the key.",
			Fix: asFile("gcp", "/run/secrets/gcp.json", "GOOGLE_APPLICATION_CREDENTIALS=/run/secrets/gcp.json …")},
		marks:    []string{`"service_account"`},
		looks:    looksLikeJSON,
		read:     readJSON,
		settings: []setting{on("*private_key", plain)},
	},
	{
		rule: Rule{ID: "gcp-user-credentials", Title: "Google Cloud login", Severity: finding.Critical,
			Why: "Whoever has it can do in Google Cloud what its owner may.",
			Fix: asFile("gcp", "/root/.config/gcloud/application_default_credentials.json", "…")},
		paths:    []string{"application_default_credentials.json", "gcloud/legacy_credentials/*/adc.json"},
		marks:    []string{`"authorized_user"`},
		looks:    looksLikeJSON,
		read:     readJSON,
		settings: []setting{on("*client_secret|*refresh_token|*private_key", plain)},
	},
	{
		rule: Rule{ID: "gcloud-database", Title: "Google Cloud login", Severity: finding.Critical,
			Why: "Whoever has it can do in Google Cloud what its owner may.",
			Fix: asFile("gcp", "/run/secrets/gcp.json", "gcloud auth login --cred-file=/run/secrets/gcp.json && … && gcloud auth revoke")},
		paths:    []string{"gcloud/credentials.db", "gcloud/access_tokens.db"},
		binary:   true,
		read:     readCode,
		settings: []setting{on("client_secret|refresh_token|private_key", plain)},
	},
	{
		rule: Rule{ID: "azure-cli", Title: "Azure login", Severity: finding.Critical,
			Why: "Whoever has it can do in Azure what its owner may.",
			Fix: asVariable("AZURE_CLIENT_SECRET", "az login --service-principal … && … && az logout")},
		paths:    []string{".azure/msal_token_cache.json", ".azure/accesstokens.json", ".azure/service_principal_entries.json"},
		read:     readJSON,
		settings: []setting{on("!idtoken.*|*.secret|*accessToken|*refreshToken|*client_secret|*_password", plain)},
	},
	{
		rule: Rule{ID: "doctl-config", Title: "DigitalOcean token", Severity: finding.High,
			Why: "Whoever has it can read and change the machines of its owner.", Fix: asVariable("DIGITALOCEAN_ACCESS_TOKEN", "doctl …")},
		paths:    []string{"doctl/config.yaml"},
		read:     readYAML,
		settings: []setting{on("access-token|auth-contexts.*", plain)},
	},
	{
		rule: Rule{ID: "openstack-clouds", Title: "OpenStack password", Severity: finding.High,
			Why: "Whoever has it can do in the cloud what its owner may.", Fix: asFile("clouds", "/etc/openstack/clouds.yaml", "openstack …")},
		paths:    []string{"clouds.yaml", "clouds.yml", "openstack/secure.yaml", "openstack/secure.yml"},
		read:     readYAML,
		settings: []setting{on("clouds.*.password|clouds.*.application_credential_secret|clouds.*.token", plain)},
	},
	{
		rule: Rule{ID: "cloudflared-tunnel", Title: "secret of a Cloudflare tunnel", Severity: finding.High,
			Why: "Whoever has it can run the tunnel and receive what is sent to it.", Fix: atRunTime("/etc/cloudflared/tunnel.json")},
		paths:    []string{"cloudflared/*.json", ".cloudflared/*.json"},
		read:     readJSON,
		settings: []setting{on("TunnelSecret", plain)},
	},
	{
		rule: Rule{ID: "rclone-config", Title: "credential in an rclone configuration", Severity: finding.High,
			Why: "Whoever has it can read and change what is stored there. Obscured passwords are no better: rclone reveal shows them.",
			Fix: asFile("rclone", "/root/.config/rclone/rclone.conf", "rclone copy corp:assets .")},
		paths:    []string{"rclone.conf", ".rclone.conf"},
		read:     readINI,
		settings: []setting{on("*.pass|*.password|*.password2|*.token|*.secret_access_key|*.client_secret|*.key|*.service_account_credentials|*.sas_url|*.bearer_token", plain)},
	},
}

// startsWithSection tells whether the first line with a setting is the name of a section.
func startsWithSection(text []byte) bool {
	for start, end := range lines(text) {
		if line := bytes.TrimSpace(text[start:end]); len(line) > 0 && !isComment(line) {
			return line[0] == '['
		}
	}
	return false
}
