package entractl

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manSection is the section of manuals for programs.
const manSection = "1"

func newDocs() *cobra.Command {
	var kind, folder string
	cmd := &cobra.Command{
		Use: "docs", Short: "Write the manual of every command into a folder",
		Long: "Writes a page for each command, as man pages or as Markdown, into a folder that is made if it does not exist. The date of man\n" +
			"pages is that of SOURCE_DATE_EPOCH if it is set.",
		Example: "  entractl docs --format man --dir man1\n  entractl docs --format markdown --dir docs/entractl",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if folder == "" {
				return usageError{fmt.Errorf("--dir is missing: the folder to write to")}
			}
			write, ok := map[string]func(*cobra.Command, string) error{
				"markdown": doc.GenMarkdownTree,
				"man": func(root *cobra.Command, folder string) error {
					return doc.GenManTree(root, &doc.GenManHeader{Section: manSection, Source: "Entraflow", Manual: "Entraflow"}, folder)
				},
			}[kind]
			if !ok {
				return usageError{fmt.Errorf("--format %q must be man or markdown", kind)}
			}
			const mode = 0o755
			if err := os.MkdirAll(folder, mode); err != nil {
				return fmt.Errorf("making %s: %w", folder, err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if err := write(root, folder); err != nil {
				return fmt.Errorf("writing the manual: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&kind, "format", "markdown", "man or markdown")
	cmd.Flags().StringVar(&folder, "dir", "", "folder for the pages")
	complete(cmd, "format", "man", "markdown")
	_ = cmd.MarkFlagDirname("dir") // as for complete
	return cmd
}
