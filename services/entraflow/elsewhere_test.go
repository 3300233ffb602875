package entraflow_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/entraflow"
)

func TestElsewhere(t *testing.T) {
	for name, wrong := range map[string]bool{"collector": false, "directorysync": false, "sink": true, "": true} {
		cfg := entraflow.DefaultConfig()
		cfg.Elsewhere = []string{name}
		err := cfg.Validate()
		if wrong {
			require.ErrorContains(t, err, "elsewhere: names "+name+", which only runs here")
			continue
		}
		require.NoError(t, err)
	}
}
