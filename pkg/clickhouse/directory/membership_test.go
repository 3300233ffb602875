package directory_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse/directory"
)

func TestNestedMembers(t *testing.T) {
	w := newWorld(t)
	w.group("top", "ada", "g:left", "g:right", "sp:robot")
	w.group("left", "bob", "g:deep")
	w.group("right", "bob", "cleo", "g:deep")  // a diamond
	w.group("deep", "dora", "g:top", "g:deep") // a cycle, and a group in itself
	w.group("lone", "ada")
	w.group("empty")
	w.group("gone", "ada", "g:top")
	w.remove("group", "gone")
	w.store(t)
	members := func(group string) []string {
		return w.lines(t, directory.MembersSQL+"SELECT concat(kind, ' ', id, ' ', toString(depth)) FROM members ORDER BY ALL", directory.Members(tenant, group, false)...)
	}
	groups := func(member string) []string {
		return w.lines(t, directory.GroupsSQL+"SELECT concat(id, ' ', toString(depth)) FROM groups_of ORDER BY ALL", directory.Groups(tenant, member)...)
	}
	require.Empty(t, cmp.Diff([]string{
		"group deep 2", "group left 1", "group right 1", "group top 3",
		"service_principal robot 1", "user ada 1", "user bob 2", "user cleo 2", "user dora 3",
	}, members("TOP")))
	require.Equal(t, []string{"group left 1", "group right 1", "service_principal robot 1", "user ada 1"}, w.lines(t,
		directory.MembersSQL+"SELECT concat(kind, ' ', id, ' ', toString(depth)) FROM members ORDER BY ALL", directory.Members(tenant, "top", true)...))
	require.Equal(t, []string{"user ada 1"}, members("lone"))
	for _, group := range []string{"empty", "gone", "none"} {
		require.Empty(t, members(group), group)
	}
	require.Equal(t, []string{"deep 2", "left 3", "lone 1", "right 3", "top 1"}, groups("ada"))
	require.Equal(t, []string{"deep 1", "left 2", "right 2", "top 3"}, groups("dora"))
	require.Equal(t, []string{"deep 1", "left 1", "right 1", "top 2"}, groups("deep"))
	require.Empty(t, groups("nobody"))
}

// A chain deeper than the bound ends there instead of running on.
func TestTheDepthIsBounded(t *testing.T) {
	w := newWorld(t)
	name := func(n int) string { return string(rune('a'+n/10)) + string(rune('0'+n%10)) }
	for n := range 40 {
		w.group(name(n), "u"+name(n), "g:"+name(n+1))
	}
	w.store(t)
	users := w.lines(t, directory.MembersSQL+"SELECT id FROM members WHERE kind = 'user' ORDER BY id", directory.Members(tenant, name(0), false)...)
	require.Len(t, users, 33)
	require.True(t, slices.IsSorted(users))
}
