package detect

import "github.com/tightlip/tightlip/finding"

const databaseWhy = "Whoever has it and reaches the database can read and change its data."

var passwordHashRule = Rule{
	ID: "password-hash", Title: "hash of a password", Severity: finding.Low,
	Why: "Whoever has the image can try passwords on the hash for as long as they like.",
	Fix: atRunTime("/run/secrets/htpasswd"),
}

// databaseFormats are the formats of databases and their clients.
var databaseFormats = []format{
	{
		rule:     Rule{ID: "pgpass", Title: "PostgreSQL password", Severity: finding.High, Why: databaseWhy, Fix: asFile("pgpass", "/root/.pgpass,mode=0600", "psql -h db.corp.example …")},
		paths:    []string{".pgpass", "pgpass.conf", "pgpass"},
		read:     readColumns,
		settings: []setting{on("*.5", plain)},
	},
	{
		rule:     Rule{ID: "pg-service", Title: "PostgreSQL password", Severity: finding.High, Why: databaseWhy, Fix: asFile("pgservice", "/root/.pg_service.conf", "psql service=…")},
		paths:    []string{".pg_service.conf", "pg_service.conf"},
		read:     readINI,
		settings: []setting{on("*.password", plain)},
	},
	{
		rule:     Rule{ID: "mysql-config", Title: "MySQL password", Severity: finding.High, Why: databaseWhy, Fix: asFile("mysql", "/root/.my.cnf", "mysql -h db.corp.example …")},
		paths:    []string{".my.cnf", "my.cnf", "etc/mysql/debian.cnf", "etc/mysql/conf.d/*", "etc/mysql/mysql.conf.d/*", "etc/mysql/mariadb.conf.d/*"},
		read:     readINI,
		settings: []setting{on("*.password|*.master-password", plain)},
	},
	{
		rule:     Rule{ID: "redis-config", Title: "Redis password", Severity: finding.High, Why: databaseWhy, Fix: atRunTime("/etc/redis/redis.conf")},
		paths:    []string{"redis*.conf", "sentinel.conf", "valkey.conf", "keydb.conf"},
		read:     readDirectives,
		settings: []setting{on("requirepass|masterauth|tls-key-file-pass", plain)},
	},
	{
		rule:     Rule{ID: "spring-properties", Title: "secret in Spring settings", Severity: finding.High, Why: databaseWhy, Fix: asSettings("SPRING_DATASOURCE_PASSWORD")},
		paths:    []string{"application*.properties", "bootstrap*.properties", "hibernate.properties", "jdbc.properties", "database.properties", "db.properties"},
		marks:    []string{"spring.datasource.password"},
		read:     readINI,
		settings: []setting{on("*", springValue)},
	},
	{
		rule:     Rule{ID: "spring-yaml", Title: "secret in Spring settings", Severity: finding.High, Why: databaseWhy, Fix: asSettings("SPRING_DATASOURCE_PASSWORD")},
		paths:    []string{"application*.yml", "application*.yaml", "bootstrap*.yml", "bootstrap*.yaml"},
		read:     readYAML,
		settings: []setting{on("*", springValue)},
	},
	{
		rule:     Rule{ID: "dotnet-settings", Title: "secret in .NET settings", Severity: finding.High, Why: databaseWhy, Fix: asSettings("ConnectionStrings__Default")},
		paths:    []string{"appsettings*.json", "web.config", "app.config", "connectionstrings.config", "local.settings.json"},
		read:     both(readIfXML, readIfJSON),
		settings: []setting{on("*", named)},
	},
	{
		rule:     Rule{ID: "rails-database", Title: "password of a Rails database", Severity: finding.High, Why: databaseWhy, Fix: asSettings("DATABASE_URL")},
		paths:    []string{"config/database.yml"},
		read:     readYAML,
		settings: []setting{on("password|*.password", plain), on("*", inURL)},
	},
}

// springValue is named, without values that Spring Cloud decrypts.
func springValue(key, value string) part {
	if len(value) > 8 && value[:8] == "{cipher}" {
		return part{}
	}
	return named(key, value)
}

// readIfXML and readIfJSON read files that start like XML, and like JSON.
func readIfXML(text []byte, yield func(pair) bool) {
	if firstByte(text) == '<' {
		readXML(text, yield)
	}
}

func readIfJSON(text []byte, yield func(pair) bool) {
	if looksLikeJSON(text) {
		readJSON(text, yield)
	}
}
