package gate

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// Mint returns the value that a secret has now. It makes one if there is none, or none that lasts.
type Mint func(context.Context) (secret.Value, error)

// newMinted is the material of a secret without a value yet. A minted one is a token, and no file.
func newMinted(id string, mint Mint, routes []Route) (*material, error) {
	m := &material{phantom: newPhantom(id, ""), creds: map[Origin]*credential{}}
	m.stand = secret.NewValue([]byte(m.phantom))
	for _, r := range routes {
		if r.Attach.Kind == Basic && r.Attach.Name == "" {
			return nil, &UnfitError{ID: id, Problem: "attach: basic needs a user, and a token that is minted has none", Try: "attach: basic with user: NAME, or basic:NAME in a flag"}
		}
		m.creds[r.Origin] = &credential{id: id, value: m.stand, phantom: m.phantom, mint: mint}
	}
	return m, nil
}

// ready returns a credential with the value that it has now. From then on, the gate searches responses and texts for it.
func (g *Gate) ready(ctx context.Context, c *credential) (*credential, error) {
	if c.mint == nil {
		return c, nil
	}
	value, err := c.mint(ctx)
	text := strings.TrimSpace(string(value.Open()))
	if err == nil {
		err = checkCredential(c.id, text)
	}
	if err == nil {
		err = g.minted(c.id, value)
	}
	if err != nil {
		return nil, &refusal{http.StatusBadGateway, fmt.Sprintf("there is no credential: %v", err)}
	}
	now := *c
	now.value = secret.NewValue([]byte(text))
	return &now, nil
}

// searched is what is cut out of responses, and what is masked in texts.
type searched struct {
	needles  *proof.Needles
	redactor *redact.Redactor
	minted   map[string][]secret.Value // by secret
}

// minted adds a value to what is searched for, unless it is there.
func (g *Gate) minted(id string, value secret.Value) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.search.Load()
	same := func(v secret.Value) bool { return string(v.Open()) == string(value.Open()) }
	if slices.ContainsFunc(old.minted[id], same) {
		return nil
	}
	all := maps.Clone(old.minted)
	all[id] = append(slices.Clone(all[id]), secret.NewValue(value.Open()))
	return g.searchFor(all)
}

// searchFor makes ready what is cut out of responses, and what is masked in texts: the ticket, too.
func (g *Gate) searchFor(minted map[string][]secret.Value) error {
	secrets := needlesOf(g.policy, g.secrets)
	for id, values := range minted {
		for _, v := range values {
			secrets = append(secrets, proof.Secret{ID: id, Value: v})
		}
	}
	needles, err := proof.NewNeedles(secrets)
	if err != nil {
		return err
	}
	masked, err := proof.NewNeedles(append(secrets, proof.Secret{ID: "ticket", Value: secret.NewValue([]byte(g.ticket)), Waived: true}))
	if err == nil {
		g.search.Store(&searched{needles, redact.New(masked), minted})
	}
	return err
}
