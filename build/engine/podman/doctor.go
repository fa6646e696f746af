package podman

import (
	"context"
	"errors"
	"fmt"

	"github.com/tightlip/tightlip/build"
)

// Health is what is known of a tool on this machine.
type Health struct {
	Tool     Tool
	Ready    bool
	Version  string
	Detail   string // what it is, or why it cannot build
	Delivers []string
	Get      string // what to type to have it
}

// Check looks for a tool and starts no build.
func Check(ctx context.Context, tool Tool, o Options) Health {
	h := Health{Tool: tool, Delivers: []string{}}
	e, err := New(ctx, tool, o)
	if err != nil {
		h.Detail = err.Error()
		if usage := (*build.UsageError)(nil); errors.As(err, &usage) {
			h.Get = usage.Try
		}
		return h
	}
	user := "as root"
	if e.info.rootless {
		user = "rootless"
	}
	if chroot() {
		user += ", steps in a chroot"
	}
	h.Ready, h.Version, h.Delivers = true, e.info.version, []string{"secret mounts", "ssh mounts"}
	h.Detail = fmt.Sprintf("%s, %s; secrets as variables and heredocs are translated", e.Description(), user)
	return h
}
