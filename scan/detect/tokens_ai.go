package detect

import "github.com/tightlip/tightlip/internal/lazy"

// modelTokens are those of makers and hosts of AI models, and of tools around them.
var modelTokens = []token{
	{
		Rule: high("openai-api-key", "OpenAI API key",
			"It runs models on its owner's bill, and reads the files and conversations that are stored there."),
		anchors: []string{"T3BlbkFJ"}, match: openAI,
		sample: oneOf("sk-proj-{u74}T3BlbkFJ{u74}", "sk-svcacct-{u58}T3BlbkFJ{u58}", "sk-admin-{u58}T3BlbkFJ{u58}", "sk-{w20}T3BlbkFJ{w20}"),
	},
	{
		Rule: high("anthropic-api-key", "Anthropic API key",
			"It runs models on its owner's bill, and reads the files that are stored there."),
		anchors: []string{"sk-ant-api"}, pattern: `sk-ant-api\d\d-[\w-]{80,120}`, inWord: true, sample: like("sk-ant-api03-{u93}AA"),
		not: []string{"sk-ant-api03-...", "sk-ant-api03-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxAA"},
	},
	{
		Rule:    critical("anthropic-admin-api-key", "Anthropic admin API key", "It manages an organization's members and keys."),
		anchors: []string{"sk-ant-admin"}, pattern: `sk-ant-admin\d\d-[\w-]{80,120}`, inWord: true, sample: like("sk-ant-admin01-{u93}AA"),
	},
	{
		Rule:    high("anthropic-oauth-token", "Anthropic login token", "It uses models as the person who logged in."),
		anchors: []string{"sk-ant-oat", "sk-ant-ort", "sk-ant-sid"}, pattern: `sk-ant-(?:oat|ort|sid)\d\d-[\w-]{80,140}`,
		inWord: true, sample: oneOf("sk-ant-oat01-{u93}AA", "sk-ant-ort01-{u93}AA"),
	},
	{
		Rule: high("huggingface-access-token", "Hugging Face access token",
			"It reads its owner's private models and data sets, and may change them."),
		anchors: expand("hf_", "0-9A-Za-z"), pattern: `hf_[0-9A-Za-z]{34}`, check: shuffled, sample: like("hf_{l34}"),
		not: []string{"hf_transformersAutoModelForCausalLMxyz", "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
	},
	{
		Rule: high("huggingface-organization-api-token", "Hugging Face organization token",
			"It reads an organization's private models and data sets."),
		anchors: []string{"api_org_"}, pattern: `api_org_[0-9A-Za-z]{34}`, check: shuffled, sample: like("api_org_{l34}"),
	},
	{
		Rule:    high("replicate-api-token", "Replicate API token", "It runs models on its owner's bill."),
		anchors: expand("r8_", "0-9A-Za-z"), pattern: `r8_[0-9A-Za-z]{37}`, check: mixed, sample: like("r8_{w37}"),
	},
	{
		Rule:    high("groq-api-key", "Groq API key", "It runs models on its owner's bill."),
		anchors: []string{"gsk_"}, pattern: `gsk_[0-9A-Za-z]{52}`, check: mixed, sample: like("gsk_{w52}"),
	},
	{
		Rule:    high("perplexity-api-key", "Perplexity API key", "It runs models on its owner's bill."),
		anchors: []string{"pplx-"}, pattern: `pplx-[0-9A-Za-z]{48}`, check: mixed, sample: like("pplx-{w48}"),
	},
	{
		Rule:    high("openrouter-api-key", "OpenRouter API key", "It runs models on its owner's bill."),
		anchors: []string{"sk-or-v1-"}, pattern: `sk-or-v1-[0-9a-f]{64}`, inWord: true, sample: like("sk-or-v1-{x64}"),
	},
	{
		Rule:    high("deepseek-api-key", "DeepSeek or DashScope API key", "It runs models on its owner's bill."),
		anchors: expand("sk-", "0-9a-f"), pattern: `sk-[0-9a-f]{32}`, sample: like("sk-{x32}"),
		not: []string{"sk-circle-fade-dot-animation-delay", "sk-00000000000000000000000000000000"},
	},
	{
		Rule:    high("xai-api-key", "xAI API key", "It runs models on its owner's bill."),
		anchors: []string{"xai-"}, pattern: `xai-[0-9A-Za-z]{80}`, check: mixed, sample: like("xai-{w80}"),
	},
	{
		Rule: high("nvidia-api-key", "NVIDIA API key",
			"It runs models on its owner's bill, and pulls images from NVIDIA's registry."),
		anchors: []string{"nvapi-"}, pattern: `nvapi-[\w-]{60,70}`, check: mixed, sample: like("nvapi-{u64}"),
	},
	{
		Rule:    high("cerebras-api-key", "Cerebras API key", "It runs models on its owner's bill."),
		anchors: []string{"csk-"}, pattern: `csk-[0-9a-z]{48}`, check: shuffled, sample: like("csk-{n48}"),
	},
	{
		Rule:    high("together-api-key", "Together AI API key", "It runs models on its owner's bill."),
		anchors: []string{"tgp_v1_"}, pattern: `tgp_v1_[\w-]{43}`, inWord: true, sample: like("tgp_v1_{u43}"),
	},
	{
		Rule:    high("jina-api-key", "Jina API key", "It runs models on its owner's bill."),
		anchors: []string{"jina_"}, pattern: `jina_[0-9a-f]{32}[\w-]{28}`, sample: like("jina_{x32}{u28}"),
	},
	{
		Rule:    high("elevenlabs-api-key", "ElevenLabs API key", "It makes speech on its owner's bill, in the voices they have."),
		anchors: expand("sk_", "0-9a-f"), pattern: `sk_[0-9a-f]{48}`, sample: like("sk_{x48}"),
	},
	{
		Rule: high("langsmith-api-key", "LangSmith API key",
			"It reads the traces of an organization's models: what they were asked and said."),
		anchors: []string{"lsv2_"}, pattern: `lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}`, inWord: true, sample: like("lsv2_pt_{x32}_{x10}"),
	},
	{
		Rule: high("langfuse-secret-key", "Langfuse secret key",
			"It reads the traces of a project's models: what they were asked and said."),
		anchors: []string{"sk-lf-"}, pattern: `sk-lf-` + uuid, inWord: true,
		sample: like("sk-lf-{x8}-{x4}-4{x3}-a{x3}-{x12}"),
	},
	{
		Rule:    high("pinecone-api-key", "Pinecone API key", "It reads and changes a project's indexes."),
		anchors: []string{"pcsk_"}, pattern: `pcsk_[0-9A-Za-z]{5,6}_[0-9A-Za-z]{63}`, inWord: true, sample: like("pcsk_{w5,6}_{w63}"),
	},
	{
		Rule:    high("wandb-api-key", "Weights & Biases API key", "It reads and changes its owner's experiments and models."),
		anchors: []string{"wandb_v1_"}, pattern: `wandb_v1_[0-9A-Za-z]{27}_[0-9A-Za-z]{49}`, inWord: true, sample: like("wandb_v1_{w27}_{w49}"),
	},
	{
		Rule:    high("tavily-api-key", "Tavily API key", "It searches on its owner's bill."),
		anchors: []string{"tvly-"}, pattern: `tvly-(?:dev-|prod-)?[0-9A-Za-z]{32}`, check: mixed, sample: oneOf("tvly-{w32}", "tvly-dev-{w32}"),
	},
	{
		Rule:    high("firecrawl-api-key", "Firecrawl API key", "It reads sites on its owner's bill."),
		anchors: expand("fc-", "0-9a-f"), pattern: `fc-[0-9a-f]{32}`, near: []string{"firecrawl"}, sample: like("FIRECRAWL_API_KEY=fc-{x32}"),
	},
	{
		Rule:    high("e2b-api-key", "E2B API key", "It runs code in sandboxes on its owner's bill."),
		anchors: []string{"e2b_"}, pattern: `e2b_[0-9a-f]{40}`, sample: like("e2b_{x40}"),
	},
	{
		Rule:    high("llamacloud-api-key", "LlamaCloud API key", "It reads the documents that were given to it."),
		anchors: []string{"llx-"}, pattern: `llx-[0-9A-Za-z]{48}`, check: mixed, sample: like("llx-{w48}"),
	},
	{
		Rule:    high("apify-api-token", "Apify API token", "It runs its owner's scrapers and reads what they found."),
		anchors: []string{"apify_api_"}, pattern: `apify_api_[0-9A-Za-z]{36}`, inWord: true, sample: like("apify_api_{w36}"),
	},
}

var openAIKey = lazy.Regexp(`(?:sk-(?:proj|svcacct|admin)-[\w-]{20,100}|sk-[0-9A-Za-z]{20})T3BlbkFJ[\w-]{20,100}`)

// openAI finds a key by the base64 of OpenAI that all of them have in the middle.
func openAI(text []byte, at int) (start, end int, ok bool) {
	isPart := func(c byte) bool { return isAlnum(c) || c == '_' || c == '-' }
	start, end = at, at
	for start > 0 && at-start < 120 && isPart(text[start-1]) {
		start--
	}
	for end < len(text) && end-at < 120 && isPart(text[end]) {
		end++
	}
	loc := openAIKey().FindIndex(text[start:end])
	if loc == nil {
		return 0, 0, false
	}
	start, end = start+loc[0], start+loc[1]
	return start, end, plausible(string(text[start:end]))
}
