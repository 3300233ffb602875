package audit

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(clickhousetest.Main(m)) }
