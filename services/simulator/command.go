package simulator

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/lifecycle"
)

// Command is the simulator's command line. It announces itself as one line of JSON on standard output.
func Command(p app.Process) *cobra.Command {
	cmd := app.Command(p, app.Service[Config]{
		Name:    "simulator",
		Short:   "play Microsoft's Event Hubs, Entra login and Graph for tests, demos and benchmarks",
		Long:    "Serves Event Hubs over AMQP, Entra's login and Graph over HTTP, with an admin API. When it is ready it prints one line of JSON: addresses,\nconnection string and admin token.",
		Default: DefaultConfig,
		New: func(c Config, set app.Settings) (lifecycle.Service, error) {
			announce := func(a Announcement) {
				// Nobody may be reading; the program's work does not depend on it.
				_ = json.NewEncoder(p.Stdout).Encode(a)
			}
			return New(c, Settings{Settings: set, Announce: announce})
		},
		Flags: flags(),
	})
	lists := map[string]*[]string{
		"simulator.hubs":      cmd.Flags().StringArray("hub", nil, "hub as name:partitions[:group,group[:geo]], repeatable (simulator.hubs)"),
		"simulator.tls.hosts": cmd.Flags().StringArray("tls-host", nil, "name or IP address for the certificate, repeatable (simulator.tls.hosts)"),
	}
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for key, values := range lists {
			if err := setList(cmd, key, *values); err != nil {
				return err
			}
		}
		return run(cmd, args)
	}
	return cmd
}

// setList hands a repeated flag on as one --set; JSON is YAML in flow style.
func setList(cmd *cobra.Command, key string, values []string) error {
	if len(values) == 0 {
		return nil
	}
	text, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return cmd.Flags().Set("set", key+"="+string(text))
}

func flags() []app.Flag {
	return []app.Flag{
		{Name: "listen", Key: "simulator.listen.amqp", Usage: "host:port for plain AMQP, empty for none"},
		{Name: "listen-tls", Key: "simulator.listen.amqps", Usage: "host:port for AMQP over TLS"},
		{Name: "listen-ws", Key: "simulator.listen.ws", Usage: "host:port for AMQP over WebSocket"},
		{Name: "listen-wss", Key: "simulator.listen.wss", Usage: "host:port for AMQP over WebSocket over TLS"},
		{Name: "admin", Key: "simulator.listen.admin", Usage: "host:port for the admin API, empty for none"},
		{Name: "admin-token", Key: "simulator.admin_token", Usage: "bearer token of the admin API; made at start if not given"},
		{Name: "allow-remote", Key: "simulator.allow_remote", Usage: "permit listening beyond loopback", Bool: true},
		{Name: "key", Key: "simulator.key", Usage: "secret of the key RootManageSharedAccessKey; made at start if not given"},
		{Name: "tokens", Key: "simulator.tokens", Usage: "Entra tokens accepted: refused, unexpired, any"},
		{Name: "retention-bytes", Key: "simulator.retention_bytes", Usage: "what each partition keeps, such as 512MiB"},
		{Name: "tls-cert", Key: "simulator.tls.cert_file", Usage: "certificate, PEM; made at start if not given"},
		{Name: "tls-key", Key: "simulator.tls.key_file", Usage: "key of the certificate, PEM"},
		{Name: "ca-out", Key: "simulator.tls.ca_out", Usage: "file to write the CA that was made to"},
		{Name: "cert-out", Key: "simulator.tls.cert_out", Usage: "file to write the certificate that was made to"},
		{Name: "key-out", Key: "simulator.tls.key_out", Usage: "file to write its key to, mode 0600"},
		{Name: "listen-entra", Key: "simulator.listen.entra", Usage: "host:port for Entra's login and Graph over HTTPS"},
		{Name: "listen-entra-http", Key: "simulator.listen.entra_http", Usage: "the same over plain HTTP, on loopback only"},
		{Name: "entra", Key: "simulator.entra.quick.enabled", Usage: "make one tenant with an app that may read everything", Bool: true},
		{Name: "entra-users", Key: "simulator.entra.quick.tenant.users", Usage: "its users"},
		{Name: "entra-days", Key: "simulator.entra.quick.tenant.days", Usage: "its days of history"},
		{Name: "entra-seed", Key: "simulator.entra.quick.tenant.seed", Usage: "seed that chooses the tenant"},
		{Name: "entra-scale", Key: "simulator.entra.quick.tenant.scale", Usage: "factor of its rates of events"},
		{Name: "entra-groups", Key: "simulator.entra.quick.tenant.groups", Usage: "its groups, 0 for a twentieth of the users"},
		{Name: "entra-members", Key: "simulator.entra.quick.tenant.members_per_group", Usage: "users in each group, 0 for groups of all sorts"},
		{Name: "entra-huge-group", Key: "simulator.entra.quick.tenant.huge_group_members", Usage: "users in its last group"},
		{Name: "entra-change-rate", Key: "simulator.entra.quick.tenant.changes.rate", Usage: "random changes of its directory a second"},
		{Name: "entra-latency", Key: "simulator.entra.latency", Usage: "how long every request to Graph waits, such as 100ms"},
		{Name: "entra-licence", Key: "simulator.entra.quick.tenant.licence", Usage: "free, p1 or p2"},
		{Name: "entra-secret-file", Key: "simulator.entra.quick.secret_file", Usage: "file of the app's secret; made, mode 0600, if missing"},
		{Name: "throttle", Key: "simulator.entra.throttle.mode", Usage: "keep Graph's documented limits: on, off"},
		{Name: "throttle-scale", Key: "simulator.entra.throttle.scale", Usage: "factor of those limits"},
		{Name: "token-stub", Key: "simulator.listen.token_stub", Usage: "host:port of a fake managed identity endpoint"},
		{Name: "fake-arm", Key: "simulator.listen.fake_arm", Usage: "host:port of a proxy to a fake Azure Resource Manager"},
		{Name: "replay", Key: "simulator.replay.path", Usage: "record file or folder to replay at start"},
		{Name: "rate", Key: "simulator.replay.rate", Usage: "records a second of that replay, 0 as fast as can be"},
	}
}
