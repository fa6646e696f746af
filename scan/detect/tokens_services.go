package detect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"slices"

	"github.com/tightlip/tightlip/internal/lazy"
)

// serviceTokens are those of services for messages, mail, monitoring and work together.
var serviceTokens = []token{
	{
		Rule:    high("slack-bot-token", "Slack bot token", "It reads and writes what the bot may see in a workspace."),
		anchors: []string{"xoxb-"}, pattern: `xoxb-[0-9]{8,14}-(?:[0-9]{8,14}-)?[0-9A-Za-z]{18,34}`, inWord: true,
		sample: oneOf("xoxb-{d12}-{d13}-{w24}", "xoxb-{d12}-{w24}"),
		not:    []string{"xoxb-000000000000-000000000000-xxxxxxxxxxxxxxxxxxxxxxxx", "xoxb-your-bot-token"},
	},
	{
		Rule:    high("slack-user-token", "Slack user token", "It reads and writes as a person in a workspace."),
		anchors: []string{"xoxp-", "xoxe-", "xoxc-"}, pattern: `xox[pec](?:-[0-9]{9,13}){3}-[0-9A-Za-z-]{28,66}`, inWord: true,
		sample: like("xoxp-{d12}-{d12}-{d13}-{x32}"),
	},
	{
		Rule:    high("slack-legacy-token", "Slack legacy token", "It reads and writes as a person or app in a workspace."),
		anchors: []string{"xoxo-", "xoxs-", "xoxa-", "xoxr-"},
		pattern: `xox[os]-\d+-\d+-\d+-[0-9a-fA-F]{8,64}|xox[ar]-(?:\d-)?[0-9A-Za-z]{24,48}`,
		sample:  oneOf("xoxs-{d10}-{d10}-{d11}-{x32}", "xoxa-2-{w32}"),
	},
	{
		Rule: high("slack-config-access-token", "Slack configuration token",
			"It changes what apps a workspace has and what they may do."),
		anchors: []string{"xoxe.xoxb-", "xoxe.xoxp-"}, pattern: `xoxe\.xox[bp]-\d-[0-9A-Za-z]{160,170}`, inWord: true,
		check: anyValue, sample: like("xoxe.xoxp-1-{w166}"),
	},
	{
		Rule: high("slack-config-refresh-token", "Slack configuration refresh token",
			"It gets new configuration tokens of a workspace."),
		anchors: []string{"xoxe-1-"}, pattern: `xoxe-\d-[0-9A-Za-z]{140,150}`, inWord: true, check: anyValue, sample: like("xoxe-1-{w146}"),
	},
	{
		Rule:    high("slack-app-token", "Slack app token", "It gets all events that an app gets in its workspaces."),
		anchors: []string{"xapp-"}, pattern: `xapp-\d-[0-9A-Z]{9,12}-\d{9,14}-[0-9a-f]{64}`, inWord: true,
		sample: like("xapp-1-A{N10}-{d13}-{x64}"),
	},
	{
		Rule:    medium("slack-webhook-url", "Slack webhook", "It writes to a channel in the name of an app."),
		anchors: []string{"hooks.slack.com/"}, inWord: true,
		sample:  oneOf("https://hooks.slack.com/services/T{N10}/B{N10}/{w24}", "https://hooks.slack.com/triggers/T{N10}/{d13}/{x32}"),
		pattern: `hooks\.slack\.com/(services/T[0-9A-Z]{7,12}/B[0-9A-Z]{7,12}/[0-9A-Za-z]{22,26}|(?:workflows|triggers)/[TE][0-9A-Z]{7,12}/(?:A[0-9A-Z]{7,12}/)?\d{12,20}/[0-9A-Za-z]{20,36})`,
		not:     []string{"https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"},
	},
	{
		Rule:    medium("discord-webhook-url", "Discord webhook", "It writes to a channel and changes its own messages there."),
		anchors: []string{"discord.com/api/", "discordapp.com/api/"}, inWord: true, sample: like("https://discord.com/api/webhooks/1{d18}/{u68}"),
		pattern: `discord(?:app)?\.com/api/(?:v\d+/)?(webhooks/\d{17,20}/[\w-]{60,80})`,
	},
	{
		Rule:    high("discord-bot-token", "Discord bot token", "It reads and writes what the bot may see on its servers."),
		anchors: []string{"Bot M", "Bot N", "Bot O", "DISCORD_TOKEN", "DISCORD_BOT_TOKEN", "discord_token", "client.login(", "bot.run("},
		match:   discordBot, sample: sampleDiscordBot,
	},
	{
		Rule:    medium("microsoft-teams-webhook", "Microsoft Teams webhook", "It writes to a channel."),
		anchors: []string{".webhook.office.com/webhookb2/"}, inWord: true,
		sample:  like("https://acme.webhook.office.com/webhookb2/{x8}-{x4}-{x4}-{x4}-{x12}@{x8}-{x4}-{x4}-{x4}-{x12}/IncomingWebhook/{x32}/{x8}-{x4}-{x4}-{x4}-{x12}"),
		pattern: `\.webhook\.office\.com/webhookb2/([0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/[0-9a-f]{32}/[0-9a-f-]{36}(?:/[\w-]{20,60})?)`,
	},
	{
		Rule:    high("telegram-bot-api-token", "Telegram bot token", "It reads and writes as the bot."),
		anchors: expand(":AA", "0-9A-Za-z_-"), match: telegramBot, sample: like("{d10}:AA{u33}"),
	},
	{
		Rule: medium("matrix-access-token", "Matrix access token",
			"It is a session of a person: it reads and writes in their rooms."),
		anchors: []string{"syt_"}, pattern: `syt_[0-9A-Za-z=]{2,60}_[A-Za-z]{20}_[0-9A-Za-z]{6}`, check: shuffled,
		sample: like("syt_{w12}_{l20}_{w6}"),
	},
	{
		Rule:    high("sendgrid-api-token", "SendGrid API key", "It sends mail in a company's name and reads whom that was sent to."),
		anchors: expand("SG.", "0-9A-Za-z_-"), pattern: `SG\.[\w-]{22}\.[\w-]{43}`, check: mixed, sample: like("SG.{u22}.{u43}"),
	},
	{
		Rule:    high("mailgun-private-api-token", "Mailgun API key", "It sends mail in a company's name and reads what was sent."),
		anchors: expand("key-", "0-9a-f"), pattern: `key-[0-9a-f]{32}`, near: []string{"mailgun"}, sample: like("MAILGUN_API_KEY=key-{x32}"),
	},
	{
		Rule:    high("mailchimp-api-key", "Mailchimp API key", "It sends campaigns and reads the addresses of a company's audience."),
		anchors: expand("-us", "1-9"), lead: 32, pattern: `[0-9a-f]{32}-us\d{1,2}`, sample: like("{x32}-us14"),
	},
	{
		Rule: high("sendinblue-api-token", "Brevo API or SMTP key",
			"It sends mail in a company's name and reads whom that was sent to."),
		anchors: []string{"xkeysib-", "xsmtpsib-"}, pattern: `x(?:key|smtp)sib-[0-9a-f]{64}-[0-9A-Za-z]{16}`, inWord: true,
		sample: like("xkeysib-{x64}-{w16}"),
	},
	{
		Rule:    high("resend-api-key", "Resend API key", "It sends mail in a company's name."),
		anchors: expand("re_", "0-9A-Za-z"), pattern: `re_[0-9A-Za-z]{8}_[0-9A-Za-z]{24}`, check: mixed, sample: like("re_{w8}_{w24}"),
		not: []string{"re_compile_fastmap_internal_for_all_x"},
	},
	{
		Rule: high("grafana-service-account-token", "Grafana service account token",
			"It reads or changes dashboards, and queries the data sources behind them."),
		anchors: []string{"glsa_"}, pattern: `glsa_[0-9A-Za-z]{32}_[0-9a-f]{8}`, inWord: true, check: hasGrafanaSum,
		sample: withChecksum("glsa_{w32}", grafanaSum),
		not:    []string{"glsa_abcdefghijklmnopqrstuvwxyz123456_00000000"},
	},
	{
		Rule: high("grafana-cloud-api-token", "Grafana Cloud access token",
			"It writes or reads a company's metrics, logs and traces."),
		anchors: []string{"glc_eyJ"}, pattern: `glc_eyJ[0-9A-Za-z+/_-]{40,400}={0,3}`, inWord: true, check: anyValue,
		sample: like("glc_eyJvIjoiMT{w120}"),
	},
	{
		Rule: high("grafana-api-key", "Grafana API key",
			"It reads or changes dashboards, and queries the data sources behind them."),
		anchors: []string{"eyJrIjoi"}, pattern: `eyJrIjoi[0-9A-Za-z]{70,400}={0,3}`, check: grafanaKey, sample: sampleGrafanaKey,
	},
	{
		Rule:    high("new-relic-user-api-key", "New Relic user key", "It reads and changes a company's monitoring as its owner."),
		anchors: []string{"NRAK-"}, pattern: `NRAK-[0-9A-Z]{27}`, inWord: true, sample: like("NRAK-{N27}"),
	},
	{
		Rule: medium("new-relic-insert-key", "New Relic insert or query key",
			"It writes to a company's monitoring, or reads from it."),
		anchors: []string{"NRII-", "NRIQ-", "NRSP-"}, pattern: `NRI[IQ]-[\w-]{25,32}|NRSP-[a-z]{2}\d\d[0-9A-F]{32}`, check: shuffled,
		sample: oneOf("NRII-{u32}", "NRIQ-{u32}", "NRSP-us01{X32}"),
	},
	{
		Rule:    medium("new-relic-license-key", "New Relic license key", "It writes to a company's monitoring, on its bill."),
		anchors: []string{"NRAL"}, lead: 36, pattern: `[0-9a-z]{32}(?:FFFF|[0-9a-f]{4})NRAL`, sample: like("{x32}FFFFNRAL"),
	},
	{
		Rule:    high("sentry-org-token", "Sentry organization token", "It uploads source maps and makes releases of an organization."),
		anchors: []string{"sntrys_eyJ"}, pattern: `sntrys_eyJ[0-9A-Za-z+/]{30,400}={0,2}_[0-9A-Za-z+/]{43}`, inWord: true,
		check: anyValue, sample: like("sntrys_eyJpYXQiOj{w120}_{b43}"),
	},
	{
		Rule:    high("sentry-user-token", "Sentry user token", "It reads a company's errors and the data in them as its owner."),
		anchors: []string{"sntryu_", "sntrya_", "sntryi_"}, pattern: `sntry[uai]_[0-9a-f]{64}`, inWord: true, sample: like("sntryu_{x64}"),
	},
	{
		Rule:    medium("honeycomb-api-key", "Honeycomb API key", "It writes to a company's monitoring, or changes that."),
		anchors: []string{"hcaik_", "hcaic_", "hcamk_", "hcalk_", "hcxik_"}, pattern: `hc[ax][a-z]{2}_[0-9a-z]{50,64}`, inWord: true,
		sample: like("hcaik_01{n56}"),
	},
	{
		Rule:    high("dynatrace-api-token", "Dynatrace API token", "It reads a company's monitoring and may change it."),
		anchors: []string{"dt0c01.", "dt0s"}, pattern: `dt0(?:c01|s\d\d)\.[0-9A-Z]{24}\.[0-9A-Z]{64}`, inWord: true,
		sample: like("dt0c01.{N24}.{N64}"),
	},
	{
		Rule: high("posthog-personal-api-key", "PostHog personal API key",
			"It reads the events and persons of a company's products."),
		anchors: []string{"phx_"}, pattern: `phx_[0-9A-Za-z_]{43,48}`, check: shuffled, sample: like("phx_{w43}"),
	},
	{
		Rule:    high("axiom-api-token", "Axiom token", "It writes or reads a company's logs."),
		anchors: []string{"xaat-", "xapt-"}, pattern: `xa[ap]t-` + uuid,
		sample: like("xaat-{x8}-{x4}-4{x3}-a{x3}-{x12}"),
	},
	{
		Rule: high("launchdarkly-access-token", "LaunchDarkly key",
			"It reads or changes the feature flags of a company's products."),
		anchors: []string{"api-", "sdk-"}, pattern: `(?:api|sdk)-` + uuid,
		near:   []string{"launchdarkly", "launch_darkly", "ld_sdk", "ld_api"},
		sample: like("LAUNCHDARKLY_SDK_KEY=sdk-{x8}-{x4}-4{x3}-a{x3}-{x12}"),
	},
	{
		Rule:    high("rootly-api-key", "Rootly API key", "It reads and changes a company's incidents."),
		anchors: []string{"rootly_"}, pattern: `rootly_[0-9a-f]{64}`, inWord: true, sample: like("rootly_{x64}"),
	},
	{
		Rule:    high("atlassian-api-token", "Atlassian API token", "It acts as its owner in Jira, Confluence and Bitbucket."),
		anchors: []string{"ATATT3xFfG"}, pattern: `ATATT3xFfG[\w-]{100,250}=[0-9A-F]{8}`, inWord: true, sample: like("ATATT3xFfGF0{u171}={X8}"),
	},
	{
		Rule:    high("trello-access-token", "Trello token", "It reads and changes its owner's boards."),
		anchors: []string{"ATTA"}, pattern: `ATTA[0-9a-f]{64}[0-9A-F]{8}`, sample: like("ATTA{x64}{X8}"),
	},
	{
		Rule: high("airtable-personal-access-token", "Airtable personal access token",
			"It reads and changes its owner's bases, as far as its scopes go."),
		anchors: expand("pat", "0-9A-Zbdfgjkpqvxz"), // others are in many words, and left to the name of the setting
		pattern: `pat[0-9A-Za-z]{14}\.[0-9a-f]{64}`, sample: like("patA{w13}.{x64}"),
	},
	{
		Rule:    high("asana-access-token", "Asana personal access token", "It reads and changes its owner's tasks and projects."),
		anchors: slices.Concat(expand("1/1", "0-9"), expand("2/1", "0-9")), pattern: `(?:1|2/\d{15,17})/\d{15,17}:[0-9a-f]{32}`,
		sample: oneOf("1/12{d14}:{x32}", "2/12{d14}/12{d14}:{x32}"),
	},
	{
		Rule:    high("linear-api-key", "Linear API key", "It reads and changes its owner's issues."),
		anchors: []string{"lin_api_", "lin_oauth_"}, pattern: `lin_(?:api_[0-9A-Za-z]{40}|oauth_[0-9a-f]{64})`, inWord: true,
		sample: like("lin_api_{w40}"),
	},
	{
		Rule:    high("notion-api-token", "Notion token", "It reads and changes the pages it was given."),
		anchors: []string{"ntn_", "secret_"}, pattern: `ntn_\d{11}[0-9A-Za-z]{35}|secret_[0-9A-Za-z]{43}`, check: mixed,
		sample: oneOf("ntn_{d11}{w35}", "secret_{w43}"),
		not:    []string{"secret_keyringBackendForTheDefaultCollectionOfGnome", "secret_0123456789abcdef0123456789abcdef012345678"},
	},
	{
		Rule:    high("figma-token", "Figma token", "It reads its owner's designs."),
		anchors: []string{"figd_", "figp_"}, pattern: `fig[dp]_[\w=-]{40,54}`, check: shuffled, sample: like("figd_{u40}"),
	},
	{
		Rule:    high("frameio-api-token", "Frame.io token", "It reads and changes its owner's videos."),
		anchors: []string{"fio-u-"}, pattern: `fio-u-[\w=-]{64}`, inWord: true, sample: like("fio-u-{u64}"),
	},
	{
		Rule:    high("typeform-api-token", "Typeform token", "It reads the answers to its owner's forms."),
		anchors: []string{"tfp_"}, pattern: `tfp_[\w.=-]{40,60}`, check: shuffled, sample: like("tfp_{w44}_{w14}"),
	},
	{
		Rule: high("contentful-personal-access-token", "Contentful personal access token",
			"It changes the contents of its owner's sites."),
		anchors: []string{"CFPAT-"}, pattern: `CFPAT-[\w-]{43}`, inWord: true, sample: like("CFPAT-{u43}"),
	},
	{
		Rule:    high("gitbook-api-token", "GitBook API token", "It reads and changes its owner's documents."),
		anchors: []string{"gb_api_"}, pattern: `gb_api_[0-9A-Za-z]{40}`, check: shuffled, sample: like("gb_api_{w40}"),
	},
	{
		Rule:    high("clickup-api-token", "ClickUp API token", "It reads and changes its owner's tasks."),
		anchors: expand("pk_", "0-9"), pattern: `pk_\d{5,9}_[0-9A-Z]{32}`, sample: like("pk_{d8}_{N32}"),
	},
	{
		Rule:    high("hubspot-private-app-token", "HubSpot private app token", "It reads and changes a company's customers."),
		anchors: []string{"pat-na", "pat-eu", "pat-ap"},
		pattern: `pat-(?:na|eu|ap)\d-[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`,
		sample:  like("pat-na1-{x8}-{x4}-4{x3}-a{x3}-{x12}"),
	},
	{
		Rule: high("intercom-access-token", "Intercom access token",
			"It reads and writes a company's conversations with its customers."),
		anchors: []string{"dG9rO"}, pattern: `dG9rO[0-9A-Za-z]{54,55}=?`, check: intercom, sample: sampleIntercom,
	},
	{
		Rule:    high("salesforce-session-id", "Salesforce session or refresh token", "It acts as its user on a company's customers."),
		anchors: append(expand("00D", "0-9A-Za-z"), "5Aep861"),
		pattern: `00D[0-9A-Za-z]{12}(?:[0-9A-Za-z]{3})?![\w.]{80,120}|5Aep861[\w.]{75,90}`, check: mixed,
		sample: like("00D{w12}!AQ{w90}"),
	},
	{
		Rule:    high("okta-access-token", "Okta API token", "It manages the users and apps of a company."),
		anchors: []string{"SSWS 00"}, pattern: `SSWS (00[\w-]{40})`, sample: like("SSWS 00{u40}"),
	},
	{
		Rule:    high("dropbox-api-token", "Dropbox access token", "It reads and changes its owner's files for some hours."),
		anchors: []string{"sl.A", "sl.B", "sl.C", "sl.u."}, pattern: `sl\.(?:u\.)?[\w-]{130,}`, reach: 2 << 10, check: mixed,
		sample: oneOf("sl.B{u137}", "sl.u.A{u300}"),
	},
	{
		Rule: high("secret-token-uri", "token in a secret-token URI",
			"The URI scheme of RFC 8959 marks secrets, so that scanners find them."),
		anchors: []string{"secret-token:"}, pattern: `secret-token:([0-9A-Za-z%._~-]{16,400})`, check: shuffled,
		sample: like("secret-token:{w32}"),
		not:    []string{"secret-token:your-token-goes-here"},
	},
	{
		Rule:    high("facebook-page-access-token", "Facebook access token", "It acts as a page or person on Facebook and Instagram."),
		anchors: []string{"EAAM", "EAAC"}, pattern: `EAA[MC][0-9A-Za-z]{100,400}`, check: mixed, sample: like("EAAC{w180}ZD"),
	},
	{
		Rule: medium("intra42-client-secret", "42 intra client secret",
			"Whoever has it can pose as the application where students log in."),
		anchors: []string{"s-s4t2"}, pattern: `s-s4t2(?:ud|af)-[0-9a-f]{64}`, inWord: true, sample: like("s-s4t2ud-{x64}"),
	},
	{
		Rule:    high("settlemint-access-token", "SettleMint access token", "It controls an organization's blockchain applications."),
		anchors: []string{"sm_aat_", "sm_pat_", "sm_sat_"}, pattern: `sm_[aps]at_[0-9A-Za-z]{16}`, check: shuffled, sample: like("sm_pat_{w16}"),
	},
	{
		Rule:    medium("maxmind-license-key", "MaxMind license key", "It downloads databases on its owner's bill."),
		anchors: []string{"_mmk"}, lead: 36, pattern: `[0-9A-Za-z]{6}_[0-9A-Za-z]{29}_mmk`, sample: like("{w6}_{w29}_mmk"),
	},
	{
		Rule:    medium("planet-api-key", "Planet API key", "It downloads satellite images on its owner's bill."),
		anchors: []string{"PLAK"}, pattern: `PLAK[0-9a-f]{32}`, sample: like("PLAK{x32}"),
	},
	{
		Rule:    medium("adafruit-api-key", "Adafruit IO key", "It reads and writes its owner's feeds."),
		anchors: []string{"aio_"}, pattern: `aio_[A-Za-z]{4}\d\d[0-9A-Za-z]{22}`, check: mixed, sample: like("aio_{l4}{d2}{w22}"),
	},
	{
		Rule: high("adobe-client-secret", "Adobe client secret",
			"With its client id it acts as an application on Adobe's services."),
		anchors: []string{"p8e-"}, pattern: `p8e-[0-9A-Za-z_-]{32}`, check: shuffled, sample: like("p8e-{w32}"),
	},
	{
		Rule:    high("mapbox-secret-token", "Mapbox secret token", "It changes its owner's maps and tokens."),
		anchors: []string{"sk.eyJ1"}, pattern: `sk\.eyJ1[\w-]{40,200}\.[\w-]{22}`, sample: like("sk.eyJ1Ijoi{w60}.{u22}"),
	},
	{
		Rule: high("authress-service-client-access-key", "Authress service client key",
			"It signs in as a service client and decides who may do what."),
		anchors: []string{"scauth_", "authress_"},
		pattern: `(?:scauth|authress)_[0-9a-z]{5,30}\.[0-9a-z]{4,6}\.acc[_-][0-9a-z-]{10,32}\.[0-9A-Za-z+/_=-]{30,120}`,
		sample:  like("authress_{n20}.{n4}.acc_{n12}.{w64}"),
	},
}

// telegramBot finds a token by the colon after the bot's number.
func telegramBot(text []byte, at int) (start, end int, ok bool) {
	start, end = at, at+36
	if end > len(text) || wordAfter(text, end) {
		return 0, 0, false
	}
	for start > 0 && at-start < 11 && isDigit(text[start-1]) {
		start--
	}
	if n := at - start; n < 8 || n > 10 || start > 2 && string(text[start-3:start]) != "bot" && wordBefore(text, start) {
		return 0, 0, false
	}
	for _, c := range text[at+1 : end] {
		if !isAlnum(c) && c != '_' && c != '-' {
			return 0, 0, false
		}
	}
	return start, end, mixed(text[at:end])
}

var discordToken = lazy.Regexp(`^[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,38}`)

// discordBot finds a token after something that tells what it is: base64 of the bot's number, of a time, and a signature.
func discordBot(text []byte, at int) (start, end int, ok bool) {
	for start = at; start < min(len(text), at+40); start++ {
		if c := text[start]; (c < 'M' || c > 'O') || wordBefore(text, start) {
			continue
		}
		loc := discordToken().FindIndex(text[start:min(len(text), start+100)])
		if loc == nil || wordAfter(text, start+loc[1]) {
			continue
		}
		end = start + loc[1]
		id, _, _ := bytes.Cut(text[start:end], []byte("."))
		number, err := base64.RawURLEncoding.DecodeString(string(id))
		digits := err == nil && !slices.ContainsFunc(number, func(c byte) bool { return !isDigit(c) })
		return start, end, digits && plausible(string(text[start:end]))
	}
	return 0, 0, false
}

func sampleDiscordBot(r *rand.Rand) string {
	return "DISCORD_TOKEN=" + base64.RawURLEncoding.EncodeToString([]byte(fill(r, "1{d17}"))) + like(".G{w5}.{u38}")(r)
}

// grafanaKey checks an old key of Grafana: base64 of JSON with a key, a name and the number of the organization.
func grafanaKey(value []byte) bool {
	plain, err := base64.RawStdEncoding.DecodeString(string(bytes.TrimRight(value, "=")))
	var key struct {
		K, N string
		ID   int
	}
	return err == nil && json.Unmarshal(plain, &key) == nil && len(key.K) >= 20 && plausible(key.K)
}

func sampleGrafanaKey(r *rand.Rand) string {
	return base64.StdEncoding.EncodeToString([]byte(`{"k":"` + like("{w32}")(r) + `","n":"deploy","id":1}`))
}

// intercom checks a token of Intercom, which is base64 of "tok:", five numbers and two flags.
func intercom(value []byte) bool {
	plain, err := base64.RawStdEncoding.DecodeString(string(bytes.TrimRight(value, "=")))
	return err == nil && bytes.Count(plain, []byte("_")) == 4 && bytes.HasPrefix(plain, []byte("tok:"))
}

func sampleIntercom(r *rand.Rand) string {
	return base64.StdEncoding.EncodeToString([]byte(fill(r, "tok:{x8}_{x4}_{x4}_{x4}_{x12}:1:0")))
}
