package tenant_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/tenant"
)

func TestPositionRefusesOtherTexts(t *testing.T) {
	for _, text := range []string{"!", "1", "1.", ".1", "1.-1", "1.2.3", "9999999999999999999999.1"} {
		var p tenant.Position
		require.ErrorIs(t, p.UnmarshalText([]byte(text)), tenant.ErrPosition, text)
	}
	var p tenant.Position
	require.NoError(t, p.UnmarshalText(nil))
	require.True(t, p.IsZero())
	require.NoError(t, p.UnmarshalText([]byte("-1.0")))
	require.Equal(t, "-1.0", p.String())
}

func TestPagesTakePositionsFromAnywhere(t *testing.T) {
	tn := newTenant(t, nil)
	q := tenant.Query{To: end()}
	for _, text := range []string{"zzzzzz.0", "-5.3", "0.zzzzz", "3.zzzzz"} {
		var p tenant.Position
		require.NoError(t, p.UnmarshalText([]byte(text)))
		records, _, _ := tn.Page(tenant.Interactive, q, p, 10)
		require.LessOrEqual(t, len(records), 10)
	}
	records, _, done := tn.Page("other", q, tenant.Position{}, 10)
	require.Empty(t, records)
	require.True(t, done)
	_, _, done = tn.Page(tenant.Interactive, q, tenant.Position{}, 0)
	require.False(t, done)
}
