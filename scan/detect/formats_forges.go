package detect

import "github.com/tightlip/tightlip/finding"

const gitWhy = "Whoever has it can read the private repositories of its owner, and often push to them."

// forgeFormats are the formats of Git, and of the services that keep, build and deploy code.
var forgeFormats = []format{
	{
		rule: Rule{ID: "git-credentials", Title: "password for Git over HTTP", Severity: finding.High, Why: gitWhy,
			Fix: asFile("git", "/root/.git-credentials", "git -c credential.helper=store clone https://git.corp.example/team/app")},
		paths: []string{".git-credentials", "git/credentials"},
		read:  readURLs,
	},
	{
		rule: Rule{ID: "git-url-password", Title: "password in Git's configuration", Severity: finding.High, Why: gitWhy,
			Fix: asFile("git", "/root/.git-credentials", "git -c credential.helper=store clone https://git.corp.example/team/app")},
		paths: []string{".git/config", ".gitconfig", "etc/gitconfig", "git/config", ".git/modules/*/config", ".gitmodules", ".git/fetch_head", ".git/logs/head"},
		read:  readURLs,
	},
	{
		rule: Rule{ID: "git-http-header", Title: "credential in Git's configuration", Severity: finding.High, Why: gitWhy,
			Fix: "# actions/checkout leaves one in .git/config: use persist-credentials: false, and .git in .dockerignore"},
		paths:    []string{".git/config", ".gitconfig", "etc/gitconfig", "git/config", ".git/modules/*/config"},
		marks:    []string{"extraheader"},
		read:     readINI,
		settings: []setting{on("*extraheader", inHeader)},
	},
	{
		rule: Rule{ID: "github-cli", Title: "token of GitHub's command line", Severity: finding.High, Why: gitWhy,
			Fix: asVariable("GH_TOKEN", "gh release download …")},
		paths:    []string{".config/hub", "gh/hosts.yml"},
		read:     readYAML,
		settings: []setting{on("*oauth_token", plain)},
	},
	{
		rule: Rule{ID: "gitlab-cli", Title: "token of GitLab's command line", Severity: finding.High, Why: gitWhy,
			Fix: asVariable("GITLAB_TOKEN", "glab release download …")},
		paths:    []string{"glab-cli/config.yml", "glab/config.yml"},
		read:     readYAML,
		settings: []setting{on("*.token|*.job_token|*.oauth2_refresh_token", plain)},
	},
	{
		rule: Rule{ID: "github-runner-key", Title: "key of a GitHub Actions runner", Severity: finding.High,
			Why: "Whoever has it is taken for the runner, and gets its jobs with their secrets.", Fix: atRunTime("/home/runner/.credentials_rsaparams")},
		paths:    []string{".credentials_rsaparams"},
		read:     readJSON,
		settings: []setting{on("d", binary64)},
	},
	{
		rule: Rule{ID: "circleci-cli", Title: "CircleCI token", Severity: finding.High,
			Why: "Whoever has it can start builds and read what they are given.", Fix: asVariable("CIRCLECI_CLI_TOKEN", "circleci …")},
		paths:    []string{".circleci/cli.yml"},
		read:     readYAML,
		settings: []setting{on("token", plain)},
	},
	{
		rule: Rule{ID: "travis-cli", Title: "Travis CI token", Severity: finding.High,
			Why: "Whoever has it can start builds and change what they are given.", Fix: asVariable("TRAVIS_TOKEN", "travis …")},
		paths:    []string{".travis/config.yml"},
		read:     readYAML,
		settings: []setting{on("*access_token", plain)},
	},
	{
		rule: Rule{ID: "sentry-cli", Title: "Sentry token", Severity: finding.High,
			Why: "Whoever has it can read errors with what users sent, and upload releases.", Fix: asVariable("SENTRY_AUTH_TOKEN", "sentry-cli releases …")},
		paths:    []string{".sentryclirc", "sentry.properties"},
		read:     readINI,
		settings: []setting{on("auth.token|auth.api_key", plain)},
	},
	{
		rule: Rule{ID: "snyk-cli", Title: "Snyk token", Severity: finding.High,
			Why: "Whoever has it can read which weaknesses an organisation has.", Fix: asVariable("SNYK_TOKEN", "snyk test")},
		paths:    []string{"configstore/snyk.json"},
		read:     readJSON,
		settings: []setting{on("api|internal_oauth_token_storage*", plain)},
	},
	{
		rule: Rule{ID: "vercel-cli", Title: "Vercel token", Severity: finding.High,
			Why: "Whoever has it can deploy as its owner and read their settings.", Fix: asVariable("VERCEL_TOKEN", "vercel build")},
		paths:    []string{"com.vercel.cli/auth.json", ".vercel/auth.json", ".now/auth.json", "now/auth.json"},
		read:     readJSON,
		settings: []setting{on("token|credentials.*.token|refreshToken", plain)},
	},
	{
		rule: Rule{ID: "netlify-cli", Title: "Netlify token", Severity: finding.High,
			Why: "Whoever has it can deploy as its owner and read their settings.", Fix: asVariable("NETLIFY_AUTH_TOKEN", "netlify build")},
		paths:    []string{"netlify/config.json", ".netlify/config.json"},
		read:     readJSON,
		settings: []setting{on("users.*.auth.token|users.*.auth.github.token", plain)},
	},
	{
		rule: Rule{ID: "stripe-cli", Title: "Stripe key", Severity: finding.High,
			Why: "Whoever has it can read customers and move money.", Fix: asVariable("STRIPE_API_KEY", "stripe …")},
		paths:    []string{"stripe/config.toml"},
		read:     readTOML,
		settings: []setting{on("*_api_key", plain)},
	},
	{
		rule: Rule{ID: "ngrok-config", Title: "ngrok token", Severity: finding.High,
			Why: "Whoever has it can open tunnels in its owner's name.", Fix: asSettings("NGROK_AUTHTOKEN")},
		paths:    []string{"ngrok.yml"},
		read:     readYAML,
		settings: []setting{on("*authtoken|*api_key", plain)},
	},
	{
		rule: Rule{ID: "pulumi-credentials", Title: "Pulumi token", Severity: finding.High,
			Why: "Whoever has it can read and change the stacks, and their secrets.", Fix: asVariable("PULUMI_ACCESS_TOKEN", "pulumi preview")},
		paths:    []string{".pulumi/credentials.json"},
		read:     readJSON,
		settings: []setting{on("accessTokens.*|accounts.*.accessToken", plain)},
	},
	{
		rule: Rule{ID: "flyctl-config", Title: "Fly.io token", Severity: finding.High,
			Why: "Whoever has it can deploy as its owner and read their machines.", Fix: asVariable("FLY_API_TOKEN", "flyctl …")},
		paths:    []string{".fly/config.yml"},
		read:     readYAML,
		settings: []setting{on("access_token|*.access_token|*wire_guard_state.*.privatekey", plain)},
	},
	{
		rule: Rule{ID: "databricks-config", Title: "Databricks credential", Severity: finding.High,
			Why: "Whoever has it can read the data of the workspace.", Fix: asVariable("DATABRICKS_TOKEN", "databricks …")},
		paths:    []string{".databrickscfg"},
		read:     readINI,
		settings: []setting{on("*.token|*.password|*.client_secret|*.azure_client_secret", plain)},
	},
	{
		rule: Rule{ID: "huggingface-token", Title: "Hugging Face token", Severity: finding.High,
			Why: "Whoever has it can read private models and data sets, and often change them.", Fix: asVariable("HF_TOKEN", "hf download corp/model")},
		paths:    []string{"huggingface/token", ".huggingface/token", "huggingface/stored_tokens"},
		read:     both(readWhole, readINI),
		settings: []setting{on("|*.hf_token", plain)},
	},
	{
		rule: Rule{ID: "kaggle-key", Title: "Kaggle key", Severity: finding.High,
			Why: "Whoever has it can act as its owner.", Fix: asFile("kaggle", "/root/.kaggle/kaggle.json", "kaggle datasets download …")},
		paths:    []string{"kaggle.json"},
		read:     readJSON,
		settings: []setting{on("key", plain)},
	},
	{
		rule: Rule{ID: "jupyter-config", Title: "Jupyter token", Severity: finding.High,
			Why: "Whoever has it can run programs on the server.", Fix: asSettings("JUPYTER_TOKEN")},
		paths: []string{"jupyter_*_config.json", "jupyter_*_config.py", "jupyter_config.json", "jupyter_config.py"},
		read:  readCode,
		settings: []setting{
			on("*password", hashed).as(&passwordHashRule),
			on("*token|*password", plain),
		},
	},
}
