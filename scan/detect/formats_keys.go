package detect

import "github.com/tightlip/tightlip/finding"

const (
	sshFix = "RUN --mount=type=ssh git clone git@git.corp.example:team/lib.git\n# docker build --ssh default ."
	keyFix = "RUN --mount=type=secret,id=key,target=/run/secrets/key …   # for one step\ndocker run --mount type=bind,src=…,dst=/run/secrets/key,readonly …   # at run time"
)

var (
	lockedKeyRule = Rule{
		ID: "encrypted-private-key", Title: "private key with a passphrase", Severity: finding.Low,
		Why: "Who has the image can try passphrases on the key for as long as they like.", Fix: keyFix,
	}
	privateKeyRule = Rule{
		ID: "private-key", Title: "private key", Severity: finding.Critical,
		Why: "Whoever has the key is taken for the server, user or authority that its certificate names.", Fix: keyFix,
	}
	sshKeyRule = Rule{
		ID: "ssh-private-key", Title: "OpenSSH private key", Severity: finding.Critical,
		Why: "Whoever has the key can log in where its owner can, and is taken for them.", Fix: sshFix,
	}
	pgpKeyRule = Rule{
		ID: "pgp-private-key", Title: "OpenPGP private key", Severity: finding.Critical,
		Why: "Whoever has the key can sign as its owner and read what was encrypted for them.", Fix: keyFix,
	}
)

var privateKeys = format{
	rule:   privateKeyRule,
	marks:  []string{" PRIVATE KEY-----", "-----BEGIN PGP PRIVATE KEY BLOCK-----"},
	binary: true,
	read:   readPEM,
	settings: []setting{
		on("*"+locked, whatever).as(&lockedKeyRule),
		on("openssh *", whatever).as(&sshKeyRule),
		on("pgp *", whatever).as(&pgpKeyRule),
		on("*", whatever).as(&privateKeyRule),
	},
}

// pemKeys gives the private keys in PEM in any text, each by the rule for its kind.
func pemKeys(text []byte, yield func(Match) bool) { privateKeys.find(text, yield) }

// keyFormats are the formats of private keys.
var keyFormats = []format{
	privateKeys,
	{
		rule: Rule{ID: "putty-private-key", Title: "PuTTY private key", Severity: finding.Critical,
			Why: "Whoever has the key can log in where its owner can.", Fix: sshFix},
		paths:    []string{"*.ppk"},
		marks:    []string{puttyMark},
		read:     readPuTTY,
		settings: []setting{on("*"+locked, whatever).as(&lockedKeyRule), on("*", whatever)},
	},
	{
		rule: Rule{ID: "gnupg-private-key", Title: "GnuPG private key", Severity: finding.Critical,
			Why: "Whoever has the key ring can sign as its owner and read what was encrypted for them.", Fix: asFile("gpg", "/run/secrets/key.gpg", "gpg --import /run/secrets/key.gpg && … && rm -rf ~/.gnupg")},
		paths:    []string{"secring.gpg", "*.gpg", "*.pgp"},
		binary:   true,
		read:     readGnuPG,
		settings: []setting{on("*"+locked, whatever).as(&lockedKeyRule), on("*", whatever)},
	},
	{
		rule: Rule{ID: "gnupg-agent-key", Title: "private key of GnuPG's agent", Severity: finding.Critical,
			Why: "Whoever has the key can sign as its owner and read what was encrypted for them.", Fix: asFile("gpg", "/run/secrets/key.gpg", "gpg --import /run/secrets/key.gpg && … && rm -rf ~/.gnupg")},
		paths:    []string{"private-keys-v1.d/*"},
		marks:    []string{"(11:private-key(", "(21:protected-private-key(", "Key: (private-key", "Key: (protected-private-key"},
		binary:   true,
		read:     readAgentKey,
		settings: []setting{on("*"+locked, whatever).as(&lockedKeyRule), on("*", whatever)},
	},
	{
		rule: Rule{ID: "pkcs12-key", Title: "PKCS #12 file with a private key", Severity: finding.High,
			Why: "The key has a password, which is often a well-known one or stands beside the file.", Fix: keyFix},
		paths:    []string{"*.p12", "*.pfx"},
		marks:    []string{string(oidData)},
		binary:   true,
		read:     readPKCS12,
		settings: []setting{on("*", whatever)},
	},
	{
		rule: Rule{ID: "java-keystore", Title: "Java key store with a private key", Severity: finding.High,
			Why: "The key has a password, which is often a well-known one or stands beside the file.", Fix: keyFix},
		paths:    []string{"*.jks", "*.keystore"},
		marks:    []string{jksMagic, jceksMagic},
		binary:   true,
		read:     readKeystore,
		settings: []setting{on("*", whatever)},
	},
	{
		rule: Rule{ID: "keepass-database", Title: "KeePass database", Severity: finding.Medium,
			Why: "It holds passwords. Who has the image can try master passwords on it for as long as they like.", Fix: atRunTime("/run/secrets/db.kdbx")},
		paths:    []string{"*.kdbx", "*.kdb"},
		marks:    []string{keepassMagic, keepass1Magic},
		binary:   true,
		read:     readKeePass,
		settings: []setting{on("*", whatever)},
	},
}
