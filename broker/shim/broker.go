package shim

import "fmt"

// A step's connection to the broker begins with a BrokerRequest in one line of JSON. SetUp is answered with BrokerSettings, in one line;
// any other connection is a client's from then on.
const (
	SetUp   = "set-up"
	Forward = "forward" // to the forward proxy; any other door is an origin's
)

// MaxRequest bounds, in bytes, the line of a BrokerRequest.
const MaxRequest = 64 << 10

// BrokerRequest says what a connection is for.
type BrokerRequest struct {
	Door    string `json:"door"`
	Address string `json:"address,omitempty"`  // where the step's proxy listens
	Bundle  string `json:"bundle,omitempty"`   // the file of certificates that clients will trust
	NoProxy string `json:"no-proxy,omitempty"` // the step's own NO_PROXY
	Own     bool   `json:"own,omitempty"`      // the connection is one of the step's own processes
}

// BrokerSettings are what clients in a step need.
type BrokerSettings struct {
	Env     []string       `json:"env"` // NAME=VALUE
	CA      string         `json:"ca"`  // the broker's certificate, in PEM
	Doors   []BrokerDoor   `json:"doors,omitempty"`
	Clients []BrokerClient `json:"clients,omitempty"` // each connection then says whether it is the step's own
}

// BrokerClient are the settings of one client. It gets none of them if the step has one of its variables already.
type BrokerClient struct {
	Env        []string     `json:"env,omitempty"`         // NAME=VALUE
	Git        []GitSetting `json:"git,omitempty"`         // behind what is there
	TrustStore string       `json:"trust-store,omitempty"` // the name of a file with the certificates as JVMs want them, beside them; empty: none
}

// GitSetting is a line of git's configuration.
type GitSetting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// BrokerDoor is a port on which the step finds an origin.
type BrokerDoor struct {
	Port int    `json:"port"`
	Door string `json:"door"`
}

// BrokerID is the id under which the connections of a step come, and the name of the mount that they come through.
func BrokerID(hash string) string { return brokerPrefix + hash }

const brokerPrefix = "tightlip-broker-"

func (d BrokerDoor) address() string { return fmt.Sprintf("127.0.0.1:%d", d.Port) }
