package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	store "github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/migrations"
)

const (
	searchUsers  = 200_000
	searchDays   = 30
	searchApps   = 500
	smallTenants = 3
	// fillRows is how many sign-ins an insert of the fill has: the engine holds them at once.
	fillRows = 100_000
	// fillTail of these inserts, of the newest sign-ins, are as small as the sink's and as bare: without skip indexes,
	// which merges build.
	fillTail    = 10
	sinkRows    = 16_384
	fillEvery   = 50 // one sign-in in so many comes again, in a greater version
	settleFor   = 3 * time.Second
	settlePolls = 200 * time.Millisecond
	// keepDays and deadDays are what the product has by default: the same schema leaves nothing to do.
	keepDays = 400
	deadDays = 90
)

// filled is what the fill announces.
type filled struct {
	Rows  uint64 `json:"rows"`
	Parts uint64 `json:"parts"`
	Bytes uint64 `json:"bytes"`
	// Took is how long inserting took, and Settled how much longer the merges.
	Took    time.Duration `json:"took"`
	Settled time.Duration `json:"settled"`
}

// childFill stores signIns sign-ins of the last 30 days in an engine of its own in the folder of a product, which must
// not run, and waits for the merges. It announces what it stored, and does nothing if the store has any.
func childFill(ctx context.Context, dir string, signIns int, stdout io.Writer) (err error) {
	cfg := store.DefaultConfig()
	cfg.Embedded.DataDir = filepath.Join(dir, "clickhouse")
	s, err := store.Open(ctx, cfg, store.Settings{})
	if err != nil {
		return err
	}
	defer func() {
		if closed := s.Close(context.WithoutCancel(ctx)); err == nil {
			err = closed
		}
	}()
	f := filler{conn: s.Conn(), signIns: signIns, end: time.Now().UTC()}
	schema := s.Schema(migrations.Settings{EventDays: keepDays, DeadLetterDays: deadDays, AuditDays: keepDays}.Map())
	if err := store.Migrate(ctx, f.conn, migrations.Files, store.MigrateOptions{Schema: schema}); err != nil {
		return err
	}
	done, err := f.fill(ctx)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(stdout).Encode(done); err != nil {
		return fmt.Errorf("announcing: %w", err)
	}
	return nil
}

// filler fills sign_ins by statements: the engine makes the rows.
type filler struct {
	conn    driver.Conn
	signIns int
	end     time.Time
}

func (f filler) fill(ctx context.Context) (filled, error) {
	began := time.Now()
	done, err := f.state(ctx)
	if err != nil || done.Rows > 0 {
		return done, err
	}
	tail := min(fillTail*sinkRows, f.signIns/2)
	bulk := f.signIns - tail
	for from := 0; from < bulk; from += fillRows {
		if err := f.insert(ctx, from, min(fillRows, bulk-from), true); err != nil {
			return filled{}, err
		}
	}
	for from := bulk; from < f.signIns; from += sinkRows {
		if err := f.insert(ctx, from, min(sinkRows, f.signIns-from), false); err != nil {
			return filled{}, err
		}
	}
	took := time.Since(began)
	done, err = f.settle(ctx)
	done.Took, done.Settled = took, time.Since(began)-took
	return done, err
}

// insert stores count sign-ins from a number on, and of some of them a greater version in a part of its own. Merges
// have built the skip indexes of all but the newest parts of a store.
func (f filler) insert(ctx context.Context, from, count int, indexed bool) error {
	settings := clickhouse.Settings{
		"optimize_on_insert": 0, "max_partitions_per_insert_block": 0, "max_block_size": fillRows, "max_insert_block_size": fillRows,
		"min_insert_block_size_rows": fillRows, "min_insert_block_size_bytes": 0, "materialize_skip_indexes_on_insert": 0,
		"max_threads": 2, "max_insert_threads": 1,
	}
	if indexed {
		settings["materialize_skip_indexes_on_insert"] = 1
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(settings))
	for _, step := range []struct{ every, version int }{{1, 0}, {fillEvery, 1}} {
		err := f.conn.Exec(ctx, fillStatement,
			clickhouse.Named("from", from), clickhouse.Named("count", count/step.every), clickhouse.Named("every", step.every),
			clickhouse.Named("version", step.version), clickhouse.Named("signins", f.signIns),
			clickhouse.Named("start", f.end.AddDate(0, 0, -searchDays).UnixMilli()))
		if err != nil {
			return fmt.Errorf("filling: %w", err)
		}
	}
	return nil
}

// settle waits until nothing was merged for a while.
func (f filler) settle(ctx context.Context) (filled, error) {
	var done filled
	quiet := time.Now()
	err := until(ctx, settlePolls, func(ctx context.Context) (bool, error) {
		var merges uint64
		if err := f.conn.QueryRow(ctx, "SELECT count() FROM system.merges").Scan(&merges); err != nil {
			return false, fmt.Errorf("waiting for merges: %w", err)
		}
		if merges > 0 {
			quiet = time.Now()
		}
		return time.Since(quiet) > settleFor, nil
	})
	if err == nil {
		done, err = f.state(ctx)
	}
	return done, err
}

func (f filler) state(ctx context.Context) (filled, error) {
	var done filled
	err := f.conn.QueryRow(ctx, "SELECT sum(rows), count(), sum(bytes_on_disk) FROM system.parts"+
		" WHERE active AND database = currentDatabase() AND table = 'sign_ins'").Scan(&done.Rows, &done.Parts, &done.Bytes)
	if err != nil {
		return filled{}, fmt.Errorf("counting rows: %w", err)
	}
	return done, nil
}

// rawParts make the record of a row, as a hub has it, by concat.
//
// What is between « and » is SQL.
const rawTemplate = `{"time":"«time»","resourceId":"/tenants/«tenant»/providers/Microsoft.aadiam","operationName":"Sign-in activity","category":"«of_category»","tenantId":"«tenant»","resultType":"«toString(code)»","callerIpAddress":"«address»","properties":{"id":"«source»","createdDateTime":"«time»","userDisplayName":"«display»","userPrincipalName":"«upn»","userId":"«uid»","appId":"«app»","appDisplayName":"«app_name»","ipAddress":"«address»","status":{"errorCode":«toString(code)»«if(code = 0, '', ',"failureReason":"Refused."')»},"clientAppUsed":"Browser","userAgent":"«agent»","deviceDetail":{"deviceId":"«device»","displayName":"PC-«toString(u)»","operatingSystem":"Windows 10","browser":"Edge 120.0","isCompliant":true},"location":{"city":"City «land»","countryOrRegion":"«land»","geoCoordinates":{"latitude":52.5,"longitude":13.4}},"correlationId":"«correlation»","originalRequestId":"«source»","uniqueTokenIdentifier":"«token»","conditionalAccessStatus":"success","authenticationRequirement":"multiFactorAuthentication","signInEventTypes":["«event_type»"],"resourceDisplayName":"Microsoft Graph","resourceId":"00000003-0000-0000-c000-000000000000","userType":"Member","autonomousSystemNumber":64496}}`

// rawSQL turns rawTemplate into an expression.
func rawSQL() string {
	var parts []string
	rest := rawTemplate
	for {
		text, after, found := strings.Cut(rest, "«")
		parts = append(parts, "'"+text+"'")
		if !found {
			return "concat(" + strings.Join(parts, ", ") + ")"
		}
		expression, more, _ := strings.Cut(after, "»")
		parts, rest = append(parts, expression), more
	}
}
