package detect

import (
	"bytes"

	"github.com/tightlip/tightlip/finding"
)

const (
	mailWhy    = "Whoever has it can send mail in the owner's name, and often read theirs."
	networkWhy = "Whoever has it can join the network."
	hostWhy    = "Whoever has it can log in to the server."
)

var jenkinsSealedRule = Rule{
	ID: "jenkins-encrypted-credential", Title: "encrypted credential that Jenkins uses", Severity: finding.Low,
	Why: "Whoever also finds the folder of Jenkins' secrets can decrypt it.",
	Fix: atRunTime("/var/jenkins_home/credentials.xml"),
}

// hostFormats are the formats of machines, and of clients for other machines.
var hostFormats = []format{
	{
		rule: Rule{ID: "shadow", Title: "hash of a user's password", Severity: finding.Low,
			Why: "Whoever has the image can try passwords on the hash for as long as they like, and the user may have it on other machines.",
			Fix: "RUN passwd --lock root   # and set none in the build"},
		paths:    []string{"etc/shadow", "etc/shadow-", "etc/gshadow", "etc/gshadow-", "etc/master.passwd"},
		read:     readColumns,
		settings: []setting{on("*.2", hashed)},
	},
	{
		rule: Rule{ID: "shell-history", Title: "secret in a history of commands", Severity: finding.Medium,
			Why: "Somebody typed it on a command line, and the history became part of the image.",
			Fix: "# .dockerignore: leave home folders out of the build, and do not make images from containers that somebody worked in"},
		paths: []string{".bash_history", ".zsh_history", ".sh_history", ".ash_history", ".history", "fish_history",
			".python_history", ".mysql_history", ".psql_history", ".rediscli_history", ".node_repl_history", ".mongosh_repl_history"},
		read:     both(readCommands, readURLs),
		settings: []setting{on("*://*", plain), on("user|u", afterUser), on("*", named)},
	},
	{
		rule: Rule{ID: "npm-log", Title: "secret in a log of npm", Severity: finding.Medium,
			Why: "npm writes what it was called with and the addresses it asked.",
			Fix: "RUN --mount=type=cache,target=/root/.npm npm ci   # logs stay out of the image"},
		paths:    []string{"npm-debug.log*", "*-debug-0.log", "*-debug.log"},
		read:     both(readCommands, readURLs),
		settings: []setting{on("*://*|*:_authToken|*:_password", plain), on("*", named)},
	},
	{
		rule: Rule{ID: "filezilla-sites", Title: "password of an FTP server", Severity: finding.High, Why: hostWhy,
			Fix: "# .dockerignore: leave home folders out of the build"},
		paths:    []string{"sitemanager.xml", "recentservers.xml", "filezilla.xml"},
		read:     readXML,
		settings: []setting{on("*.pass", inBase64)},
	},
	{
		rule: Rule{ID: "sftp-config", Title: "password of an FTP or SSH server", Severity: finding.High, Why: hostWhy,
			Fix: "# .dockerignore\n.vscode/\nsftp-config.json"},
		paths:    []string{".ftpconfig", "sftp-config.json", ".vscode/sftp.json", "sftp.json", ".remote-sync.json", ".ftp-sync.json", ".vscode/ftp-sync.json"},
		read:     readJSON,
		settings: []setting{on("*password|*passphrase|*.pass|pass", plain)},
	},
	{
		rule: Rule{ID: "lftp-config", Title: "password of an FTP server", Severity: finding.High, Why: hostWhy,
			Fix: asFile("lftp", "/root/.lftprc", "lftp -e 'get …; bye' ftp.corp.example")},
		paths:    []string{".lftprc", ".lftp/rc", "lftp/rc", "lftp/bookmarks", ".lftp/bookmarks", "etc/lftp.conf"},
		read:     both(readCommands, readURLs),
		settings: []setting{on("u|user", afterUser), on("*://*", plain)},
	},
	{
		rule: Rule{ID: "mail-client", Title: "password of a mail server", Severity: finding.High, Why: mailWhy,
			Fix: atRunTime("/root/.msmtprc")},
		paths:    []string{".msmtprc", "msmtprc", ".esmtprc", "esmtprc", "ssmtp.conf", ".getmailrc", ".offlineimaprc", ".mbsyncrc"},
		read:     readDirectives,
		settings: []setting{on("password|authpass|pass|remotepass", plain)},
	},
	{
		rule: Rule{ID: "mutt-config", Title: "password of a mail server", Severity: finding.High, Why: mailWhy,
			Fix: atRunTime("/root/.muttrc")},
		paths:    []string{".muttrc", "muttrc", ".mutt/muttrc", ".neomuttrc"},
		read:     both(readINI, readURLs),
		settings: []setting{on("*_pass|*://*", plain)},
	},
	{
		rule: Rule{ID: "postfix-passwords", Title: "password of a mail server", Severity: finding.High, Why: mailWhy,
			Fix: atRunTime("/etc/postfix/sasl_passwd")},
		paths:    []string{"sasl_passwd", "sasl/passwd"},
		read:     readDirectives,
		settings: []setting{on("*", afterUser)},
	},
	{
		rule: Rule{ID: "davfs2-secrets", Title: "password of a WebDAV server", Severity: finding.High, Why: hostWhy,
			Fix: atRunTime("/etc/davfs2/secrets")},
		paths:    []string{"davfs2/secrets", ".davfs2/secrets"},
		read:     readDirectives,
		settings: []setting{on("*", lastWord)},
	},
	{
		rule: Rule{ID: "cifs-credentials", Title: "password of a Windows share", Severity: finding.High, Why: hostWhy,
			Fix: atRunTime("/etc/samba/credentials")},
		paths:    []string{".smbcredentials", "smbcredentials", "*.smbcredentials", ".cifs", ".cifscredentials", "cifs-credentials", "etc/samba/credentials", "etc/cifs/*"},
		read:     readINI,
		settings: []setting{on("password|pass", plain)},
	},
	{
		rule: Rule{ID: "wgetrc", Title: "password for downloads", Severity: finding.High, Why: hostWhy,
			Fix: asFile("wgetrc", "/root/.wgetrc", "wget https://files.corp.example/…")},
		paths:    []string{".wgetrc", "wgetrc"},
		read:     both(readINI, readURLs),
		settings: []setting{on("*password|*passwd|*://*", plain), on("header", inHeader)},
	},
	{
		rule: Rule{ID: "curlrc", Title: "password for downloads", Severity: finding.High, Why: hostWhy,
			Fix: asFile("curlrc", "/root/.curlrc", "curl -O https://files.corp.example/…")},
		paths: []string{".curlrc", "_curlrc", "curlrc"},
		read:  both(readDirectives, readURLs),
		settings: []setting{
			on("user|-u|--user|proxy-user|--proxy-user|-U", afterUser),
			on("oauth2-bearer|--oauth2-bearer|pass|--pass|*://*", plain),
			on("header|-H|--header", inHeader),
		},
	},
	{
		rule: Rule{ID: "wireguard-key", Title: "WireGuard private key", Severity: finding.High, Why: networkWhy,
			Fix: atRunTime("/etc/wireguard/wg0.conf")},
		paths:    []string{"wireguard/*.conf"},
		marks:    []string{"[Interface]"},
		read:     readINI,
		settings: []setting{on("interface.privatekey|peer.presharedkey", of(`[A-Za-z0-9+/]{43}=`))},
	},
	{
		rule: Rule{ID: "networkmanager-connection", Title: "password of a network", Severity: finding.High, Why: networkWhy,
			Fix: atRunTime("/etc/NetworkManager/system-connections/corp.nmconnection")},
		paths:    []string{"system-connections/*", "*.nmconnection"},
		read:     readINI,
		settings: []setting{on("*.psk|*.password|*.wep-key*|vpn-secrets.*|*.private-key-password|*.pin|wireguard.private-key", plain)},
	},
	{
		rule: Rule{ID: "wpa-supplicant", Title: "password of a wireless network", Severity: finding.High, Why: networkWhy,
			Fix: atRunTime("/etc/wpa_supplicant/wpa_supplicant.conf")},
		paths:    []string{"wpa_supplicant*.conf", "hostapd*.conf", "iwd/*.psk", "var/lib/iwd/*"},
		read:     readINI,
		settings: []setting{on("psk|password|private_key_passwd|wep_key*|wpa_passphrase|wpa_psk|sae_password|security.passphrase|security.presharedkey", plain)},
	},
	{
		rule: Rule{ID: "mounted-secret", Title: "secret that was mounted", Severity: finding.High,
			Why: "Files in /run/secrets are there while a step or a container runs, and in no image.",
			Fix: "RUN --mount=type=secret,id=NAME …   # and copy nothing to /run/secrets"},
		paths: []string{"run/secrets/*"},
		read:  readWhole,
	},
	{
		rule: Rule{ID: "erlang-cookie", Title: "Erlang cookie", Severity: finding.High,
			Why: "Whoever has it can run code on each node of the cluster.", Fix: atRunTime("/var/lib/rabbitmq/.erlang.cookie")},
		paths:    []string{".erlang.cookie"},
		read:     readWhole,
		settings: []setting{on("*", of(`[!-~]{8,255}`))},
	},
	{
		rule: Rule{ID: "jenkins-master-key", Title: "Jenkins master key", Severity: finding.Critical,
			Why: "Whoever has it can decrypt the credentials of the server.", Fix: atRunTime("/var/jenkins_home/secrets/master.key")},
		paths:    []string{"secrets/master.key"},
		read:     readWhole,
		settings: []setting{on("*", of(`[0-9a-f]{256}`))},
	},
	{
		rule: Rule{ID: "jenkins-credentials", Title: "credential that Jenkins uses", Severity: finding.High,
			Why: "Whoever has it can log in where Jenkins does.", Fix: atRunTime("/var/jenkins_home/credentials.xml")},
		paths: []string{"credentials.xml"},
		marks: []string{"<com.cloudbees.plugins.credentials."},
		looks: has("<com.cloudbees.plugins.credentials."),
		read:  readIfXML,
		settings: []setting{
			on("*.password|*.passphrase|*.secret|*.secretBytes|*.privateKey", plain),
			on("*.password|*.passphrase|*.secret|*.secretBytes|*.privateKey", sealed).as(&jenkinsSealedRule),
		},
	},
	{
		rule:     Rule{ID: "openvpn-login", Title: "password of a VPN", Severity: finding.High, Why: networkWhy, Fix: atRunTime("/etc/openvpn/auth.txt")},
		paths:    []string{"openvpn/*.txt", "openvpn/*.auth", "openvpn/*.pass", "openvpn/auth", "openvpn/login", "openvpn/credentials", "openvpn/client/*.txt"},
		read:     readLogin,
		settings: []setting{on("password", plain)},
	},
	{
		rule:     Rule{ID: "snmp-user", Title: "password of an SNMP user", Severity: finding.High, Why: "Whoever has it can read, and often change, how the machine is set up.", Fix: atRunTime("/etc/snmp/snmpd.conf")},
		paths:    []string{"snmpd.conf", "snmptrapd.conf"},
		read:     readDirectives,
		settings: []setting{on("createUser", within(`(?:-e\s+\S+\s+)?\S+\s+(?:MD5|SHA[0-9-]*)\s+["']?([^\s"']{8,})`))},
	},
	{
		rule:  Rule{ID: "ppp-secrets", Title: "password of a connection", Severity: finding.High, Why: networkWhy, Fix: atRunTime("/etc/ppp/chap-secrets")},
		paths: []string{"ppp/chap-secrets", "ppp/pap-secrets"},
		read:  readSecretsTable,
	},
	{
		rule:  Rule{ID: "redis-acl", Title: "Redis password", Severity: finding.High, Why: databaseWhy, Fix: atRunTime("/etc/redis/users.acl")},
		paths: []string{"users.acl"},
		read:  readACL,
	},
}

// readLogin reads files of two lines, a user and a password.
func readLogin(text []byte, yield func(pair) bool) {
	var words []span
	for start, end := range lines(text) {
		if start, end = trim(text, start, end); start < end {
			words = append(words, span{start: start, end: end})
		}
		if len(words) > 2 {
			return
		}
	}
	if len(words) == 2 && !bytes.ContainsAny(text[words[0].start:words[1].end], " \t") {
		v := words[1]
		yield(pair{"password", string(text[v.start:v.end]), v.start, v.end})
	}
}

// readSecretsTable reads the third column of lines of client, server, secret and addresses: see pppd(8).
func readSecretsTable(text []byte, yield func(pair) bool) {
	for start, end := range lines(text) {
		if parts := argumentsIn(text[start:end]); len(parts) >= 3 && text[start+parts[0].start] != '#' {
			v := span{start: start + parts[2].start, end: start + parts[2].end}
			if !yield(pair{"secret", string(text[v.start:v.end]), v.start, v.end}) {
				return
			}
		}
	}
}

// readACL reads the passwords in lines like "user app on >password ~app:*".
func readACL(text []byte, yield func(pair) bool) {
	for start, end := range lines(text) {
		for _, w := range argumentsIn(text[start:end]) {
			from, to := start+w.start, start+w.end
			if text[from] == '>' && !yield(pair{"user", string(text[from+1 : to]), from + 1, to}) {
				return
			}
		}
	}
}
