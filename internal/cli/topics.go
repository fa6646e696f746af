package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/internal/config"
)

// environmentTopic is a page of help, not a command.
func environmentTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("Settings come from flags, then from these variables, then from the project's tightlip.yaml, then from the user's\n" +
		"config.yaml in $XDG_CONFIG_HOME/tightlip. A variable that begins with TIGHTLIP_ and is not listed is an error.\n\n")
	for _, v := range config.Variables() {
		fmt.Fprintf(&b, "  %-22s %s\n", v.Name, v.Meaning)
	}
	b.WriteString("\nDocker's own variables (DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, BUILDX_BUILDER, BUILDKIT_PROGRESS, …) keep their meaning.")
	return &cobra.Command{Use: "environment", Short: "Variables that tightlip reads", Long: b.String()}
}
