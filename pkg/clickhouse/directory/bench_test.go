package directory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse/directory"
)

// crowd makes 200,000 users and 10,000 groups of 20 members; every tenth group has a group in it, in chains of ten,
// and the last ends in its first. One group has everybody. 50 roles are held by users and 50 by groups.
func (w *world) crowd(tb testing.TB) {
	tb.Helper()
	for _, statement := range []string{
		`INSERT INTO users_current (tenant_id, object, id, version, display_name, user_principal_name, user_key, user_type, account_enabled, manager_id, mail)
			SELECT '` + tenant + `', 'user', lower(hex(MD5(concat('u', toString(number))))), 1, concat('Name ', toString(number)),
			concat('user', toString(number), '@example.com') AS user_principal_name, user_principal_name, 'Member', true, 'm', user_principal_name FROM numbers(200000)`,
		`INSERT INTO groups_current (tenant_id, object, id, version, display_name)
			SELECT '` + tenant + `', 'group', concat('g', toString(number)), 1, concat('Group ', toString(number)) FROM numbers(10001)`,
		`INSERT INTO group_members_current (tenant_id, object, id, version, group_id, members.id, members.kind)
			SELECT '` + tenant + `', 'group_members', concat('g', toString(number), '-0'), 1, concat('g', toString(number)) AS group_id,
			arrayConcat(arrayMap(i -> lower(hex(MD5(concat('u', toString((number * 20 + i) % 200000))))), range(20)),
				if(number % 10 = 0, [concat('g', toString(if(number % 100 = 90, number - 90, number + 10)))], [])),
			arrayConcat(arrayMap(i -> 'user', range(20)), if(number % 10 = 0, ['group'], [])) FROM numbers(10000)`,
		`INSERT INTO group_members_current (tenant_id, object, id, version, group_id, shard, members.id, members.kind)
			SELECT '` + tenant + `', 'group_members', concat('g10000-', toString(number)), 1, 'g10000', number,
			arrayMap(i -> lower(hex(MD5(concat('u', toString(number * 800 + i))))), range(800)), arrayMap(i -> 'user', range(800)) FROM numbers(250)`,
		`INSERT INTO role_assignments_current (tenant_id, object, id, version, role_definition_id, principal_id, directory_scope_id)
			SELECT '` + tenant + `', 'role_assignment', toString(number), 1, '` + global + `',
			if(number % 2 = 0, concat('g', toString(number * 10)), lower(hex(MD5(concat('u', toString(number)))))), '/' FROM numbers(100)`,
	} {
		require.NoError(tb, w.conn.Exec(tb.Context(), statement))
	}
}

// Times of two shared cores, with a cycle in every tenth of the groups that hold a role: classified 2.2 s,
// privileged 0.6 s; members of the group of everybody 0.3 s.
func BenchmarkPopulationOf200kUsers(b *testing.B) {
	w := newWorld(b)
	w.crowd(b)
	population := w.population(directory.DefaultRules())
	few := population
	few.Users = w.lines(b, "SELECT id FROM users ORDER BY id LIMIT 50")
	for name, tc := range map[string]struct {
		query  string
		params []any
	}{
		"classified":   {directory.PopulationSQL + "SELECT toString(countIf(has(classes, 'admin'))) FROM classified", population.Params()},
		"classified50": {directory.PopulationSQL + "SELECT toString(countIf(has(classes, 'admin'))) FROM classified", few.Params()},
		"privileged":   {directory.PopulationSQL + "SELECT toString(count()) FROM privileged", population.Params()},
		"members":      {directory.MembersSQL + "SELECT toString(count()) FROM members", directory.Members(tenant, "g10000", false)},
		"nested":       {directory.MembersSQL + "SELECT toString(count()) FROM members", directory.Members(tenant, "g10", false)},
		"groups":       {directory.GroupsSQL + "SELECT toString(count()) FROM groups_of", directory.Groups(tenant, few.Users[0])},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				require.NotEmpty(b, w.lines(b, tc.query, tc.params...))
			}
			b.Log(w.lines(b, tc.query, tc.params...)[0])
		})
	}
}
