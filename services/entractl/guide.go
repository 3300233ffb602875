package entractl

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func newGuide() *cobra.Command {
	set, cloud := "read_only", portals[0].cloud
	cmd := &cobra.Command{
		Use:     "guide",
		Short:   "Say what to do in Entra before adding a tenant",
		Long:    "Prints the steps in Entra: the app registration, its permissions and what each is for, the consent, the secret.",
		Example: "  entractl integration guide\n  entractl integration guide --permission-set read_write --cloud us_gov",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			permissions, err := lookUp("permission-set", set, permissionSets())
			if err != nil {
				return err
			}
			addresses := map[string]string{}
			for _, p := range portals {
				addresses[p.cloud] = p.address
			}
			address, err := lookUp("cloud", cloud, addresses)
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), guide(permissions, strings.ToLower(cloud), address))
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&set, "permission-set", set, "read_only, or read_write for remediation")
	flags.StringVar(&cloud, "cloud", cloud, "Microsoft's cloud: "+strings.Join(cloudNames(), ", "))
	complete(cmd, "permission-set", names(permissionSets())...)
	complete(cmd, "cloud", cloudNames()...)
	return cmd
}

// guide is the text of the guide.
func guide(set controlv1.PermissionSet, cloud, address string) string {
	var b strings.Builder
	needed, extras := permissionsOf(set)
	fmt.Fprintf(&b, `Connecting an Entra tenant (%s, cloud %s)

1. Register an application
   Open %s, then Entra ID > App registrations > New registration.
   Name it, choose "Accounts in this organizational directory only", leave the redirect URI empty, Register.
   Who may: Application Administrator, Cloud Application Administrator, Application Developer.

2. Note two ids
   On the application's Overview: Directory (tenant) ID and Application (client) ID.
   The Object ID beside them is not needed.

3. Add permissions
   API permissions > Add a permission > Microsoft Graph > Application permissions (not Delegated).
   A permission whose licence the tenant lacks can be left out; add it when the licence comes.

`, permissionSetWord(set), cloud, address)
	writePermissionList(&b, needed)
	b.WriteString("\n   Optional extras. Nothing else depends on them; each adds what it says:\n\n")
	writePermissionList(&b, extras)
	if set == controlv1.PermissionSet_PERMISSION_SET_READ_WRITE {
		b.WriteString(`
   * Strong: whoever has the application's credential can become Global Administrator with it. Keep the credential
     like that of an administrator, and prefer a certificate or a federated credential to a secret.
   For users with an administrator's role Entra asks more than permissions: to log out, disable, delete them or
   reset their MFA, the application itself also needs the role Privileged Authentication Administrator.
`)
	}
	b.WriteString(`
4. Give consent
   API permissions > Grant admin consent. Every line must then say "Granted".
   Who may: Privileged Role Administrator or Global Administrator.
   Application Administrator and Cloud Application Administrator cannot consent to application permissions of
   Microsoft Graph: the button fails or stays grey for them.

5. Create a secret
   Certificates & secrets > Client secrets > New client secret.
   Copy the Value, not the Secret ID. Entra shows the Value only now.
   Note when it ends: before that day create another and run ` + "`entractl integration reset-credentials ID`" + `.
   Instead of a secret: upload a certificate (--certificate-file has it with its key), or add a federated
   credential (--federated-token-file names the token on the collector's machine).

6. Connect
`)
	fmt.Fprintf(&b, "   entractl integration add ID --tenant-id DIRECTORY-ID --client-id APPLICATION-ID%s%s\n",
		option("cloud", cloud, portals[0].cloud), option("permission-set", permissionSetWord(set), "read_only"))
	b.WriteString(`   It asks for the secret, tests the connection, shows what will be collected and what not and why, and saves
   once you agree. A consent takes some minutes until Entra puts it into tokens: test again then.
`)
	return b.String()
}

// lineWidth is how long a line of text becomes, in bytes.
const lineWidth = 116

// writePermissionList writes permissions in columns, the second folded.
func writePermissionList(b *strings.Builder, all []permission) {
	const indent, gap = 5, 2
	width := 0
	for _, p := range all {
		width = max(width, len(p.name)+1)
	}
	for _, p := range all {
		name := p.name
		if p.strong {
			name += "*"
		}
		text := p.purpose
		if p.licence != "" {
			text += " [" + p.licence + "]"
		}
		if p.covered != "" {
			text += " (can be left out: " + p.covered + " covers it)"
		}
		for n, line := range fold(text, lineWidth-indent-width-gap) {
			if n > 0 {
				name = ""
			}
			fmt.Fprintf(b, "%*s%-*s%*s%s\n", indent, "", width, name, gap, "", line)
		}
	}
}

// fold breaks a text between words into lines of at most width bytes, but for words that are longer.
func fold(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// option is a flag for the command line, "" if its value is the usual one.
func option(flag, value, usual string) string {
	if value == usual {
		return ""
	}
	return " --" + flag + " " + value
}
