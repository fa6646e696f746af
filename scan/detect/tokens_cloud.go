package detect

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/internal/lazy"
)

var awsKeyIDs = []string{"AKIA", "ASIA", "ABIA", "ACCA"}

// cloudTokens are those of clouds, databases, networks and stores of secrets.
var cloudTokens = []token{
	{
		Rule: Rule{ID: "aws-access-key", Title: "AWS secret access key", Severity: finding.Critical,
			Why: "With the key id next to it, it does in an AWS account whatever its user may do.",
			Fix: "RUN --mount=type=secret,id=aws,target=/root/.aws/credentials aws s3 cp …\n# at run time: the role of the instance, task or pod"},
		anchors: awsKeyIDs, match: awsPair, sample: like("AKIA{216}:{b40}"),
	},
	{
		Rule: low("aws-access-key-id", "AWS access key id",
			"It tells the account, and that a secret key of it is in use here; without the secret key it opens nothing."),
		anchors: awsKeyIDs, match: awsIDAlone, sample: like("AKIA{216}"),
		not: []string{"AKIAIOSFODNN7EXAMPLE", "AKIAXXXXXXXXXXXXXXXX", "ASIAPACIFICREGIONALS"},
	},
	{
		Rule: low("aws-session-token", "AWS session token",
			"With its key id and secret key it acts in an AWS account for some hours."),
		anchors: []string{"IQoJb3JpZ2lu", "FwoGZXIvYXdz"}, pattern: `(?:IQoJb3JpZ2lu|FwoGZXIvYXdz)[\w+/=%-]{200,}`, reach: 4 << 10,
		check:  anyValue,
		sample: like("IQoJb3JpZ2luX2VjE{w350}"),
	},
	{
		Rule: critical("aws-amazon-bedrock-api-key-long-lived", "Amazon Bedrock API key",
			"It runs models on an AWS account's bill, for months."),
		anchors: []string{"ABSK"}, pattern: `ABSK[0-9A-Za-z+/]{109,269}={0,2}`, check: bedrock, sample: like("ABSKQmVkcm9ja0FQSUtleS{w96}"),
	},
	{
		Rule: medium("aws-amazon-bedrock-api-key-short-lived", "Amazon Bedrock short-term API key",
			"It runs models on an AWS account's bill for up to twelve hours."),
		anchors: []string{"bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t"},
		pattern: `bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t[\w+/=-]{100,}`, reach: 4 << 10, check: anyValue,
		sample: like("bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t{w300}"),
	},
	{
		Rule:    high("aws-mws-key", "Amazon MWS auth token", "It acts for a seller on Amazon's marketplace."),
		anchors: []string{"amzn.mws."}, pattern: `amzn\.mws\.` + uuid,
		inWord: true, sample: like("amzn.mws.{x8}-{x4}-{x4}-{x4}-{x12}"),
	},
	{
		Rule: medium("gcp-api-key", "Google API key",
			"It uses Google's services, Gemini among them, on a project's bill, unless the key is restricted to a site or app."),
		anchors: []string{"AIza"}, pattern: `AIza[\w-]{35}`, check: mixed, sample: like("AIzaSy{u33}"),
		not: []string{"AIzaSyXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", "AIzaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	},
	{
		Rule: medium("gcp-oauth-client-secret", "Google OAuth client secret",
			"Whoever has it can pose as the application where users log in with Google."),
		anchors: []string{"GOCSPX-"}, pattern: `GOCSPX-[\w-]{28}`, inWord: true, sample: like("GOCSPX-{u28}"),
	},
	{
		Rule: medium("gcp-oauth-access-token", "Google OAuth access token",
			"It acts as its owner on Google's services for an hour."),
		anchors: []string{"ya29."}, pattern: `ya29\.[\w-]{40,}`, reach: 2 << 10, sample: like("ya29.a0{u160,210}"),
	},
	{
		Rule: high("gcp-oauth-refresh-token", "Google OAuth refresh token",
			"With the client's id and secret, often public, it acts as its owner on Google's services until it is revoked."),
		anchors: expand("1//0", "0-9a-h"), match: googleRefresh, sample: like("1//0g{u98}"),
	},
	{
		Rule: critical("azure-storage-account-key", "Azure storage account key",
			"It reads and changes everything in a storage account."),
		anchors: []string{"AccountKey="}, pattern: `AccountKey=([0-9A-Za-z+/]{86}==)`, inWord: true,
		sample: like("AccountName=acme;AccountKey={b86}=="),
	},
	{
		Rule: critical("azure-storage-key", "Azure storage, Cosmos DB or Batch key",
			"It reads and changes everything in an account."),
		anchors: []string{"+ASt", "ACDb", "+ABa"}, lead: 76, pattern: `[0-9A-Za-z+/]{76}(?:\+ASt|ACDb|\+ABa)[0-9A-Za-z+/]{5}[AQgw]==`,
		check: shuffled, sample: like("{b76}+ASt{b5}A=="),
	},
	{
		Rule: high("azure-shared-access-key", "Azure shared access key",
			"It sends and receives the messages of a Service Bus, Event Hub or IoT Hub."),
		anchors: []string{"SharedAccessKey="}, pattern: `SharedAccessKey=([0-9A-Za-z+/]{43}=)`, inWord: true,
		sample: like("SharedAccessKeyName=Root;SharedAccessKey={b43}="),
	},
	{
		Rule: high("azure-container-registry-password", "Azure container registry password",
			"It pulls a registry's images, and may push others in their place."),
		anchors: []string{"+ACR"}, lead: 42, pattern: `[0-9A-Za-z+/]{42}\+ACR[A-D][0-9A-Za-z]{5}`, check: shuffled,
		sample: like("{b42}+ACRA{w5}"),
	},
	{
		Rule: high("azure-service-key", "Azure service key",
			"It uses an Azure service, such as Azure OpenAI, as an account of a company."),
		anchors: []string{"JQQJ99"}, lead: 52, pattern: `[0-9A-Za-z]{52}JQQJ99[0-9A-Za-z]{26}`, inWord: true, check: mixed,
		sample: like("{w52}JQQJ99B{w25}"),
	},
	{
		Rule:    high("azure-search-key", "Azure AI Search key", "It reads or changes the indexes of a search service."),
		anchors: []string{"AzSe"}, lead: 42, pattern: `[0-9A-Za-z]{42}AzSe[A-D][0-9A-Za-z]{5}`, check: mixed, sample: like("{w42}AzSeA{w5}"),
	},
	{
		Rule: high("azure-ad-client-secret", "Azure application secret",
			"With the tenant's and client's ids it acts as an application in a company's Azure."),
		anchors: slices.Concat(expand("7Q~", "0-9A-Za-z_.~-"), expand("8Q~", "0-9A-Za-z_.~-")), lead: 3,
		pattern: `[\w~.-]{3}[78]Q~[\w~.-]{31,34}`, check: mixed,
		sample: like("{w3}8Q~{u33}{w1}"),
	},
	{
		Rule: medium("azure-sas", "Azure shared access signature",
			"It opens what the address says until it expires: a storage container, a queue, a workflow."),
		anchors: []string{"?sig=", "&sig=", ";sig=", "u0026sig="},
		pattern: `(?:[?&;]|u0026)sig=([0-9A-Za-z%+/_-]{40,80}(?:=|%3[Dd])?)`, inWord: true,
		near: []string{"sv=20", "sv=1.", "se=20", "&se=", "u0026se="}, sample: like("?sv=2023-01-03&sr=c&sig={w43}%3D"),
	},
	{
		Rule: high("digitalocean-pat", "DigitalOcean access token",
			"It controls an account: machines, databases, DNS, as far as its scopes go."),
		anchors: []string{"dop_v1_", "doo_v1_"}, pattern: `do[op]_v1_[0-9a-f]{64}`, inWord: true, sample: oneOf("dop_v1_{x64}", "doo_v1_{x64}"),
	},
	{
		Rule:    high("digitalocean-refresh-token", "DigitalOcean refresh token", "It gets new access tokens of an account."),
		anchors: []string{"dor_v1_"}, pattern: `dor_v1_[0-9a-f]{64}`, inWord: true, sample: like("dor_v1_{x64}"),
	},
	{
		Rule: high("cloudflare-api-token", "Cloudflare API token",
			"It changes DNS, certificates or code on Cloudflare, as far as its scopes go."),
		anchors: []string{"cfut_", "cfat_"}, pattern: `cf[ua]t_[0-9A-Za-z]{40}[0-9a-f]{8}`, inWord: true,
		sample: oneOf("cfut_{w40}{x8}", "cfat_{w40}{x8}"),
	},
	{
		Rule: critical("cloudflare-global-api-key", "Cloudflare global API key",
			"It does everything its owner can do on Cloudflare."),
		anchors: []string{"cfk_"}, pattern: `cfk_[0-9A-Za-z]{40}[0-9a-f]{8}`, inWord: true, sample: like("cfk_{w40}{x8}"),
	},
	{
		Rule: high("cloudflare-origin-ca-key", "Cloudflare origin CA key",
			"It issues and revokes certificates between Cloudflare and a site."),
		anchors: []string{"v1.0-"}, pattern: `v1\.0-[0-9a-f]{24}-[0-9a-f]{146}`, sample: like("v1.0-{x24}-{x146}"),
	},
	{
		Rule:    high("heroku-api-key-v2", "Heroku API key", "It controls its owner's apps and reads their settings."),
		anchors: []string{"HRKU-AA"}, pattern: `HRKU-AA[\w-]{58}`, inWord: true, sample: like("HRKU-AA{u58}"),
	},
	{
		Rule:    high("vercel-token", "Vercel token", "It deploys as its owner and reads projects' environments, or pays for models."),
		anchors: []string{"vcp_", "vci_", "vca_", "vcr_", "vck_"}, pattern: `vc[piark]_[0-9A-Za-z]{24,64}`, check: mixed,
		sample: oneOf("vcp_{w24}", "vck_{w56}"),
	},
	{
		Rule:    high("netlify-access-token", "Netlify access token", "It deploys as its owner and reads sites' environments."),
		anchors: []string{"nfp_", "nfo_", "nfc_"}, pattern: `nf[poc]_[0-9A-Za-z]{36,40}`, check: mixed, sample: like("nfp_{w36,40}"),
	},
	{
		Rule:    high("flyio-access-token", "Fly.io access token", "It deploys as its owner and enters running machines."),
		anchors: []string{"fo1_", "fm1r_", "fm1a_", "fm2_"}, pattern: `fo1_[\w-]{43}|fm(?:1[ar]|2)_[0-9A-Za-z+/]{100,}={0,3}`,
		reach: 4 << 10, check: anyValue, sample: oneOf("fo1_{u43}", "fm2_{b400}=="),
	},
	{
		Rule:    high("render-api-key", "Render API key", "It controls its owner's services and reads their environments."),
		anchors: []string{"rnd_"}, pattern: `rnd_[0-9A-Za-z]{32}`, check: mixed, sample: like("rnd_{w32}"),
	},
	{
		Rule:    high("scalingo-api-token", "Scalingo API token", "It controls its owner's apps and reads their settings."),
		anchors: []string{"tk-us-"}, pattern: `tk-us-[\w-]{48}`, check: shuffled, sample: like("tk-us-{u48}"),
	},
	{
		Rule:    high("supabase-token", "Supabase access token", "It controls its owner's projects: databases, users, keys."),
		anchors: []string{"sbp_"}, pattern: `sbp_(?:oauth_|v0_)?[0-9a-f]{40}`, inWord: true, sample: like("sbp_{x40}"),
	},
	{
		Rule: critical("supabase-secret-key", "Supabase secret key",
			"It reads and changes a project's whole database, whatever its row policies say."),
		anchors: []string{"sb_secret_"}, pattern: `sb_secret_[\w-]{22}_[\w-]{8}`, inWord: true, sample: like("sb_secret_{w22}_{w8}"),
	},
	{
		Rule:    high("planetscale-api-token", "PlanetScale token", "It changes databases of an organization."),
		anchors: []string{"pscale_tkn_", "pscale_oauth_"}, pattern: `pscale_(?:tkn|oauth)_[\w=.-]{32,64}`, inWord: true,
		sample: oneOf("pscale_tkn_{u43}", "pscale_oauth_{u43}"),
	},
	{
		Rule:    high("planetscale-password", "PlanetScale password", "It reads and writes a branch of a database."),
		anchors: []string{"pscale_pw_"}, pattern: `pscale_pw_[\w=.-]{32,64}`, inWord: true, sample: like("pscale_pw_{u43}"),
	},
	{
		Rule:    high("neon-api-key", "Neon API key", "It controls an account's databases."),
		anchors: []string{"napi_"}, pattern: `napi_[0-9a-z]{64}`, inWord: true, sample: like("napi_{n64}"),
	},
	{
		Rule:    high("databricks-api-token", "Databricks token", "It runs code and reads data in a workspace as its owner."),
		anchors: []string{"dapi", "dose"}, pattern: `(?:dapi|dose)[0-9a-f]{32}(?:-\d)?`, sample: oneOf("dapi{x32}", "dapi{x32}-2", "dose{x32}"),
		not: []string{"dapi00000000000000000000000000000000"},
	},
	{
		Rule: high("clickhouse-cloud-api-secret-key", "ClickHouse Cloud API secret",
			"With its key id it controls an organization's databases."),
		anchors: []string{"4b1d"}, pattern: `4b1d[0-9A-Za-z]{38}`, check: mixed, sample: like("4b1d{w38}"),
	},
	{
		Rule: high("mongodb-atlas-service-account", "MongoDB Atlas service account secret",
			"With its client id it controls an organization's clusters."),
		anchors: []string{"mdb_sa_sk_"}, pattern: `mdb_sa_sk_[\w-]{40}`, inWord: true, sample: like("mdb_sa_sk_{u40}"),
	},
	{
		Rule:    high("cockroachdb-api-key", "CockroachDB Cloud API key", "It controls an organization's clusters."),
		anchors: []string{"CCDB1_"}, pattern: `CCDB1_[0-9A-Za-z]{22}_[0-9A-Za-z]{40}`, inWord: true, sample: like("CCDB1_{w22}_{w40}"),
	},
	{
		Rule:    high("aiven-service-password", "Aiven service password", "With its host it opens a database or message queue."),
		anchors: []string{"AVNS_"}, pattern: `AVNS_[\w-]{19}`, check: shuffled, sample: like("AVNS_{u19}"),
	},
	{
		Rule: high("confluent-secret-key", "Confluent Cloud API secret",
			"With its key it reads and writes the messages of a cluster."),
		anchors: []string{"cflt"}, pattern: `cflt[0-9A-Za-z+/]{60}`, check: mixed, sample: like("cflt{w60}"),
	},
	{
		Rule: low("alibaba-access-key-id", "Alibaba Cloud access key id",
			"It tells that a secret key is in use here; without that it opens nothing."),
		anchors: []string{"LTAI"}, pattern: `LTAI[0-9A-Za-z]{20}`, check: shuffled, sample: like("LTAI5t{w18}"),
	},
	{
		Rule: low("tencent-secret-id", "Tencent Cloud secret id",
			"It tells that a secret key is in use here; without that it opens nothing."),
		anchors: []string{"AKID"}, pattern: `AKID[0-9A-Za-z]{32}`, check: mixed, sample: like("AKID{w32}"),
	},
	{
		Rule: low("volcengine-access-key-id", "Volcengine access key id",
			"It tells that a secret key is in use here; without that it opens nothing."),
		anchors: []string{"AKLT"}, pattern: `AKLT[0-9A-Za-z]{40,46}`, check: mixed, sample: like("AKLT{w43}"),
	},
	{
		Rule:    high("yandex-access-token", "Yandex token or API key", "It acts as a user or service account of Yandex Cloud."),
		anchors: slices.Concat([]string{"AQVN", "y0_A"}, expand("t1.", "0-9A-Z")),
		pattern: `t1\.[\w-]{20,400}={0,2}\.[\w-]{86}={0,2}|AQVN[\w-]{35,38}|y0_A[\w-]{54,60}`, check: shuffled,
		sample: oneOf("AQVN{u36}", "y0_A{u55}", "t1.9{u120}.{u86}"),
	},
	{
		Rule:    high("openshift-user-token", "OpenShift access token", "It acts as its user on a cluster."),
		anchors: []string{"sha256~"}, pattern: `sha256~[\w-]{43}`, sample: like("sha256~{u43}"),
		not: []string{"sha256~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
	},
	{
		Rule:    high("rancher-token", "Rancher API token", "It acts as its owner on all clusters of a Rancher server."),
		anchors: []string{"token-", "kubeconfig-u-", "kubeconfig-user-"},
		pattern: `(?:token|kubeconfig-u(?:ser)?)-[0-9a-z]{5,10}:[0-9a-z]{54}`, check: shuffled, sample: like("token-{n5}:{n54}"),
	},
	{
		Rule: critical("k3s-token", "k3s cluster token",
			"A machine joins a cluster with it, as a server if it is the server's, and gets the cluster's secrets."),
		anchors: []string{"::server:", "::node:"}, lead: 67, pattern: `K10[0-9a-f]{64}::(?:server|node):[0-9a-f]{32}`,
		sample: like("K10{x64}::server:{x32}"),
	},
	{
		Rule:    high("tailscale-key", "Tailscale key", "It adds machines to a private network, or administers that."),
		anchors: []string{"tskey-"}, pattern: `tskey-[a-z]{2,10}-[0-9A-Za-z]{6,24}-[0-9A-Za-z]{16,48}`, inWord: true,
		sample: oneOf("tskey-auth-k{w11}CNTRL-{w32}", "tskey-api-k{w11}-{w32}"),
	},
	{
		Rule:    high("defined-networking-api-token", "Defined Networking API key", "It adds machines to a private network."),
		anchors: []string{"dnkey-"}, pattern: `dnkey-[\w=-]{26}-[\w=-]{52}`, inWord: true, sample: like("dnkey-{N26}-{N52}"),
	},
	{
		Rule: critical("vault-service-token", "Vault token",
			"It reads every secret its policies allow, until it expires or is revoked."),
		anchors: []string{"hvs.", "hvr."}, pattern: `hv[sr]\.(?:[\w-]{90,120}|[0-9A-Za-z]{24})`, check: shuffled,
		sample: oneOf("hvs.CAESI{u90}", "hvs.{w24}"),
		not:    []string{"hvs.getElementsByTagNameNSxyz"},
	},
	{
		Rule:    critical("vault-batch-token", "Vault batch token", "It reads every secret its policies allow, until it expires."),
		anchors: []string{"hvb."}, pattern: `hvb\.[\w-]{138,300}`, check: anyValue, sample: like("hvb.AAAAAQ{u150}"),
	},
	{
		Rule: critical("1password-service-account-token", "1Password service account token",
			"It reads every vault its account may see."),
		anchors: []string{"ops_eyJ"}, pattern: `ops_eyJ[0-9A-Za-z+/_-]{250,}={0,3}`, reach: 4 << 10, check: anyValue,
		sample: like("ops_eyJzaWduSW5BZGRyZXNzIjoi{w400}"),
	},
	{
		Rule: high("1password-secret-key", "1Password secret key",
			"It is one of the two things that open its owner's 1Password; the other is their password."),
		anchors: expand("A3-", "0-9A-Z"), pattern: `A3-[0-9A-Z]{6}-(?:[0-9A-Z]{11}|[0-9A-Z]{6}-[0-9A-Z]{5})-[0-9A-Z]{5}-[0-9A-Z]{5}-[0-9A-Z]{5}`,
		sample: oneOf("A3-{N6}-{N6}-{N5}-{N5}-{N5}-{N5}", "A3-{N6}-{N11}-{N5}-{N5}-{N5}"),
	},
	{
		Rule:    critical("doppler-api-token", "Doppler token", "It reads the secrets of a project, or of all of them."),
		anchors: []string{"dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.said.", "dp.scim.", "dp.audit."}, inWord: true,
		pattern: `dp\.(?:(?:pt|ct|sa|said|scim|audit)\.|st\.(?:[0-9a-z_-]{2,35}\.)?)[0-9A-Za-z]{40,44}`, check: mixed,
		sample: oneOf("dp.pt.{w43}", "dp.st.prd.{w43}", "dp.ct.{w40}"),
	},
	{
		Rule:    critical("infisical-service-token", "Infisical service token", "It reads the secrets of a project's environment."),
		anchors: expand("st.", "0-9a-f"), pattern: `st\.[0-9a-f]{24}\.[0-9a-f]{32}\.[0-9a-f]{32}`, sample: like("st.{x24}.{x32}.{x32}"),
	},
	{
		Rule:    critical("age-secret-key", "age secret key", "It decrypts what was encrypted to it, such as the files of SOPS."),
		anchors: []string{"AGE-SECRET-KEY-"}, pattern: `AGE-SECRET-KEY-(?:PQ-)?1[0-9AC-HJ-NP-Z]{58}`, inWord: true,
		sample: like("AGE-SECRET-KEY-1{q58}"),
	},
	{
		Rule:    high("ory-access-token", "Ory access token", "It administers a project's users, or acts as one of them."),
		anchors: []string{"ory_"}, pattern: `ory_(?:pat|apk)_[0-9A-Za-z]{32}`, check: mixed, sample: like("ory_pat_{w32}"),
	},
	{
		Rule:    high("kong-access-token", "Kong Konnect access token", "It administers an organization's API gateways."),
		anchors: []string{"kpat_", "spat_"}, pattern: `[ks]pat_[0-9A-Za-z]{40,60}`, check: mixed, sample: like("kpat_{w53}"),
	},
}

// anyValue is for prefixes that say all: random bytes of a kind that may have long runs of zeros follow.
func anyValue(value []byte) bool { return variety(string(value)) > 12 }

// bedrock checks a key of Amazon Bedrock: it is base64 of a user's name and random bytes.
func bedrock(value []byte) bool {
	return bytes.HasPrefix(value, []byte("ABSKQmVkcm9ja0FQSUtleS")) || mixed(value) && scrambled(string(value))
}

var (
	awsID     = lazy.Regexp(`^(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}`)
	awsSecret = lazy.Regexp(`(?:^|[^0-9A-Za-z/+_.-])([0-9A-Za-z/+]{40})(?:[^0-9A-Za-z/+=_.-]|$)`)
)

// awsNearness is how far from its id, in bytes, a secret key may be.
const awsNearness = 200

// awsKeyID finds the end of a key id.
func awsKeyID(text []byte, at int) (end int, ok bool) {
	end = at + 20
	if end > len(text) || !awsID().Match(text[at:end]) || !alone(text, at, end) {
		return 0, false
	}
	id := string(text[at+4 : end])
	return end, plausible(string(text[at:end])) && surprise(id) > 3.9*16
}

// awsPair finds the secret key that belongs to the key id at a place: after it, or else before.
func awsPair(text []byte, at int) (start, end int, ok bool) {
	after, ok := awsKeyID(text, at)
	if !ok {
		return 0, 0, false
	}
	if start, end, ok = awsSecretIn(text, after, min(len(text), after+awsNearness)); ok {
		return start, end, true
	}
	return awsSecretIn(text, max(0, at-awsNearness), at)
}

func awsSecretIn(text []byte, from, to int) (start, end int, ok bool) {
	for from < to {
		loc := awsSecret().FindSubmatchIndex(text[from:to])
		if loc == nil {
			break
		}
		start, end = from+loc[2], from+loc[3]
		if mixed(text[start:end]) && scrambled(string(text[start:end])) {
			return start, end, true
		}
		from = end
	}
	return 0, 0, false
}

func awsIDAlone(text []byte, at int) (start, end int, ok bool) {
	if end, ok = awsKeyID(text, at); !ok {
		return 0, 0, false
	}
	if _, _, pair := awsPair(text, at); pair {
		return 0, 0, false
	}
	return at, end, true
}

// googleRefresh finds a refresh token, which is hard to tell from base64 and from addresses.
func googleRefresh(text []byte, at int) (start, end int, ok bool) {
	end = at + 4 + base64Run(text[at+4:], 256)
	inside := wordBefore(text, at) || at > 0 && strings.IndexByte("+/.", text[at-1]) >= 0 || end < len(text) && strings.IndexByte("+/=.", text[end]) >= 0
	value := text[at:end]
	if inside || len(value) < 60 || len(value) > 200 || !bytes.ContainsAny(value[4:], "_-") {
		return 0, 0, false
	}
	return at, end, mixed(value)
}
