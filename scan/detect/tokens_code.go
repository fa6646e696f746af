package detect

import (
	"bytes"
	"math/rand/v2"
	"strings"

	"github.com/tightlip/tightlip/finding"
)

// codeTokens are those of the places where code is kept, built and published.
var codeTokens = []token{
	{
		Rule: high("github-pat", "GitHub personal access token",
			"It acts as its owner: every repository they can reach can be read, and most often written."),
		anchors: []string{"ghp_"}, pattern: `ghp_[0-9A-Za-z]{36}`, inWord: true, check: hasGitHubSum,
		sample: withChecksum("ghp_{w30}", githubSum),
		not:    []string{"ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
	},
	{
		Rule: high("github-fine-grained-pat", "GitHub fine-grained personal access token",
			"It acts as its owner on the repositories it was made for."),
		anchors: []string{"github_pat_"}, pattern: `github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}`, inWord: true,
		sample: like("github_pat_{w22}_{w59}"),
		not:    []string{"github_pat_TOKEN", "github_pat_11AAAAAAAAAAAAAAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
	},
	{
		Rule: high("github-oauth", "GitHub OAuth access token",
			"It acts as the user who logged in; the gh command line keeps such a token."),
		anchors: []string{"gho_"}, pattern: `gho_[0-9A-Za-z]{36}`, inWord: true, check: hasGitHubSum,
		sample: withChecksum("gho_{w30}", githubSum),
	},
	{
		Rule: high("github-app-token", "GitHub App token",
			"It acts as an app, or as a user through it, on the repositories where that is installed. Those of installations work for an hour."),
		anchors: []string{"ghu_", "ghs_"}, pattern: `ghs_\d{1,12}_ey[\w-]{16,}\.ey[\w-]{16,}\.[\w-]{20,}|gh[us]_[0-9A-Za-z]{36}`,
		inWord: true, reach: 4 << 10,
		check: githubApp, sample: sampleGitHubApp,
	},
	{
		Rule:    high("github-refresh-token", "GitHub refresh token", "It gets new tokens of a user of a GitHub App for six months."),
		anchors: []string{"ghr_"}, pattern: `ghr_(?:[0-9A-Za-z]{76}|[0-9A-Za-z]{36})`, inWord: true, check: hasGitHubSum,
		sample: withChecksum("ghr_{w30,70}", githubSum),
	},
	{
		Rule: high("gitlab-pat", "GitLab access token",
			"It acts as a person, project or group: repositories, registries and settings, as far as its scopes go."),
		anchors: []string{"glpat-"}, pattern: `glpat-(?:[\w-]{27,300}\.(?:[0-9a-z]{2}\.)?[0-9a-z]{9}|[\w-]{20})`, inWord: true,
		check: gitlabLength, sample: sampleGitLab("glpat-"),
		not: []string{"glpat-xxxxxxxxxxxxxxxxxxxx", "glpat-example-token-abcd"},
	},
	{
		Rule: high("gitlab-deploy-token", "GitLab deploy token",
			"It reads a project's repository and registries, and may write to them."),
		anchors: []string{"gldt-"}, pattern: `gldt-[\w-]{20}`, check: shuffled, sample: like("gldt-{u20}"),
	},
	{
		Rule: high("gitlab-runner-authentication-token", "GitLab runner token",
			"A false runner gets jobs with it, and with them their code and variables."),
		anchors: []string{"glrt-", "glrtr-"}, pattern: `glrtr?-(?:[\w-]{27,300}\.(?:[0-9a-z]{2}\.)?[0-9a-z]{9}|[\w-]{20})`, inWord: true,
		check: gitlabLength, sample: sampleGitLab("glrt-t1_"),
	},
	{
		Rule: high("gitlab-rrt", "GitLab runner registration token",
			"Anybody can add a runner with it, which then gets jobs with their code and variables."),
		anchors: []string{"GR1348941"}, pattern: `GR1348941[\w-]{20}`, inWord: true, sample: like("GR1348941{u20}"),
	},
	{
		Rule: medium("gitlab-ptt", "GitLab pipeline trigger token",
			"It starts pipelines of a project, with variables of the caller's choice."),
		anchors: []string{"glptt-"}, pattern: `glptt-(?:[\w-]{27,300}\.(?:[0-9a-z]{2}\.)?[0-9a-z]{9}|[0-9a-f]{40}|[\w-]{20})`,
		inWord: true, check: gitlabLength, sample: like("glptt-{x40}"),
	},
	{
		Rule:    medium("gitlab-cicd-job-token", "GitLab job token", "It acts as a job on its project, for as long as the job runs."),
		anchors: []string{"glcbt-"}, pattern: `glcbt-(?:eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+|[0-9a-zA-Z]{1,5}_[\w-]{20})`, inWord: true,
		reach: 4 << 10, sample: like("glcbt-{w2,5}_{u20}"),
	},
	{
		Rule: medium("gitlab-feed-token", "GitLab feed token",
			"It reads its owner's feeds and calendars, with the titles of private issues."),
		anchors: []string{"glft-"}, pattern: `glft-[\w-]{20,84}`, check: shuffled, sample: like("glft-{u20}"),
	},
	{
		Rule: medium("gitlab-incoming-mail-token", "GitLab incoming mail token",
			"Mail with it makes issues and merge requests in its owner's name."),
		anchors: []string{"glimt-"}, pattern: `glimt-[\w-]{25}`, check: shuffled, sample: like("glimt-{u25}"),
	},
	{
		Rule:    high("gitlab-scim-token", "GitLab SCIM token", "It adds users to a group and takes them out."),
		anchors: []string{"glsoat-"}, pattern: `glsoat-[\w-]{20}`, check: shuffled, sample: like("glsoat-{u20}"),
	},
	{
		Rule: high("gitlab-kubernetes-agent-token", "GitLab agent token",
			"It connects as the agent of a Kubernetes cluster and reads what is deployed there."),
		anchors: []string{"glagent-"}, pattern: `glagent-(?:[\w-]{27,300}\.(?:[0-9a-z]{2}\.)?[0-9a-z]{9}|[\w-]{50})`, inWord: true,
		check: gitlabLength, sample: like("glagent-{u50}"),
	},
	{
		Rule: high("gitlab-oauth-app-secret", "GitLab OAuth application secret",
			"Whoever has it can pose as the application where users log in with GitLab."),
		anchors: []string{"gloas-"}, pattern: `gloas-[\w-]{64}`, inWord: true, sample: like("gloas-{u64}"),
	},
	{
		Rule:    low("gitlab-feature-flag-client-token", "GitLab feature flag client token", "It reads a project's feature flags."),
		anchors: []string{"glffct-"}, pattern: `glffct-[\w-]{20}`, check: shuffled, sample: like("glffct-{u20}"),
	},
	{
		Rule:    high("gitlab-session-cookie", "GitLab session cookie", "It is a logged-in session of its user."),
		anchors: []string{"_gitlab_session="}, pattern: `_gitlab_session=([0-9a-z]{32})`, inWord: true, sample: like("_gitlab_session={x32}"),
	},
	{
		Rule: high("bitbucket-app-password", "Bitbucket app password",
			"It acts as its owner on Bitbucket Cloud: repositories, pipelines and their variables."),
		anchors: []string{"ATBB"}, pattern: `ATBB[0-9A-Za-z]{24}[0-9A-F]{8}`, check: shuffled, sample: like("ATBB{w24}{X8}"),
		not: []string{"ATBBUTTONDEFAULTSTATEPRESSEDACTIVE00"},
	},
	{
		Rule: high("bitbucket-access-token", "Bitbucket or Atlassian access token",
			"It acts for a repository, project or workspace of Bitbucket, or administers an Atlassian organization."),
		anchors: []string{"ATCTT3xFfG"}, pattern: `ATCTT3xFfG[\w-]{100,250}=[0-9A-F]{8}`, inWord: true, sample: like("ATCTT3xFfGN0{u170}={X8}"),
	},
	{
		Rule: high("bitbucket-server-token", "Bitbucket Data Center access token",
			"It acts as its owner on a company's own Bitbucket."),
		anchors: []string{"BBDC-"}, pattern: `BBDC-[A-Za-z0-9+/@_-]{40,50}`, check: shuffled, sample: like("BBDC-{d11}{w33}"),
	},
	{
		Rule: high("azure-devops-pat", "Azure DevOps personal access token",
			"It acts as its owner on Azure DevOps: code, pipelines, packages, as far as its scopes go."),
		anchors: []string{"AZDO"}, lead: 76, pattern: `[0-9A-Za-z]{76}AZDO[0-9A-Za-z]{4}`, check: shuffled, sample: like("{w76}AZDO{w4}"),
	},
	{
		Rule:    high("sourcegraph-access-token", "Sourcegraph access token", "It reads all code that its owner can search."),
		anchors: []string{"sgp_", "slk_"}, pattern: `sgp_(?:(?:[0-9a-fA-F]{16}|local)_)?[0-9a-fA-F]{40}|slk_[0-9a-f]{64}`,
		sample: oneOf("sgp_{x16}_{x40}", "sgp_{x40}", "slk_{x64}"),
	},
	{
		Rule: Rule{ID: "npm-access-token", Title: "npm access token", Severity: finding.High,
			Why: "It reads its owner's private packages, and unless it is read-only, publishes new versions of all of them.",
			Fix: "RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci"},
		anchors: []string{"npm_"}, pattern: `npm_[0-9A-Za-z]{36}`, inWord: true, check: hasGitHubSum,
		sample: withChecksum("npm_{w30}", githubSum),
		not:    []string{"npm_config_registry", "npm_lifecycle_event_name_of_the_script_12", "npm_abcdefghijklmnopqrstuvwxyz0123456789"},
	},
	{
		Rule:    high("pypi-upload-token", "PyPI token", "It uploads releases of its owner's projects, or of one of them."),
		anchors: []string{"pypi-AgEIcHlwaS5vcmc"}, pattern: `pypi-AgEIcHlwaS5vcmc[\w-]{50,}`, inWord: true, reach: 2 << 10,
		check: anyValue, sample: like("pypi-AgEIcHlwaS5vcmc{u100,150}"),
	},
	{
		Rule: low("pypi-test-token", "TestPyPI token",
			"It uploads releases to the test index, where nobody should get packages from."),
		anchors: []string{"pypi-AgENdGVzdC5weXBpLm9yZw"}, pattern: `pypi-AgENdGVzdC5weXBpLm9yZw[\w-]{50,}`, inWord: true,
		reach: 2 << 10, check: anyValue,
		sample: like("pypi-AgENdGVzdC5weXBpLm9yZw{u100,150}"),
	},
	{
		Rule:    high("rubygems-api-token", "RubyGems API key", "It pushes, yanks and may own gems as its owner."),
		anchors: []string{"rubygems_"}, pattern: `rubygems_[0-9a-f]{48}`, inWord: true, sample: like("rubygems_{x48}"),
		not: []string{"rubygems_000000000000000000000000000000000000000000000000"},
	},
	{
		Rule:    high("crates-io-token", "crates.io token", "It publishes and yanks crates as its owner."),
		anchors: expand("cio", "0-9A-Zbfghjkqvxyz"), // other letters are in many words, and left to the name of the setting
		pattern: `cio[0-9A-Za-z]{32}`, check: mixed, sample: like("cio{d1}{w31}"),
		not: []string{"cioUringSubmissionQueueEntryFlagsIo", "cio0123456789abcdefghijklmnopqrstuv"},
	},
	{
		Rule: Rule{ID: "docker-hub-pat", Title: "Docker Hub personal access token", Severity: finding.High,
			Why: "It pulls its owner's private images, and unless it is read-only, pushes others in their place.",
			Fix: "docker login on the machine that builds; its credentials never have to be in the image"},
		anchors: []string{"dckr_pat_"}, pattern: `dckr_pat_[\w-]{27}`, inWord: true, sample: like("dckr_pat_{u27}"),
	},
	{
		Rule: high("docker-hub-oat", "Docker Hub organization access token",
			"It pulls an organization's private images, and may push others in their place."),
		anchors: []string{"dckr_oat_"}, pattern: `dckr_oat_[\w-]{32}`, inWord: true, sample: like("dckr_oat_{u32}"),
	},
	{
		Rule:    high("nuget-api-key", "NuGet API key", "It publishes and unlists packages as its owner."),
		anchors: expand("oy2", "0-9a-z"), pattern: `oy2[0-9a-z]{43}`, check: shuffled, sample: like("oy2{n43}"),
	},
	{
		Rule:    high("private-packagist-token", "Private Packagist token", "It reads an organization's PHP packages."),
		anchors: []string{"packagist_o", "packagist_u", "packagist_a"}, pattern: `packagist_[a-z]{3}_[0-9a-f]{68}`, inWord: true,
		sample: like("packagist_out_{x68}"),
	},
	{
		Rule:    high("clojars-api-token", "Clojars deploy token", "It publishes Clojure libraries as its owner."),
		anchors: []string{"CLOJARS_"}, pattern: `CLOJARS_[0-9a-z]{60}`, inWord: true, sample: like("CLOJARS_{x60}"),
	},
	{
		Rule: high("artifactory-api-key", "JFrog Artifactory API key",
			"It acts as its owner on a company's package repositories: reads them, and may replace packages."),
		anchors: []string{"AKCp"}, pattern: `AKCp[0-9A-Za-z]{69}`, check: mixed, sample: like("AKCp{w69}"),
	},
	{
		Rule: high("artifactory-reference-token", "JFrog reference token",
			"It acts as its owner on a company's package repositories: reads them, and may replace packages."),
		anchors: []string{"cmVmdGtu"}, pattern: `cmVmdGtu[0-9A-Za-z]{56}`, check: mixed, sample: like("cmVmdGtuOjAxOjE3{w48}"),
	},
	{
		Rule:    high("circleci-token", "CircleCI token", "It starts builds and reads their settings for its owner or project."),
		anchors: []string{"CCIPAT_", "CCIPRJ_"}, pattern: `CCIP(?:AT|RJ)_[0-9A-Za-z]{22}_[0-9a-fA-F]{40}`, inWord: true,
		sample: like("CCIPAT_{w22}_{x40}"),
	},
	{
		Rule:    high("buildkite-api-token", "Buildkite API token", "It starts builds and reads their logs for its owner."),
		anchors: []string{"bkua_"}, pattern: `bkua_[0-9a-z]{40}`, sample: like("bkua_{x40}"),
	},
	{
		Rule:    high("harness-api-key", "Harness API key", "It runs pipelines and reads their settings for its owner."),
		anchors: []string{"pat.", "sat."}, pattern: `[ps]at\.[\w-]{22}\.[0-9a-zA-Z]{24}\.[0-9a-zA-Z]{20}`,
		sample: like("pat.{u22}.{w24}.{w20}"),
	},
	{
		Rule:    high("octopus-deploy-api-key", "Octopus Deploy API key", "It deploys as its owner."),
		anchors: []string{"API-"}, pattern: `API-[0-9A-Z]{26}`, check: shuffled, sample: like("API-{N26}"),
		not: []string{"API-ABCDEFGHIJKLMNOPQRSTUVWXYZ", "API-REFERENCEDOCUMENTATIONPAGE"},
	},
	{
		Rule:    high("prefect-api-token", "Prefect API key", "It runs and changes flows for its owner."),
		anchors: []string{"pnu_", "pnb_"}, pattern: `pn[ub]_[0-9a-zA-Z]{36}`, check: shuffled, sample: like("pnu_{w36}"),
	},
	{
		Rule: high("pulumi-api-token", "Pulumi access token",
			"It reads and changes stacks, whose state has the credentials of a cloud in it."),
		anchors: []string{"pul-"}, pattern: `pul-[0-9a-f]{40}`, sample: like("pul-{x40}"),
	},
	{
		Rule: high("hashicorp-tf-api-token", "Terraform Cloud token",
			"It reads and changes workspaces, whose state has the credentials of a cloud in it."),
		anchors: []string{".atlasv1."}, lead: 14, pattern: `[0-9A-Za-z]{14}\.atlasv1\.[\w=-]{60,70}`, sample: like("{w14}.atlasv1.{u67}"),
	},
	{
		Rule:    medium("infracost-api-token", "Infracost API key", "It asks for prices in an organization's name."),
		anchors: []string{"ico-"}, pattern: `ico-[0-9A-Za-z]{32}`, check: mixed, sample: like("ico-{w32}"),
	},
	{
		Rule:    high("sonar-api-token", "SonarQube token", "It reads the code and the weaknesses that were found in it."),
		anchors: []string{"sqp_", "squ_", "sqa_", "sqco_"}, pattern: `sq[pua]_[0-9a-f]{40}|sqco_[0-9A-Za-z]{59}`,
		sample: oneOf("sqp_{x40}", "squ_{x40}", "sqa_{x40}"),
	},
	{
		Rule:    high("snyk-api-token", "Snyk access token", "It reads the weaknesses that were found in an organization's projects."),
		anchors: []string{"snyk_uat.", "snyk_sat."}, pattern: `snyk_[us]at\.[0-9A-Za-z]{8}\.[\w-]{10,120}\.[\w-]{10,120}`,
		inWord: true, sample: like("snyk_uat.{x8}.{u43}.{u43}"),
	},
	{
		Rule:    high("depot-token", "Depot token", "It builds in an organization's name and reads its layers."),
		anchors: []string{"depot_"}, pattern: `depot_(?:[a-z]{3,8}_)?[0-9a-f]{64}`, sample: like("depot_project_{x64}"),
	},
	{
		Rule:    medium("inngest-signing-key", "Inngest signing key", "It signs calls of an app's functions."),
		anchors: []string{"signkey-"}, pattern: `signkey-(?:prod|test|branch)-[0-9a-f]{64}`, inWord: true, sample: like("signkey-prod-{x64}"),
	},
	{
		Rule:    high("trigger-dev-key", "Trigger.dev secret key", "It starts and reads an app's tasks."),
		anchors: []string{"tr_prod_", "tr_stg_"}, pattern: `tr_(?:prod|stg)_[0-9A-Za-z]{20,24}`, check: mixed, sample: like("tr_prod_{w20,24}"),
	},
	{
		Rule: high("postman-api-token", "Postman API key",
			"It reads its owner's collections and environments, where other credentials tend to be."),
		anchors: []string{"PMAK-"}, pattern: `PMAK-[0-9a-fA-F]{24}-[0-9a-fA-F]{34}`, inWord: true, sample: like("PMAK-{x24}-{x34}"),
	},
	{
		Rule:    medium("readme-api-token", "ReadMe API key", "It changes a product's documentation."),
		anchors: []string{"rdme_"}, pattern: `rdme_[0-9a-z]{70}`, inWord: true, sample: like("rdme_{n70}"),
	},
	{
		Rule:    medium("wakatime-api-key", "WakaTime API key", "It reads what its owner worked on."),
		anchors: []string{"waka_"}, pattern: `waka_(?:sec_|tok_|ref_)?` + uuid,
		sample: like("waka_{x8}-{x4}-4{x3}-a{x3}-{x12}"),
	},
}

// githubApp checks the old form by its sum and the new one, which holds a JWT, by its header.
func githubApp(value []byte) bool {
	if !bytes.Contains(value, []byte(".")) {
		return hasGitHubSum(value)
	}
	_, token, _ := bytes.Cut(value[len("ghs_"):], []byte("_"))
	_, ok := readJWT(token)
	return ok
}

func sampleGitHubApp(r *rand.Rand) string {
	switch r.IntN(3) {
	case 0:
		return fill(r, "ghs_{d6}_") + sampleJWT(r, `{"exp":1{d9},"jti":"{w24}","perms":"{w200}"}`)
	case 1:
		return withChecksum("ghu_{w30}", githubSum)(r)
	}
	return withChecksum("ghs_{w30}", githubSum)(r)
}

// sampleGitLab makes tokens of the old form and both newer ones.
func sampleGitLab(prefix string) func(r *rand.Rand) string {
	return func(r *rand.Rand) string {
		payload := like("{u28,38,45}")(r)
		switch r.IntN(3) {
		case 0:
			return gitlabSum(len(payload), prefix+payload)
		case 1:
			return gitlabSum(len(payload), prefix+payload+".01")
		}
		kind, _, _ := strings.Cut(prefix, "-")
		return kind + "-" + like("{u20}")(r)
	}
}
