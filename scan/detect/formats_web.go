package detect

import "github.com/tightlip/tightlip/finding"

const sessionWhy = "Whoever has it can forge sessions and log in as anybody."

// webFormats are the formats of programs that serve the web.
var webFormats = []format{
	{
		rule: Rule{ID: "dotenv", Title: "secret in an environment file", Severity: finding.High,
			Why: "Environment files are for one machine. In an image they are for everybody who can pull it.",
			Fix: "# .dockerignore\n.env*\n# at run time: docker run --env-file .env …"},
		paths: []string{".env", ".env.*", "*.env", "env.local", ".envrc", ".flaskenv", ".dev.vars",
			"!.env.example", "!.env.sample", "!.env.template", "!.env.dist", "!.env.*.example", "!.env.*.sample", "!.env.defaults", "!example.env", "!sample.env", "!template.env"},
		read:     readINI,
		settings: []setting{on("*", named), on("app_key", plain)},
	},
	{
		rule: Rule{ID: "rails-master-key", Title: "Rails master key", Severity: finding.Critical,
			Why: "Whoever has it can decrypt the credentials of the application.",
			Fix: asSettings("RAILS_MASTER_KEY") + "\n# assets:precompile needs none: SECRET_KEY_BASE_DUMMY=1"},
		paths:    []string{"config/master.key", "config/credentials/*.key"},
		read:     readWhole,
		settings: []setting{on("*", of(`[0-9a-fA-F]{32,128}`))},
	},
	{
		rule: Rule{ID: "rails-secrets", Title: "Rails secret", Severity: finding.High, Why: sessionWhy,
			Fix: asSettings("SECRET_KEY_BASE")},
		paths:    []string{"config/secrets.yml"},
		read:     readYAML,
		settings: []setting{on("*secret_key_base|*secret_token", plain), on("*", named)},
	},
	{
		rule: Rule{ID: "rails-secret-token", Title: "Rails secret", Severity: finding.High, Why: sessionWhy,
			Fix: asSettings("SECRET_KEY_BASE")},
		paths:    []string{"initializers/secret_token.rb", "initializers/devise.rb"},
		read:     readCode,
		settings: []setting{on("*secret_key_base|*secret_token|*.secret_key|*.pepper", plain)},
	},
	{
		rule: Rule{ID: "wordpress-config", Title: "WordPress password or key", Severity: finding.High,
			Why: "Whoever has it can read the database or log in as anybody.", Fix: asSettings("WORDPRESS_DB_PASSWORD")},
		paths:    []string{"wp-config.php"},
		read:     readCode,
		settings: []setting{on("db_password|ftp_pass|*_key|*_salt|*secret", plain)},
	},
	{
		rule: Rule{ID: "django-settings", Title: "secret in Django settings", Severity: finding.High, Why: sessionWhy,
			Fix: asSettings("SECRET_KEY") + "\n# settings.py: SECRET_KEY = os.environ[\"SECRET_KEY\"]"},
		paths:    []string{"settings.py", "local_settings.py", "settings/*.py", "settings_local.py"},
		read:     readCode,
		settings: []setting{on("secret_key|password|email_host_password|*_secret_key|*_password", plain), on("*", inURL)},
	},
	{
		rule: Rule{ID: "drupal-settings", Title: "Drupal password or salt", Severity: finding.High,
			Why: "Whoever has it can read the database or make one-time logins.", Fix: atRunTime("/var/www/html/sites/default/settings.php")},
		paths:    []string{"settings.php", "settings.local.php"},
		read:     readCode,
		settings: []setting{on("password|hash_salt", plain)},
	},
	{
		rule: Rule{ID: "joomla-config", Title: "Joomla password or secret", Severity: finding.High,
			Why: "Whoever has it can read the database or forge sessions.", Fix: atRunTime("/var/www/html/configuration.php")},
		paths:    []string{"configuration.php"},
		read:     readCode,
		settings: []setting{on("$password|$secret|$smtppass|$ftp_pass|$proxy_pass|$redis_server_auth|$session_redis_server_auth", plain)},
	},
	{
		rule: Rule{ID: "htpasswd", Title: "hashes of passwords for a web server", Severity: finding.Low,
			Why: "Whoever has the image can try passwords on the hashes for as long as they like.", Fix: atRunTime("/etc/nginx/htpasswd")},
		paths:    []string{".htpasswd", "htpasswd", "*.htpasswd"},
		read:     readColumns,
		settings: []setting{on("*.2", hashed)},
	},
}
