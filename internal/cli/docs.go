package cli

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// docsCommand writes the reference pages from the commands themselves.
func (a *app) docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "docs man|markdown FOLDER",
		Short:  "Write the manual pages",
		Hidden: true,
		Args:   exactArgs(2, "a format, man or markdown, and a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if err := os.MkdirAll(args[1], 0o755); err != nil {
				return err
			}
			switch args[0] {
			case "man":
				epoch := time.Unix(0, 0).UTC()
				header := &doc.GenManHeader{Title: "TIGHTLIP", Section: "1", Source: "tightlip", Date: &epoch}
				return doc.GenManTree(root, header, args[1])
			case "markdown":
				return doc.GenMarkdownTree(root, args[1])
			}
			return usageError(fmt.Errorf("unknown format %q", args[0]), "tightlip docs man FOLDER")
		},
	}
}
