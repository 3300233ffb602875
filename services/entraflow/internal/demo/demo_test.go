package demo_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/entraflow/internal/demo"
)

func TestRecordsAreJSONOfTheDemoTenant(t *testing.T) {
	records, err := demo.Records(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Len(t, records, 11)
	categories := map[string]bool{}
	for _, record := range records {
		var envelope struct{ Time, TenantID, Category string }
		require.NoError(t, json.Unmarshal(record, &envelope))
		require.Equal(t, demo.Tenant, envelope.TenantID)
		require.NotEmpty(t, envelope.Time)
		categories[envelope.Category] = true
	}
	require.Len(t, categories, 10, "one of each category, two interactive sign-ins")
}
