package directory

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// signInsOfUser counts each sign-in once, in its newest version, for its place, device and application. Versions are
// told apart here and not by FINAL, which would merge every row of the days for the few of one user.
const signInsOfUser = `SELECT counted.1 AS sort, counted.2 AS id, argMax(counted.3, at) AS name,
		countIf(outcome = 'success'), countIf(outcome = 'failure'), countIf(outcome NOT IN ('success', 'failure')), max(at), count() AS total
	FROM (
		SELECT occurred_at AS at, argMax(outcome, version) AS outcome,
			argMax(tuple(country, city, device_id, device_display_name, app_id, app_display_name), version) AS of,
			arrayJoin(arrayFilter(c -> c.2 != '' OR c.1 = 'all', [
				('all', '', ''),
				('place', if(of.1 = '', '', concat(of.1, if(of.2 = '', '', concat('/', of.2)))), if(of.2 = '', of.1, concat(of.2, ', ', of.1))),
				('device', of.3, of.4),
				('app', of.5, of.6)])) AS counted
		FROM sign_ins
		WHERE tenant_id = {tenant:String} AND user_id = {user_id:String} AND occurred_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
		GROUP BY occurred_at, sign_ins.id
	)
	GROUP BY sort, id
	ORDER BY sort, total DESC, id LIMIT {top:UInt64} BY sort`

// fillSignIns counts the user's sign-ins of the days that the gateway looks back.
func (p *profile) fillSignIns(ctx context.Context) error {
	days := p.server.cfg.SignInDays
	summary := &controlv1.SignInSummary{Days: uint32(days)}
	p.answer.SignIns = summary
	since := p.server.set.Clock.Now().AddDate(0, 0, -days)
	return p.ask(ctx, "sign_ins", signInsOfUser, func(rows driver.Rows) error {
		var (
			sort                                      string
			c                                         = &controlv1.SignInCount{}
			successes, failures, interrupted, counted uint64
			last                                      time.Time
		)
		err := rows.Scan(&sort, &c.Id, &c.DisplayName, &successes, &failures, &interrupted, &last, &counted)
		c.Successes, c.Failures, c.LastAt = successes, failures+interrupted, timestamppb.New(last)
		switch sort {
		case "all":
			summary.Successes, summary.Failures, summary.Interruptions = successes, failures, interrupted
		case "place":
			summary.Places = append(summary.Places, c)
		case "device":
			summary.Devices = append(summary.Devices, c)
		case "app":
			summary.Apps = append(summary.Apps, c)
		}
		return err
	}, clickhouse.Named("since", since.UnixMilli()), clickhouse.Named("top", maxTop))
}
