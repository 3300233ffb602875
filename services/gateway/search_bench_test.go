package gateway_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// BenchmarkSearch measures a page of 50 out of 200,000 sign-ins of 30 days.
func BenchmarkSearch(b *testing.B) {
	const stored, batch = 200_000, 20_000
	w := newWorld(b)
	signIns := tablestest.NewWorld(30 * 24 * time.Hour)
	for range stored / batch {
		w.insert(b, signIns.SignIns(batch)...)
	}
	// Merges of what was just stored would be counted as the searches'.
	require.NoError(b, w.store.Conn().Exec(b.Context(), "SYSTEM STOP MERGES sign_ins"))
	client := controlv1.NewSignInServiceClient(w.conn)
	for _, bench := range []struct {
		name   string
		filter *controlv1.SignInFilter
	}{
		{"everything", nil},
		{"a busy user", &controlv1.SignInFilter{User: "User.00001@contoso.example"}},
		{"a user with few", &controlv1.SignInFilter{User: "User.04500@contoso.example"}},
		{"a user with none", &controlv1.SignInFilter{User: "nobody@contoso.example"}},
		{"a network", &controlv1.SignInFilter{Ip: "203.7.0.0/24"}},
		{"failures from a country", &controlv1.SignInFilter{Countries: []string{"BR"}, ErrorCodes: []int64{53003}}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			before, searches := cpuTime(b), 0
			for b.Loop() {
				_, err := client.SearchSignIns(b.Context(), &controlv1.SearchSignInsRequest{Filter: bench.filter})
				require.NoError(b, err)
				searches++
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/1000/float64(searches), "cpu-ms/op")
		})
	}
}

// cpuTime is what this process has used, the engine included: on a busy machine it tells more than the
// time that passed.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
