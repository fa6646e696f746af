package buildkit

import (
	"context"
	"fmt"

	"github.com/docker/buildx/builder"
	"github.com/docker/buildx/store/storeutil"
	"github.com/docker/cli/cli/command"
)

// Health is what is known of a builder.
type Health struct {
	Name     string
	Driver   string
	BuildKit string // its version
	History  bool   // it records builds with their logs
	Problem  string // why it cannot build; empty if it can
}

// Builders looks at every builder that buildx knows, starting none.
func Builders(ctx context.Context, cli command.Cli) ([]Health, error) {
	txn, release, err := storeutil.GetStore(cli)
	if err != nil {
		return nil, fmt.Errorf("reading the list of builders: %w", err)
	}
	defer release()
	builders, err := builder.GetBuilders(cli, txn)
	if err != nil {
		return nil, fmt.Errorf("reading the list of builders: %w", err)
	}
	var out []Health
	for _, b := range builders {
		out = append(out, health(ctx, b))
	}
	return out, nil
}

func health(ctx context.Context, b *builder.Builder) Health {
	h := Health{Name: b.Name, Driver: b.Driver}
	nodes, err := b.LoadNodes(ctx, builder.WithData())
	h.Driver = b.Driver
	if err != nil {
		h.Problem = err.Error()
		return h
	}
	for _, n := range nodes {
		switch {
		case n.Err != nil:
			h.Problem = n.Err.Error()
		case n.DriverInfo != nil && n.Version == "":
			h.Problem = "it is " + n.DriverInfo.Status.String()
		default:
			h.BuildKit = n.Version
			h.History = n.Driver.HistoryAPISupported(ctx)
		}
	}
	return h
}
