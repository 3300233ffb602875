package entra_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

func TestWindows(t *testing.T) {
	from := time.Date(2026, 11, 1, 2, 0, 0, 0, time.FixedZone("", 7200))
	to := time.Date(2026, 11, 1, 0, 59, 59, 999_999_999, time.UTC)
	const window = "createdDateTime ge 2026-11-01T00:00:00.0000000Z and createdDateTime le 2026-11-01T00:59:59.9999999Z"
	cases := map[entra.DataType]string{
		entra.SignInInteractive:      window,
		entra.SignInNonInteractive:   window + " and signInEventTypes/any(t: t eq 'nonInteractiveUser')",
		entra.SignInServicePrincipal: window + " and signInEventTypes/any(t: t eq 'servicePrincipal')",
		entra.SignInManagedIdentity:  window + " and signInEventTypes/any(t: t eq 'managedIdentity')",
		entra.Audit:                  "activityDateTime ge 2026-11-01T00:00:00.0000000Z and activityDateTime le 2026-11-01T00:59:59.9999999Z",
		// It knows gt and lt only: the same window, a tick wider.
		entra.Provisioning:  "activityDateTime gt 2026-10-31T23:59:59.9999999Z and activityDateTime lt 2026-11-01T01:00:00.0000000Z",
		entra.RiskDetection: "lastUpdatedDateTime ge 2026-11-01T00:00:00.0000000Z and lastUpdatedDateTime le 2026-11-01T00:59:59.9999999Z",
		entra.RiskyUser:     "riskLastUpdatedDateTime ge 2026-11-01T00:00:00.0000000Z and riskLastUpdatedDateTime le 2026-11-01T00:59:59.9999999Z",
	}
	for id, filter := range cases {
		d, ok := entra.LookupDataType(id)
		require.True(t, ok)
		r := d.Window(from, to)
		require.Equal(t, filter, r.Query.Get("$filter"), id)
		require.Equal(t, entra.LogTimeout, r.Timeout)
		require.NotEmpty(t, r.Query.Get("$top"), id)
		sample := d.Sample(to)
		require.Equal(t, "1", sample.Query.Get("$top"))
		require.Contains(t, sample.Query.Get("$filter"), " 2026-10-31T23:59:59.999999")
	}
}

func TestDataTypesAreComplete(t *testing.T) {
	all := entra.DataTypes()
	require.Len(t, all, 17)
	seen := map[entra.DataType]bool{}
	for _, d := range all {
		require.False(t, seen[d.ID])
		seen[d.ID] = true
		require.NotEmpty(t, d.Title)
		require.NotEmpty(t, d.Permissions, d.ID)
		require.Contains(t, []string{"v1.0", "beta"}, d.Version)
		require.Equal(t, d.Log, d.Cursor != "" && d.LowerOp != "" && d.UpperOp != "", d.ID)
		require.True(t, d.InCloud(entra.CloudGlobal))
		if !d.Log {
			require.Empty(t, cmp.Diff(d.All(), d.Window(time.Time{}, time.Now())))
		}
	}
	signIn, _ := entra.LookupDataType(entra.SignInInteractive)
	r := signIn.All()
	require.Equal(t, "/beta/auditLogs/signIns", r.Path)
	require.Equal(t, "include-unknown-enum-members", r.Header.Get("Prefer"))
	require.Equal(t, budget.Reports, r.Workload)
	older, ok := signIn.Fallback()
	require.True(t, ok)
	require.Equal(t, "/v1.0/auditLogs/signIns", older.All().Path)
	_, ok = older.Fallback()
	require.False(t, ok)
	_, ok = entra.LookupDataType("mail")
	require.False(t, ok)
	require.False(t, entra.DataTypeInfo{MissingClouds: []string{"china"}}.InCloud("China"))
}
