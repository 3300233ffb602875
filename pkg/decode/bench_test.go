package decode_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/decode"
)

// signInOfSize is a synthetic sign-in of about the given size: what is missing comes as Conditional
// Access policies, as in real tenants.
func signInOfSize(tb testing.TB, size int) []byte {
	tb.Helper()
	const head = `{"time":"2026-03-01T08:05:00.1234567Z","resourceId":"/tenants/7d1c0a5e-0000-4000-8000-00000000aaaa/providers/Microsoft.aadiam","operationName":"Sign-in activity","operationVersion":"1.0","category":"SignInLogs","tenantId":"7d1c0a5e-0000-4000-8000-00000000aaaa","resultType":"0","resultSignature":"None","durationMs":0,"callerIpAddress":"203.0.113.10","correlationId":"5b0c9c5e-0001-4000-8000-000000000001","Level":4,"location":"SE","properties":{"id":"0a1b2c3d-0001-4000-8000-000000000100","createdDateTime":"2026-03-01T08:00:00.1234567+00:00","userDisplayName":"Ada Lund","userPrincipalName":"ada.lund@contoso.example","userId":"11111111-0000-4000-8000-000000000001","appId":"c44b4083-3bb0-49c1-b47d-974e53cbdf3c","appDisplayName":"Azure Portal","ipAddress":"203.0.113.10","status":{"errorCode":0},"clientAppUsed":"Browser","deviceDetail":{"deviceId":"","operatingSystem":"MacOs","browser":"Safari 18.0"},"location":{"city":"Stockholm","countryOrRegion":"SE","geoCoordinates":{"latitude":59.3293,"longitude":18.0686}},`
	const tail = `"isInteractive":true,"userType":"Member"}}`
	const policy = `{"id":"33333333-0000-4000-8000-000000000001","displayName":"Require multifactor authentication for all users","enforcedGrantControls":["Mfa"],"enforcedSessionControls":[],"result":"notApplied","conditionsSatisfied":3,"conditionsNotSatisfied":16}`
	n := max(0, size-len(head)-len(tail)) / len(policy)
	policies := strings.TrimSuffix(strings.Repeat(policy+",", n), ",")
	raw := []byte(head + `"appliedConditionalAccessPolicies":[` + policies + `],` + tail)
	require.InDelta(tb, size, len(raw), 300)
	return raw
}

func BenchmarkHubRecord(b *testing.B) {
	for _, size := range []int{1_100, 6_000} {
		raw := signInOfSize(b, size)
		b.Run(fmt.Sprintf("synthetic sign-in of %d B", len(raw)), func(b *testing.B) { benchRecord(b, raw) })
	}
	if os.Getenv("ENTRAFLOW_CORPUS") == "" {
		return
	}
	for file, lines := range map[string][]int{"splunk_aad.ndjson": {1, 11}, "panther_signin_audit.ndjson": {13}} {
		for _, line := range lines {
			raw := hubCorpus(b, file)[line]
			b.Run(fmt.Sprintf("%s line %d of %d B", file, line+1, len(raw)), func(b *testing.B) { benchRecord(b, raw) })
		}
	}
}

func benchRecord(b *testing.B, raw []byte) {
	b.Helper()
	var d decode.Decoder
	o := origin()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	start := processTime()
	for b.Loop() {
		if _, err := d.HubRecord(raw, o); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processTime()-start)/float64(b.N), "cpu-ns/op")
}

// processTime is the processor time used so far: what counts on a machine that others use too.
func processTime() time.Duration {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// BenchmarkSplit is a message of 1 MB with about 700 records, cut and, in the second part, decoded.
func BenchmarkSplit(b *testing.B) {
	records := bytes.Repeat(append(signInOfSize(b, 1_400), ','), 700)
	body := append(append([]byte(`{"records":[`), bytes.TrimSuffix(records, []byte(","))...), `]}`...)
	var d decode.Decoder
	o := origin()
	b.Run("cut", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if n := len(d.Split(body)); n != 700 {
				b.Fatal(n)
			}
		}
	})
	b.Run("cut and decode", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			for _, record := range d.Split(body) {
				if _, err := d.HubRecord(record.Raw, o); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
