package embedded

import (
	"fmt"
	"strings"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// helloQuery is the first statement of every clickhouse-go connection over HTTP. The client decodes
// the answer at its own protocol revision, and every later block at the revision that the answer
// names. The library writes blocks without a revision, so it cannot answer this one: it is answered
// here, at the client's revision, with revision 0.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"

// helloRevision is clickhouse-go's ClientTCPProtocolVersion.
const helloRevision = 54460

type hello struct {
	version  string
	timezone string
}

func readHello(c *conn) (hello, error) {
	var answer string
	_, err := c.materialize(statement{sql: "SELECT version(), timezone()", format: "TSV"}, func(b []byte) error {
		answer = strings.TrimSpace(string(b))
		return nil
	})
	if err != nil {
		return hello{}, fmt.Errorf("reading engine version: %w", err)
	}
	version, timezone, ok := strings.Cut(answer, "\t")
	if !ok {
		return hello{}, fmt.Errorf("%w: unexpected version answer %q", ErrEngine, answer)
	}
	return hello{version: version, timezone: timezone}, nil
}

// encode returns the block that answers helloQuery.
func (h hello) encode() ([]byte, error) {
	block := proto.NewBlock()
	for _, col := range []struct {
		name  string
		kind  column.Type
		value any
	}{
		{"displayName()", "String", "entraflow-embedded"},
		{"version()", "String", h.version},
		{"revision()", "UInt32", uint32(0)},
		{"timezone()", "String", h.timezone},
	} {
		if err := block.AddColumn(col.name, col.kind); err != nil {
			return nil, fmt.Errorf("encoding hello: %w", err)
		}
		if err := block.Columns[len(block.Columns)-1].AppendRow(col.value); err != nil {
			return nil, fmt.Errorf("encoding hello: %w", err)
		}
	}
	var buffer chproto.Buffer
	if err := block.Encode(&buffer, helloRevision); err != nil {
		return nil, fmt.Errorf("encoding hello: %w", err)
	}
	return buffer.Buf, nil
}
