package detect

import (
	"bytes"
	"strings"

	"github.com/tightlip/tightlip/finding"
)

// platformFormats are the formats of containers, clusters and what sets machines up.
var platformFormats = []format{
	{
		rule: Rule{ID: "docker-config", Title: "password of a container registry", Severity: finding.High,
			Why: "Whoever has it can pull private images, and often push new ones.",
			Fix: asFile("docker", "/root/.docker/config.json", "crane pull registry.corp.example/base base.tar")},
		paths: []string{".docker/config.json", ".dockercfg", ".dockerconfigjson", "containers/auth.json", "containers/*/auth.json", "kaniko/config.json", "kubelet/config.json"},
		marks: []string{`"auths"`},
		looks: looksLikeJSON,
		read:  readJSON,
		settings: []setting{
			on("*auths.*.auth|*.auth", basic),
			on("*auths.*.identitytoken|*auths.*.registrytoken|*auths.*.password|*.identitytoken|*.registrytoken", plain),
			on("proxies.*", inURL),
		},
	},
	{
		rule: Rule{ID: "kubeconfig", Title: "credential of a Kubernetes cluster", Severity: finding.Critical,
			Why: "Whoever has it can do in the cluster what its owner may.",
			Fix: asFile("kube", "/root/.kube/config", "kubectl get …")},
		paths: []string{".kube/config", "kubeconfig", "*.kubeconfig", "etc/kubernetes/*.conf", "k3s/k3s.yaml", "kubeconfig.yaml", "kubeconfig.yml"},
		marks: []string{"client-key-data", "current-context:"},
		read:  readYAML,
		settings: []setting{
			on("users..user.*token|users..user.password|users..user.*client-secret", plain),
			on("users..user.client-key-data", binary64),
		},
	},
	{
		rule: Rule{ID: "kubernetes-secret", Title: "Kubernetes secret", Severity: finding.High,
			Why: "Manifests of secrets are not encrypted: base64 is only a way to write them.",
			Fix: "# .dockerignore: leave manifests out of the build"},
		marks: []string{"kind: Secret", `"kind": "Secret"`, `"kind":"Secret"`},
		read:  readManifests,
		settings: []setting{
			on("!*.crt|!*username|!*.user|!*.host|!*.port|!*.namespace|!*.ca|!*.database|data.*|*items..data.*", binary64),
			on("!*.crt|!*username|!*.user|!*.host|!*.port|!*.namespace|!*.ca|!*.database|stringdata.*|*items..stringdata.*", plain),
		},
	},
	{
		rule: Rule{ID: "kubernetes-token", Title: "token of a Kubernetes service account", Severity: finding.High,
			Why: "Whoever has it can do in the cluster what the service account may.",
			Fix: "# the cluster mounts it into pods: leave /var/run/secrets out of the image"},
		paths:    []string{"kubernetes.io/serviceaccount/token", "eks.amazonaws.com/serviceaccount/token"},
		read:     readWhole,
		settings: []setting{on("*", of(`eyJ[\w-]+\.[\w-]+\.[\w-]*`))},
	},
	{
		rule: Rule{ID: "terraform-credentials", Title: "Terraform token", Severity: finding.High,
			Why: "Whoever has it can read and change the workspaces, and the secrets in their states.",
			Fix: asFile("terraform", "/root/.terraform.d/credentials.tfrc.json", "terraform init")},
		paths:    []string{".terraformrc", "terraform.rc", "credentials.tfrc.json", ".tofurc"},
		read:     readCode,
		settings: []setting{on("token", plain)},
	},
	{
		rule: Rule{ID: "terraform-state", Title: "secret in a Terraform state", Severity: finding.High,
			Why: "States hold the attributes of all resources as they are, passwords and keys included.",
			Fix: "# .dockerignore\n*.tfstate*\n.terraform/"},
		paths: []string{"*.tfstate", "*.tfstate.backup", ".terraform.tfstate.lock.info"},
		marks: []string{`"terraform_version"`},
		looks: looksLikeJSON,
		read:  readJSON,
		settings: []setting{
			on("resources.*.attributes.*|outputs.*.value|modules.*.attributes.*|backend.config.*", named),
			on("resources.*.attributes.result", of(`\S{12,}`)), // of random_password
		},
	},
	{
		rule: Rule{ID: "terraform-variables", Title: "secret in Terraform variables", Severity: finding.High,
			Why: "Whoever has the file has what the infrastructure is made with.",
			Fix: asVariable("TF_VAR_db_password", "terraform plan")},
		paths:    []string{"*.tfvars", "*.tfvars.json"},
		read:     readCode,
		settings: []setting{on("*", named)},
	},
	{
		rule: Rule{ID: "vault-token", Title: "Vault token", Severity: finding.Critical,
			Why: "Whoever has it can read the secrets that its owner may read.",
			Fix: asVariable("VAULT_TOKEN", "vault kv get …")},
		paths: []string{".vault-token", "vault-token"},
		read:  readWhole,
	},
	{
		rule: Rule{ID: "consul-config", Title: "key or token of a Consul or Nomad cluster", Severity: finding.High,
			Why: "Whoever has it can join the cluster, or read and change what it stores.", Fix: atRunTime("/etc/consul.d/secrets.hcl")},
		paths: []string{"consul.d/*.hcl", "consul.d/*.json", "consul/*.hcl", "consul/*.json", "consul.hcl", "nomad.d/*.hcl", "nomad/*.hcl", "nomad.hcl"},
		read:  readCode,
		settings: []setting{
			on("encrypt", of(`[A-Za-z0-9+/]{22}==|[A-Za-z0-9+/]{32}|[A-Za-z0-9+/]{43}=`)),
			on("agent|default|replication|master|initial_management|agent_master|agent_recovery|dns|token|acl_*token", of(uuid)),
		},
	},
	{
		rule: Rule{ID: "cloud-init", Title: "password in the settings of a machine", Severity: finding.High, Why: hostWhy,
			Fix: "# .dockerignore: leave cloud-init's files out of the build, and give users SSH keys instead of passwords"},
		paths:    []string{"cloud.cfg.d/*.cfg"},
		marks:    []string{"#cloud-config"},
		looks:    func(text []byte) bool { return firstByte(text) == '#' },
		read:     readCloudConfig,
		settings: []setting{on("password|users..plain_text_passwd|chpasswd.users..password|chpasswd.list.*", hardToGuess)},
	},
	{
		rule: Rule{ID: "ansible-password", Title: "password of a machine in an Ansible inventory", Severity: finding.High,
			Why: "Whoever has it can log in to the machines, or become root on them.",
			Fix: "# encrypt it: ansible-vault encrypt_string, and give the vault's password to one step\n" + asFile("vault", "/run/secrets/vault", "ansible-playbook --vault-password-file /run/secrets/vault …")},
		marks:    []string{"ansible_password", "ansible_become_pass", "ansible_ssh_pass", "ansible_sudo_pass"},
		read:     both(readCommands, readYAML),
		settings: []setting{on("*ansible_password|*ansible_become_pass|*ansible_become_password|*ansible_ssh_pass|*ansible_sudo_pass", oneWord)},
	},
	{
		rule: Rule{ID: "ansible-vault-password", Title: "password of an Ansible vault", Severity: finding.High,
			Why: "Whoever has it can decrypt the vault's files.",
			Fix: asFile("vault", "/run/secrets/vault", "ansible-playbook --vault-password-file /run/secrets/vault …")},
		paths: []string{".vault_pass", ".vault_pass.txt", "vault_pass.txt", ".vault-pass", ".vault_password", "vault_password.txt"},
		read:  readWhole,
	},
	{
		rule: Rule{ID: "snowsql-config", Title: "Snowflake password", Severity: finding.High,
			Why: "Whoever has it can read the data of its owner.", Fix: asVariable("SNOWSQL_PWD", "snowsql …")},
		paths:    []string{".snowsql/config", ".snowflake/config.toml", "snowflake/connections.toml"},
		read:     readINI,
		settings: []setting{on("*password|*.pwd|*.token|*private_key_passphrase", plain)},
	},
	{
		rule: Rule{ID: "dbt-profiles", Title: "password in dbt profiles", Severity: finding.High,
			Why: "Whoever has it can read and change the data of the warehouse.", Fix: asVariable("DBT_PASSWORD", "dbt build   # profiles.yml: password: \"{{ env_var('DBT_PASSWORD') }}\"")},
		paths:    []string{"profiles.yml", "profiles.yaml"},
		looks:    has("outputs:"),
		read:     readYAML,
		settings: []setting{on("*.outputs.*.password|*.outputs.*.pass|*.outputs.*.token|*.outputs.*private_key|*.outputs.*private_key_passphrase|*.outputs.*client_secret", plain)},
	},
}

// readCloudConfig reads YAML, and in it the lines of a user, a colon and a password: "chpasswd.list.root".
func readCloudConfig(text []byte, yield func(pair) bool) {
	readYAML(text, func(p pair) bool {
		if p.key != "chpasswd.list" && p.key != "chpasswd.list." {
			return yield(p)
		}
		for start, end := range lines(text[p.start:p.end]) {
			start, end = trim(text, p.start+start, p.start+end)
			user, password, _ := strings.Cut(string(text[start:end]), ":")
			if !yield(pair{join("chpasswd.list", user), password, end - len(password), end}) {
				return false
			}
		}
		return true
	})
}

// readManifests reads the documents in YAML or JSON that are of the kind Secret, or are lists of such.
func readManifests(text []byte, yield func(pair) bool) {
	start, more := 0, true
	document := func(end int) {
		from := start
		if isSecretManifest(text[from:end]) {
			readYAML(text[from:end], func(p pair) bool {
				p.start, p.end = p.start+from, p.end+from
				more = yield(p)
				return more
			})
		}
		start = end
	}
	for at, end := range lines(text) {
		if at > start && bytes.HasPrefix(text[at:end], []byte("---")) {
			document(at)
		}
		if !more {
			return
		}
	}
	document(len(text))
}

func isSecretManifest(document []byte) (found bool) {
	readYAML(document, func(p pair) bool {
		found = p.value == "Secret" && (p.key == "kind" || p.key == "items..kind")
		return !found
	})
	return found
}
