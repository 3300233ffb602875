package directorysync_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/directorysync"
)

func TestConfig(t *testing.T) {
	require.NoError(t, directorysync.DefaultConfig().Validate())
	for key, change := range map[string]func(*directorysync.Config){
		"budget_scale":   func(c *directorysync.Config) { c.BudgetScale = -1 },
		"delta_interval": func(c *directorysync.Config) { c.Tenant.DeltaInterval = 0 },
		"walk_interval":  func(c *directorysync.Config) { c.Tenant.WalkInterval = time.Millisecond },
		"daily_interval": func(c *directorysync.Config) { c.Tenant.DailyInterval = time.Minute },
		"whole_interval": func(c *directorysync.Config) { c.Tenant.WholeInterval = time.Second },
		"probe_interval": func(c *directorysync.Config) { c.Tenant.ProbeInterval = 0 },
		"opt_in":         func(c *directorysync.Config) { c.Tenant.OptIn = []string{"users"} },
		"clouds.global":  func(c *directorysync.Config) { c.Clouds = map[string]directorysync.CloudConfig{"global": {}} },
	} {
		c := directorysync.DefaultConfig()
		change(&c)
		require.ErrorContains(t, c.Validate(), key)
	}
	c := directorysync.DefaultConfig()
	c.Tenant.OptIn = []string{"mailboxes"}
	require.NoError(t, c.Validate())
}
