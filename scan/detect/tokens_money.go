package detect

// moneyTokens are those of payment, trade and shipping.
var moneyTokens = []token{
	{
		Rule: critical("stripe-access-token", "Stripe live key",
			"It moves money and reads the customers of a business. Keys of Paystack and Clerk look the same."),
		anchors: []string{"sk_live_", "rk_live_"}, pattern: `[sr]k_live_[0-9A-Za-z]{24,247}`, inWord: true,
		sample: oneOf("sk_live_{w24,99}", "rk_live_{w99}"),
		not:    []string{"sk_live_xxxxxxxxxxxxxxxxxxxxxxxx", "sk_live_YOUR_KEY"},
	},
	{
		Rule:    low("stripe-test-key", "Stripe test key", "It changes the test data of a business and moves no money."),
		anchors: []string{"sk_test_", "rk_test_"}, pattern: `[sr]k_test_[0-9A-Za-z]{24,247}`, inWord: true,
		sample: oneOf("sk_test_{w24,99}", "rk_test_{w99}"),
	},
	{
		Rule: medium("stripe-webhook-secret", "webhook signing secret",
			"Whoever has it can send false events, such as of payments that were never made."),
		anchors: []string{"whsec_"}, pattern: `whsec_[0-9A-Za-z+/=]{32,100}`, check: shuffled, sample: oneOf("whsec_{w32}", "whsec_{x64}"),
	},
	{
		Rule:    high("liveblocks-secret-key", "Liveblocks secret key", "It reads and changes the rooms of an application."),
		anchors: []string{"sk_prod_", "sk_dev_"}, pattern: `sk_(?:prod|dev)_[\w-]{60,70}`, check: shuffled, sample: like("sk_prod_{u64}"),
	},
	{
		Rule:    critical("square-access-token", "Square access token", "It moves money and reads the customers of a business."),
		anchors: []string{"sq0atp-", "EAAA"}, pattern: `sq0atp-[\w-]{22,60}|EAAA[\w-]{60}`, check: mixed,
		near: []string{"square", "sq0atp-"}, sample: oneOf("sq0atp-{u22}", "SQUARE_ACCESS_TOKEN=EAAA{u60}"),
	},
	{
		Rule: high("square-oauth-secret", "Square application secret",
			"Whoever has it can pose as the application where sellers log in."),
		anchors: []string{"sq0csp-"}, pattern: `sq0csp-[\w-]{43}`, inWord: true, sample: like("sq0csp-{u43}"),
	},
	{
		Rule: critical("braintree-access-token", "PayPal Braintree access token",
			"It moves money and reads the customers of a business."),
		anchors: []string{"access_token$production$"}, pattern: `access_token\$production\$[0-9a-z]{16}\$[0-9a-f]{32}`, inWord: true,
		sample: like("access_token$production${n16}${x32}"),
	},
	{
		Rule: low("braintree-sandbox-token", "PayPal Braintree sandbox token",
			"It changes the test data of a business and moves no money."),
		anchors: []string{"access_token$sandbox$"}, pattern: `access_token\$sandbox\$[0-9a-z]{16}\$[0-9a-f]{32}`, inWord: true,
		sample: like("access_token$sandbox${n16}${x32}"),
	},
	{
		Rule:    high("plaid-api-token", "Plaid access token", "With an application's secret it reads somebody's bank account."),
		anchors: []string{"access-production-", "access-development-"},
		pattern: `access-(?:production|development)-` + uuid, inWord: true,
		sample: like("access-production-{x8}-{x4}-4{x3}-a{x3}-{x12}"),
	},
	{
		Rule:    critical("flutterwave-secret-key", "Flutterwave secret key", "It moves money and reads the customers of a business."),
		anchors: []string{"FLWSECK-"}, pattern: `FLWSECK-[0-9a-z]{32}-(?:[0-9a-z]{11}vt-)?X`, inWord: true, sample: like("FLWSECK-{x32}-X"),
	},
	{
		Rule:    low("flutterwave-test-key", "Flutterwave test key", "It changes the test data of a business and moves no money."),
		anchors: []string{"FLWSECK_TEST-"}, pattern: `FLWSECK_TEST-[0-9a-h]{32}-X`, inWord: true, sample: like("FLWSECK_TEST-{x32}-X"),
	},
	{
		Rule: critical("paddle-api-key", "Paddle API key",
			"It reads and changes the customers, prices and subscriptions of a business."),
		anchors: []string{"pdl_live_apikey_"}, pattern: `pdl_live_apikey_[0-9a-z]{26}_[0-9A-Za-z]{22}_[0-9A-Za-z]{3}`, inWord: true,
		sample: like("pdl_live_apikey_01{n24}_{w22}_{w3}"),
	},
	{
		Rule:    critical("gocardless-api-token", "GoCardless live token", "It collects money from the customers of a business."),
		anchors: []string{"live_"}, pattern: `live_[\w-]{40}`, check: gocardless, sample: like("live_{w40}"),
		not: []string{"live_range_split_interference_graph_edges_for_x"},
	},
	{
		Rule:    high("lob-api-key", "Lob live key", "It sends letters and checks on a business's bill."),
		anchors: []string{"live_"}, pattern: `live_[0-9a-f]{35}`, sample: like("live_{x35}"),
	},
	{
		Rule:    high("shopify-access-token", "Shopify access token", "It reads and changes a shop: its orders, customers and goods."),
		anchors: []string{"shpat_", "shpca_", "shppa_", "shpua_", "shptka_"}, pattern: `shp(?:at|ca|pa|ua|tka)_[0-9a-fA-F]{32}`, inWord: true,
		sample: oneOf("shpat_{x32}", "shpca_{x32}", "shppa_{x32}"),
	},
	{
		Rule: high("shopify-shared-secret", "Shopify app secret",
			"Whoever has it can pose as an app towards shops, and as shops towards the app."),
		anchors: []string{"shpss_"}, pattern: `shpss_[0-9a-fA-F]{32}`, inWord: true, sample: like("shpss_{x32}"),
	},
	{
		Rule:    high("shippo-api-token", "Shippo live token", "It buys labels on a business's bill and reads where parcels went."),
		anchors: []string{"shippo_live_"}, pattern: `shippo_live_[0-9a-fA-F]{40}`, inWord: true, sample: like("shippo_live_{x40}"),
	},
	{
		Rule:    low("shippo-test-token", "Shippo test token", "It changes the test data of a business and buys nothing."),
		anchors: []string{"shippo_test_"}, pattern: `shippo_test_[0-9a-fA-F]{40}`, inWord: true, sample: like("shippo_test_{x40}"),
	},
	{
		Rule: high("easypost-api-token", "EasyPost production key",
			"It buys labels on a business's bill and reads where parcels went."),
		anchors: []string{"EZAK"}, pattern: `EZAK[0-9A-Za-z]{54}`, check: mixed, sample: like("EZAK{x32}{w22}"),
	},
	{
		Rule:    low("easypost-test-api-token", "EasyPost test key", "It changes the test data of a business and buys nothing."),
		anchors: []string{"EZTK"}, pattern: `EZTK[0-9A-Za-z]{54}`, check: mixed, sample: like("EZTK{x32}{w22}"),
	},
	{
		Rule:    high("duffel-api-token", "Duffel live token", "It books flights on a business's bill and reads who flies."),
		anchors: []string{"duffel_live_"}, pattern: `duffel_live_[\w=-]{43}`, inWord: true, sample: like("duffel_live_{u43}"),
	},
	{
		Rule:    low("duffel-test-token", "Duffel test token", "It changes the test data of a business and books nothing."),
		anchors: []string{"duffel_test_"}, pattern: `duffel_test_[\w=-]{43}`, inWord: true, sample: like("duffel_test_{u43}"),
	},
	{
		Rule:    high("ramp-client-secret", "Ramp client secret", "With its client id it reads a company's cards and payments."),
		anchors: []string{"ramp_sec_"}, pattern: `ramp_sec_[0-9A-Za-z]{48}`, inWord: true, sample: like("ramp_sec_{w48}"),
	},
	{
		Rule:    high("stytch-secret", "Stytch secret", "It manages the users of an application."),
		anchors: []string{"secret-live-"}, pattern: `secret-live-[\w-]{36}=?`, check: shuffled, sample: like("secret-live-{w36}"),
	},
	{
		Rule:    high("polar-access-token", "Polar access token", "It reads and changes the customers and products of a business."),
		anchors: []string{"polar_pat_", "polar_oat_"}, pattern: `polar_[po]at_[0-9A-Za-z]{32,60}`, inWord: true, sample: like("polar_oat_{w43}"),
	},
}

// gocardless tells a token from a name with underscores.
func gocardless(value []byte) bool { return mixed(value) && !isHex(string(value[len("live_"):])) }
