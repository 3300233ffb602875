package e2e_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// storedDirectory reads what the store says is there.
func (w *world) storedDirectory(ctx context.Context, conn driver.Conn, kinds []string) (directory, error) {
	d := newDirectory()
	for _, c := range compared {
		if !slices.Contains(kinds, c.kind) {
			continue
		}
		err := eachPair(ctx, conn, fmt.Sprintf(`SELECT id, raw FROM (SELECT id FROM %s FINAL WHERE NOT deleted) AS c
			LEFT JOIN (SELECT id, argMax(raw, version) AS raw FROM directory_history WHERE object = '%s' GROUP BY id) AS h USING id`,
			c.table, c.kind), func(id, raw string) error {
			if _, twice := d.objects[c.kind][id]; twice {
				return fmt.Errorf("%s %s is there twice", c.kind, id)
			}
			return d.putRaw(c.kind, id, []byte(raw))
		})
		if err != nil {
			return d, fmt.Errorf("reading %s: %w", c.table, err)
		}
	}
	for relation, query := range map[string]string{
		"members": "SELECT group_id, member_id FROM memberships",
		"owners":  "SELECT id, owner FROM groups_current FINAL ARRAY JOIN `owners.id` AS owner WHERE NOT deleted",
		"manager": "SELECT id, manager_id FROM users_current FINAL WHERE NOT deleted AND manager_id != ''",
	} {
		err := eachPair(ctx, conn, query, func(from, to string) error {
			d.links[link{relation, from, to}] = true
			return nil
		})
		if err != nil {
			return d, fmt.Errorf("reading %s: %w", relation, err)
		}
	}
	return d, nil
}

// eachPair calls handle for each row of two texts.
func eachPair(ctx context.Context, conn driver.Conn, query string, handle func(a, b string) error) error {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var a, b string
		if err := rows.Scan(&a, &b); err != nil {
			return err
		}
		if err := handle(a, b); err != nil {
			return err
		}
	}
	return rows.Err()
}
