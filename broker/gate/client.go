package gate

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/broker/shim"
)

// Client is the program that finds an origin by its settings, which steps get in their environment.
type Client struct {
	Name string // of a row of clients
	Path string // where the origin has what the client asks for; empty: where it usually is
}

// MarshalText writes it as a policy has it.
func (c Client) MarshalText() ([]byte, error) {
	if c.Path == "" {
		return []byte(c.Name), nil
	}
	return []byte(c.Name + ":" + c.Path), nil
}

// parseClient reads NAME or NAME:PATH. Anything else makes a Client that check refuses.
func parseClient(text string) Client {
	name, path, _ := strings.Cut(text, ":")
	return Client{Name: name, Path: path}
}

// clientKind are the settings of a client. In their texts, DOOR is the URL of the origin's door with the path, LOGIN the same with the
// ticket in it, ORIGIN the origin with the path, HOST its host and port, PROXYHOST and PROXYPORT where the forward
// door is, and DIR the folder of the certificates.
type clientKind struct {
	name string
	path string // where what it asks for usually is
	// keeps tells that the client itself goes to the door for URLs of the origin: what it writes into a lockfile is the origin's.
	keeps      bool
	env        []string
	insteadOf  []string // what git goes to LOGIN for
	trustStore string   // a file in DIR
}

// proxied tells whether a client goes through the forward door, and needs no other.
func (k *clientKind) proxied() bool { return k.trustStore != "" }

// clients is the table of them. cargo is not here: it takes no registry from its environment but by CARGO_REGISTRIES_*_INDEX, which it
// writes into Cargo.lock, and it knows the proxy.
var clients = []*clientKind{
	{name: "npm", keeps: true, env: []string{"npm_config_registry=DOOR/", "npm_config_replace_registry_host=HOST"}},
	{name: "pip", path: "/simple", env: []string{"PIP_INDEX_URL=LOGIN"}},
	{name: "go", env: []string{"GOPROXY=DOOR", "GONOPROXY=none"}},
	{name: "git", insteadOf: []string{"ORIGIN/", "git@HOST:", "ssh://git@HOST/"}},
	{name: "jvm", trustStore: "trust.jks", env: []string{"JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=DIR/trust.jks -Djavax.net.ssl.trustStoreType=JKS " +
		"-Dhttp.proxyHost=PROXYHOST -Dhttp.proxyPort=PROXYPORT -Dhttps.proxyHost=PROXYHOST -Dhttps.proxyPort=PROXYPORT"}},
}

// kind is the row of a client; nil: it has none.
func (c Client) kind() *clientKind {
	i := slices.IndexFunc(clients, func(k *clientKind) bool { return k.name == c.Name })
	if i < 0 {
		return nil
	}
	return clients[i]
}

func clientNames() string {
	var names []string
	for _, k := range clients {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}

func (r Route) checkClient() error {
	if r.Client == (Client{}) {
		return nil
	}
	kind := r.Client.kind()
	switch {
	case kind == nil:
		return &PolicyError{Problem: "a client is unknown", Try: "clients are " + clientNames()}
	case r.Client.Path != "" && (kind.proxied() || !strings.HasPrefix(r.Client.Path, "/") || CheckPath(r.Client.Path) != nil):
		return &PolicyError{Problem: "the path of a client must begin with / and hold no dot segments", Try: "client: npm:/repository/npm/"}
	case r.Listen == 0 && !kind.proxied():
		return &PolicyError{Problem: "the client " + kind.name + " needs a port for the origin", Try: "listen: 4873"}
	}
	return nil
}

// rivals tells whether a client would have to find two origins by one setting.
func rivals(a, b Route) bool {
	kind := a.Client.kind()
	return kind != nil && a.Client.Name == b.Client.Name && !kind.proxied() && kind.insteadOf == nil
}

// client are the settings of a route's client in a step.
func (g *stepGate) client(route Route, r shim.BrokerRequest) shim.BrokerClient {
	k := route.Client.kind()
	at := strings.TrimSuffix(route.Client.Path, "/")
	if at == "" {
		at = k.path
	}
	door := url.URL{Scheme: "http", Host: doorAddress(route.Listen), Path: at}
	login := door
	login.User = url.UserPassword(defaultUser, g.ticket)
	proxyHost, proxyPort, _ := strings.Cut(r.Address, ":")
	words := strings.NewReplacer(
		"DOOR", door.String(), "LOGIN", login.String(), "ORIGIN", route.Origin.String()+at, "HOST", route.Origin.authority(), "DIR", path.Dir(r.Bundle),
		"PROXYHOST", proxyHost, "PROXYPORT", proxyPort)
	out := shim.BrokerClient{TrustStore: k.trustStore}
	for _, text := range k.env {
		out.Env = append(out.Env, words.Replace(text))
	}
	for _, text := range k.insteadOf {
		out.Git = append(out.Git, shim.GitSetting{Key: words.Replace("url.LOGIN/.insteadOf"), Value: words.Replace(text)})
	}
	return out
}
